"""Integrate-and-fire neuron in two states: it first only listens, then only fires."""

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
    beyond,
    current_bounds,
)
from snncompile.neurons.fixed import STATE_SHIFT, saturate, scaled_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class BistableFire(FloatNeuron):
    """Bistable integrate-and-fire neuron with soft reset, rate version, float.

    From its own step `start` on it goes through cycles of 2 * `window` steps, one cycle for each
    input that is shown. In the first half it receives and is silent; in the second it emits what
    has come together, at most one spike per step, and takes no input. So no spike is sent before
    the whole input is known. One time step, in this order; `x` is the synaptic input that arrived
    in this step:

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

    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""
    window: Floats
    """Time steps of each state, 1 or more."""
    start: Floats = 0.0  # type: ignore[assignment]
    """Own time step in which the first cycle begins; before, input is lost."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step of receiving."""
    once: Floats = 0.0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    name: ClassVar[str] = "bistable_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("window", self.window, 1)
        convert.check_steps("start", self.start)
        check_once(self.once)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        position = (clock - self.start) % (2 * self.window)
        awake = is_awake(self, clock)
        receiving = awake & (position < self.window)
        first = receiving & (position == 0)
        v = v * ~first + self.initial * first + (x + self.bias) * receiving
        spike = awake & (position >= self.window) & (v > self.threshold)
        return (v - self.threshold * spike, clock + 1), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerBistableFire:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.bias(self.bias * scale, formats)
        return IntegerBistableFire(
            convert.threshold(self.threshold * scale, formats),
            self.window.astype(np.int64),
            self.start.astype(np.int64),
            mantissa,
            exponent,
            self.once.astype(np.int64),
            initial=convert.initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerBistableFire(IntegerNeuron):
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

    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""
    window: Ints
    """Time steps of each state, 1 or more."""
    start: Ints = 0  # type: ignore[assignment]
    """Own time step in which the first cycle begins."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    once: Ints = 0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    name: ClassVar[str] = "bistable_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_steps("window", self.window, 1)
        convert.check_steps("start", self.start)
        check_once(self.once)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the spikes."""
        v, clock = state
        threshold = self.threshold << STATE_SHIFT
        position = (clock - self.start) % (2 * self.window)
        awake = is_awake(self, clock)
        receiving = awake & (position < self.window)
        arrived = wrap(x << STATE_SHIFT) + scaled_bias(self.bias_mantissa, self.bias_exponent)
        first = receiving & (position == 0)
        v = saturate(v * ~first + self.initial * first + arrived * receiving)
        spike = awake & (position >= self.window) & (v > threshold)
        return (v - threshold * spike, clock + 1), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and of the input as u; see `IntegerNeuron.bounds`.

        v adds up over the steps of one window; firing brings it toward zero.
        """
        u = current_bounds(x, np.asarray(4096), steps)
        bias = scaled_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        count = self.window if steps is None else np.minimum(self.window, steps)
        return {"u": u, "v": beyond(self.initial, Interval(low * count, high * count))}

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


def is_awake(neuron: Any, clock: Any) -> Any:
    """Return where the cycles have begun and not ended; also for `PhaseFire`."""
    over = (neuron.once > 0) & (clock >= neuron.start + 2 * neuron.window)
    return (clock >= neuron.start) & ~over


def receives(neuron: Any, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return in which own time steps, shape (steps,), one of the neurons receives."""
    parameters = np.broadcast_arrays(neuron.window, neuron.start, neuron.once)
    kinds = np.unique(np.stack(parameters).reshape(3, -1), axis=1)
    window, start, once = kinds[..., None]
    since = steps - start
    cycling = (since >= 0) & ((once == 0) | (since < 2 * window))
    found: NDArray[np.bool_] = (cycling & (since % (2 * window) < window)).any(axis=0)
    return found


def cycle_profile(neuron: Any) -> NDArray[np.int64]:
    """Return one number for window, start and whether there is one cycle only."""
    window, start, once = np.broadcast_arrays(neuron.window, neuron.start, neuron.once)
    profile: NDArray[np.int64] = (window * 2**31 + start) * 2 + once
    return profile


def check_once(once: Any) -> None:
    """Refuse what is neither 0 nor 1."""
    if not ((once == 0) | (once == 1)).all():
        raise ValueError("once must be 0 or 1")


BistableFire.integer = IntegerBistableFire
