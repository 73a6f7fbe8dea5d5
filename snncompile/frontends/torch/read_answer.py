"""Read the answer out of what forward returns: a sum, mean, maximum or last over time.

    torch.stack(record).sum(0)          the sum of the spikes of a layer
    total = total + spikes; total / 20  their mean
    mem_record.max(0).values            the largest potential
    fc(torch.stack(record).mean(0))     the mean of a linear layer of each time step: the same

A linear layer on the sum of T time steps is that on their mean times T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from snncompile.frontends.torch.libraries.base import Shape
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import (
    ZERO,
    FunctionValues,
    LinearValues,
    NeuronValues,
    ReducedValues,
    SumValues,
    Values,
)
from snncompile.ir.answer import Kind

MONOTONE = frozenset({"softmax", "log_softmax", "sigmoid"})
"""Functions of the scores that keep their order, so the answer is the same without them."""


class LayerAfter(NamedTuple):
    """A linear layer behind the sum, mean or last."""

    path: str
    source_shape: Shape


class Part(NamedTuple):
    """A returned tensor that shows some outputs of the last layer."""

    returned: int
    """Its number among those that forward returns."""
    columns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TracedAnswer:
    """What one returned tensor is of the outputs of all time steps."""

    kind: Kind
    steps: tuple[Tensor, ...]
    """Numbers of the values of each time step, shape (samples, n); for last only those of it."""
    factor: float = 1.0
    """The result is this times the sum, mean, maximum or last."""
    layers: tuple[LayerAfter, ...] = ()
    """Linear layers behind it, the first one first."""
    functions: tuple[str, ...] = ()
    """Functions of `MONOTONE` behind these, the first one first."""
    returned: int = 0
    """Number of the tensor among those that forward returns."""
    shape: Shape = ()
    """Its shape without the samples."""
    columns: tuple[int, ...] = ()
    """Outputs of the last layer that it shows; empty for all."""
    others: tuple[Part, ...] = ()
    """Further returned tensors that show others of its outputs."""
    hosted: bool = False
    """Whether layers that stay on the host come behind it, so that forward does not return it."""


class NotReadError(Exception):
    """The result is none of the known answers; the message says what it is."""


def read_answer(trace: Trace, returned: list[Tensor], steps: int) -> TracedAnswer | None:
    """Return the answer; None if forward returns the outputs of every time step, or nothing.

    The first returned tensor of one row per sample decides.

    Args:
        trace: the run.
        returned: numbers of the tensors that forward returned, in its only call.
        steps: time steps.

    Raises:
        NotReadError: the result is computed in a way that is not known.
    """
    for index, numbers in enumerate(returned):
        sources = trace.origins.find_values(numbers)
        if not sources:
            continue
        if numbers.shape[:1] != (trace.samples,) or _is_sequence(trace, numbers, steps):
            return None
        numbers, hosted = _go_before_host(trace, numbers)
        if hosted and _is_sequence(trace, numbers, steps):
            return None
        answer = replace(
            _Reader(trace, steps).read(numbers.reshape(len(numbers), -1)), hosted=hosted
        )
        if answer.columns:  # other parts of the same layer may be returned as well
            others = tuple(_find_parts(trace, returned, index, answer.layers[-1].path))
            return replace(answer, returned=index, others=others)
        return replace(answer, returned=index, shape=tuple(numbers.shape[1:]) or (1,))
    return None


def _go_before_host(trace: Trace, numbers: Tensor) -> tuple[Tensor, bool]:
    """Return what the layers behind the chip's, which stay on the host, take; and if there are."""
    sources, hosted = trace.origins.find_values(numbers), False
    while len(sources) == 1:
        (values,) = sources
        if not isinstance(values, FunctionValues):
            break
        behind = trace.host.is_behind(values)
        if not behind and not _leads_to_host(trace, values):
            break
        (argument, *_) = values.arguments
        numbers, hosted = argument, True
        sources = trace.origins.find_values(numbers)
    if hosted and numbers.shape[:1] != (trace.samples,):
        raise NotReadError("layers on the host of all samples in a row")
    return numbers, hosted


def _leads_to_host(trace: Trace, values: Values) -> bool:
    return any(map(trace.host.is_behind, trace.origins.walk_sources(values.numbers)))


def _find_parts(trace: Trace, returned: list[Tensor], first: int, path: str) -> Iterator[Part]:
    """Yield the tensors returned after the first that show outputs of the same layer."""
    for index, numbers in enumerate(returned[first + 1 :], first + 1):
        sources = trace.origins.find_values(numbers)
        if len(sources) == 1 and numbers.shape[:1] == (trace.samples,):
            (values,) = sources
            if isinstance(values, LinearValues) and values.path == path:
                width = prod(values.target_shape)
                columns = (numbers.flatten(1)[0] - values.start) % width
                yield Part(index, tuple(columns.tolist()))


def _is_sequence(trace: Trace, numbers: Tensor, steps: int) -> bool:
    """Return whether these are values of several time steps side by side."""
    if numbers.ndim < 2 or steps == 1:
        return steps == 1
    sources = trace.origins.find_values(numbers)
    first = numbers.flatten(1)[0]
    early, late = trace.origins.find_step(first[:1]), trace.origins.find_step(first[-1:])
    calls = [s for s in sources if isinstance(s, NeuronValues | LinearValues | SumValues)]
    return early != late and len(calls) == len(sources)


