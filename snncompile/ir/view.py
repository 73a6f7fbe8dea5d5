"""A network as a networkx graph, for algorithms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph, Projection


def make_digraph(
    graph: Graph, keep: Callable[[Projection], bool] = lambda _: True
) -> nx.DiGraph[str]:
    """Return populations as nodes and the kept projections between them as edges."""
    result: nx.DiGraph[str] = nx.DiGraph()
    result.add_nodes_from(p.name for p in graph.populations)
    result.add_edges_from(
        (p.source, p.target) for p in graph.projections if p.source != graph.input.name and keep(p)
    )
    return result


def order_populations(graph: Graph) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield populations, each after its sources: (names, whether they form a loop).

    Populations that feed each other in a loop come together, in the order of their projections
    without delay.
    """
    whole = make_digraph(graph)
    instant = make_digraph(graph, lambda projection: graph.own_delay(projection) == 0)
    rank = {p.name: i for i, p in enumerate(graph.populations)}
    condensed = nx.condensation(whole)
    order = nx.lexicographical_topological_sort(
        condensed, key=lambda node: min(rank[name] for name in condensed.nodes[node]["members"])
    )
    for node in order:
        members = condensed.nodes[node]["members"]
        inside = nx.lexicographical_topological_sort(
            instant.subgraph(members), key=rank.__getitem__
        )
        names = tuple(inside)
        yield names, len(names) > 1 or whole.has_edge(names[0], names[0])
