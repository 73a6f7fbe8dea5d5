"""Threshold balancing: integrate-and-fire neurons with soft reset (Sengupta et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.conversion.ann import Layer
from snncompile.conversion.method import Direct
from snncompile.conversion.scales import LEAST, Scales
from snncompile.neurons.integrate_fire import IntegrateFire


@dataclass(frozen=True)
class Balance(Direct):
    """A rate for each activation: the share of time steps with a spike."""

    scales: Scales = LEAST
    """Activation of a rate of 1."""
    initial: float = 0.5
    """Potential at the start, in thresholds; one half rounds instead of cutting off."""
    readout_delay: int = 0
    """Time steps at the start that the readout ignores."""
    calibrate_bias: bool = False
    """Whether biases correct the mean loss of few time steps, per channel."""

    name: ClassVar[str] = "balance"
    suits_library: ClassVar[bool] = True

    def make_neuron(self, layer: Layer) -> IntegrateFire:
        """Return neurons that keep the excess over the threshold."""
        return IntegrateFire(1.0, layer.bias, initial=self.initial)  # type: ignore[arg-type]