@dataclass(frozen=True)
class _Reader:
    trace: Trace
    time_steps: int

    def read(self, numbers: Tensor) -> TracedAnswer:
        """Return the answer whose values have these numbers, shape (samples, n)."""
        sources = self.trace.origins.find_values(numbers)
        if len(sources) != 1 or bool((numbers < 0).any()):
            raise NotReadError("values of several layers or functions side by side")
        (values,) = sources
        offsets = numbers - values.start
        if isinstance(values, FunctionValues):
            return self._read_function(values, offsets)
        if isinstance(values, ReducedValues):
            slices = list(values.inputs.flatten(1)[:, offsets])
            return self._order(slices, values.kind, 1.0)
        if isinstance(values, SumValues):
            return self._read_sum(values, offsets)
        if isinstance(values, LinearValues) and self._comes_after(values):
            return self._read_layer(values, offsets)
        if self.trace.origins.find_step(numbers[:1]) != self.time_steps - 1:
            raise NotReadError("the output of a time step that is not the last")
        return TracedAnswer("last", (numbers,))

    def _read_function(self, values: FunctionValues, offsets: Tensor) -> TracedAnswer:
        name = values.function.rpartition(".")[2]
        arguments = values.arguments
        if name not in MONOTONE or len(arguments) != 1 or arguments[0].shape != values.shape:
            raise NotReadError(f"values computed by {values.function}")
        inner = self.read(arguments[0].reshape(-1)[offsets])
        if inner.columns:
            raise NotReadError(f"{name} of a part of {inner.layers[-1].path}")
        return replace(inner, functions=(*inner.functions, name))

    def _comes_after(self, values: LinearValues) -> bool:
        """Return whether a linear layer takes one row per sample, not one per time step."""
        return self.trace.samples == sum(
            len(call.inputs) for call in self.trace.linear_calls if call.path == values.path
        )

    def _read_layer(self, values: LinearValues, offsets: Tensor) -> TracedAnswer:
        """Read what a linear layer takes, which has to be one row per sample, all of it."""
        width = prod(values.target_shape)
        rows, columns = offsets // width, offsets % width
        if not (
            torch.equal(columns, columns[:1].expand_as(columns)) and (rows == rows[:, :1]).all()
        ):
            raise NotReadError(f"other outputs of {values.path} for each sample")
        inner = self.read(values.pick_inputs(rows[:, 0]))
        if inner.columns:
            raise NotReadError(f"{values.path} of a part of {inner.layers[-1].path}")
        if inner.kind == "maximum" or inner.functions:
            after = inner.functions[-1] if inner.functions else "a maximum over time"
            raise NotReadError(f"{values.path} of {after}")
        layer = LayerAfter(values.path, values.source_shape)
        shown = tuple(columns[0].tolist())
        shown_columns = () if shown == tuple(range(width)) else shown
        shape = tuple(values.target_shape)
        return replace(inner, layers=(*inner.layers, layer), columns=shown_columns, shape=shape)

    def _read_sum(self, values: SumValues, offsets: Tensor) -> TracedAnswer:
        """Read a scaled answer, or a total that grows from time step to time step."""
        leaves = list(self._list_leaves(values, offsets))
        factors = {factor for _, factor in leaves}
        if len(factors) != 1:
            raise NotReadError("a weighted sum over time steps or layers")
        factor = factors.pop()
        if len(leaves) > 1:
            latest = [self.trace.origins.find_step(leaf[:1]) for leaf, _ in leaves]
            if set(latest) == {self.time_steps - 1}:  # a sum of layers
                return TracedAnswer("last", (offsets + values.start,))
            return self._order([leaf for leaf, _ in leaves], "sum", factor)
        inner = self.read(leaves[0][0])
        if factor <= 0 or inner.layers or inner.functions:
            raise NotReadError("a multiple of scores")
        return self._state_mean(replace(inner, factor=inner.factor * factor))

    def _list_leaves(self, values: SumValues, offsets: Tensor) -> Iterator[tuple[Tensor, float]]:
        """Yield the terms that are no sums themselves, with their factors; zeros are left out."""
        waiting: list[tuple[Values, Tensor, float]] = [(values, offsets, 1.0)]
        while waiting:
            current, picked, factor = waiting.pop()
            assert isinstance(current, SumValues)
            for term in reversed(current.terms):
                numbers = term.pick(picked)
                if bool((numbers == ZERO).all()):
                    continue
                if term.factor.ndim and bool((term.factor != term.factor.reshape(-1)[0]).any()):
                    raise NotReadError("a weighted sum over time steps or layers")
                own = factor * float(term.factor.reshape(-1)[0])
                sources = self.trace.origins.find_values(numbers)
                if len(sources) == 1 and isinstance(sources[0], SumValues):
                    waiting.append((sources[0], numbers - sources[0].start, own))
                else:
                    yield numbers, own

    def _order(self, slices: list[Tensor], kind: Kind, factor: float) -> TracedAnswer:
        """Return the answer over slices, which have to be those of each time step, once."""
        steps = [self.trace.origins.find_step(numbers[:1]) for numbers in slices]
        if sorted(steps) != list(range(self.time_steps)):
            raise NotReadError(f"a {kind} over {len(set(steps))} of {self.time_steps} time steps")
        ordered = (numbers for _, numbers in sorted(zip(steps, slices, strict=True), key=_step_of))
        return self._state_mean(TracedAnswer(kind, tuple(ordered), factor))

    def _state_mean(self, answer: TracedAnswer) -> TracedAnswer:
        """Return a sum divided by the number of time steps as a mean."""
        if answer.kind == "sum" and abs(answer.factor * self.time_steps - 1) < 1e-9:
            return replace(answer, kind="mean", factor=1.0)
        return answer


def _step_of(pair: tuple[int, Tensor]) -> int:
    return pair[0]
