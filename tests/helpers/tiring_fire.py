"""A neuron as another package would add one: own state, own parameters, own range, no kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.arrays import Array, Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    IntegerNeuron,
    Interval,
    Neuron,
    State,
    Width,
    bound_current,
    bound_leaky_sum,
)
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, apply_decay, saturate, wrap
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.ranges import Range

HIGHEST_STEP = 255
TIRED_LIMIT = 2**20 - 1


@dataclass(frozen=True, eq=False)
class TiringFire(FloatNeuron):
    """Integrate-and-fire neuron with a hard reset that every spike tires, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step:

        tired = (1 - recovery) * tired
        v = v + x
        spike = v > threshold + tired
        v = 0                    where spike
        tired = tired + effort   where spike
    """

    threshold: Floats
    effort: Floats
    recovery: Floats

    name: ClassVar[str] = "tiring_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "tired")

    def alternatives(self) -> tuple[Neuron, ...]:
        return (IntegrateFire(self.threshold, reset="hard"),)

    @classmethod
    def is_share(cls, name: str) -> bool:
        return name == "recovery"

    def largest_scale(self, formats: Any) -> Any:
        return np.minimum(super().largest_scale(formats), HIGHEST_STEP * 64 / self.effort)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        v, tired = state
        tired = (1 - self.recovery) * tired
        v = v + x
        spike = v > self.threshold + tired
        return (v * ~spike, tired + self.effort * spike), spike

    def quantize(self, scale: Any, formats: Any) -> IntegerTiringFire:
        return IntegerTiringFire(
            convert.round_threshold(self.threshold * scale, formats),
            np.rint(self.effort * scale / 64).astype(np.int64),
            convert.round_decay(self.recovery, formats),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerTiringFire(IntegerNeuron):
    """Integrate-and-fire neuron with a hard reset that every spike tires, integer.

    tired = apply_decay(tired, recovery)
    v = saturate(v + wrap(x << 6))
    spike = v > (threshold << 6) + tired
    v = 0                                          where spike
    tired = min(tired + (effort << 6), 2^20 - 1)   where spike
    """

    threshold: Ints
    effort: Ints
    recovery: Ints

    name: ClassVar[str] = "tiring_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "tired")
    fires_above: ClassVar[bool] = True
    widths: ClassVar[dict[str, Width]] = {
        "v": Width(effect="saturates"),
        "tired": Width(TIRED_LIMIT, "saturates"),
    }

    @classmethod
    def ranges(cls, formats: Any) -> dict[str, Range]:
        own = {"effort": (0, HIGHEST_STEP), "recovery": (0, DECAY_ONE - 1)}
        return super().ranges(formats) | own

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        v, tired = state
        tired = apply_decay(tired, self.recovery)
        v = saturate(v + wrap(x << STATE_SHIFT))
        spike = v > (self.threshold << STATE_SHIFT) + tired
        tired = (tired + (self.effort << STATE_SHIFT) * spike).clip(0, TIRED_LIMIT)
        return (v * ~spike, tired), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        u = bound_current(x, np.asarray(DECAY_ONE), steps)
        none = np.asarray(0)
        low, high = np.minimum(u.low, 0), np.maximum(u.high, 0)
        tired = bound_leaky_sum(self.effort << STATE_SHIFT, self.recovery, steps)
        kept = (self.threshold << STATE_SHIFT) + np.minimum(tired, TIRED_LIMIT)
        v = Interval(
            bound_leaky_sum(low, none, steps) + np.minimum(self.initial, 0),
            np.minimum(
                bound_leaky_sum(high, none, steps) + np.maximum(self.initial, 0),
                np.maximum(kept, self.initial) + high,
            ),
        )
        return {"v": v, "tired": Interval(none, tired)}

    def real(self) -> dict[str, Floats]:
        return {
            "threshold": self.threshold * 64.0,
            "effort": self.effort * 64.0,
            "recovery": self.recovery / DECAY_ONE,
        }

    def profile(self) -> dict[str, Array]:
        return {
            "compartment": np.asarray(self.recovery * 256 + self.effort),
            "threshold": self.threshold,
        }


TiringFire.integer = IntegerTiringFire
