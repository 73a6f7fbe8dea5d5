"""Signed integrate-and-fire neurons with memory: a negative spike corrects one too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.conversion.ann import Layer
from snncompile.conversion.method import Direct
from snncompile.conversion.scales import LEAST, Scales
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire


@dataclass(frozen=True)
class Signed(Direct):
    """A rate for each activation, settled sooner: spikes sent too early are taken back."""

    scales: Scales = LEAST
    """Activation of a rate of 1."""
    initial: float = 0.5
    """Potential at the start, in thresholds; one half rounds instead of cutting off."""
    negative_threshold: float = 0.0
    """Potential, in thresholds, below which a spike is taken back; 0 or less."""
    readout_delay: int = 0
    """Time steps at the start that the readout ignores."""
    calibrate_bias: bool = False
    """Whether biases correct the mean loss of few time steps, per channel."""

    name: ClassVar[str] = "signed"

    def make_neuron(self, layer: Layer) -> SignedIntegrateFire:
        """Return neurons that send 1, and -1 where they have sent 1 before."""
        thresholds = 1.0, self.negative_threshold
        return SignedIntegrateFire(*thresholds, layer.bias, initial=self.initial)  # type: ignore[arg-type]
