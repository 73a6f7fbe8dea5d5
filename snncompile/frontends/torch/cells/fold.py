"""Fold the functions that a module calls in every time step into those of one time step.

A function belongs to the last time step whose input its result depends on; `static_drive.py` says
what that is where all time steps get the same input, and the calls of a linear layer before any
input has reached it are as many time steps earlier, below 0. The functions of the time steps are
matched by their order; those of the fullest one stand for all:

    step 0: x0 + 0, > 1             step 1: 0.9 * v0 + x1, > 1           folded: 0.9 * v' + x, > 1
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import prod

import torch
from torch import Tensor

from snncompile.frontends.torch.cells.static_drive import find_static_readers
from snncompile.frontends.torch.tape import Operation
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import (
    InputValues,
    LinearValues,
    NeuronValues,
    Shape,
    Values,
)

ALWAYS = -(2**30)
"""Time step of values that are the same in all of them: a static input, and what is made of it."""
NEVER = ALWAYS + 1
"""Time step of values that depend on no input."""


@dataclass(frozen=True, eq=False)
class Node:
    """A function of the folded time step."""

    index: int
    operation: Operation
    """Its call in the time step that stands for all."""
    calls: dict[int, Operation]
    """Its calls by time step."""


@dataclass(frozen=True, eq=False)
class Folded:
    """The functions of one time step."""

    nodes: list[Node]
    step: int
    """The time step that stands for all."""
    owners: dict[int, tuple[int, int]]
    """Start of values -> (node, time step), for those made by a node."""

    def find_owner(self, values: Values) -> tuple[int, int] | None:
        """Return the node and the time step that made the values."""
        return self.owners.get(values.start)


def fold(trace: Trace) -> Folded:
    """Return the functions of one time step; none if there are no time steps."""
    groups = _group(trace)
    if not groups:
        return Folded([], 0, {})
    step = max(groups, key=lambda t: (len(groups[t]), t))
    nodes = [Node(i, operation, {}) for i, operation in enumerate(groups[step])]
    expected = [_describe(node.operation) for node in nodes]
    owners = {}
    for time, operations in groups.items():
        given = [_describe(operation) for operation in operations]
        matcher = SequenceMatcher(None, expected, given, autojunk=False)
        for first, second, length in matcher.get_matching_blocks():
            for offset in range(length):
                operation = operations[second + offset]
                nodes[first + offset].calls[time] = operation
                for values in operation.results:
                    owners[values.start] = (first + offset, time)
    return Folded(nodes, step, owners)


def _describe(operation: Operation) -> tuple[str, str, tuple[tuple[int, ...], ...]]:
    return operation.name, operation.path, tuple(values.shape for values in operation.results)


def _group(trace: Trace) -> dict[int, list[Operation]]:
    """Return the operations by time step, without those that act on several at once."""
    times = _find_times(trace)
    groups: dict[int, list[Operation]] = defaultdict(list)
    for operation in trace.operations:
        steps = {
            int(step)
            for values in operation.results
            for step in times[values.start : values.stop].aminmax()
        }
        if len(steps) == 1 and ALWAYS not in steps:
            groups[steps.pop()].append(operation)
    return dict(groups)


def _find_times(trace: Trace) -> Tensor:
    """Return the last time step that each numbered value depends on."""
    times = torch.full((trace.origins.next + 1,), NEVER, dtype=torch.int32)  # the last: no number
    slots = {
        values.start: [slot.numbers for slot in operation.places.values()]
        for operation in trace.operations
        for values in operation.results
    }
    readers = find_static_readers(trace)
    _fill(times, trace, slots, readers, {})
    if early := _find_early(trace, times):
        _fill(times, trace, slots, readers, early)
    return times


def _fill(
    times: Tensor,
    trace: Trace,
    slots: dict[int, list[Tensor]],
    readers: frozenset[int],
    early: dict[int, Tensor],
) -> None:
    """Fill in the time step of all values, those known by their start as they are."""
    for values in trace.origins:
        time = _find_time(values, times, slots).reshape(-1)
        if values.start in readers:
            time = torch.where(time <= NEVER, 0, time + 1)
        times[values.start : values.stop] = early.get(values.start, time)


def _find_early(trace: Trace, times: Tensor) -> dict[int, Tensor]:
    """Return the time steps, below 0, of linear layers called before input has reached them.

    Their source shows its first spikes late, so they get zeros and give their bias. A layer may be
    called once per step, or once with the rows of all steps.
    """
    calls: dict[str, list[LinearValues]] = defaultdict(list)
    for values in trace.origins:
        if isinstance(values, LinearValues):
            calls[values.path].append(values)
    early = dict[int, Tensor]()
    for given in calls.values():
        rows = torch.cat([_list_rows(values, times) for values in given])
        if len(rows) % trace.samples:
            continue
        for order in (rows.reshape(-1, trace.samples), rows.reshape(trace.samples, -1).T):
            earlier = _count_back(order[:, 0])
            if earlier is None or not bool((order == order[:, :1]).all()):
                continue
            whole = earlier[:, None].expand_as(order)
            whole = whole if order.is_contiguous() else whole.T
            parts = torch.split(
                whole.reshape(-1), [len(_list_rows(values, times)) for values in given]
            )
            for values, steps in zip(given, parts, strict=True):
                width = prod(values.target_shape)
                early[values.start] = steps[:, None].expand(-1, width).reshape(-1).int()
            break
    return early


def _list_rows(values: LinearValues, times: Tensor) -> Tensor:
    """Return the time step of each row of a linear layer's result."""
    return times[values.start : values.stop : prod(values.target_shape)]


def _count_back(steps: Tensor) -> Tensor | None:
    """Return NEVER, ..., 0, 1, ... as -2, -1, 0, 1, ...; None if that is not what they are."""
    count = int((steps == NEVER).sum())
    expected = torch.arange(len(steps), dtype=steps.dtype) - count
    fits = 0 < count < len(steps) and torch.equal(steps[count:], expected[count:])
    return expected if fits else None


def _find_time(values: Values, times: Tensor, slots: dict[int, list[Tensor]]) -> Tensor:
    if isinstance(values, InputValues) and values.static:
        return torch.full(values.shape, ALWAYS)
    if isinstance(values, InputValues):
        samples, steps, size = values.shape
        return torch.arange(steps)[None, :, None].expand(samples, steps, size)
    if isinstance(values, NeuronValues):
        return torch.full(values.shape, values.call)
    if isinstance(values, LinearValues):
        rows = times[values.inputs.clamp(min=-1)].amax(1)
        return rows[:, None].expand(len(rows), prod(values.target_shape))
    operands = [times[n.clamp(min=-1)] for n in slots.get(values.start, values.operands)]
    if operands and all(_fits(operand.shape, values.shape) for operand in operands):
        return torch.stack([operand.expand(values.shape) for operand in operands]).amax(0)
    last = max((int(operand.max()) for operand in operands if operand.numel()), default=NEVER)
    return torch.full(values.shape, last)


def _fits(shape: Shape, whole: Shape) -> bool:
    """Return whether a tensor of a shape can be expanded to another."""
    pairs = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(size in (1, full) for size, full in pairs)
