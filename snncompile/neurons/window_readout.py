"""Non-spiking readout that adds up over a window of time steps and answers at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    IntegerNeuron,
    Interval,
    Role,
    State,
    bound_current,
)
from snncompile.neurons.fixed import STATE_SHIFT, saturate, shift_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class WindowReadout(FloatNeuron):
    """Sum over one window of time steps, float. Its output is the sum, once, in the last of them.

    Input before its own step `start` and after the window is left out. One time step, in this
    order; `x` is the synaptic input that arrived in this step:

        inside = start <= clock < start + window
        v = 2 * v        where inside and clock > start      # doubling 1 only
        v = v + x + bias where inside
        output = v       where clock == start + window - 1, else 0
        clock = clock + 1

    Doubling reads the output of `PhaseFire`: the digits of a number, the largest first.
    """

    window: Floats
    """Time steps that count, 1 or more."""
    start: Floats = 0.0  # type: ignore[assignment]
    """Own time step in which the window begins."""
    doubling: Floats = 0.0  # type: ignore[assignment]
    """1: v doubles in each time step but the first; 0: it does not."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step of the window."""

    name: ClassVar[str] = "window_readout"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")
    spikes: ClassVar[bool] = False

    @property
    def role(self) -> Role | None:
        """The answer."""
        return "answer"

    def _check(self) -> None:
        _check_steps(self.window, self.start, self.doubling)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the output."""
        v, clock = state
        inside = (clock >= self.start) & (clock < self.start + self.window)
        v = v + v * self.doubling * (inside & (clock > self.start))
        v = v + (x + self.bias) * inside
        return (v, clock + 1), v * (clock == self.start + self.window - 1)

    def quantize(self, scale: Any, formats: Formats) -> IntegerWindowReadout:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        return IntegerWindowReadout(
            self.window.astype(np.int64),
            self.start.astype(np.int64),
            self.doubling.astype(np.int64),
            mantissa,
            exponent,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerWindowReadout(IntegerNeuron):
    """Sum over one window of time steps, integer.

    inside = start <= clock < start + window
    v = v << doubling       where inside and clock > start
    v = saturate(v + wrap(x << 6) + (bias_mantissa << bias_exponent)) where inside
    output = v              where clock == start + window - 1, else 0
    clock = clock + 1
    """

    window: Ints
    """Time steps that count, 1 or more."""
    start: Ints = 0  # type: ignore[assignment]
    """Own time step in which the window begins."""
    doubling: Ints = 0  # type: ignore[assignment]
    """1: v doubles in each time step but the first; 0: it does not."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]

    name: ClassVar[str] = "window_readout"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")
    spikes: ClassVar[bool] = False

    @property
    def role(self) -> Role | None:
        """The answer."""
        return "answer"

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        _check_steps(self.window, self.start, self.doubling)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, clock) and the output."""
        v, clock = state
        inside = (clock >= self.start) & (clock < self.start + self.window)
        v = v + v * self.doubling * (inside & (clock > self.start))
        arrived = wrap(x << STATE_SHIFT) + shift_bias(self.bias_mantissa, self.bias_exponent)
        v = saturate(v + arrived * inside)
        return (v, clock + 1), v * (clock == self.start + self.window - 1)

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v and of the input as u; see `IntegerNeuron.bounds`."""
        u = bound_current(x, np.asarray(4096), steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        count = self.window if steps is None else np.minimum(self.window, steps)
        power = 2.0 ** np.minimum(count, 64)
        factor = np.where(self.doubling == 1, power - 1, count)
        start = np.where(self.doubling == 1, power / 2, 1)
        low = np.minimum(self.initial, 0) * start + low * factor
        high = np.maximum(self.initial, 0) * start + high * factor
        return {"u": u, "v": Interval(low, high)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers; steps have no scale."""
        return {"bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return windows with starts; there is no threshold."""
        window, start = np.broadcast_arrays(self.window, self.start)
        profile = (window * 2**31 + start) * 2 + self.doubling
        return {"compartment": profile, "threshold": np.asarray(0)}


def _check_steps(window: Any, start: Any, doubling: Any) -> None:
    convert.check_steps("window", window, 1)
    convert.check_steps("start", start)
    if not ((doubling == 0) | (doubling == 1)).all():
        raise ValueError("doubling must be 0 or 1")


WindowReadout.integer = IntegerWindowReadout
