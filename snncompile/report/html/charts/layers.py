"""Each layer: neurons, cores, weights as floats and as integers, error, rates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import Graph
from snncompile.report.html.chart import (
    COLORS,
    Cell,
    Chart,
    Figure,
    Numbers,
    label,
    make_figure,
)
from snncompile.report.html.facts import Facts

BINS = 41


def chart_layers(facts: Facts) -> Chart:
    """Return neurons, cores and rates of every layer."""
    rows = list_layers(facts)
    names = [label(str(row[0])) for row in rows]
    figures = {}
    for title, column, color, form in (
        ("neurons", 2, 0, ",.0f"), ("cores", 3, 2, ",.0f"), ("rate", 4, 1, ".2%"),
        ("weight error", 8, 3, ".2%"),
    ):  # fmt: skip
        values = [row[column] for row in rows]
        if any(value is not None for value in values):
            bar = {"type": "bar", "x": names, "y": values, "marker": {"color": COLORS[color]},
                   "hovertemplate": f"%{{x}}<br>{title}: %{{y:{form}}}<extra></extra>"}  # fmt: skip
            axis = {"title": {"text": title}, "rangemode": "tozero"}
            axis |= {"tickformat": ".1~%"} if form.endswith("%") else {}
            figures[title] = make_figure([bar], xaxis={"type": "category"}, yaxis=axis)
    columns = ("layer", "neuron", "neurons", "cores", "rate", "never fire", "always fire",
               "rate error", "weight error", "median neuron", "worst neuron",
               "threshold error")  # fmt: skip
    return Chart("layers", "Layers", _say(facts, rows), Numbers.of(columns, rows), figures)


def list_layers(facts: Facts) -> list[tuple[Cell, ...]]:
    """Return one row per layer; None where something is not known."""
    network, mapping = facts.program.network, facts.program.mapping
    quantized = {q.population: q for q in facts.program.quantized}
    losses = {r.population: r for r in facts.program.loss.populations}
    checked = facts.verification
    activity = {a.population: a for a in checked.activity} if checked else {}
    rows: list[tuple[Cell, ...]] = []
    for p in network.populations:
        q, loss, fires = quantized.get(p.name), losses.get(p.name), activity.get(p.name)
        rows.append((
            p.name, p.neuron.kind, p.size, len({s.core for s in mapping.of(p.name)}),
            *((fires.rate, fires.dead, fires.saturated) if fires else (None,) * 3),
            loss.rate_error if loss else None,
            *((q.weight_error, q.median_error, q.worst_error, q.parameter_error.get("threshold"))
              if q else (None,) * 4),
        ))  # fmt: skip
    return rows


def _say(facts: Facts, rows: list[tuple[Cell, ...]]) -> str:
    rates = [(row[4], row[0]) for row in rows if isinstance(row[4], float)]
    widest = max(rows, key=lambda row: row[3] if isinstance(row[3], int) else 0)
    text = f"{widest[0]} takes the most cores, {widest[3]:,}."
    if not rates:
        return f"{text} The rates are unknown."
    high, low = max(rates), min(rates)
    return f"{text} Rates go from {low[0]:.2%} ({low[1]}) to {high[0]:.2%} ({high[1]}) per step."


def chart_weights(facts: Facts) -> Chart:
    """Return the weights of each projection, floats beside integers."""
    network, source = facts.program.network, facts.program.source
    figures: dict[str, Figure] = {}
    rows: list[tuple[Cell, ...]] = []
    for p in network.projections:
        title = f"{p.source} → {p.target}"
        title += f" ({len(figures) + 1})" if title in figures else ""
        integers = np.asarray(p.synapses.weight)
        floats = _find_floats(source, p.source, p.target, network)
        figures[title] = _draw(floats, integers)
        for kind, weight in (("float", floats), ("integer", integers)):
            if weight is None or not weight.size:
                rows.append((title, kind, None, None, None, None, None))
                continue
            size, zeros = int(weight.size), int((weight == 0).sum())
            rows.append((title, kind, size, zeros, float(weight.min()), float(weight.max()),
                         len(np.unique(weight))))  # fmt: skip
    numbers = Numbers.of(
        ("projection", "as", "weights", "zeros", "least", "largest", "different values"), rows
    )
    return Chart("weights", "Weights", _say_weights(rows), numbers, figures)


def _find_floats(
    source: Graph | None, start: str, end: str, network: Graph
) -> NDArray[np.float64] | None:
    """Return the float weights between two layers; None: there are none, or of several kinds."""
    if source is None:
        return None
    own = [p for p in source.projections if (p.source, p.target) == (start, end)]
    same = [p for p in network.projections if (p.source, p.target) == (start, end)]
    return np.asarray(own[0].synapses.weight) if len(own) == len(same) == 1 else None


def _draw(floats: NDArray[Any] | None, integers: NDArray[Any]) -> Figure:
    data = []
    for weight, name, axis, color in (
        (floats, "floats", "", 1), (integers, "integers", "2", 0)
    ):  # fmt: skip
        if weight is None or not weight.size:
            continue
        low, high = float(weight.min()), float(weight.max())
        counts, edges = np.histogram(
            weight, BINS, (low, high) if high > low else (low - 1, low + 1)
        )
        middle = (edges[1:] + edges[:-1]) / 2
        data.append(
            {"type": "bar", "name": name, "x": [float(f"{m:.5g}") for m in middle],
             "y": counts.tolist(), "xaxis": f"x{axis}", "yaxis": f"y{axis}",
             "marker": {"color": COLORS[color]}}
        )  # fmt: skip
    grid = {"gridcolor": "#e4e7eb", "automargin": True}
    return make_figure(
        data, bargap=0.02,
        xaxis={"domain": [0, 0.46], "title": {"text": "float weight"}},
        yaxis={"title": {"text": "weights"}},
        xaxis2={**grid, "domain": [0.56, 1], "title": {"text": "integer weight"}},
        yaxis2={**grid, "anchor": "x2"},
    )  # fmt: skip


def _say_weights(rows: list[tuple[Cell, ...]]) -> str:
    integers = [row for row in rows if row[1] == "integer" and isinstance(row[2], int)]
    total = sum(int(row[2] or 0) for row in integers)
    zeros = sum(int(row[3] or 0) for row in integers)
    share = f"{zeros / total:.1%}" if total else "none"
    floats = [row for row in rows if row[1] == "float" and isinstance(row[2], int)]
    before = ""
    if len(floats) == len(integers) and total:
        zero = sum(int(row[3] or 0) for row in floats)
        before = f" ({zero / max(1, sum(int(row[2] or 0) for row in floats)):.1%} as floats)"
    return f"{total:,} stored integer weights; {share} of them are zero{before}."
