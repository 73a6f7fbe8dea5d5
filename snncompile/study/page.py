"""The page of a sweep: its trials as points, each of which opens its build."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

from snncompile import __version__
from snncompile.files.replace import begins_with, replace_file
from snncompile.report.html.chart import Chart, Figure, Numbers, color_of, label, make_figure
from snncompile.report.html.document import MARK
from snncompile.report.html.page import load_environment, read_plotly, read_template, to_script
from snncompile.study.drive import Sweep
from snncompile.study.front import Row, is_ranked
from snncompile.study.points import find_model
from snncompile.study.tables import (
    MEASURES,
    list_columns,
    list_varied,
    read_choice,
    shorten_fields,
    show_measure,
    summarize,
)

REPORTED = 32
"""Samples that the report of a build runs."""
AXES = {"energy": "energy per inference (J)", "latency": "latency (s)", "cores": "cores"}
Links = dict[str, str]
"""Name of a trial -> what its point opens, relative to the page."""


def write_page(path: Path, sweep: Sweep, say: Callable[[str, float], None] | None = None) -> None:
    """Write the page, and beside it a report of each build on the front.

    Points of the front open their report, other points the folder of their build.

    Args:
        path: HTML file to write; the reports go to `NAME.builds/` beside it.
        sweep: a finished one.
        say: called with what is done and the share that is done.

    Raises:
        InputError: plotly is missing, at the path is something else, or it cannot be written.
    """
    read_plotly()
    links = _link_folders(path, sweep)
    reports = path.with_suffix(".builds")
    for number, row in enumerate(sweep.front.front):
        if say:
            say(f"report of {row.point}", number / len(sweep.front.front))
        links[row.key] = quote(f"{reports.name}/{row.key}.html")
        _write_report(reports / f"{row.key}.html", sweep, row)
    html = render_page(sweep, links)
    with replace_file(path, begins_with(MARK)) as aside:
        aside.write_text(html, encoding="utf-8")


def _link_folders(path: Path, sweep: Sweep) -> Links:
    builds = ((row.key, sweep.find_build(row)) for row in sweep.rows)
    parent = path.resolve().parent
    return {
        key: quote(Path(os.path.relpath(build.resolve(), parent)).as_posix()) + "/"
        for key, build in builds
        if build is not None
    }


def _write_report(path: Path, sweep: Sweep, row: Row) -> None:
    """Write the report of one build, unless it is there."""
    from snncompile.compiler import load
    from snncompile.program import Program
    from snncompile.report.html.write import make_report
    from snncompile.study.trial import read_shown

    build = sweep.find_build(row)
    if path.exists() or build is None:
        return
    study = sweep.front.study
    program = load(build)
    assert isinstance(program, Program)
    data = find_model(study, row.point).data or study.data
    x, known = read_shown(Path(data), program.network, REPORTED) if data else (None, None)
    make_report([(str(row.point), program)], x, known, samples=REPORTED, seconds=0).write(path)


def render_page(sweep: Sweep, links: Links) -> str:
    """Return the HTML of a sweep.

    Raises:
        InputError: plotly is not installed.
    """
    chart = chart_trials(sweep, links)
    varied = list_varied(sweep.front)
    measures = [m for m in MEASURES if m == "cores" or m in sweep.front.study.wanted]
    front = [
        {
            "cells": [
                *(read_choice(row, name) for name in varied),
                *(show_measure(row, m) for m in measures),
            ],
            "link": links[row.key],
        }
        for row in sweep.front.front
    ]
    data = {
        "file": "trials.csv",
        "figures": list(chart.figures.items()),
        "columns": chart.numbers.columns,
        "rows": chart.numbers.rows,
        "csv": chart.numbers.write_csv(),
    }
    return (
        load_environment()
        .get_template("front.html.j2")
        .render(
            mark=MARK,
            title=sweep.front.study.name,
            version=__version__,
            trials=len(sweep.rows),
            chart=chart,
            columns=[*shorten_fields(varied), *measures],
            front=front,
            lines=summarize(sweep),
            data=to_script({"front": data}),
            style=read_template("report.css"),
            script=read_template("report.js"),
            plotly=read_plotly(),
        )
    )


def chart_trials(sweep: Sweep, links: Links) -> Chart:
    """Return every ranked trial by each pair of objectives; the front is joined by a line."""
    study = sweep.front.study
    pairs = list(combinations(study.objectives, 2)) or [(study.objectives[0], "cores")]
    figures = {f"{up} over {right}": _draw(sweep, links, up, right) for up, right in pairs}
    columns = list_columns(sweep)
    numbers = Numbers.of(
        tuple(columns),
        ([_make_cell(cell) for cell in row] for row in zip(*columns.values(), strict=True)),
    )
    return Chart("front", "Which is the best", _say(sweep), numbers, figures)


def _make_cell(value: Any) -> Any:
    """Return a value for a table; yes and no in place of true and false."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _say(sweep: Sweep) -> str:
    front = sweep.front
    if not front.front:
        return "No trial fits and has a value of every objective."
    if sweep.best is None:
        return (
            f"Nothing keeps the budgets; of all trials {len(front.front)} are on the front, which"
            " means that none is better in one objective and as good in all others."
        )
    values = ", ".join(f"{o} {show_measure(sweep.best, o)}" for o in front.study.objectives)
    return (
        f"Best by {front.study.objectives[0]}: {sweep.best.point} ({values}); {len(front.front)}"
        " trials are on the front. Click a point to open its build."
    )


