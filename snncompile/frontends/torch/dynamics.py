"""Dynamics of a neuron layer of any library, and the neuron that it becomes in a network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.readout import Readout
from snncompile.neurons.resets import Reset
from snncompile.synapses.base import Synapses


@dataclass(frozen=True, eq=False)
class Affine:
    """A linear map and a bias: the effect of a linear layer on one sample."""

    synapses: Synapses
    bias: Floats
    """One per target neuron."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dynamics:
    """Dynamics of one neuron layer; each parameter is one number or one per neuron.

    One time step, in this order; `x` is the input of this step, `s` the layer's own spikes of the
    step before:

        u = (1 - current_decay) * u + x + recurrent(s)
        v = (1 - potential_decay) * v + gain * u + constant
        spike = v > threshold (or v >= threshold), and the reset of `CubaLif`
    """

    potential_decay: Floats
    current_decay: Floats = 1.0  # type: ignore[assignment]
    """1: the current has no memory."""
    threshold: Floats
    reset: Reset
    gain: Floats = 1.0  # type: ignore[assignment]
    """Factor from the current to the potential; positive."""
    constant: Floats = 0.0  # type: ignore[assignment]
    delay: int = 0
    """Time steps by which the input reaches the current late."""
    initial: Floats = 0.0  # type: ignore[assignment]
    """Potential at the start of a sample."""
    fires_at_threshold: bool = False
    """Whether a potential equal to the threshold fires.

    In float64 v >= t is v > t', where t' is the largest number below t.
    """
    recurrent: Affine | None = None
    """Map of the layer's own spikes, one step later; its bias acts from step 0 on."""
    late_bias: Floats | None = None
    """Input of every time step but the first, one per neuron."""
    input: Affine | None = None
    """Weights that the layer itself applies to its input."""
    spikes: bool = True
    """Whether the output is spikes; otherwise it is the potential."""
    most_spikes: int = 1
    """Most spikes of one time step, one per threshold; above 1 only if `fires_at_threshold`."""
    lowest: Floats | None = None
    """Lower bound of the potential at the end of a time step."""
    threshold_step: Floats | None = None
    """Rise of the threshold by a spike; the rise loses `threshold_decay` in each time step."""
    threshold_decay: Floats = 1.0  # type: ignore[assignment]

    @property
    def bias_on_potential(self) -> bool:
        """Whether the current has no memory, so that a constant drive acts like a bias."""
        return bool((np.asarray(self.current_decay) == 1).all())

    def make_neuron(self, bias: Floats) -> FloatNeuron:
        """Return the neuron; `bias` is added to its current, which then has no memory.

        Its potential is 1 / gain times the library's: the weights stay as they are.
        """
        threshold = self.threshold / self.gain
        if self.most_spikes > 1 or self.lowest is not None:
            return self._make_multi_spike(threshold, bias + self.constant / self.gain)
        if self.fires_at_threshold:
            threshold = np.nextafter(threshold, -np.inf)
        constant = bias + self.constant / self.gain
        if self.threshold_step is not None:
            return AdaptiveLif(
                self.current_decay,
                self.potential_decay,
                threshold,
                self.threshold_decay,
                self.threshold_step / self.gain,
                constant,
                "hard" if self.reset == "hard" else "soft",
                **self._scale_initial(self.gain),
            )
        return CubaLif(
            self.current_decay,
            self.potential_decay,
            threshold,
            constant,
            self.reset,
            **self._scale_initial(self.gain),
        )

    def _make_multi_spike(self, threshold: Floats, constant: Floats) -> FloatNeuron:
        assert self.fires_at_threshold
        lowest = {} if self.lowest is None else {"lowest": self.lowest / self.gain}
        return MultiSpikeLif(
            self.current_decay,
            self.potential_decay,
            threshold,
            constant,
            np.asarray(float(self.most_spikes)),
            reset="hard" if self.reset == "hard" else "soft",
            **lowest,
            **self._scale_initial(self.gain),
        )

    def make_readout(self, bias: Floats) -> FloatNeuron:
        """Return the readout of a layer that never resets and whose potential is the answer.

        Its potential is the library's; its drive has to be multiplied by `gain`.
        """
        constant = bias + self.constant
        return Readout(
            self.current_decay,
            self.potential_decay,
            constant,
            **self._scale_initial(np.asarray(1.0)),
        )

    def _scale_initial(self, gain: Floats) -> dict[str, Floats]:
        return {"initial": self.initial / gain} if np.any(self.initial) else {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Known(Dynamics):
    """Dynamics of a neuron of ours."""

    potential_decay: Floats = field(default_factory=lambda: np.asarray(1.0))
    threshold: Floats = field(default_factory=lambda: np.asarray(1.0))
    reset: Any = "none"
    neuron: FloatNeuron

    @property
    def bias_on_potential(self) -> bool:
        """Whether a constant drive acts like the bias of the neuron, if it has one."""
        return hasattr(self.neuron, "bias") and super().bias_on_potential

    def make_neuron(self, bias: Floats) -> FloatNeuron:
        """Return the neuron with a bias."""
        if not np.any(bias):
            return self.neuron
        own = np.asarray(getattr(self.neuron, "bias"))  # noqa: B009  (not all have it)
        return replace(self.neuron, bias=own + bias)  # type: ignore[call-arg]

    make_readout = make_neuron


def describe_neuron(neuron: FloatNeuron) -> Known:
    """Return the dynamics of a neuron of ours."""
    current = getattr(neuron, "current_decay", np.asarray(1.0))
    return Known(neuron=neuron, current_decay=current, spikes=neuron.spikes)
