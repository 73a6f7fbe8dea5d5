"""Read the drive of a layer in one time step out of the numbers of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers, products
from snncompile.frontends.torch.drive import (
    INPUT,
    Constant,
    Drive,
    Gather,
    Plus,
    Scaled,
    Selection,
    Source,
    Through,
    Zero,
)
from snncompile.frontends.torch.future import REMEDY
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import (
    NOTHING,
    ConstantValues,
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    Summand,
    SumValues,
    Values,
)

REMEDIES = {"row": "nn.Flatten", "image": "nn.Unflatten"}
"""Layer that gives a linear layer one row or image per sample."""


class MixedSamplesError(UnsupportedError):
    """A sample depends on another one; the time layout may be another than the one tried."""


@dataclass(frozen=True, eq=False)
class _Subset:
    """Values of a drive: `index` picks them out of `size`."""

    of: Drive
    size: int
    index: Tensor


ENCODER = (
    "; or put what computes it into a module and leave that on the host, host=[its name], or give"
    " the spikes that come out"
)
DEEPEST = 100
"""Sums and linear layers in a row between two neuron layers; a sum over time is longer."""


@dataclass(frozen=True)
class Reader:
    """Reads the drive of a layer in one time step."""

    trace: Trace
    step: int
    depth: int = 0
    """Sums and linear layers between these numbers and the layer."""

    def read_drive(self, numbers: Tensor, reader: str) -> Drive:
        """Return the drive whose values have these numbers, shape (samples, n).

        Args:
            numbers: input of a layer.
            reader: that layer, for messages.
        """
        if self.depth > DEEPEST:
            raise UnsupportedError(
                f"{reader} gets a sum of more than {DEEPEST} terms, which looks like a sum over"
                " time; only a neuron layer keeps something from one time step to the next"
            )
        sources = self.trace.origins.find_values(numbers)
        self._check_origins(sources, numbers, reader)
        if not sources:
            return Zero()
        selections: list[Selection] = []
        for values in sources:
            inside = (numbers >= values.start) & (numbers < values.stop)
            if not torch.equal(inside, inside[:1].expand_as(inside)):
                raise _explain_mixed(reader, _describe(values))
            columns = inside[0].nonzero()[:, 0]
            for target, picked in self._pick(values, numbers[:, columns], reader):
                ones = torch.ones(len(target), dtype=torch.float64)
                selections.append(
                    Selection(picked.of, picked.size, picked.index, columns[target], ones)
                )
        return _join(selections, numbers.shape[1])

    def _check_origins(self, sources: list[Values], numbers: Tensor, reader: str) -> None:
        if not bool((numbers == NOTHING).any()):
            return
        if not sources:
            raise UnsupportedError(
                f"{reader} gets values that are made in forward and come neither from the input"
                " nor from a layer"
            )
        names = [*sorted({_describe(values) for values in sources}), "values made in forward"]
        raise UnsupportedError(
            f"{reader} gets values of {' and '.join(names)} side by side, which is not known"
        )

    def _pick(
        self, values: Values, numbers: Tensor, reader: str
    ) -> Iterator[tuple[Tensor, _Subset]]:
        """Yield (columns, their subset) for numbers that all belong to the same values."""
        everywhere = torch.arange(numbers.shape[1])
        if isinstance(values, FunctionValues):
            yield everywhere, self._pick_rectified(values, numbers - values.start, reader)
        elif isinstance(values, SumValues):
            yield everywhere, self._pick_sum(values, numbers - values.start, reader)
        elif isinstance(values, ConstantValues):
            yield everywhere, _pick_constants(values, numbers - values.start, reader)
        elif isinstance(values, LinearValues):
            yield everywhere, self._pick_linear(values, numbers, reader)
        elif isinstance(values, NeuronValues):
            source = Source(values.path, self._find_delay(values, reader))
            first = values.numbers.reshape(len(numbers), -1)[:, :1]
            local = numbers - first
            size = prod(values.shape[1:])
            yield everywhere, _Subset(source, size, _find_index(local, size, values.path, reader))
        else:
            if not isinstance(values, InputValues):
                raise UnsupportedError(f"{reader} reads values over all time steps")
            yield from self._pick_input(values, numbers - values.start, reader)

    def _pick_input(
        self, values: InputValues, offsets: Tensor, reader: str
    ) -> Iterator[tuple[Tensor, _Subset]]:
        _, steps, size = values.shape
        if values.static:
            yield (
                torch.arange(offsets.shape[1]),
                _Subset(Source(None), size, self._find_static(values, offsets, reader)),
            )
            return
        samples = torch.arange(len(offsets))[:, None] * steps * size
        step = (offsets - samples).div(size, rounding_mode="floor")
        if not torch.equal(step, step[:1].expand_as(step)):
            raise _explain_mixed(reader, INPUT)
        for source_step in sorted(set(step[0].tolist())):
            columns = (step[0] == source_step).nonzero()[:, 0]
            local = (offsets - samples)[:, columns] - source_step * size
            index = _find_index(local, size, INPUT, reader)
            self._check_past(source_step, f"the input of time step {source_step}", reader)
            yield columns, _Subset(Source(None, self.step - source_step), size, index)

    def _find_static(self, values: InputValues, offsets: Tensor, reader: str) -> Tensor:
        """Return the indices of a sample's values, of an input that all time steps get."""
        size = values.shape[2]
        return _find_index(
            offsets - torch.arange(len(offsets))[:, None] * size, size, INPUT, reader
        )

    def _find_delay(self, values: NeuronValues, reader: str) -> int:
        if values.state:
            raise UnsupportedError(
                f"{reader} reads the state {values.state!r} of {values.path}; only spikes can be"
                " sent from layer to layer"
            )
        self._check_past(values.call, f"{values.path} of time step {values.call}", reader)
        return self.step - values.call

    def _check_past(self, step: int, source: str, reader: str) -> None:
        if step > self.step:
            linear = any(call.path == reader for call in self.trace.linear_calls)
            advice = f"; if it acts along the time axis, {REMEDY}" if linear else ""
            raise UnsupportedError(
                f"{reader} reads {source} in time step {self.step}, before it arrives{advice}"
            )

    def _pick_rectified(self, values: FunctionValues, offsets: Tensor, reader: str) -> _Subset:
        """Follow a rectifier: of spikes it changes nothing; refuse other functions."""
        if not values.is_rectifier:
            raise self._explain_unknown_function(values, reader)
        drive = self._go_deeper().read_drive(values.arguments[0].reshape(-1)[offsets], reader)
        sources = [drive] if isinstance(drive, Source) else list(_list_picked(drive))
        if not sources or not all(map(self._sends_spikes, sources)):
            drive = self._rectify(values, drive, offsets.shape[1])
        return _Subset(drive, offsets.shape[1], torch.arange(offsets.shape[1]))

    def _rectify(self, values: FunctionValues, drive: Drive, size: int) -> Drive:
        """Return a drive behind a rectifier, which becomes neurons that send values."""
        self.trace.modules.setdefault(products.RECTIFIED, products.RECTIFY)
        axes = range(1, len(values.shape))
        last = (values.shape[-n:] for n in axes if prod(values.shape[-n:]) == size)
        return Through(products.RECTIFIED, drive, next(last, (size,)))

    def _sends_spikes(self, drive: Drive) -> bool:
        """Return whether a drive is the output of a neuron layer that sends nothing below 0."""
        if not isinstance(drive, Source) or drive.path is None:
            return False
        module, path = self.trace.modules[drive.path], drive.path
        if known_layers.find_role(module) != "neuron":
            return False
        shape = tuple(self.trace.calls[path][0].drive.shape[1:]) or (1,)
        try:
            dynamics = known_layers.find_neuron_library(module).translate(module, path, shape)
        except UnsupportedError:
            return False  # it is refused with its own reason
        return dynamics.spikes and dynamics.make_neuron(np.zeros(1)).payload.low >= 0

    def _pick_sum(self, values: SumValues, offsets: Tensor, reader: str) -> _Subset:
        """Follow the terms, the last first: in a sum over time it is the shallow one."""
        terms = [
            self._read_summand(term, values, offsets, reader) for term in reversed(values.terms)
        ]
        size = offsets.shape[1]
        drive: Drive = Plus(tuple(reversed(terms))) if len(terms) > 1 else terms[0]
        return _Subset(drive, size, torch.arange(size))

    def _read_summand(
        self, term: Summand, values: SumValues, offsets: Tensor, reader: str
    ) -> Drive:
        drive = self._go_deeper().read_drive(term.pick(offsets), reader)
        factor = term.factor
        if factor.ndim:
            factor = factor.reshape(-1)[offsets]
            if not torch.equal(factor, factor[:1].expand_as(factor)):
                raise UnsupportedError(
                    f"{reader} gets values that are multiplied by other numbers in one sample than"
                    " in another"
                )
            factor = factor[0] if bool((factor != factor[0, 0]).any()) else factor[0, 0]
        if factor.ndim:
            everywhere = torch.arange(len(factor))
            selection = Selection(drive, len(factor), everywhere, everywhere, factor)
            return Gather((selection,), len(factor))
        return drive if factor == 1 or drive == Zero() else Scaled(drive, float(factor))

    def _pick_linear(self, values: LinearValues, numbers: Tensor, reader: str) -> _Subset:
        """Follow a linear layer whose input has one row per sample."""
        width = prod(values.target_shape)
        rows = (numbers - values.start) // width
        if not torch.equal(rows, rows[:, :1].expand_as(rows)):
            count = len(set(rows[0].tolist()))
            unit = "image" if len(values.source_shape) > 1 else "row"
            raise UnsupportedError(
                f"{values.path} acts on {count} {unit}s per sample and time step; a linear layer"
                f" has to take all values of a sample as one {unit}, use {REMEDIES[unit]} before it"
            )
        local = numbers - values.start - rows[:, :1] * width
        index = _find_index(local, width, values.path, reader)
        drive = self._go_deeper().read_drive(values.pick_inputs(rows[:, 0]), values.path)
        return _Subset(Through(values.path, drive, values.source_shape), width, index)

    def _go_deeper(self) -> Reader:
        return replace(self, depth=self.depth + 1)

    def _explain_unknown_function(self, values: FunctionValues, reader: str) -> UnsupportedError:
        sources, hint = list(self.trace.origins.walk_sources(values.numbers)), ""
        if not any(isinstance(source, NeuronValues) for source in sources):  # an encoder
            functions = [s for s in sources if isinstance(s, FunctionValues) and not s.is_rectifier]
            values, hint = min(functions, key=lambda function: function.start), ENCODER
        origins = " and ".join(self._find_nearest_layers(values)) or "values made in forward"
        instead = known_layers.find_alternative(values.function) or (
            "known are functions that only reshape or select, average pooling, sums of layers and"
            f" factors{hint}"
        )
        subject = f"{values.function} between {origins} and {reader}"
        return UnsupportedError(f"{subject} is not known; {instead}")

    def _find_nearest_layers(self, values: Values) -> list[str]:
        """Return the layers that a function's arguments come from."""
        names: dict[str, None] = {}
        waiting, seen = [values], {values.start}
        while waiting:
            current = waiting.pop(0)
            if not isinstance(current, FunctionValues | SumValues):
                if not isinstance(current, ConstantValues):
                    names[_describe(current)] = None
                continue
            for operand in current.operands:
                new = [v for v in self.trace.origins.find_values(operand) if v.start not in seen]
                seen.update(v.start for v in new)
                waiting += new
        return list(names)


