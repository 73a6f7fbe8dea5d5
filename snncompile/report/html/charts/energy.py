"""Where does the energy go: layers, and the kinds of events."""

from __future__ import annotations

import zlib

from snncompile.backends.energy.result import STATIC, Estimate, Row
from snncompile.report.html.chart import Chart, Numbers, color_of, label, make_figure
from snncompile.report.html.facts import Facts
from snncompile.report.units import format_joules, name_events

TITLE = "Where does the energy go?"


def chart_energy(facts: Facts) -> Chart:
    """Return the energy of each layer, stacked by kind of event."""
    estimate = facts.estimate
    if estimate is None:
        return Chart("energy", TITLE, f"Unknown: {facts.why_not}.", Numbers((), ()))
    rows = [row for row in estimate.rows if row.occurs]
    numbers = Numbers.of(
        ("layer", "event", "count (s for power)", "price J", "energy J", "source of the price"),
        [(r.layer, r.event, r.count, r.price_j, r.energy_j, r.source) for r in rows],
    )
    figures = _make_figures(rows) if any(row.energy_j for row in rows) else {}
    return Chart("energy", TITLE, _say(estimate, rows), numbers, figures)


def _make_figures(rows: list[Row]) -> dict[str, dict[str, object]]:
    layers = list(dict.fromkeys(row.layer for row in rows if row.energy_j))
    events = list(dict.fromkeys(row.event for row in rows if row.energy_j))
    data = [
        {"type": "bar", "name": name_events((event,)), "x": [label(layer) for layer in layers],
         "y": [_sum(rows, layer, event) for layer in layers],
         "marker": {"color": color_event(event)},
         "hovertemplate": f"%{{x}}<br>{name_events((event,))}: %{{y:.3s}}J<extra></extra>"}
        for event in events
    ]  # fmt: skip
    axis = {"tickformat": ".2s", "ticksuffix": "J", "exponentformat": "SI"}
    stacked = make_figure(data, barmode="stack", xaxis={"type": "category"}, yaxis=axis)
    return {"by layer": stacked}


def color_event(event: str) -> str:
    """Return the colour of a kind of event, the same in every chart and build."""
    if event == STATIC:
        return "#9AA5B1"
    known = ("synaptic_op", "neuron_active", "neuron_inactive", "neuron_updated", "hop_east_west",
             "hop_north_south", "spike", "message_out", "message_in", "host_input")  # fmt: skip
    for i, name in enumerate(known):
        if event.startswith(name):
            return color_of(i)
    return color_of(zlib.crc32(event.encode()))


def _sum(rows: list[Row], layer: str, event: str) -> float:
    known = (r.energy_j or 0.0 for r in rows if (r.layer, r.event) == (layer, event))
    return float(f"{sum(known):.5g}")


def _say(estimate: Estimate, rows: list[Row]) -> str:
    total = estimate.energy_j
    lacking = name_events(estimate.unpriced)
    if total is None:
        return f"The energy is unknown: cost set {estimate.costs} has no price of {lacking}."
    text = f"{format_joules(total)} per inference"
    known = [row for row in rows if row.energy_j]
    if known and total:
        largest = max(known, key=lambda row: row.energy_j or 0.0)
        share = (largest.energy_j or 0.0) / total
        where = "the chip" if largest.event == STATIC else largest.layer
        text += f", {share:.0%} of it for {name_events((largest.event,))} of {where}"
    without = f"; {lacking} have no price and are not in it" if lacking else ""
    return f"{text} (cost set {estimate.costs}{without})."
