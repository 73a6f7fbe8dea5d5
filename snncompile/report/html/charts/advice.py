"""Which change would help most: changes that were tried, with what each brought."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from snncompile.report.html.attempts import Attempt, Measured
from snncompile.report.html.chart import COLORS, Cell, Chart, Numbers, make_figure, wrap
from snncompile.report.html.facts import Facts
from snncompile.report.units import format_joules, format_scaled, format_seconds

TITLE = "Which change would help most?"
TOLERATED = 0.01
"""Accuracy (or share of equal answers) that a change may cost and still be named."""
LEAST = 0.02
"""Saving below which a change is no help."""


@dataclass(frozen=True)
class Gain:
    """A quantity that a change makes smaller, as a share of what it is now."""

    attempt: Attempt
    quantity: str
    share: float
    figures: str


def chart_advice(facts: Facts) -> Chart:
    """Return cores, energy and latency of every change as shares of those now."""
    now, tried = facts.measured, [a for a in facts.attempts if a.measured is not None]
    rows = [_make_row("as it is", now, now, "")]
    rows += [_make_row(a.title, a.measured, now, a.why) for a in facts.attempts]
    columns = ("change", "cores", "chips", "energy J", "latency s", "accuracy or equal answers",
               "cores now = 1", "energy now = 1", "latency now = 1", "why not")  # fmt: skip
    numbers = Numbers.of(columns, rows)
    titles = [a.title for a in tried]
    shares = {row[0]: row[6:9] for row in rows}
    data = [
        {"type": "bar", "orientation": "h", "name": name, "y": [wrap(title) for title in titles],
         "x": [shares[title][i] for title in titles], "marker": {"color": COLORS[color]},
         "hovertemplate": f"%{{y}}<br>{name}: %{{x:.2f}} of now<extra></extra>"}
        for i, (name, color) in enumerate((("cores", 0), ("energy", 1), ("latency", 2)))
        if any(shares[title][i] is not None for title in titles)
    ]  # fmt: skip
    known = [v for title in titles for v in shares[title] if isinstance(v, int | float) and v > 0]
    figure = make_figure(
        data, height=130 + 62 * len(titles), barmode="group",
        xaxis={"title": {"text": "times what it is now"}, "tickangle": 0} | _choose_axis(known),
        yaxis={"autorange": "reversed"},
        shapes=[{"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper",
                 "line": {"color": "#1f2933", "dash": "dot"}}],
    )  # fmt: skip
    return Chart("advice", TITLE, _say(facts), numbers, {"all changes": figure} if data else {})


def _choose_axis(shares: list[float]) -> dict[str, object]:
    """Return a linear axis, or a logarithmic one where some share is far from the others."""
    low, high = min([*shares, 1.0]), max([*shares, 1.0])
    if high <= 5:
        return {"rangemode": "tozero"}
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    ends = [math.log10(low) - 0.15, math.log10(high) + 0.1]
    return {
        "type": "log",
        "range": ends,
        "tickvals": ticks,
        "ticktext": [f"{tick:,g}" for tick in ticks],
    }


def _make_row(title: str, m: Measured | None, now: Measured, why: str) -> tuple[Cell, ...]:
    if m is None:
        return (title, *(None,) * 8, why)
    return (
        title, m.cores, m.chips, m.energy_j, m.latency_s, m.quality,
        _divide(m.cores, now.cores), _divide(m.energy_j, now.energy_j),
        _divide(m.latency_s, now.latency_s), why,
    )  # fmt: skip


def _divide(value: float | None, now: float | None) -> float | None:
    return None if value is None or not now else value / now


def list_gains(now: Measured, attempts: tuple[Attempt, ...]) -> list[Gain]:
    """Return what the changes save without losing more than `TOLERATED`, the largest first."""
    gains = []
    for attempt in attempts:
        m = attempt.measured
        if m is None or _costs_answers(now, m):
            continue
        pairs: list[tuple[str, Any, Any, Any]] = [
            ("cores", m.cores, now.cores, lambda v: f"{v:,}"),
            ("energy", m.energy_j, now.energy_j, format_joules),
            ("latency", m.latency_s, now.latency_s, format_seconds),
        ]
        for quantity, lacks in (("energy", _list_unpriced), ("latency", _list_untimed)):
            if not set(lacks(m)) <= set(lacks(now)):  # the sum may be smaller for that alone
                pairs = [pair for pair in pairs if pair[0] != quantity]
        for quantity, value, old, show in pairs:
            share = _divide(value, old)
            if share is not None and share < 1 - LEAST:
                figures = f"{show(old)} → {show(value)}"
                gains.append(Gain(attempt, quantity, 1 - share, figures))
    return sorted(gains, key=lambda gain: -gain.share)


def _costs_answers(now: Measured, m: Measured) -> bool:
    if now.quality is None or m.quality is None:
        return False
    return m.quality < now.quality - TOLERATED


def _list_unpriced(m: Measured) -> tuple[str, ...]:
    return m.estimate.unpriced if m.estimate else ()


def _list_untimed(m: Measured) -> tuple[str, ...]:
    return m.estimate.untimed if m.estimate else ()


def _say(facts: Facts) -> str:
    tried = [a for a in facts.attempts if a.measured is not None]
    if not tried:
        why = facts.why_not or next((a.why for a in facts.attempts), "nothing can be tried")
        return f"Unknown: {why.removeprefix('not tried: ')}."
    count = f"{len(tried)} of {len(facts.attempts)} changes were compiled and measured"
    gains = list_gains(facts.measured, facts.attempts)
    if not gains:
        return (
            f"{count}; none saves {LEAST:.0%} of cores, energy or latency without losing more than"
            f" {TOLERATED:.0%} of the answers."
        )
    best = gains[0]
    own = [g for g in gains if g.attempt is best.attempt]
    saved = ", ".join(f"{g.quantity} -{g.share:.0%} ({g.figures})" for g in own)
    title = f"{best.attempt.title[:1].upper()}{best.attempt.title[1:]}"
    return f"{title}: {saved}{_say_price(facts.measured, best)}. {count}."


def _say_price(now: Measured, best: Gain) -> str:
    """Return what the change costs: quantities that grow, and its answers."""
    m = best.attempt.measured
    assert m is not None
    pairs = (
        ("cores", m.cores, now.cores, ""),
        ("energy", m.energy_j, now.energy_j, "J"),
        ("latency", m.latency_s, now.latency_s, "s"),
    )
    grown = [
        f"{name} {_show(old, unit)} → {_show(value, unit)}"
        for name, value, old, unit in pairs
        if (share := _divide(value, old)) is not None and share > 1 + LEAST
    ]
    text = f"; it costs {', '.join(grown)}" if grown else ""
    if now.quality is None or m.quality is None:
        return f"{text}; what the answers lose is unknown"
    kind = "accuracy" if now.accuracy is not None else "answers as of the floats"
    return f"{text}; {kind} {now.quality:.1%} → {m.quality:.1%}"


def _show(value: float | None, unit: str) -> str:
    return f"{value:,}" if not unit else format_scaled(value, unit)
