"""What did integers cost, and where: the loss of each layer on the calibration data."""

from __future__ import annotations

from snncompile.ir.loss import PopulationLoss
from snncompile.report.html.chart import COLORS, Cell, Chart, Numbers, label, make_figure
from snncompile.report.html.facts import Facts

TITLE = "What did integers cost, and where?"


def chart_loss(facts: Facts) -> Chart:
    """Return rate error and different outputs of each layer."""
    loss = facts.program.loss
    weight = {q.population: q.weight_error for q in facts.program.quantized}
    rows: list[tuple[Cell, ...]] = [
        (r.population, r.rate_error, r.different, weight.get(r.population), r.neurons,
         r.fired, r.fired_integer, r.silenced)
        for r in loss.populations
    ]  # fmt: skip
    if not rows:
        rows = [(q.population, None, None, q.weight_error, None, None, None, None)
                for q in facts.program.quantized]  # fmt: skip
    columns = ("layer", "rate error", "outputs that differ", "weight error", "neurons",
               "fire as floats", "fire as integers", "silenced")  # fmt: skip
    numbers = Numbers.of(columns, rows)
    names = [label(str(row[0])) for row in rows]
    figure = make_figure(
        [
            {"type": "bar", "name": columns[i], "x": names, "y": [row[i] for row in rows],
             "marker": {"color": COLORS[color]},
             "hovertemplate": f"%{{x}}<br>{columns[i]}: %{{y:.2%}}<extra></extra>"}
            for i, color in ((1, 3), (2, 1), (3, 5))
            if any(row[i] is not None for row in rows)
        ],
        barmode="group",
        xaxis={"type": "category"},
        yaxis={"tickformat": ".1~%", "rangemode": "tozero"},
    )  # fmt: skip
    return Chart("loss", TITLE, _say(facts), numbers, {"by layer": figure} if rows else {})


def _say(facts: Facts) -> str:
    return " ".join(filter(None, (_say_accuracy(facts), _say_place(facts))))


def _say_accuracy(facts: Facts) -> str:
    """Return accuracies on the input of the report, or the answers that are the same."""
    now = facts.measured
    if facts.request.x is None:
        return ""
    samples = f"{len(facts.request.x):,} samples of this report"
    if now.accuracy is not None and now.float_accuracy is not None:
        return (
            f"Accuracy {now.accuracy:.1%} as integers, {now.float_accuracy:.1%} as floats, on the"
            f" {samples}."
        )
    if now.accuracy is not None:
        return f"Accuracy {now.accuracy:.1%} as integers; the floats are unknown, on the {samples}."
    if now.same_answers is not None:
        return f"{now.same_answers:.1%} of the answers are those of the floats, on the {samples}."
    return "How the answers changed is unknown."


def _say_place(facts: Facts) -> str:
    """Return the calibration data's loss, and the layer that loses most."""
    loss = facts.program.loss
    if loss.status != "measured":
        text = str(loss)
        return f"{text[0].upper()}{text[1:]}."
    worst = max(loss.populations, key=_order, default=None)
    layer = ""
    if worst is not None and worst.rate_error is None:
        layer = f", most is lost in {worst.population}, which is silent as floats and fires now"
    elif worst is not None and worst.rate_error:
        layer = (
            f", most is lost in {worst.population}, whose rates are off by {worst.rate_error:.2%}"
        )
    if loss.answers is None:
        return f"One output gives no answer that could differ{layer}."
    return f"On the calibration data {loss.answers}{layer}."


def _order(row: PopulationLoss) -> float:
    return float("inf") if row.rate_error is None else row.rate_error