def _list_picked(drive: Drive) -> Iterator[Drive]:
    """Yield what a drive picks values of as they are; nothing if it is more than that."""
    if isinstance(drive, Gather) and all(bool((s.factor == 1).all()) for s in drive.selections):
        yield from (selection.of for selection in drive.selections)


def _pick_constants(values: ConstantValues, offsets: Tensor, reader: str) -> _Subset:
    """Return the constants that are picked, which have to be equal in every sample."""
    picked = values.constants.reshape(-1)[offsets]
    if not torch.equal(picked, picked[:1].expand_as(picked)):
        raise UnsupportedError(
            f"{reader} gets other constants in one sample than in another; numbers drawn in forward"
            " are no network, make them part of the input"
        )
    return _Subset(Constant(picked[0]), picked.shape[1], torch.arange(picked.shape[1]))


def _find_index(local: Tensor, size: int, name: str, reader: str) -> Tensor:
    """Return the indices of a sample's values, which have to be equal in every sample."""
    own = bool(((local >= 0) & (local < size)).all())
    if not own or not torch.equal(local, local[:1].expand_as(local)):
        raise _explain_mixed(reader, name)
    return local[0]


def _explain_mixed(reader: str, name: str) -> MixedSamplesError:
    return MixedSamplesError(
        f"{reader} reads the values of {name} mixed between samples, which is not known; keep the"
        " samples in an axis of their own, and take its length from the input"
    )


def _join(selections: list[Selection], size: int) -> Drive:
    """Return the selections side by side; a single drive, whole and in order, stays itself."""
    first = selections[0]
    whole = torch.arange(size)
    if len(selections) == 1 and first.size == size and torch.equal(first.source, whole):
        return first.of
    return Gather(tuple(selections), size)


def _describe(values: Values) -> str:
    if isinstance(values, NeuronValues | LinearValues):
        return values.path
    if isinstance(values, FunctionValues):
        return values.function
    if isinstance(values, ConstantValues):
        return "constants"
    return INPUT if isinstance(values, InputValues) else "a sum"
