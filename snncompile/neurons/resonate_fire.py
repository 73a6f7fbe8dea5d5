"""Resonate-and-fire neuron: it fires once per turn, where the phase of its potential is zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from snncompile.neurons.base import State
from snncompile.neurons.resonator import IntegerResonator, Resonator


@dataclass(frozen=True, eq=False)
class ResonateFire(Resonator):
    """Resonate-and-fire neuron (Lava's `RF`, lava-dl's `RF_PHASE`), float.

    One time step, in this order; x is the complex input that arrived in this step:

        new real = cos_decay * real - sin_decay * imag + x real
        new imag = sin_decay * real + cos_decay * imag + x imag
        spike = new real >= threshold and new imag >= 0 and imag < 0
        real, imag = new real, new imag

    There is no reset. Two inputs, the ports `real` and `imag`. The initial potential is real.
    """

    name: ClassVar[str] = "resonate_fire"

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (real, imag) and the spikes."""
        real, imag = self.turn(state, x)
        return (real, imag), (real >= self.threshold) & (imag >= 0) & (state[1] < 0)


@dataclass(frozen=True, eq=False)
class IntegerResonateFire(IntegerResonator):
    """Resonate-and-fire neuron, integer: Lava's fixed-point `RF` with a state_exp of 6.

    It fires *at* the threshold, where Lava's LIF fires above. With / rounding toward zero:

        new real = saturate(cos_decay * real / 4096 - sin_decay * imag / 4096 + (x real << 6))
        new imag = saturate(sin_decay * real / 4096 + cos_decay * imag / 4096 + (x imag << 6))
        spike = new real >= threshold_level and new imag >= 0 and imag < 0
        real, imag = new real, new imag
    """

    name: ClassVar[str] = "resonate_fire"

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (real, imag) and the spikes."""
        real, imag = self.turn(state, x)
        return (real, imag), (real >= self.threshold_level) & (imag >= 0) & (state[1] < 0)


ResonateFire.integer = IntegerResonateFire
