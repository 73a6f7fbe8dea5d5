"""Shared by the neurons in two states: steps of receiving, then as many of emitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, Role, bound_current
from snncompile.neurons.fixed import STATE_SHIFT, shift_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


class Moment(NamedTuple):
    """Position of neurons in their cycle; arrays or tensors of their shape.

    position  = (clock - start) modulo (2 * window)
    awake     = clock >= start and not (once and clock >= start + 2 * window)
    receiving = awake and position < window
    first     = receiving and position == 0
    emitting  = awake and position >= window
    """

    position: Any
    receiving: Any
    first: Any
    emitting: Any


def locate_in_cycle(neuron: Cyclic | IntegerCyclic, clock: Any) -> Moment:
    """Return the position of neurons in their cycle."""
    position = (clock - neuron.start) % (2 * neuron.window)
    over = (neuron.once > 0) & (clock >= neuron.start + 2 * neuron.window)
    awake = (clock >= neuron.start) & ~over
    receiving = awake & (position < neuron.window)
    return Moment(
        position, receiving, receiving & (position == 0), awake & (position >= neuron.window)
    )


def find_receiving_steps(
    neuron: Cyclic | IntegerCyclic, steps: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return for each own time step, shape (steps,), whether any of the neurons receives."""
    parameters = np.broadcast_arrays(neuron.window, neuron.start, neuron.once)
    kinds = np.unique(np.stack(parameters).reshape(3, -1), axis=1)
    window, start, once = kinds[..., None]
    since = steps - start
    cycling = (since >= 0) & ((once == 0) | (since < 2 * window))
    receiving: NDArray[np.bool_] = (cycling & (since % (2 * window) < window)).any(axis=0)
    return receiving


@dataclass(frozen=True, eq=False)
class Cyclic(FloatNeuron):
    """Receives for `window` steps in silence, then emits for `window` steps; float."""

    threshold: Floats
    """In the unit of the weights; see the neuron."""
    window: Floats
    """Time steps of each state, 1 or more."""
    start: Floats = 0.0  # type: ignore[assignment]
    """Own time step in which the first cycle begins; before, input is lost."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step of receiving."""
    once: Floats = 0.0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("window", self.window, 1)
        convert.check_steps("start", self.start)
        _check_once(self.once)

    def select_emitted(self, spike_trains: Any) -> Any:
        """Return the output of the first cycle's steps of emitting, (samples, window, n)."""
        first = int(self.start.max()) + int(self.window.max())
        return spike_trains[:, first : first + int(self.window.max())]

    def decode(self, spike_trains: Any) -> Any:
        """Return the spikes per step of emitting; see `FloatNeuron.decode`."""
        return self.select_emitted(spike_trains).sum(1) / int(self.window.max())

    def listens(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the own time steps, shape (steps,), in which a neuron receives."""
        return find_receiving_steps(self, steps)

    def quantize(self, scale: Any, formats: Formats) -> IntegerCyclic:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        kind: Any = self.integer
        integer: IntegerCyclic = kind(
            convert.round_threshold(self.threshold * scale, formats),
            self.window.astype(np.int64),
            self.start.astype(np.int64),
            mantissa,
            exponent,
            self.once.astype(np.int64),
            initial=convert.round_initial(self.initial * scale),
        )
        return integer


@dataclass(frozen=True, eq=False)
class IntegerCyclic(IntegerNeuron):
    """Receives for `window` steps in silence, then emits for `window` steps; integer."""

    threshold: Ints
    """Mantissa of threshold * 2^6."""
    window: Ints
    """Time steps of each state, 1 or more."""
    start: Ints = 0  # type: ignore[assignment]
    """Own time step in which the first cycle begins."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    once: Ints = 0  # type: ignore[assignment]
    """1: one cycle per sample, then it sleeps; 0: cycle after cycle."""

    states: ClassVar[tuple[str, ...]] = ("v", "clock")

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_steps("window", self.window, 1)
        convert.check_steps("start", self.start)
        _check_once(self.once)

    def shift_input(self, x: Any) -> Any:
        """Return wrap(x << 6) + (bias_mantissa << bias_exponent)."""
        return wrap(x << STATE_SHIFT) + shift_bias(self.bias_mantissa, self.bias_exponent)

    def bound_input(self, x: Interval, steps: int | None) -> tuple[Interval, Interval, Any]:
        """Return the bounds of u and of the input of a receiving step, and the number of steps."""
        u = bound_current(x, np.asarray(4096), steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        added = Interval(np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0))
        return u, added, self.window if steps is None else np.minimum(self.window, steps)

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers; steps have no scale."""
        return {
            "threshold": self.threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return cycles as one number each (window, start, once), and the thresholds."""
        window, start, once = np.broadcast_arrays(self.window, self.start, self.once)
        cycle = (window * 2**31 + start) * 2 + once
        return {"compartment": cycle, "threshold": self.threshold}

    def listens(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the own time steps, shape (steps,), in which a neuron receives."""
        return find_receiving_steps(self, steps)


def _check_once(once: Any) -> None:
    if not ((once == 0) | (once == 1)).all():
        raise ValueError("once must be 0 or 1")
