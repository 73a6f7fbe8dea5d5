"""Graded neuron for streams: adds up changes, and sends the changes of its own graded output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    IntegerNeuron,
    Interval,
    Role,
    State,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import Graded, IntegerGraded
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

INSTEAD = "it sends changes as numbers"


@dataclass(frozen=True, eq=False)
class GradedDelta(Graded):
    """Graded neuron that sends changes, float.

    One time step, in this order; `x` is the input of this step, changes of the sources:

        sigma = sigma + x, or x without memory
        v = factor * (sigma + bias), rounded half up and limited to lowest .. highest
        value = v, or table[v - lowest] where there is a table
        change = value - sent
        output = change where |change| >= least, else 0
        sent = sent + output

    So `sent`, the sum of all messages, is a value that the neuron has had: no rest is lost, and
    after any number of steps it is off by less than `least`. With `least` 1 it is the value.
    """

    least: Floats = 1.0  # type: ignore[assignment]
    """Smallest change that is sent, a whole number of 1 or more."""
    memory: Floats = 1.0  # type: ignore[assignment]
    """1: what arrives are changes, which are added up. 0: it is the sum itself."""

    name: ClassVar[str] = "graded_delta"
    states: ClassVar[tuple[str, ...]] = ("sigma", "sent")
    potential: ClassVar[str] = "sigma"
    instead: ClassVar[str] = INSTEAD

    def _check(self) -> None:
        super()._check()
        if not self.whole:
            raise ValueError("whole must be 1: changes of whole numbers are sent")
        _check_changes(self.least, self.memory)

    @property
    def kind(self) -> str:
        """Name in chip files."""
        return self.name

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    @property
    def adds_up(self) -> bool:
        """Whether it adds up what arrives."""
        return bool(self.memory.all())

    @property
    def message_sum(self) -> Interval:
        """From the smallest to the largest value, 0 among them."""
        return super().payload

    @property
    def payload(self) -> Interval:
        """From the largest fall to the largest rise of the value."""
        return _bound_change(self.message_sum)

    def decode(self, spike_trains: Any) -> Any:
        """Return the last value as a share of the largest one; see `FloatNeuron.decode`."""
        low, high = self.message_sum
        return spike_trains.sum(1) / max(-float(low), float(high), 1.0)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma, sent) and the output."""
        sigma, sent = state
        sigma = sigma * self.memory + x
        _, value = super().step((sigma,), sigma)
        output = _select_change(value - sent, self.least)
        return (sigma, sent + output), output

    def quantize(self, scale: Any, formats: Formats) -> IntegerGradedDelta:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        changes = {"least": self.least.astype(np.int64), "memory": self.memory.astype(np.int64)}
        return IntegerGradedDelta(**self._quantize_all(scale), **changes)


@dataclass(frozen=True, eq=False)
class IntegerGradedDelta(IntegerGraded):
    """Graded neuron that sends changes, integer. `x` is the accumulated weights, not shifted:

    sigma = sigma * memory + x
    v = ((sigma + bias) * factor + 2^(shift - 1)) >> shift     # + 0 where shift is 0
    v = v limited to lowest .. highest
    value = v, or table[v - lowest] where there is a table
    output = value - sent where |value - sent| >= least, else 0
    sent = sent + output

    All of it is exact, so receivers never drift: their sum is that of weights times `sent`.
    """

    least: Ints = 1  # type: ignore[assignment]
    """Smallest change that is sent, 1 or more."""
    memory: Ints = 1  # type: ignore[assignment]
    """1: adds up what arrives. 0: what arrives is the sum itself."""

    name: ClassVar[str] = "graded_delta"
    states: ClassVar[tuple[str, ...]] = ("sigma", "sent")
    potential: ClassVar[str] = "sigma"
    instead: ClassVar[str] = INSTEAD

    def _check(self) -> None:
        super()._check()
        _check_changes(self.least, self.memory)

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return none: other neurons keep no value."""
        return ()

    @property
    def kind(self) -> str:
        """Name in chip files."""
        return self.name

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    @property
    def adds_up(self) -> bool:
        """Whether it adds up what arrives."""
        return bool(self.memory.all())

    @property
    def message_sum(self) -> Interval:
        """From the smallest to the largest value, 0 among them."""
        return super().payload

    @property
    def payload(self) -> Interval:
        """From the largest fall to the largest rise of the value."""
        return _bound_change(self.message_sum)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma, sent) and the output."""
        sigma, sent = state
        sigma = sigma * self.memory + x
        _, value = super().step((sigma,), sigma)
        output = _select_change(value - sent, self.least)
        return (sigma, sent + output), output

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of sigma with the bias and of the value."""
        none = np.asarray(0)
        low, high = (
            np.where(self.memory == 1, bound_leaky_sum(end, none, steps), end) for end in x
        )
        low, high = widen_by_start(self.initial, Interval(low, high))
        sigma = Interval(low + np.minimum(self.bias, 0), high + np.maximum(self.bias, 0))
        return {"sigma": sigma, "sent": self.message_sum}

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges of its parameters."""
        return super().ranges(formats) | {"least": (1, STATE_LIMIT - 1), "memory": (0, 1)}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the largest v and the smallest, beside the smallest change."""
        pair = np.broadcast_arrays(self.lowest, self.least)
        compartment = -pair[0] * STATE_LIMIT + pair[1]
        return {"compartment": compartment, "threshold": self.highest}


def _check_changes(least: Any, memory: Any) -> None:
    convert.check_steps("least", least, 1)
    if not ((memory == 0) | (memory == 1)).all():
        raise ValueError("memory must be 0 or 1")


def _bound_change(values: Interval) -> Interval:
    reach = values.high - values.low
    return Interval(-reach, reach)


def _select_change(change: Any, least: Any) -> Any:
    return change * (abs(change) >= least)


GradedDelta.integer = IntegerGradedDelta
