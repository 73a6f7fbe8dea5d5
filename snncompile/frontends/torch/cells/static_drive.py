"""Find where a static input enters each time step that a module makes itself.

Where forward shows one image in every time step, no value belongs to a time step by its input. The
time steps are the ones of the state instead: values that do not change are read once in each, by
functions of which every one depends on the one before.

    cur = fc(x)             step 0: add(zeros, cur)     step 1: add(0.9 * mem0, cur)     ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompile.frontends.torch.tape import Operation, Slot
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import InputValues, LinearValues


def find_static_readers(trace: Trace) -> frozenset[int]:
    """Return the starts of the values for which a function takes what does not change.

    Each of them is one time step later than all else that the function takes. There are none
    where the input has time steps.
    """
    if not any(isinstance(values, InputValues) and values.static for values in trace.origins):
        return frozenset()
    parents = _find_parents(trace)
    reads = _find_reads(trace)
    depths: dict[int, int] = {}
    deepest = 0
    for number in sorted(range(len(reads)), key=lambda number: -len(reads[number].readers)):
        if 2 * len(reads[number].readers) > deepest:  # else it cannot be half as deep
            depths[number] = max(_count(parents, reads[number].readers).values())
            deepest = max(deepest, depths[number])
    chosen: set[int] = set()
    for number, depth in sorted(depths.items()):
        if depth < 2 or 2 * depth <= deepest:  # a state, which few functions take
            continue
        counts = _count(parents, chosen)
        if not any(counts[source] for source in reads[number].sources):
            chosen |= reads[number].readers
    return frozenset(chosen)


@dataclass(frozen=True, eq=False)
class _Read:
    """Values that several functions take."""

    sources: list[int]
    """Starts of the values that they belong to."""
    readers: set[int]
    """Starts of the results of the functions."""


def _find_reads(trace: Trace) -> list[_Read]:
    """Return the values that several functions take, in the order in which they are first read."""
    first = _find_first_equal(trace)
    reads: dict[Any, _Read] = {}
    for operation in filter(lambda operation: operation.results, trace.operations):
        for slot in operation.places.values():
            numbers = _look_up(first, slot.numbers)
            key = _hash(numbers)
            if key not in reads:
                sources = [values.start for values in trace.origins.find_values(numbers)]
                reads[key] = _Read(sources, set())
            reads[key].readers.add(operation.results[0].start)
    return [read for read in reads.values() if len(read.readers) > 1]


def _find_first_equal(trace: Trace) -> Tensor:
    """Return, for each numbered value, the first that is computed in the same way."""
    first = torch.arange(trace.origins.next)
    makers = _find_makers(trace)
    known: dict[Any, Tensor] = {}
    for values in trace.origins:
        own = first[values.start : values.stop]
        if isinstance(values, LinearValues):
            inputs = _look_up(first, values.inputs)
            for row, target in zip(inputs, own.reshape(len(inputs), -1), strict=True):
                target[:] = known.setdefault((values.path, _hash(row)), target.clone())
        elif operation := makers.get(values.start):
            position = operation.results.index(values)
            key = operation.name, position, _describe((operation.args, operation.kwargs), first)
            own[:] = known.setdefault(key, own.clone())
    return first


def _find_makers(trace: Trace) -> dict[int, Operation]:
    return {v.start: operation for operation in trace.operations for v in operation.results}


def _look_up(first: Tensor, numbers: Tensor) -> Tensor:
    return torch.where(numbers < 0, numbers, first[numbers.clamp(min=0)])


def _describe(value: Any, first: Tensor) -> Any:
    """Return arguments as a key."""
    if isinstance(value, Slot):
        return "slot", tuple(value.numbers.shape), _hash(_look_up(first, value.numbers))
    if isinstance(value, Tensor):
        return "constant", tuple(value.shape), str(value.dtype), _hash(value)
    if isinstance(value, list | tuple):
        return tuple(_describe(element, first) for element in value)
    if isinstance(value, dict):
        return tuple((key, _describe(element, first)) for key, element in value.items())
    return repr(value)


def _hash(tensor: Tensor) -> int:
    return hash(tensor.detach().contiguous().numpy().tobytes())


def _find_parents(trace: Trace) -> dict[int, list[int]]:
    """Return the starts of the values that each was computed from, in the order of all."""
    makers = _find_makers(trace)
    parents: dict[int, list[int]] = {}
    for values in trace.origins:
        operation = makers.get(values.start)
        given = [slot.numbers for slot in operation.places.values()] if operation else None
        operands = values.operands if given is None else given
        parents[values.start] = list(
            {
                source.start: None
                for numbers in operands
                for source in trace.origins.find_values(numbers)
            }
        )
    return parents


def _count(parents: dict[int, list[int]], chosen: set[int]) -> dict[int, int]:
    """Return how many of some values follow each other on the way to each value, itself too."""
    counts: dict[int, int] = {}
    for start, sources in parents.items():
        own = int(start in chosen)
        counts[start] = own + max((counts[source] for source in sources), default=0)
    return counts
