"""Read what a layer gets in one time step out of the numbers of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers as torch_layers
from snncompile.frontends.torch.drive import (
    INPUT,
    Drive,
    Gather,
    Part,
    Plus,
    Scaled,
    Source,
    Through,
    Zero,
)
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import (
    NOTHING,
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    SumValues,
    Term,
    Values,
)

REMEDIES = {"rows": "nn.Flatten", "images": "nn.Unflatten"}
"""What gives a linear layer one row or image per sample."""


class MixedSamplesError(UnsupportedError):
    """A sample depends on another one; the time layout may be another than the one tried."""


@dataclass(frozen=True, eq=False)
class _Picked:
    """Some values of a drive: those at the places `index`, out of `size`."""

    of: Drive
    size: int
    index: Tensor


DEEPEST = 100
"""Sums and linear layers in a row between two neuron layers; a sum over time is longer."""


@dataclass(frozen=True)
class Reader:
    """Reads what a layer gets in one time step."""

    trace: Trace
    step: int
    depth: int = 0
    """Sums and linear layers between this and the layer that is read for."""

    def drive(self, numbers: Tensor, reader: str) -> Drive:
        """Return what the values with these numbers, shape (samples, n), are.

        Args:
            numbers: the values that a layer gets.
            reader: that layer, for messages.
        """
        if self.depth > DEEPEST:
            raise UnsupportedError(
                f"{reader} gets a sum of more than {DEEPEST} terms, which looks like a sum over"
                " time; only a neuron layer keeps something from one time step to the next"
            )
        found = self.trace.origins.among(numbers)
        self._check_made(found, numbers, reader)
        if not found:
            return Zero()
        parts: list[Part] = []
        for values in found:
            inside = (numbers >= values.start) & (numbers < values.stop)
            if not torch.equal(inside, inside[:1].expand_as(inside)):
                raise _mixed(reader, _describe(values))
            columns = inside[0].nonzero()[:, 0]
            for target, picked in self._picked(values, numbers[:, columns], reader):
                ones = torch.ones(len(target), dtype=torch.float64)
                parts.append(Part(picked.of, picked.size, picked.index, columns[target], ones))
        return _joined(parts, numbers.shape[1])

    def _check_made(self, found: list[Values], numbers: Tensor, reader: str) -> None:
        if not bool((numbers == NOTHING).any()):
            return
        if not found:
            raise UnsupportedError(
                f"{reader} gets values that are made in forward and come neither from the input"
                " nor from a layer"
            )
        names = [*sorted({_describe(values) for values in found}), "values made in forward"]
        raise UnsupportedError(
            f"{reader} gets values of {' and '.join(names)} side by side, which is not known"
        )

    def _picked(
        self, values: Values, numbers: Tensor, reader: str
    ) -> Iterator[tuple[Tensor, _Picked]]:
        """Yield (columns, what is in them) for numbers that all belong to the same values."""
        everywhere = torch.arange(numbers.shape[1])
        if isinstance(values, FunctionValues):
            raise self._unknown_function(values, reader)
        if isinstance(values, SumValues):
            yield everywhere, self._sum(values, numbers - values.start, reader)
        elif isinstance(values, LinearValues):
            yield everywhere, self._through(values, numbers, reader)
        elif isinstance(values, NeuronValues):
            source = Source(values.path, self._delay(values, reader))
            local = numbers - values.numbers.flatten(1)[:, :1]
            size = prod(values.shape[1:])
            yield everywhere, _Picked(source, size, _index(local, size, values.path, reader))
        else:
            assert isinstance(values, InputValues)
            yield from self._input(values, numbers - values.start, reader)

    def _input(
        self, values: InputValues, places: Tensor, reader: str
    ) -> Iterator[tuple[Tensor, _Picked]]:
        _, steps, size = values.shape
        samples = torch.arange(len(places))[:, None] * steps * size
        step = (places - samples).div(size, rounding_mode="floor")
        if not torch.equal(step, step[:1].expand_as(step)):
            raise _mixed(reader, INPUT)
        for one in sorted(set(step[0].tolist())):
            columns = (step[0] == one).nonzero()[:, 0]
            local = (places - samples)[:, columns] - one * size
            index = _index(local, size, INPUT, reader)
            self._check_past(one, f"the input of time step {one}", reader)
            yield columns, _Picked(Source(None, self.step - one), size, index)

    def _delay(self, values: NeuronValues, reader: str) -> int:
        if values.state:
            raise UnsupportedError(
                f"{reader} reads the state {values.state!r} of {values.path}; only spikes can be"
                " sent from layer to layer"
            )
        self._check_past(values.call, f"{values.path} of time step {values.call}", reader)
        return self.step - values.call

    def _check_past(self, step: int, what: str, reader: str) -> None:
        if step > self.step:
            raise UnsupportedError(
                f"{reader} reads {what} in time step {self.step}, before it has come"
            )

    def _sum(self, values: SumValues, places: Tensor, reader: str) -> _Picked:
        """Follow the terms, the last one first: in a sum over time that is the shallow one."""
        terms = [self._term(term, values, places, reader) for term in reversed(values.terms)]
        size = places.shape[1]
        drive: Drive = Plus(tuple(reversed(terms))) if len(terms) > 1 else terms[0]
        return _Picked(drive, size, torch.arange(size))

    def _term(self, term: Term, values: SumValues, places: Tensor, reader: str) -> Drive:
        drive = self._deeper().drive(term.numbers.reshape(-1)[places], reader)
        factor = term.factor
        if factor.ndim:
            factor = factor.reshape(-1)[places]
            if not torch.equal(factor, factor[:1].expand_as(factor)):
                raise UnsupportedError(
                    f"{reader} gets values that are multiplied by other numbers in one sample than"
                    " in another"
                )
            factor = factor[0] if bool((factor != factor[0, 0]).any()) else factor[0, 0]
        if factor.ndim:
            everywhere = torch.arange(len(factor))
            part = Part(drive, len(factor), everywhere, everywhere, factor)
            return Gather((part,), len(factor))
        return drive if factor == 1 or drive == Zero() else Scaled(drive, float(factor))

    def _through(self, values: LinearValues, numbers: Tensor, reader: str) -> _Picked:
        """Follow a linear layer, one row of whose input belongs to each sample."""
        width = prod(values.target_shape)
        rows = (numbers - values.start) // width
        if not torch.equal(rows, rows[:, :1].expand_as(rows)):
            count = len(set(rows[0].tolist()))
            what = "images" if len(values.source_shape) > 1 else "rows"
            raise UnsupportedError(
                f"{values.path} acts on {count} {what} per sample and time step; a linear layer has"
                f" to take all values of a sample as one {what[:-1]}, use {REMEDIES[what]} before"
                " it"
            )
        local = numbers - values.start - rows[:, :1] * width
        index = _index(local, width, values.path, reader)
        drive = self._deeper().drive(values.inputs[rows[:, 0]], values.path)
        return _Picked(Through(values.path, drive, values.source_shape), width, index)

    def _deeper(self) -> Reader:
        return replace(self, depth=self.depth + 1)

    def _unknown_function(self, values: FunctionValues, reader: str) -> UnsupportedError:
        origins = " and ".join(self._nearest_layers(values)) or "values made in forward"
        instead = torch_layers.instead_of(values.function) or (
            "known are functions that only reshape or select, average pooling, sums of layers and"
            " factors"
        )
        what = f"{values.function} between {origins} and {reader}"
        return UnsupportedError(f"{what} is not known; {instead}")

    def _nearest_layers(self, values: Values) -> list[str]:
        """Return the layers that a function's arguments come from."""
        names: dict[str, None] = {}
        waiting, seen = [values], {values.start}
        while waiting:
            current = waiting.pop(0)
            if not isinstance(current, FunctionValues | SumValues):
                names[_describe(current)] = None
                continue
            for part in current.parts:
                new = [v for v in self.trace.origins.among(part) if v.start not in seen]
                seen.update(v.start for v in new)
                waiting += new
        return list(names)


def _index(local: Tensor, size: int, name: str, reader: str) -> Tensor:
    """Return the places of a sample's values, which have to be the same in every sample."""
    own = bool(((local >= 0) & (local < size)).all())
    if not own or not torch.equal(local, local[:1].expand_as(local)):
        raise _mixed(reader, name)
    return local[0]


def _mixed(reader: str, name: str) -> MixedSamplesError:
    return MixedSamplesError(
        f"{reader} reads the values of {name} mixed between samples, which is not known; keep the"
        " samples in an axis of their own, and take its length from the input"
    )


def _joined(parts: list[Part], size: int) -> Drive:
    """Return the parts side by side; a drive that is there whole and in order is itself."""
    first = parts[0]
    whole = torch.arange(size)
    if len(parts) == 1 and first.size == size and torch.equal(first.source, whole):
        return first.of
    return Gather(tuple(parts), size)


def _describe(values: Values) -> str:
    if isinstance(values, NeuronValues | LinearValues):
        return values.path
    if isinstance(values, FunctionValues):
        return values.function
    return INPUT if isinstance(values, InputValues) else "a sum"
