"""Order of the nodes of a NIR graph, shapes of their values, delays of its loops."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import networkx as nx

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import NirGraph, Node, shorten
from snncompile.frontends.nir.neurons import KINDS, check_shape
from snncompile.frontends.nir.stateless_nodes import (
    MOST_VALUES,
    MisfitError,
    explain_misfit,
    find_target_shape,
)
from snncompile.ir.graph import Projection, Shape


def order_nodes(graph: NirGraph) -> list[str]:
    """Return all nodes, each after its sources that send no spikes.

    Raises:
        UnsupportedError: a loop holds no neuron, so its value would depend on itself.
    """
    cut: nx.DiGraph[str] = nx.DiGraph()
    cut.add_nodes_from(graph.nodes)
    cut.add_edges_from((a, b) for a, b in graph.edges if graph.nodes[a].kind not in KINDS)
    rank = {name: i for i, name in enumerate(order_breadth_first(graph))}
    try:
        return list(nx.lexicographical_topological_sort(cut, key=rank.__getitem__))
    except nx.NetworkXUnfeasible:
        loop = [shorten(edge[0]) for edge in nx.find_cycle(cut)]
        raise UnsupportedError(
            f"{graph.where}: the loop {' -> '.join([*loop, loop[0]])} holds no neuron"
        ) from None


def fuse_thresholds(graph: NirGraph) -> NirGraph:
    """Return the graph with each Threshold right after an I, LI or CubaLI fused into it.

    The fused neuron fires and never resets, as the two do.
    """
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        before[b].append(a)
        after[a].append(b)
    nodes, renamed = dict(graph.nodes), {}
    for name, node in graph.nodes.items():
        sources = before[name]
        if node.kind != "Threshold" or len(sources) != 1:
            continue
        source = graph.nodes[sources[0]]
        if source.kind in FIRING and after[source.name] == [name]:
            values = {**source.values, "v_threshold": node.values["threshold"]}
            nodes[source.name] = replace(
                source, kind=FIRING[source.kind], values=values, fixed_reset="none"
            )
            del nodes[name]
            renamed[name] = source.name
    edges = [(renamed.get(a, a), b) for a, b in graph.edges if b not in renamed]
    return replace(graph, nodes=nodes, edges=tuple(edges))


FIRING = {"I": "IF", "LI": "LIF", "CubaLI": "CubaLIF"}
"""Kind of a neuron that does not fire -> the same with a threshold."""


def order_breadth_first(graph: NirGraph) -> list[str]:
    """Return all nodes in the order in which the input reaches them, breadth first; then others."""
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        following[a].append(b)
    waiting = deque(name for name, node in graph.nodes.items() if node.kind == "Input")
    seen = dict.fromkeys(waiting)
    while waiting:
        for name in following[waiting.popleft()]:
            if name not in seen:
                seen[name] = None
                waiting.append(name)
    return [*seen, *(name for name in graph.nodes if name not in seen)]


@dataclass(frozen=True)
class Shapes:
    """Shapes of the input and the output of each node."""

    into: Mapping[str, Shape]
    out_of: Mapping[str, Shape]


def find_shapes(graph: NirGraph, sources: Sequence[Node], given: Shape | None) -> Shapes:
    """Return the shapes of the whole graph.

    An exporter may have included the axes of batch and time in the input's shape. So if
    the graph cannot take the shape, it is tried without the first axis, and so on.

    Args:
        graph: the file.
        sources: its inputs.
        given: shape of the only input, set by the user; None: from the file.

    Raises:
        InputError: no shape fits, or a node is not reached from the inputs.
    """
    if given is not None and len(sources) > 1:
        raise InputError(f"{graph.where}: has {len(sources)} inputs, input_shape= is for one")
    shapes = {source.name: _read_input_shape(source, given) for source in sources}
    first: MisfitError | None = None
    for start in range(max(map(len, shapes.values())) if given is None else 1):
        try:
            cut = {name: own[min(start, len(own) - 1) :] for name, own in shapes.items()}
            return _propagate(graph, cut)
        except MisfitError as error:
            first = first or error
    assert first is not None
    raise InputError(f"{first}; input_shape= sets another shape of the input") from None


def _read_input_shape(source: Node, given: Shape | None) -> Shape:
    own = given if given is not None else source.read_integers("shape", 1, MOST_VALUES)
    if not own or prod(own) > MOST_VALUES:
        raise InputError(f"{source.where}: shape {own} is not that of an input")
    return own


def _propagate(graph: NirGraph, shapes: Mapping[str, Shape]) -> Shapes:
    into, out_of = dict(shapes), dict(shapes)
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        following[a].append(b)
    waiting = deque(shapes)
    while waiting:
        name = waiting.popleft()
        for target in following[name]:
            node, arriving = graph.nodes[target], out_of[name]
            if target not in into:
                into[target] = arriving
                make = check_shape if node.kind in KINDS else find_target_shape
                out_of[target] = make(node, arriving)
                waiting.append(target)
            elif prod(into[target]) != prod(arriving):
                raise explain_misfit(node, arriving, f"{into[target]} as from its other source")
    for name, node in graph.nodes.items():
        if name not in into:
            raise InputError(f"{node.where}: is not reached from the input")
    return Shapes(into, out_of)


def join_recurrent_inputs(graph: NirGraph) -> NirGraph:
    """Return a graph of spyx with the input of a recurrent layer at its neurons.

    Its exporter writes input -> layer_1.w_rec, though the input is added beside the recurrence
    (spyx 1.0.0 nir.py and nn.py).
    """
    edges = []
    for a, b in graph.edges:
        neuron = b.removesuffix(".w_rec") + ".lif"
        recurrent = b.endswith(".w_rec") and neuron in graph.nodes and a != neuron
        edges.append((a, neuron) if recurrent else (a, b))
    return replace(graph, edges=tuple(edges))


def add_loop_delays(
    projections: list[Projection],
    rank: Mapping[str, int],
    delay: int | Mapping[tuple[str, str], int],
) -> tuple[list[Projection], list[tuple[str, str]]]:
    """Return the projections, with delays added in loops without, and the changed ones.

    Args:
        projections: all of the network.
        rank: of each population, in the order in which the input reaches them.
        delay: time steps of a projection of a loop to a population that is reached no later than
            its source; or one number per (source, target).
    """
    instant: nx.DiGraph[str] = nx.DiGraph()
    instant.add_nodes_from(rank)
    instant.add_edges_from((p.source, p.target) for p in projections if p.delay == 0)
    component = {
        name: number
        for number, names in enumerate(nx.strongly_connected_components(instant))
        for name in names
    }
    result, changed = [], []
    for p in projections:
        back = p.source in component and component[p.source] == component[p.target] and p.delay == 0
        if back and rank[p.source] >= rank[p.target]:
            steps = delay if isinstance(delay, int) else delay.get((p.source, p.target), 1)
            p = replace(p, delay=steps)
            changed.append((p.source, p.target))
        result.append(p)
    return result, changed
