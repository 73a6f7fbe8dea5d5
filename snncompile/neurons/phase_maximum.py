"""Maximum of numbers whose binary digits arrive as spikes, the largest digit first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, Role
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

MOST_MEMBERS = 8
"""Most numbers of a maximum: the weight of the last one is 2^7."""


@dataclass(frozen=True, eq=False)
class PhaseMaximum(FloatNeuron):
    """Sends the digits of the largest of its numbers while they arrive, float.

    Each of up to 8 members sends the digits of one number (`PhaseFire`), the largest first, through
    a weight of its own: 1, 2, 4, ... So the accumulated input of a step is a mask of the members
    whose digit is 1. A number that lacks a digit which another one has is out; the maximum is what
    the others send. `bits(a & b)` are the members that are in both masks. One time step, in this
    order; `x` is the accumulated input, a whole number from 0 to 2^members - 1:

        position = (clock - start) modulo (2 * window)
        v = 2^members - 1          where position == 0: all are in
        spike = bits(v & x) > 0
        v = bits(v & x)            where spike
        clock = clock + 1

    A mask beyond its range counts modulo 2^members. A cycle has 2 * `window` steps, as that of
    `PhaseFire`: in the second half its members are silent, and so is it.
    """

    members: Floats
    """Numbers that are compared, 1 to 8."""
    window: Floats
    """Digits of a number, 1 or more."""
    start: Floats = 0.0  # type: ignore[assignment]
    """Own time step in which the first digit arrives."""

    name: ClassVar[str] = "phase_maximum"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")
    input_shift: ClassVar[int] = 0
    instead: ClassVar[str] = "take method='signed', whose maximum pools are trees of its neurons"

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    def _check(self) -> None:
        _check_parameters(self)

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the weights: none is, they are a mask."""
        return False

    @property
    def fixed_scale(self) -> float | None:
        """1: a mask has no scale."""
        return 1.0

    def decode(self, spike_trains: Any) -> Any:
        """Return the number between 0 and 1 whose digits it sends; see `FloatNeuron.decode`."""
        first, window = int(self.start.max()), int(self.window.max())
        digits = spike_trains[:, first : first + window]
        return sum(digits[:, i] * 0.5 ** (i + 1) for i in range(digits.shape[1]))

    @property
    def largest_share(self) -> float:
        """1 less the worth of the last digit."""
        return float(1 - 0.5 ** int(self.window.max()))

    def step(self, state: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        """Return the next (v, clock) and the spikes."""
        return _step(self, state, x)

    def quantize(self, scale: Any, formats: Formats) -> IntegerPhaseMaximum:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        members, window, start = (
            value.astype(np.int64) for value in (self.members, self.window, self.start)
        )
        initial = np.rint(self.initial).astype(np.int64)  # a mask, which has no scale
        return IntegerPhaseMaximum(members, window, start, initial=initial)


@dataclass(frozen=True, eq=False)
class IntegerPhaseMaximum(IntegerNeuron):
    """Sends the digits of the largest of its numbers while they arrive, integer.

    The step of `PhaseMaximum`; `x` is the accumulated weights, which are not shifted.
    """

    members: Ints
    """Numbers that are compared, 1 to 8."""
    window: Ints
    """Digits of a number, 1 or more."""
    start: Ints = 0  # type: ignore[assignment]
    """Own time step in which the first digit arrives."""

    name: ClassVar[str] = "phase_maximum"
    states: ClassVar[tuple[str, ...]] = ("v", "clock")
    instead: ClassVar[str] = PhaseMaximum.instead

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    def _check(self) -> None:
        _check_parameters(self)

    def step(self, state: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        """Return the next (v, clock) and the spikes."""
        return _step(self, state, x)

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of the mask; see `IntegerNeuron.bounds`."""
        low, high = np.minimum(self.initial, 0), np.maximum(self.initial, 2**self.members - 1)
        return {"v": Interval(low, high)}

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the range of its members."""
        return super().ranges(formats) | {"members": (1, MOST_MEMBERS)}

    def real(self) -> dict[str, Floats]:
        """Return no parameter: none has a scale."""
        return {}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return cycles as one number each (window, start), and the members."""
        window, start = np.broadcast_arrays(self.window, self.start)
        return {"compartment": window * 2**31 + start, "threshold": self.members}


def _check_parameters(neuron: PhaseMaximum | IntegerPhaseMaximum) -> None:
    convert.check_steps("members", neuron.members, 1)
    if (neuron.members > MOST_MEMBERS).any():
        raise ValueError(f"members must be at most {MOST_MEMBERS}, got {neuron.members.max():g}")
    convert.check_steps("window", neuron.window, 1)
    convert.check_steps("start", neuron.start)


def _step(
    neuron: PhaseMaximum | IntegerPhaseMaximum, state: tuple[Any, ...], x: Any
) -> tuple[tuple[Any, ...], Any]:
    v, clock = state
    first = (clock - neuron.start) % (2 * neuron.window) == 0
    v = v * ~first + (2**neuron.members - 1) * first
    both = x * 0
    for member in range(int(neuron.members.max())):
        bit = 2**member
        both = both + bit * ((v // bit % 2) * (x // bit % 2)) * (neuron.members > member)
    spike = both > 0
    return (v * ~spike + both * spike, clock + 1), spike


PhaseMaximum.integer = IntegerPhaseMaximum
