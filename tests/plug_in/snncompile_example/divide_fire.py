"""Integrate-and-fire neuron that sends one spike for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from snncompile.arrays import Array, Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    IntegerNeuron,
    Interval,
    State,
    Width,
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, saturate, wrap
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

HIGHEST_DIVISOR = 15
"""The counter has four bits."""


@dataclass(frozen=True, eq=False)
class DivideFire(FloatNeuron):
    """Integrate-and-fire neuron with a hard reset that sends each `divisor`-th spike, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step:

        v = v + x
        full = v > threshold
        v = 0               where full
        count = count + 1   where full
        spike = count == divisor
        count = 0           where spike
    """

    threshold: Floats
    """Potential above which the neuron counts, in the unit of the weights."""
    divisor: Floats
    """Times that it counts for one spike, a whole number, 1..15."""

    name: ClassVar[str] = "divide_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "count")

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("divisor", self.divisor, lowest=1)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, count) and the spikes."""
        v, count = state
        v = v + x
        full = v > self.threshold
        count = count + full
        spike = count == self.divisor
        return (v * ~full, count * ~spike), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerDivideFire:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerDivideFire(
            convert.round_threshold(self.threshold * scale, formats),
            self.divisor.astype(np.int64),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerDivideFire(IntegerNeuron):
    """Integrate-and-fire neuron with a hard reset that sends each `divisor`-th spike, integer.

    v = saturate(v + wrap(x << 6))
    full = v > (threshold << 6)
    v = 0               where full
    count = count + 1   where full
    spike = count == divisor
    count = 0           where spike
    """

    threshold: Ints
    """Mantissa: the neuron counts when v exceeds threshold * 2^6."""
    divisor: Ints
    """Times that it counts for one spike, 1..15."""

    name: ClassVar[str] = "divide_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "count")
    fires_above: ClassVar[bool] = True
    widths: ClassVar[dict[str, Width]] = {
        "v": Width(effect="saturates"),
        "count": Width(HIGHEST_DIVISOR, "overflows"),
    }

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges that a chip has for its parameters."""
        return super().ranges(formats) | {"divisor": (1, HIGHEST_DIVISOR)}

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, count) and the spikes."""
        v, count = state
        v = saturate(v + wrap(x << STATE_SHIFT))
        full = v > (self.threshold << STATE_SHIFT)
        count = count + full
        spike = count == self.divisor
        return (v * ~full, count * ~spike), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and count; see `IntegerNeuron.bounds`."""
        none = np.asarray(0)
        brought = bound_current(x, np.asarray(DECAY_ONE), steps)
        low, high = np.minimum(brought.low, 0), np.maximum(brought.high, 0)
        summed = Interval(bound_leaky_sum(low, none, steps), bound_leaky_sum(high, none, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        kept = np.maximum(self.threshold << STATE_SHIFT, self.initial)
        v = Interval(lowest, np.minimum(highest, kept + high))
        return {"v": v, "count": Interval(none, self.divisor)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters these integers stand for; the divisor has no scale."""
        return {"threshold": np.asarray(self.threshold * 64.0)}

    def profile(self) -> dict[str, Array]:
        """Return the divisors, which stand where others have decays, and the thresholds."""
        return {"compartment": self.divisor, "threshold": self.threshold}


DivideFire.integer = IntegerDivideFire
