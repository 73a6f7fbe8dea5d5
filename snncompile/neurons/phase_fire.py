"""Bistable integrate-and-fire neuron with a phase code: its spikes are the digits of a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.arrays import Floats
from snncompile.neurons.base import Interval, State
from snncompile.neurons.cyclic import Cyclic, IntegerCyclic, locate_in_cycle
from snncompile.neurons.fixed import STATE_SHIFT, saturate

LONGEST = 16
"""Digits of a number; with more, the thresholds of the first digits leave 24 bits."""


@dataclass(frozen=True, eq=False)
class PhaseFire(Cyclic):
    """Bistable integrate-and-fire neuron with periodic thresholds, float.

    Like `BistableFire` it first receives for `window` steps and then emits for `window` steps. It
    emits the binary digits of its potential in units of `threshold`, the largest first: each step
    halves the threshold. A receiver doubles its potential in each step,
    so that an early spike weighs more; no spike carries a number. One time step, in this order; `x`
    is the synaptic input that arrived in this step:

        position = (clock - start) modulo (2 * window)
        awake     = clock >= start and not (once and clock >= start + 2 * window)
        receiving = awake and position < window
        emitting  = awake and position >= window
        v = initial              where receiving and position == 0
        v = 2 * v                where receiving and position > 0
        v = v + x + bias         where receiving
        level = threshold * 2^(2 * window - 1 - position)
        spike = emitting and v > level
        v = v - level            where spike
        clock = clock + 1

    With window K, inputs of the digits of a and an initial potential of threshold / 2^K, the digits
    are those of W a + (2^K - 1) bias, over the threshold, rounded, and limited to 0..2^K - 1.
    """

    name: ClassVar[str] = "phase_fire"

    def _check(self) -> None:
        super()._check()
        _check_longest(self.window)

    def reach(self, drive: Floats) -> Floats:
        """Return the potential it must be able to hold; see `FloatNeuron.reach`.

        With L = max(2^K threshold, drive), saturating at L changes no spike: with r steps of
        receiving to go, v ends at L + (2^r - 1) (L - drive) or more, which is all digits, and from
        -L at the negative of that or less, which is none.
        """
        return np.asarray(np.maximum(self.threshold * 2.0**self.window, drive))

    def decode(self, spike_trains: Any) -> Any:
        """Return the number between 0 and 1 whose digits it sends; see `FloatNeuron.decode`."""
        digits = self.select_emitted(spike_trains)
        return sum(digits[:, i] * 0.5 ** (i + 1) for i in range(digits.shape[1]))

    @property
    def largest_share(self) -> float:
        """1 less the worth of the last digit."""
        return float(1 - 0.5 ** int(self.window.max()))

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        now = locate_in_cycle(self, clock)
        kept = v * (now.receiving & ~now.first)
        v = v * ~now.first + self.initial * now.first + kept
        v = v + (x + self.bias) * now.receiving
        level = self.threshold * 2.0 ** ((2 * self.window - 1 - now.position) * now.emitting)
        spike = now.emitting & (v > level)
        return (v - level * spike, clock + 1), spike


@dataclass(frozen=True, eq=False)
class IntegerPhaseFire(IntegerCyclic):
    """Bistable integrate-and-fire neuron with periodic thresholds, integer.

    The arithmetic of `IntegerIntegrateFire`; `x` is the accumulated weights:

        position = (clock - start) modulo (2 * window)
        awake     = clock >= start and not (once and clock >= start + 2 * window)
        receiving = awake and position < window
        emitting  = awake and position >= window
        arrived = wrap(x << 6) + (bias_mantissa << bias_exponent)
        v = initial                       where receiving and position == 0
        v = v << 1                        where receiving and position > 0
        v = saturate(v + arrived)         where receiving
        level = threshold << (6 + 2 * window - 1 - position)
        spike = emitting and v > level
        v = v - level                     where spike
        clock = clock + 1
    """

    name: ClassVar[str] = "phase_fire"

    def _check(self) -> None:
        super()._check()
        _check_longest(self.window)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        now = locate_in_cycle(self, clock)
        kept = v * (now.receiving & ~now.first)
        v = v * ~now.first + self.initial * now.first + kept
        v = saturate(v + self.shift_input(x) * now.receiving)
        digit = (2 * self.window - 1 - now.position) * now.emitting
        level = (self.threshold << STATE_SHIFT) << digit
        spike = now.emitting & (v > level)
        return (v - level * spike, clock + 1), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and of the input as u; see `IntegerNeuron.bounds`.

        v is largest where every step of a window brings the extreme: a sum of doublings.
        """
        u, added, count = self.bound_input(x, steps)
        factor, doubled = 2**count - 1, 2 ** (count - 1)
        low = np.minimum(self.initial, 0) * doubled + added.low * factor
        high = np.maximum(self.initial, 0) * doubled + added.high * factor
        return {"u": u, "v": Interval(low, high)}


def _check_longest(window: Any) -> None:
    if window.max() > LONGEST:
        raise ValueError(f"window must be at most {LONGEST}, got {window.max():g}")


PhaseFire.integer = IntegerPhaseFire
