"""The longest time step: what each of its busiest cores and links does, and for how long."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from snncompile.backends.energy.events import RECEIVING, SENDING
from snncompile.backends.energy.result import Steps
from snncompile.report.html.chart import Cell, Chart, Numbers, make_figure, wrap
from snncompile.report.html.charts.bounds import name_bound, name_layers
from snncompile.report.html.charts.energy import color_event
from snncompile.report.html.facts import Facts
from snncompile.report.units import format_seconds

TITLE = "The longest time step"
MOST_BARS = 14


def chart_step(facts: Facts) -> Chart:
    """Return the work of the busiest halves of cores in the step that is longest in the mean."""
    estimate = facts.estimate
    if estimate is None or estimate.latency_s is None:
        why = facts.why_not or "the cost set has no times"
        return Chart("step", TITLE, f"Unknown: {why}.", Numbers((), ()))
    steps = estimate.by_step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a step without any known time is NaN
        means = np.nanmean(steps.seconds, axis=0)
    step = int(np.nanargmax(means))
    work = list_work(facts, steps, step)
    rows: list[tuple[Cell, ...]] = [
        (title, event, count, seconds) for title, events in work for event, count, seconds in events
    ]
    numbers = Numbers.of(("busy", "event", "events", "seconds"), rows)
    bars = work[:MOST_BARS][::-1]
    events = list(dict.fromkeys(event for _, own in bars for event, _, s in own if s))
    data: list[dict[str, Any]] = []
    for event in events:
        values = [sum(s or 0.0 for e, _, s in own if e == event) * 1e6 for _, own in bars]
        data.append(
            {"type": "bar", "orientation": "h", "name": event.replace("_", " "),
             "y": [wrap(title, 30) for title, _ in bars], "x": values,
             "marker": {"color": color_event(event)},
             "hovertemplate": f"%{{y}}<br>{event}: %{{x:.4g}} us<extra></extra>"}
        )  # fmt: skip
    figure = make_figure(
        data, height=140 + 30 * len(bars), barmode="stack",
        xaxis={"title": {"text": "us, mean of the samples"}, "rangemode": "tozero"},
    )  # fmt: skip
    names = [steps.bound_names[i] for i in steps.bound[~np.isnan(steps.seconds[:, step]), step]]
    often = max(dict.fromkeys(names), key=names.count)
    text = (
        f"Step {step} takes {format_seconds(float(means[step]))} in the mean; in"
        f" {names.count(often)} of {len(names)} samples it is bound by {name_bound(facts, often)}."
    )
    if not data:
        text += " The time of the work itself is unknown."
    return Chart("step", TITLE, text, numbers, {"busiest": figure} if data else {})


Events = list[tuple[str, float, float | None]]
"""Name, number, seconds; None: the time of the event is not known."""


def list_work(facts: Facts, steps: Steps, step: int) -> list[tuple[str, Events]]:
    """Return the work of each half of a core in a step, the longest first."""
    counts = steps.counts[step]
    cores = np.array([half.core for half in steps.parts])
    work: list[tuple[str, Events]] = []
    for core in np.unique(cores):
        own = counts[cores == core].sum(axis=0)
        host = facts.layout.host is not None and core == facts.layout.host
        where = "the host" if host else f"core {core}"
        layers = "" if host else f" ({name_layers(facts, int(core))})"
        for way, names in (("sending", SENDING), ("receiving", RECEIVING)):
            events = [_take(steps, own, name) for name in names]
            kept = [event for event in events if event[1]]
            if kept:
                work.append((f"{where} {way}{layers}", kept))
    return sorted(work, key=lambda entry: -sum(s or 0.0 for *_, s in entry[1]))


def _take(steps: Steps, counts: Any, name: str) -> tuple[str, float, float | None]:
    column = steps.events.index(name)
    time = float(steps.time_ns[column]) * 1e-9
    count = float(counts[column])
    return name, count, None if np.isnan(time) else count * time
