"""Find the cells among the functions of a time step: what computes a neuron layer.

A core is a set of functions that depend on their own results of the time step before: a state. What
leads from the state to the spikes belongs to the cell too, and so does a current that only
this cell reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from snncompile.frontends.torch.cells.fold import Folded, Node
from snncompile.frontends.torch.tape import Position
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import SumValues


@dataclass(frozen=True, eq=False)
class Edge:
    """A function that takes a result of another one, or something from outside."""

    target: int
    position: Position
    source: int | None
    """None: a layer, the input, or what no folded function made."""
    lag: int
    """0: of the same time step, 1: of the one before."""


@dataclass(frozen=True, eq=False)
class Wires:
    """The functions of a time step and what they take."""

    nodes: list[Node]
    edges: list[Edge]
    strange: frozenset[int]
    """Functions that mix values of several origins or time steps in one argument."""

    def is_sum(self, node: int) -> bool:
        """Return whether a function is a weighted sum."""
        return isinstance(self.nodes[node].operation.results[0], SumValues)


@dataclass(frozen=True)
class Group:
    """The functions of one cell, in their order."""

    members: tuple[int, ...]
    linear: bool
    """Whether all of them are sums: a leaky sum that never spikes."""


def wire(folded: Folded, trace: Trace) -> Wires:
    """Return what each function of the folded time step takes."""
    edges, strange = [], set()
    for node in folded.nodes:
        for position, slot in node.operation.places.items():
            owners = {folded.find_owner(v) for v in trace.origins.find_values(slot.numbers)}
            owner = next(iter(owners), None)
            lag = 0 if owner is None else folded.step - owner[1]
            if len(owners) > 1 or lag not in (0, 1):
                strange.add(node.index)
            edges.append(Edge(node.index, position, owner and owner[0], lag))
    return Wires(folded.nodes, edges, frozenset(strange))


def find_groups(wires: Wires) -> list[Group]:
    """Return the cells, in the order of their first function."""
    cores = _find_cores(wires)
    in_core = {member: number for number, core in enumerate(cores) for member in core}
    targets, members = _merge(wires, cores, in_core)
    groups = []
    for number, own in enumerate(members):
        if number not in targets:
            everything = own | _find_spikes(wires, own, in_core)
            linear = all(map(wires.is_sum, everything))
            groups.append(Group(tuple(sorted(everything)), linear))
    return groups


def _merge(
    wires: Wires, cores: list[set[int]], in_core: dict[int, int]
) -> tuple[dict[int, int], list[set[int]]]:
    """Put each leaky sum that one other core reads, a current, into that core.

    Returns:
        Core -> the core that reads it, and the functions of every core.
    """
    targets: dict[int, int] = {}
    members = [set(core) for core in cores]
    for number, core in enumerate(cores):
        if all(map(wires.is_sum, core)):
            between, hit = _follow(wires, core, in_core)
            if len(hit) == 1:
                targets[number] = hit.pop()
                members[number] |= between
    for number in targets:
        target = number
        while target in targets:
            target = targets[target]
        members[target] |= members[number]
    return targets, members


def _find_cores(wires: Wires) -> list[set[int]]:
    """Return the sets of functions that depend on each other in a circle."""
    reach = np.zeros((len(wires.nodes),) * 2, np.bool_)
    for edge in wires.edges:
        if edge.source is not None:
            reach[edge.source, edge.target] = True
    while True:
        further = reach | (reach.astype(np.float32) @ reach.astype(np.float32) > 0)
        if (further == reach).all():
            break
        reach = further
    cores, seen = [], set()
    for node in range(len(wires.nodes)):
        if reach[node, node] and node not in seen:
            core = {int(other) for other in np.flatnonzero(reach[node] & reach[:, node])}
            seen |= core
            cores.append(core)
    return cores


def _follow(
    wires: Wires, core: Iterable[int], in_core: dict[int, int]
) -> tuple[set[int], set[int]]:
    """Return the sums between a core and the next cores, and these."""
    waiting, between, hit, own = list(core), set(), set(), set(core)
    while waiting:
        node = waiting.pop()
        for target in _list_targets(wires, node):
            if target in own or target in between:
                continue
            if target in in_core:
                hit.add(in_core[target])
            elif wires.is_sum(target):
                between.add(target)
                waiting.append(target)
    return _keep_leading(wires, between, {n for n, number in in_core.items() if number in hit}), hit


def _keep_leading(wires: Wires, nodes: set[int], goal: set[int]) -> set[int]:
    """Return the nodes from which the goal is reached."""
    kept: set[int] = set()
    while True:
        more = {n for n in nodes - kept if (goal | kept).intersection(_list_targets(wires, n))}
        if not more:
            return kept
        kept |= more


def _list_targets(wires: Wires, node: int) -> Iterator[int]:
    return (edge.target for edge in wires.edges if edge.source == node)


def _find_spikes(wires: Wires, members: set[int], in_core: dict[int, int]) -> set[int]:
    """Return the functions of nothing but this cell that lead to one that is no sum."""
    shapes = {wires.nodes[member].operation.results[0].shape for member in members}
    own, result = set(members), set[int]()
    for node in wires.nodes:
        sources = [edge.source for edge in wires.edges if edge.target == node.index]
        if node.index in own or node.index in in_core or not sources:
            continue
        if all(source in own for source in sources) and (node.operation.results[0].shape in shapes):
            own.add(node.index)
    for node in reversed(wires.nodes):
        if node.index in own - members and (
            not wires.is_sum(node.index) or result.intersection(_list_targets(wires, node.index))
        ):
            result.add(node.index)
    return result
