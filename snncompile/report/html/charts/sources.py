"""Where the prices come from, and what they leave out."""

from __future__ import annotations

from snncompile.report.html.chart import Cell, Chart, Numbers
from snncompile.report.html.facts import Facts

TITLE = "Sources of the costs"


def chart_sources(facts: Facts) -> Chart:
    """Return the table of the prices of the cost set that was used."""
    chip, estimate = facts.program.chip, facts.estimate
    name = estimate.costs if estimate else facts.request.costs or chip.default_costs
    if name not in chip.costs:
        return Chart("sources", TITLE, f"Unknown: {facts.why_not}.", Numbers((), ()))
    costs = chip.costs[name]
    rows: list[tuple[Cell, ...]] = []
    for event, price in costs.prices.items():
        for number in (price.energy_pj, price.cycles or price.time_ns):
            if number is not None:
                rows.append(_make_row(facts, event, number))
    for entry in costs.barrier:
        time = entry.cycles or entry.time_ns
        if time is not None:
            rows.append(_make_row(facts, f"barrier sync, up to {entry.tiles} tiles", time))
    rows.append(_make_row(facts, "shortest time step", costs.step_floor_ns))
    rows.append(_make_row(facts, "static power", costs.static_w))
    text = f"Cost set {name}: {costs.title}. {costs.note}"
    if estimate:
        missing = ", ".join(estimate.missing) or "nothing"
        text += f" Missing in the totals: {missing}. Left out: {', '.join(estimate.left_out)}."
    columns = ("event", "value", "unit", "evidence", "source")
    return Chart("sources", TITLE, text, Numbers.of(columns, rows))


def _make_row(facts: Facts, name: str, number: object) -> tuple[Cell, ...]:
    value, unit = getattr(number, "value", None), getattr(number, "unit", "")
    evidence = str(getattr(number, "evidence", "unknown"))
    source = facts.program.chip.sources.get(getattr(number, "source", ""), "")
    return name, "none" if evidence == "no limit" else value, unit, evidence, source
