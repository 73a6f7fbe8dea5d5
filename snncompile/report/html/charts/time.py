"""Where does the time go: the steps of an inference, and what each waits for."""

from __future__ import annotations

from collections import Counter

import numpy as np

from snncompile.backends.energy.result import Estimate
from snncompile.report.html.chart import COLORS, Cell, Chart, Numbers, make_figure
from snncompile.report.html.charts.bounds import name_bound, sort_bound
from snncompile.report.html.facts import Facts
from snncompile.report.units import format_seconds, name_events

TITLE = "Where does the time go?"
KINDS = ("a core sends", "a core receives", "a link", "barrier sync", "shortest time step")


WAITS = {
    "a core sends": "a core that sends",
    "a core receives": "a core that receives",
}


def chart_time(facts: Facts) -> Chart:
    """Return the duration of each step, split by what bounds it in how many samples."""
    estimate = facts.estimate
    if estimate is None:
        return Chart("time", TITLE, f"Unknown: {facts.why_not}.", Numbers((), ()))
    steps = estimate.by_step
    kind = np.array([KINDS.index(sort_bound(name)) for name in steps.bound_names])
    known = ~np.isnan(steps.seconds)
    shares = [
        np.where((kind[steps.bound] == i) & known, steps.seconds, 0.0).sum(0) / len(steps.seconds)
        for i in range(len(KINDS))
    ]
    data = [
        {"type": "bar", "name": name, "x": list(range(estimate.steps)),
         "y": [float(f"{v:.4g}") for v in share * 1e6],
         "marker": {"color": COLORS[i]},
         "hovertemplate": f"step %{{x}}<br>{name}: %{{y:.4g}} us<extra></extra>"}
        for i, (name, share) in enumerate(zip(KINDS, shares, strict=True))
        if share.any()
    ]  # fmt: skip
    figure = make_figure(
        data, barmode="stack", bargap=0.08,
        xaxis={"title": {"text": "time step"}}, yaxis={"title": {"text": "us"}},
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for step in range(estimate.steps):
        seen = steps.seconds[:, step][known[:, step]]
        names = Counter(steps.bound[known[:, step], step].tolist()).most_common(1)
        bound = name_bound(facts, steps.bound_names[names[0][0]]) if names else None
        mean = float(seen.mean()) if len(seen) else None
        rows.append((step, mean, float(seen.max()) if len(seen) else None, bound))
    numbers = Numbers.of(("time step", "mean s", "longest s", "most often bound by"), rows)
    figures = {"by step": figure} if data else {}
    return Chart("time", TITLE, _say(facts, estimate), numbers, figures)


def _say(facts: Facts, estimate: Estimate) -> str:
    lacking = name_events(estimate.untimed)
    if estimate.latency_s is None:
        return f"The time is unknown: cost set {estimate.costs} has no time of {lacking}."
    time = format_seconds(estimate.latency_s)
    text = f"{time} per inference of {estimate.steps:,} time steps"
    without = f"; {lacking} have no time and are not in it" if lacking else ""
    end = f" (cost set {estimate.costs}, timing {estimate.timing}{without})."
    first = next(iter(estimate.bounds), None)
    if first is None:
        return text + end
    shares: Counter[str] = Counter()
    for name, share in estimate.bounds.items():
        shares[sort_bound(name)] += share  # type: ignore[assignment]
    kind, share = shares.most_common(1)[0]
    names = [name for name in estimate.bounds if sort_bound(name) == kind]
    often = name_bound(facts, names[0])
    if len(names) > 1:
        often = f"{WAITS.get(kind, kind)}, most often {often}"
    return f"{text}; {share:.0%} of the steps wait for {often}{end}"
