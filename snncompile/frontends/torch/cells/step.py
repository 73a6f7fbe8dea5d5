"""One time step of a cell as a function: (states, input) -> (states, values of its functions)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.cells.fold import Folded
from snncompile.frontends.torch.cells.group import Edge, Group, Wires
from snncompile.frontends.torch.precise import float64_by_default
from snncompile.frontends.torch.tape import Operation, Position, Slot
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import Shape

States = dict[int, Tensor]
"""Result of the time step before, of each function that passes one on."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """An argument that comes from outside the cell: the drive, or a part of it."""

    target: int
    position: Position
    numbers: Tensor
    """In the time step that stands for all."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as the module computes it."""

    name: str
    group: Group
    wires: Wires
    folded: Folded
    trace: Trace = field(repr=False)
    start: States = field(default_factory=dict, repr=False)
    """States before the first time step, where they are known to be others than `begin` sees."""

    @property
    def shape(self) -> Shape:
        """Shape of its values: (samples, *shape)."""
        return self.folded.nodes[self.group.members[0]].operation.results[0].shape

    @cached_property
    def edges(self) -> list[Edge]:
        """Arguments of its functions that are no constants."""
        own = set(self.group.members)
        return [edge for edge in self.wires.edges if edge.target in own]

    @cached_property
    def read_later(self) -> list[int]:
        """Functions whose results the next time step reads."""
        own = set(self.group.members)
        return sorted({edge.source for edge in self.edges if edge.lag and edge.source in own})

    @cached_property
    def memory(self) -> list[int]:
        """Functions whose results are its states: those read later that no other ones give."""
        derived = {node for node, _ in self._derived}
        return [node for node in self.read_later if node not in derived]

    @cached_property
    def _derived(self) -> list[tuple[int, list[int]]]:
        """Functions read later that other states give, each with the functions that lead to it.

        v = v + (rest - v) / tau      rest - v of the next step depends on v of this one alone
        """
        start, derived = self._find_start(self.read_later), list[tuple[int, list[int]]]()
        for node in self.read_later:
            way = self._find_way(node)
            if way and torch.equal(self._follow(way, start)[node], start[node].double()):
                derived.append((node, way))
        return derived

    def _find_way(self, node: int) -> list[int]:
        """Return the functions from other states to this one; none if more leads to it."""
        way, waiting = {node}, [node]
        while waiting:
            target = waiting.pop()
            for edge in self.edges:
                if edge.target != target or edge.source in way:
                    continue
                if edge.lag or edge.source not in self.group.members:
                    return []
                if edge.source not in self.read_later:
                    way.add(edge.source)
                    waiting.append(edge.source)
        return sorted(way)

    def _follow(self, way: list[int], states: States) -> States:
        """Return states, and the results of functions that read nothing but them."""
        results = dict(states)
        with float64_by_default():
            for node in way:
                (result,) = self.folded.nodes[node].operation.repeat(
                    lambda slot: self._sources[id(slot)](results, results, [])
                )
                results[node] = result.double()
        return results

    @cached_property
    def arrivals(self) -> list[Arrival]:
        """What comes from outside, each once."""
        own, arrivals = set(self.group.members), list[Arrival]()
        for edge in self.edges:
            if edge.source in own:
                continue
            slot = self.folded.nodes[edge.target].operation.get_argument(edge.position)
            if not any(torch.equal(slot.numbers, known.numbers) for known in arrivals):
                arrivals.append(Arrival(edge.target, edge.position, slot.numbers))
        return arrivals

    def list_times(self, node: int) -> list[int]:
        """Return the time steps in which a function is called."""
        return sorted(self.folded.nodes[node].calls)

    def begin(self) -> States:
        """Return the states before the first time step; 0 where the module has none yet."""
        return self._find_start(self.memory) | self.start

    def _find_start(self, nodes: list[int]) -> States:
        states = {}
        for node in nodes:
            shape = self.folded.nodes[node].operation.results[0].shape
            states[node] = torch.zeros(shape, dtype=torch.float64)
            for value in self._find_first_values(node):
                states[node] = torch.as_tensor(value).to(torch.float64).expand(shape)
        return states

    def _find_first_values(self, node: int) -> Iterator[Any]:
        """Yield the constants that stand where later the state does."""
        for edge in self.edges:
            calls = self.folded.nodes[edge.target].calls
            if edge.source != node or not edge.lag or not calls:
                continue
            value = calls[min(calls)].get_argument(edge.position)
            numeric = isinstance(value, Tensor | int | float)
            if numeric and torch.as_tensor(value).numel() in (1, prod(self.shape)):
                yield value

    def step(self, states: States, drives: list[Tensor]) -> tuple[States, dict[int, Tensor]]:
        """Return the next states and the values of all functions.

        Args:
            states: of the time step before, or of `begin`.
            drives: one tensor for each of `arrivals`, shape (samples, *shape).
        """
        now = dict[int, Tensor]()
        for _, way in self._derived:
            states = self._follow(way, states)
        with float64_by_default():  # casts to other types are no functions of their own
            for member in self.group.members:
                operation = self.folded.nodes[member].operation
                (now[member],) = operation.repeat(
                    lambda slot: self._sources[id(slot)](states, now, drives)
                )
        return {node: now[node] for node in self.memory}, now

    @cached_property
    def _sources(self) -> dict[int, Callable[..., Tensor]]:
        """Slot -> function that returns its values from states, results and drives."""
        slots = [
            slot
            for member in self.group.members
            for slot in self.folded.nodes[member].operation.places.values()
        ]
        return {id(slot): self._find_source(slot) for slot in slots}

    def _find_source(self, slot: Slot) -> Callable[..., Tensor]:
        shape, dtype = slot.numbers.shape, slot.dtype
        for number, arrival in enumerate(self.arrivals):
            if torch.equal(arrival.numbers, slot.numbers):
                return lambda states, now, drives: drives[number].reshape(shape).to(dtype)
        (values,) = self.trace.origins.find_values(slot.numbers)
        owner = self.folded.find_owner(values)
        assert owner is not None
        node, late = owner[0], owner[1] != self.folded.step
        if slot.numbers.shape == values.shape and torch.equal(slot.numbers, values.numbers):
            return lambda states, now, drives: (states if late else now)[node].to(dtype)
        index = slot.numbers - values.start
        return lambda states, now, drives: (
            (states if late else now)[node].reshape(-1)[index].to(dtype)
        )


def check_simple(cell: Cell) -> None:
    """Refuse cells that cannot be repeated step by step."""
    if set(cell.group.members) & cell.wires.strange:
        raise UnsupportedError(
            f"{cell.name} keeps more than its last time step, or mixes values of several layers or"
            " samples; a neuron's state is what the step before leaves, its threshold a constant"
        )
    for member in cell.group.members:
        operation = cell.folded.nodes[member].operation
        if len(operation.results) != 1 or prod(operation.results[0].shape) != prod(cell.shape):
            raise UnsupportedError(
                f"{cell.name}: {operation.name} gives other values than one per neuron"
            )


def first_differs(cell: Cell, operation: Operation, other: Operation) -> bool:
    """Return whether two calls of a function have other constants."""
    places = operation.places
    return places.keys() == other.places.keys() and not _is_same(
        (operation.args, operation.kwargs), (other.args, other.kwargs)
    )


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, Slot):
        return isinstance(second, Slot)
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(first, second)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_is_same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_is_same(first[k], second[k]) for k in first)
    return bool(first == second)
