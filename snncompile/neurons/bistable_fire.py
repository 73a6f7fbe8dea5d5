"""Integrate-and-fire neuron in two states: it first only receives, then only fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.arrays import Floats
from snncompile.neurons.base import Interval, State, widen_by_start
from snncompile.neurons.cyclic import Cyclic, IntegerCyclic, locate_in_cycle
from snncompile.neurons.fixed import STATE_SHIFT, saturate

HELD = 32
"""Thresholds that the potential should hold in short windows too, for sums that come back."""


@dataclass(frozen=True, eq=False)
class BistableFire(Cyclic):
    """Bistable integrate-and-fire neuron with soft reset, rate version, float.

    From its own step `start` on it goes through cycles of 2 * `window` steps, one cycle for each
    input that is shown. In the first half it receives and is silent; in the second it emits
    the sum, at most one spike per step, and takes no input. So no spike is sent before
    the whole input is known. It fires where the potential exceeds the threshold. One time step, in
    this order; `x` is the synaptic input that arrived in this step:

        position = (clock - start) modulo (2 * window)
        awake     = clock >= start and not (once and clock >= start + 2 * window)
        receiving = awake and position < window
        emitting  = awake and position >= window
        v = initial          where receiving and position == 0
        v = v + x + bias     where receiving
        spike = emitting and v > threshold
        v = v - threshold    where spike
        clock = clock + 1

    Every cycle starts at the initial potential; half a threshold rounds the number of spikes to the
    nearest. A layer behind another has a `start` that is `window` steps later.
    """

    name: ClassVar[str] = "bistable_fire"

    def reach(self, drive: Floats) -> Floats:
        """Return the potential it should be able to hold; see `FloatNeuron.reach`.

        Twice the sum that all its spikes subtract, on both sides, or the largest input of a window
        if that is less; a larger sum that later falls is cut off.
        """
        held = np.maximum(HELD, 2 * self.window) * self.threshold
        return np.asarray(np.minimum(held, np.abs(self.initial) + drive * self.window))

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        now = locate_in_cycle(self, clock)
        v = v * ~now.first + self.initial * now.first + (x + self.bias) * now.receiving
        spike = now.emitting & (v > self.threshold)
        return (v - self.threshold * spike, clock + 1), spike


@dataclass(frozen=True, eq=False)
class IntegerBistableFire(IntegerCyclic):
    """Bistable integrate-and-fire neuron with soft reset, rate version, integer.

    The arithmetic of `IntegerIntegrateFire`; `x` is the accumulated weights:

        position = (clock - start) modulo (2 * window)
        awake     = clock >= start and not (once and clock >= start + 2 * window)
        receiving = awake and position < window
        emitting  = awake and position >= window
        arrived = wrap(x << 6) + (bias_mantissa << bias_exponent)
        v = initial                  where receiving and position == 0
        v = saturate(v + arrived)    where receiving
        spike = emitting and v > (threshold << 6)
        v = v - (threshold << 6)     where spike
        clock = clock + 1
    """

    name: ClassVar[str] = "bistable_fire"
    fires_above: ClassVar[bool] = True

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        threshold, now = self.threshold << STATE_SHIFT, locate_in_cycle(self, clock)
        v = v * ~now.first + self.initial * now.first
        v = saturate(v + self.shift_input(x) * now.receiving)
        spike = now.emitting & (v > threshold)
        return (v - threshold * spike, clock + 1), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and of the input as u; see `IntegerNeuron.bounds`.

        v adds up over the steps of one window; firing brings it toward zero.
        """
        u, added, count = self.bound_input(x, steps)
        return {
            "u": u,
            "v": widen_by_start(self.initial, Interval(added.low * count, added.high * count)),
        }


BistableFire.integer = IntegerBistableFire
