"""The network as a graph: layers from the input at the top to the output below."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import networkx as nx

from snncompile.report.html.chart import (
    COLORS,
    PALE,
    Chart,
    Numbers,
    hide_axis,
    label,
    make_figure,
)
from snncompile.report.html.facts import Facts

COLUMN = 390
"""Pixels of a column, at least: narrower pages scroll."""


def chart_network(facts: Facts) -> Chart:
    """Return layers and projections."""
    network = facts.program.network
    places = _find_places(facts)
    rows = [
        (p.source, p.target, p.synapses.wiring.kind, p.synapses.wiring.synapses, p.delay,
         getattr(p.synapses, "bits", None))
        for p in network.projections
    ]  # fmt: skip
    numbers = Numbers.of(("from", "to", "wiring", "synapses", "delay", "weight bits"), rows)
    depth = max(y for _, y in places.values()) + 1
    ends = [(places[p.source], places[p.target]) for p in network.projections]
    skips = [(a, b) for a, b in ends if a[0] == b[0] and abs(a[1] - b[1]) != 1]
    arrows = [_draw_arrow(a, b) for a, b in ends if (a, b) not in skips]
    nodes = [network.input.name, *facts.layers]
    cores = {n: len({s.core for s in facts.program.mapping.of(n)}) for n in facts.layers}
    texts = [_describe(facts, name, cores) for name in nodes]
    columns = max(x for x, _ in places.values()) + 1
    figure = make_figure(
        [{"type": "scatter", "mode": "markers+text", "x": [places[n][0] for n in nodes],
          "y": [places[n][1] for n in nodes], "text": texts, "textposition": "middle right",
          "hovertext": texts, "hoverinfo": "text", "cliponaxis": False,
          "marker": {"size": 14, "color": [COLORS[1], *[COLORS[0]] * len(facts.layers)],
                     "line": {"color": "#fff", "width": 2}}}],
        height=90 + 46 * depth,
        xaxis=hide_axis(range=[-0.6, columns + 0.4]),
        yaxis=hide_axis(range=[depth - 0.5, -0.5]),
        annotations=arrows,
        meta={"least": int(COLUMN * columns)},
        shapes=[_draw_curve(a, b) for a, b in skips],
        margin={"l": 12, "r": 12, "t": 8, "b": 8},
        showlegend=False,
    )  # fmt: skip
    neurons = sum(p.size for p in network.populations)
    synapses = sum(p.synapses.wiring.synapses for p in network.projections)
    text = (
        f"{network.title}: {neurons:,} neurons in {len(network.populations):,} layers,"
        f" {synapses:,} synapses in {len(network.projections):,} projections."
    )
    return Chart("network", "Network", text, numbers, {"graph": figure})


def _find_places(facts: Facts) -> dict[str, tuple[float, int]]:
    """Return column and depth of every layer; loops count as their shortest way."""
    network = facts.program.network
    graph = nx.DiGraph((p.source, p.target) for p in network.projections)
    graph.add_nodes_from([network.input.name, *facts.layers])
    order = {name: i for i, name in enumerate([network.input.name, *facts.layers])}
    graph.remove_edges_from([(a, b) for a, b in graph.edges if order[a] >= order[b]])
    depth: dict[str, int] = {}
    for name in nx.topological_sort(graph):
        depth[name] = 1 + max((depth[before] for before in graph.predecessors(name)), default=-1)
    taken: defaultdict[int, int] = defaultdict(int)
    places = {}
    for name in sorted(order, key=order.__getitem__):
        places[name] = (float(taken[depth[name]]), depth[name])
        taken[depth[name]] += 1
    return places


def _draw_arrow(source: tuple[float, int], target: tuple[float, int]) -> dict[str, Any]:
    return {
        "ax": source[0], "ay": source[1], "x": target[0], "y": target[1],
        "axref": "x", "ayref": "y", "xref": "x", "yref": "y", "text": "", "showarrow": True,
        "arrowhead": 2, "arrowsize": 1, "arrowwidth": 1.3, "arrowcolor": PALE,
        "standoff": 9, "startstandoff": 8,
    }  # fmt: skip


def _draw_curve(source: tuple[float, int], target: tuple[float, int]) -> dict[str, Any]:
    """Return the curve of a projection that passes other layers, or leads back."""
    (x, start), (_, end) = source, target
    side = x - 0.4 if end > start else x - 0.55
    path = f"M {x},{start} C {side},{start} {side},{end} {x},{end}"
    line = {"color": COLORS[2] if end > start else COLORS[3], "width": 1.3}
    return {"type": "path", "path": path, "line": line, "layer": "below"}


def _describe(facts: Facts, name: str, cores: dict[str, int]) -> str:
    network = facts.program.network
    shape = " x ".join(f"{n:,}" for n in network.end(name).shape)
    if name == network.input.name:
        return f"  {label(name, 40)}<br>  {shape}"
    kind = network.population(name).neuron.kind.replace("_", " ")
    many = f"{cores[name]:,} core{'s' * (cores[name] != 1)}"
    return f"  {label(name, 40)}<br>  {shape} {kind}, {many}"
