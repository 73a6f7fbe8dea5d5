"""Resonate-and-fire neuron after Izhikevich: it fires at a threshold and is reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from snncompile.neurons.base import State
from snncompile.neurons.resonator import IntegerResonator, Resonator

BELOW = 1e-5
"""How far below the threshold a spike leaves the potential (lava-nc 0.10.0, `proc/rf_iz`)."""


@dataclass(frozen=True, eq=False)
class ResonateFireIzhikevich(Resonator):
    """Resonate-and-fire neuron with a reset (Lava's `RF_IZ`, lava-dl's `RF`), float.

    One time step, in this order; x is the complex input that arrived in this step:

        real, imag = (cos_decay * real - sin_decay * imag + x real,
                      sin_decay * real + cos_decay * imag + x imag)
        spike = imag >= threshold
        real = 0                 where spike
        imag = threshold - 1e-5  where spike

    Two inputs, the ports `real` and `imag`. The initial potential is real.
    """

    name: ClassVar[str] = "resonate_fire_izhikevich"

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (real, imag) and the spikes."""
        real, imag = self.turn(state, x)
        spike = imag >= self.threshold
        return (real * ~spike, imag * ~spike + (self.threshold - BELOW) * spike), spike


@dataclass(frozen=True, eq=False)
class IntegerResonateFireIzhikevich(IntegerResonator):
    """Resonate-and-fire neuron with a reset, integer: Lava's fixed-point `RF_IZ`, state_exp 6.

    It fires *at* the threshold, and its reset leaves it one below. With / rounding toward zero:

        real, imag = (saturate(cos_decay * real / 4096 - sin_decay * imag / 4096 + (x real << 6)),
                      saturate(sin_decay * real / 4096 + cos_decay * imag / 4096 + (x imag << 6)))
        spike = imag >= threshold_level
        real = 0                    where spike
        imag = threshold_level - 1  where spike
    """

    name: ClassVar[str] = "resonate_fire_izhikevich"

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (real, imag) and the spikes."""
        real, imag = self.turn(state, x)
        spike = imag >= self.threshold_level
        return (real * ~spike, imag * ~spike + (self.threshold_level - 1) * spike), spike


ResonateFireIzhikevich.integer = IntegerResonateFireIzhikevich
