"""Origins of the values of a traced run: every value has a number, every number an origin."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeVar

import torch
from torch import Tensor

from snncompile.frontends.torch.runs_of_numbers import keep_short, pick, pick_rows

Shape = tuple[int, ...]

NOTHING = -1
"""The number of values that come from neither the input nor a layer, and are not all zero."""
ZERO = -2
"""The number of values that come from neither the input nor a layer, e.g. of `torch.zeros`."""


@dataclass(frozen=True, eq=False)
class Values:
    """Values made together; they have the numbers start, start + 1, ..."""

    start: int
    shape: Shape

    @property
    def stop(self) -> int:
        """The number after the last of these values."""
        return self.start + prod(self.shape)

    @property
    def numbers(self) -> Tensor:
        """The numbers in the shape of the values."""
        return torch.arange(self.start, self.stop).reshape(self.shape)

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """Numbers of the values that these are computed from."""
        return ()

    def pick_operands(self, offsets: Tensor) -> tuple[Tensor, ...]:
        """Return numbers that the values at some offsets are computed from; all if not known."""
        return self.operands

    def find_step(self, offsets: Tensor) -> int:
        """Return the last time step of the values at some offsets; -1: it is in their operands."""
        return -1


@dataclass(frozen=True, eq=False)
class InputValues(Values):
    """The sample; shape (samples, steps, size)."""

    static: bool = False
    """Whether each time step gets the same values; there is one step then."""

    def find_step(self, offsets: Tensor) -> int:
        """Return the last time step of some values; a static input belongs to none."""
        _, steps, size = self.shape
        return -1 if self.static else int((offsets // size % steps).max())


@dataclass(frozen=True, eq=False)
class ConstantValues(Values):
    """Numbers made in forward or kept in the module, and not computed from input or layers."""

    constants: Tensor
    """In float64, of the shape of the values."""


@dataclass(frozen=True, eq=False)
class NeuronValues(Values):
    """Output of one call of a neuron layer; shape (samples, *shape of the layer)."""

    path: str
    call: int
    """0 for the first call, which is the first time step."""
    state: str | None
    """Name of a state variable; None: the spikes."""

    def find_step(self, offsets: Tensor) -> int:
        """Return the time step."""
        return self.call


@keep_short("inputs")
@dataclass(frozen=True, eq=False)
class LinearValues(Values):
    """Output of one call of a linear layer; shape (..., *target_shape)."""

    path: str
    inputs: Tensor
    """Numbers of its input, shape (rows, source)."""
    source_shape: Shape
    """Shape of one row of the input."""
    target_shape: Shape
    """Shape of one row of the output."""

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The input."""
        return (self.inputs,)

    def pick_operands(self, offsets: Tensor) -> tuple[Tensor, ...]:
        """Return the rows that some values are computed from."""
        rows = torch.unique(offsets // prod(self.target_shape))
        return (self.pick_inputs(rows).reshape(-1),)

    def pick_inputs(self, rows: Tensor) -> Tensor:
        """Return the numbers of some rows of the input."""
        return pick_rows(self, "inputs", rows)


@keep_short("numbers")
@dataclass(frozen=True, eq=False)
class Summand:
    """One summand of a weighted sum."""

    numbers: Tensor
    """Numbers of its values, in the shape of the sum."""
    factor: Tensor
    """In the shape of the sum, or of shape ()."""

    def pick(self, offsets: Tensor) -> Tensor:
        """Return the numbers at some places of the sum."""
        return pick(self, "numbers", offsets)


@dataclass(frozen=True, eq=False)
class SumValues(Values):
    """Element by element, the sum of terms, each times a factor."""

    terms: tuple[Summand, ...]

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The terms."""
        return tuple(term.numbers for term in self.terms)

    def pick_operands(self, offsets: Tensor) -> tuple[Tensor, ...]:
        """Return the terms of some values."""
        return tuple(term.pick(offsets) for term in self.terms)


@dataclass(frozen=True, eq=False)
class ReducedValues(Values):
    """Sum, mean or maximum over time steps, element by element."""

    kind: Literal["sum", "mean", "maximum"]
    inputs: Tensor
    """Numbers of the values, shape (time steps, *shape)."""

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The values."""
        return (self.inputs,)

    def pick_operands(self, offsets: Tensor) -> tuple[Tensor, ...]:
        """Return what some values are reduced from."""
        return (self.inputs.flatten(1)[:, offsets].reshape(-1),)


RECTIFIERS = frozenset(["relu", "relu_"])


@dataclass(frozen=True, eq=False)
class FunctionValues(Values):
    """Result of an unknown function."""

    function: str
    arguments: tuple[Tensor, ...]

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The arguments that come from the input or from a layer."""
        return self.arguments

    @property
    def is_rectifier(self) -> bool:
        """Whether it is a ReLU, which changes nothing of spikes."""
        return self.function.rpartition(".")[2] in RECTIFIERS and len(self.arguments) == 1


V = TypeVar("V", bound=Values)


class Origins:
    """All values of a run, in the order of their numbers."""

    def __init__(self) -> None:
        self._all: list[Values] = []
        self._starts: list[int] = []

    @property
    def next(self) -> int:
        """The first free number."""
        return self._all[-1].stop if self._all else 0

    def add(self, values: V) -> V:
        """Add new values, which start at `next`."""
        if prod(values.shape):
            self._all.append(values)
            self._starts.append(values.start)
        return values

    def __iter__(self) -> Iterator[Values]:
        return iter(self._all)

    def replace(self, values: Values) -> None:
        """Put other values in the place of those with the same numbers."""
        self._all[self._starts.index(values.start)] = values

    def find_values(self, numbers: Tensor) -> list[Values]:
        """Return all values that the numbers belong to, in order; `NOTHING` and `ZERO` belong
        to none."""
        known = numbers
        if not known.numel() or int(known.min()) < 0:
            known = numbers[numbers >= 0]
        if not known.numel():
            return []
        low, high = (bisect_right(self._starts, int(end)) - 1 for end in known.aminmax())
        if low == high:  # the usual case
            return [self._all[low]]
        starts = torch.tensor(self._starts[low + 1 : high + 1])
        counts = torch.bincount(torch.searchsorted(starts, known.reshape(-1), right=True))
        return [self._all[low + index] for index in counts.nonzero()[:, 0].tolist()]

    def find_step(self, numbers: Tensor) -> int:
        """Return the last time step whose spikes, states or input the numbers are made of.

        -1: of none.
        """
        waiting, seen, latest = [numbers.reshape(-1)], set(), -1
        while waiting:
            current = waiting.pop()
            for values in self.find_values(current):
                inside = current[(current >= values.start) & (current < values.stop)]
                offsets = inside - values.start
                key = (values.start, int(offsets[0]), len(offsets))
                if key in seen:
                    continue
                seen.add(key)
                latest = max(latest, values.find_step(offsets))
                waiting += values.pick_operands(offsets)
        return latest

    def walk_sources(self, numbers: Tensor, seen: set[int] | None = None) -> Iterator[Values]:
        """Yield the values that the numbers belong to, and all their operands, each once.

        Args:
            numbers: where to begin.
            seen: starts of values that earlier walks came by, which are left out; updated.
        """
        waiting, seen = list(reversed(self.find_values(numbers))), set() if seen is None else seen
        while waiting:
            values = waiting.pop()
            if values.start in seen:
                continue
            seen.add(values.start)
            yield values
            for operand in values.operands:
                waiting.extend(reversed(self.find_values(operand)))
