"""Several Programs side by side: every figure in one table, the main ones as bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snncompile.report.html.chart import Chart, Numbers, color_of, label, make_figure
from snncompile.report.html.facts import Facts
from snncompile.report.units import UNKNOWN, format_joules, format_seconds, name_events


@dataclass(frozen=True)
class Measure:
    """One figure of a Program."""

    title: str
    read: Callable[[Facts], float | None]
    show: Callable[[float | None], str]
    less: bool | None = True
    """Whether less is better; None: neither."""


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"


def _find_fullest(facts: Facts) -> float | None:
    return max((s for own in facts.shares.values() for s in own.values()), default=None)


def _find_loss(facts: Facts) -> float | None:
    answers = facts.program.loss.answers
    return None if answers is None else answers.share


MEASURES = (
    Measure("cores", lambda f: f.measured.cores, _count),
    Measure("chips", lambda f: f.measured.chips, _count),
    Measure("fullest limit", _find_fullest, _share, None),
    Measure("energy per inference", lambda f: f.measured.energy_j, format_joules),
    Measure("latency", lambda f: f.measured.latency_s, format_seconds),
    Measure("accuracy (integers)", lambda f: f.measured.accuracy, _share, False),
    Measure("accuracy (floats)", lambda f: f.measured.float_accuracy, _share, None),
    Measure("answers as of the floats", lambda f: f.measured.same_answers, _share, False),
    Measure("answers lost on calibration data", _find_loss, _share),
)


def chart_side_by_side(builds: tuple[Facts, ...]) -> Chart:
    """Return the figures of all builds; the best of each row is marked."""
    rows = []
    for measure in MEASURES:
        values = [measure.read(facts) for facts in builds]
        best = find_best(values, measure.less, _list_lacking(measure, builds))
        cells = [
            measure.show(value) + (" ★" if i in best else "") + _mark(measure, facts)
            for i, (value, facts) in enumerate(zip(values, builds, strict=True))
        ]
        rows.append((measure.title, *cells))
    rows.insert(0, ("chip", *(facts.program.chip.full_name for facts in builds)))
    rows.append(("cost set", *(_name_costs(facts) for facts in builds)))
    for title, quantity in SUMS.items():
        if any(_lacks(facts, title) for facts in builds):
            lacking = (name_events(_lacks(facts, title)) or "nothing" for facts in builds)
            rows.append((f"{quantity} * is without", *lacking))
    numbers = Numbers.of(("figure", *(facts.name for facts in builds)), rows)
    return Chart("compare", "Side by side", _say(builds), numbers, _make_figures(builds))


def find_best(
    values: list[float | None], less: bool | None, lacking: list[tuple[str, ...]]
) -> set[int]:
    """Return the builds with the best value; none if one is unknown or sums lack other prices."""
    if less is None or any(value is None for value in values) or len(set(lacking)) > 1:
        return set()
    known = [value for value in values if value is not None]
    best = min(known) if less else max(known)
    if all(value == best for value in known):
        return set()
    return {i for i, value in enumerate(known) if value == best}


SUMS = {"energy per inference": "energy", "latency": "latency"}
"""Figures that lack what has no price or time."""


def _list_lacking(measure: Measure, builds: tuple[Facts, ...]) -> list[tuple[str, ...]]:
    """Return what the figure of each build lacks."""
    return [_lacks(facts, measure.title) for facts in builds]


def _lacks(facts: Facts, title: str) -> tuple[str, ...]:
    """Return what a figure lacks: events without a price or a time."""
    if facts.estimate is None or title not in SUMS:
        return ()
    return facts.estimate.untimed if SUMS[title] == "latency" else facts.estimate.unpriced


def _mark(measure: Measure, facts: Facts) -> str:
    """Return ` *` where a sum lacks prices or times."""
    return " *" if measure.read(facts) is not None and _lacks(facts, measure.title) else ""


def _name_costs(facts: Facts) -> str:
    return facts.estimate.costs if facts.estimate else UNKNOWN


def _make_figures(builds: tuple[Facts, ...]) -> dict[str, dict[str, object]]:
    figures = {}
    names = [label(facts.name) for facts in builds]
    for measure in MEASURES:
        values = [measure.read(facts) for facts in builds]
        if all(value is None for value in values):
            continue
        bar = {
            "type": "bar", "x": names, "y": values, "text": [measure.show(v) for v in values],
            "textposition": "outside", "cliponaxis": False, "hoverinfo": "x+text",
            "marker": {"color": [color_of(i) for i in range(len(builds))]},
        }  # fmt: skip
        figures[measure.title] = make_figure(
            [bar], height=280, xaxis={"type": "category"},
            margin={"l": 60, "r": 16, "t": 30, "b": 40},
            yaxis={"title": {"text": measure.title}, "rangemode": "tozero", "exponentformat": "SI"},
        )  # fmt: skip
    return figures


def _say(builds: tuple[Facts, ...]) -> str:
    texts = []
    for measure in MEASURES:
        if measure.title not in ("cores", "energy per inference", "latency", "accuracy (integers)"):
            continue
        values = [measure.read(facts) for facts in builds]
        best = find_best(values, measure.less, _list_lacking(measure, builds))
        if best:
            first = min(best)
            word = "fewest" if measure.title == "cores" else "least" if measure.less else "best"
            also = f" and {len(best) - 1} more" if len(best) > 1 else ""
            value = measure.show(values[first])
            texts.append(f"{word} {measure.title}: {builds[first].name}{also} ({value})")
    for title, quantity in SUMS.items():
        if len({_lacks(facts, title) for facts in builds}) > 1:
            texts.append(f"{quantity} is not ranked, as some builds lack what others have")
    if not texts:
        return "No build is better than the others in a figure that is known of all."
    text = "; ".join(texts)
    return f"{text[0].upper()}{text[1:]}."
