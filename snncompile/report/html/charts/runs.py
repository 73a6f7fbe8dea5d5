"""Float, integer and Lava: whether they agree, and where they part first."""

from __future__ import annotations

from snncompile.report.html.chart import COLORS, Cell, Chart, Numbers, label, make_figure
from snncompile.report.html.facts import Facts
from snncompile.verification import TITLES

TITLE = "Float, integer and Lava"


def chart_runs(facts: Facts) -> Chart:
    """Return the share of equal outputs of every layer, for each pair of runs."""
    checked = facts.verification
    if checked is None:
        return Chart("runs", TITLE, f"Unknown: {facts.why_not or 'not run'}.", Numbers((), ()))
    rows: list[tuple[Cell, ...]] = []
    data = []
    for i, comparison in enumerate(checked.comparisons):
        pair = f"{TITLES[comparison.first]} and {TITLES[comparison.second]}"
        rows += [(pair, r.population, r.outputs, r.differences, r.agreement, r.rate_error)
                 for r in comparison.rows]  # fmt: skip
        shares = [(r.population, r.agreement) for r in comparison.rows if r.agreement is not None]
        if shares:
            data.append(
                {"type": "bar", "name": pair, "x": [label(n) for n, _ in shares],
                 "y": [s for _, s in shares], "marker": {"color": COLORS[i]},
                 "hovertemplate": "%{x}: %{y:.2%} equal<extra></extra>"}
            )  # fmt: skip
    numbers = Numbers.of(("runs", "layer", "outputs", "differ", "share equal", "rate error"), rows)
    figure = make_figure(
        data, barmode="group", showlegend=True, xaxis={"type": "category"},
        yaxis={"tickformat": ".1~%", "title": {"text": "outputs that are equal"}},
    )  # fmt: skip
    lines = [str(comparison) for comparison in checked.comparisons]
    text = f"{checked.samples:,} samples. " + ". ".join(f"{t[0].upper()}{t[1:]}" for t in lines)
    return Chart("runs", TITLE, f"{text}.", numbers, {"by layer": figure} if data else {})
