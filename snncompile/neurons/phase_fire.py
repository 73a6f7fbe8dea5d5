"""Bistable integrate-and-fire neuron with a phase code: its spikes are the digits of a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    Floats,
    IntegerNeuron,
    Interval,
    Ints,
    State,
    current_bounds,
)
from snncompile.neurons.bistable_fire import check_once, cycle_profile, is_awake, receives
from snncompile.neurons.fixed import STATE_SHIFT, saturate, scaled_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

LONGEST = 16
"""Digits of a number; with more, the thresholds of the first digits leave 24 bits."""


@dataclass(frozen=True, eq=False)
class PhaseFire(FloatNeuron):
    """Bistable integrate-and-fire neuron with periodic thresholds, float.

    Like `BistableFire` it first receives for `window` steps and then emits for `window` steps. What
    it emits are the binary digits of its potential in units of `threshold`, the largest first: in
    each step the threshold is half of that before. A receiver doubles its potential in each step,
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

    threshold: Floats
    """What the last digit is worth, in the unit of the weights."""
    window: Floats
    """Digits of a number, 1..16."""
    start: Floats = 0.0  # type: ignore[assignment]
    """Own time step in which the first cycle begins; before, input is lost."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step of receiving."""
    once: Floats = 0.0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    name: ClassVar[str] = "phase_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)
        _check_window(self.window)
        convert.check_steps("start", self.start)
        check_once(self.once)

    @property
    def reach(self) -> Floats:
        """Potential it should be able to hold: four times the largest number it can send."""
        return self.threshold * 2.0 ** (self.window + 2)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        position = (clock - self.start) % (2 * self.window)
        awake = is_awake(self, clock)
        receiving = awake & (position < self.window)
        first = receiving & (position == 0)
        v = v * ~first + self.initial * first + v * (receiving & ~first)
        v = v + (x + self.bias) * receiving
        emitting = awake & (position >= self.window)
        level = self.threshold * 2.0 ** ((2 * self.window - 1 - position) * emitting)
        spike = emitting & (v > level)
        return (v - level * spike, clock + 1), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerPhaseFire:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.bias(self.bias * scale, formats)
        return IntegerPhaseFire(
            convert.threshold(self.threshold * scale, formats),
            self.window.astype(np.int64),
            self.start.astype(np.int64),
            mantissa,
            exponent,
            self.once.astype(np.int64),
            initial=convert.initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerPhaseFire(IntegerNeuron):
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

    threshold: Ints
    """Mantissa: the last digit is worth threshold * 2^6."""
    window: Ints
    """Digits of a number, 1..16."""
    start: Ints = 0  # type: ignore[assignment]
    """Own time step in which the first cycle begins."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    once: Ints = 0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    name: ClassVar[str] = "phase_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        _check_window(self.window)
        convert.check_steps("start", self.start)
        check_once(self.once)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        position = (clock - self.start) % (2 * self.window)
        awake = is_awake(self, clock)
        receiving = awake & (position < self.window)
        arrived = wrap(x << STATE_SHIFT) + scaled_bias(self.bias_mantissa, self.bias_exponent)
        first = receiving & (position == 0)
        v = v * ~first + self.initial * first + v * (receiving & ~first)
        v = saturate(v + arrived * receiving)
        emitting = awake & (position >= self.window)
        level = (self.threshold << STATE_SHIFT) << ((2 * self.window - 1 - position) * emitting)
        spike = emitting & (v > level)
        return (v - level * spike, clock + 1), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and of the input as u; see `IntegerNeuron.bounds`.

        v is largest where every step of a window brings the extreme: a sum of doublings.
        """
        u = current_bounds(x, np.asarray(4096), steps)
        bias = scaled_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        count = self.window if steps is None else np.minimum(self.window, steps)
        factor, doubled = 2**count - 1, 2 ** (count - 1)
        low = np.minimum(self.initial, 0) * doubled + low * factor
        high = np.maximum(self.initial, 0) * doubled + high * factor
        return {"u": u, "v": Interval(low, high)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters these integers stand for; steps have no scale."""
        return {
            "threshold": self.threshold * 64.0,
            "bias": scaled_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return windows with starts, and the thresholds."""
        return {"compartment": cycle_profile(self), "threshold": self.threshold}

    def listens(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return in which own time steps one of the neurons receives."""
        return receives(self, steps)


def _check_window(window: Any) -> None:
    convert.check_steps("window", window, 1)
    if window.max() > LONGEST:
        raise ValueError(f"window must be at most {LONGEST}, got {window.max():g}")


PhaseFire.integer = IntegerPhaseFire