def _draw(sweep: Sweep, links: Links, up: str, right: str) -> Figure:
    rows = [row for row in sweep.rows if is_ranked(sweep.front.study, row)]
    on_front = {row.key for row in sweep.front.front}
    chips = list(dict.fromkeys(row.point.chip for row in rows))
    traces = [
        _make_trace([r for r in rows if r.point.chip == chip], links, on_front, up, right, index)
        for index, chip in enumerate(chips)
    ]
    line = sorted(sweep.front.front, key=lambda row: row.outcome.measure(right) or 0.0)
    if len(sweep.front.study.objectives) == 2:
        traces.insert(0, {
            "type": "scatter", "mode": "lines", "name": "front", "hoverinfo": "skip",
            "x": [r.outcome.measure(right) for r in line],
            "y": [r.outcome.measure(up) for r in line],
            "line": {"color": "#9aa5b1", "width": 1, "dash": "dot"},
        })  # fmt: skip
    return make_figure(
        traces, height=460, hovermode="closest",
        xaxis=_make_axis(right), yaxis=_make_axis(up),
    )  # fmt: skip


def _make_axis(objective: str) -> dict[str, Any]:
    share = objective in ("accuracy", "agreement")
    axis: dict[str, Any] = {"title": {"text": AXES.get(objective, objective)}}
    return axis | ({"tickformat": ".1%"} if share else {"exponentformat": "SI"})


def _make_trace(
    rows: list[Row], links: Links, on_front: set[str], up: str, right: str, index: int
) -> dict[str, Any]:
    shown = ("cores", *dict.fromkeys((up, right)))
    return {
        "type": "scatter", "mode": "markers", "name": label(rows[0].point.chip),
        "x": [r.outcome.measure(right) for r in rows],
        "y": [r.outcome.measure(up) for r in rows],
        "text": [
            "<br>".join([label(str(r.point)), *(f"{m}: {show_measure(r, m)}" for m in shown)])
            for r in rows
        ],
        "hoverinfo": "text",
        "customdata": [{"open": links.get(r.key, "")} for r in rows],
        "marker": {
            "color": color_of(index),
            "size": [13 if r.key in on_front else 7 for r in rows],
            "opacity": [1.0 if r.key in on_front else 0.5 for r in rows],
            "line": {"color": "#1f2933", "width": [1.5 if r.key in on_front else 0 for r in rows]},
        },
    }  # fmt: skip
