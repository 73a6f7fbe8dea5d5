"""The page: facts become charts, charts become the text of one HTML file."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from snncompile import __version__
from snncompile.backends.energy.result import Estimate
from snncompile.errors import InputError
from snncompile.report.html.chart import Chart
from snncompile.report.html.charts.advice import chart_advice
from snncompile.report.html.charts.core_map import chart_cores, list_links
from snncompile.report.html.charts.energy import chart_energy
from snncompile.report.html.charts.fit import chart_fit
from snncompile.report.html.charts.layers import chart_layers, chart_weights
from snncompile.report.html.charts.loss import chart_loss
from snncompile.report.html.charts.network_graph import chart_network
from snncompile.report.html.charts.raster import chart_raster
from snncompile.report.html.charts.runs import chart_runs
from snncompile.report.html.charts.side_by_side import chart_side_by_side
from snncompile.report.html.charts.sources import chart_sources
from snncompile.report.html.charts.step import chart_step
from snncompile.report.html.charts.time import chart_time
from snncompile.report.html.document import MARK
from snncompile.report.html.facts import Facts
from snncompile.report.units import format_joules, format_seconds, name_events

Charter = Callable[[Facts], Chart]
QUESTIONS: tuple[Charter, ...] = (chart_fit, chart_loss, chart_time, chart_energy, chart_advice)
"""The five questions, in their order."""
DETAILS: tuple[Charter, ...] = (
    chart_cores, list_links, chart_network, chart_layers, chart_weights, chart_step, chart_raster,
    chart_runs, chart_sources,
)  # fmt: skip
UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029'"}
"""Characters that end a script or are none in JavaScript."""


def render(builds: tuple[Facts, ...]) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the HTML of some builds, and the sentence that answers each question, by build.

    Raises:
        InputError: plotly is not installed.
    """
    script = read_plotly()
    charts: dict[str, Chart] = {}

    def draw(facts: Facts, number: int, charters: tuple[Charter, ...]) -> list[tuple[str, Chart]]:
        drawn = [(f"b{number}-{chart.key}", chart) for chart in (c(facts) for c in charters)]
        charts.update(drawn)
        return drawn

    questions = [draw(facts, i, QUESTIONS) for i, facts in enumerate(builds)]
    details = [draw(facts, i, DETAILS) for i, facts in enumerate(builds)]
    compare = chart_side_by_side(builds) if len(builds) > 1 else None
    if compare:
        charts["compare"] = compare
    template = load_environment().get_template("report.html.j2")
    html = template.render(
        mark=MARK,
        title=" · ".join(dict.fromkeys(f.program.network.title for f in builds)),
        builds=[_describe(facts) for facts in builds],
        by_question=list(zip(*questions, strict=True)),
        details=details,
        compare=compare,
        data=to_script({key: _serialize(chart, key, builds) for key, chart in charts.items()}),
        style=read_template("report.css"),
        script=read_template("report.js"),
        plotly=script,
        version=__version__,
    )
    answers = {
        facts.name: {chart.key: chart.sentence for _, chart in own}
        for facts, own in zip(builds, questions, strict=True)
    }
    return html, answers


@cache
def load_environment() -> Environment:
    """Return the templates of pages."""
    loader = PackageLoader("snncompile.report.html", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)


def read_template(name: str) -> str:
    """Return a file of the templates as it is."""
    return (files("snncompile.report.html") / "templates" / name).read_text("utf-8")


def read_plotly() -> str:
    """Return plotly's JavaScript.

    Raises:
        InputError: plotly is not installed.
    """
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("a report needs plotly: pip install 'snncompile[report]'")
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    if not path.is_file():
        raise InputError(f"a report needs plotly's {path.name}, which this plotly lacks: update it")
    return path.read_text("utf-8").replace("</script", "<\\/script")


def to_script(values: Any) -> str:
    """Return values as JSON that cannot leave the script element it stands in."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.translate(UNSAFE)


def _serialize(chart: Chart, key: str, builds: tuple[Facts, ...]) -> dict[str, Any]:
    number = key.partition("-")[0].removeprefix("b")
    name = builds[int(number)].name if number.isdigit() else "builds"
    return {
        "file": "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{name}-{chart.key}.csv"),
        "figures": list(chart.figures.items()),
        "columns": chart.numbers.columns,
        "rows": chart.numbers.rows,
        "csv": chart.numbers.write_csv() if chart.numbers.columns else "",
    }


def _describe(facts: Facts) -> dict[str, Any]:
    """Return the head of a build: its tiles and warnings."""
    now, program, estimate = facts.measured, facts.program, facts.estimate
    tiles = [
        ("chip", program.chip.full_name),
        ("cores", f"{now.cores:,}" + (f" on {now.chips:,} chips" if now.chips > 1 else "")),
        ("energy" + " *" * bool(estimate and estimate.unpriced), format_joules(now.energy_j)),
        ("latency" + " *" * bool(estimate and estimate.untimed), format_seconds(now.latency_s)),
        ("accuracy", "unknown" if now.accuracy is None else f"{now.accuracy:.1%}"),
        ("as floats", "unknown" if now.float_accuracy is None else f"{now.float_accuracy:.1%}"),
    ]
    return {
        "name": facts.name,
        "title": program.network.title,
        "tiles": tiles,
        "warnings": list_warnings(facts),
        "samples": 0 if facts.request.x is None else len(facts.request.x),
        "available": facts.request.available,
        "meaning": program.meaning,
        "passes": program.passes,
    }


def list_warnings(facts: Facts) -> list[str]:
    """Return what a reader has to know before any figure."""
    program = facts.program
    lines: list[str] = []
    if program.loss.status == "unknown":
        lines.append(str(program.loss))
    kinds = {p.neuron.kind for p in program.network.populations}
    if program.chip.fidelity.of_neurons(kinds) == "other":
        lines.append(f"fidelity: {program.chip.describe_fidelity(kinds)}")
    if facts.why_not:
        lines.append(f"no energy, time or accuracy: {facts.why_not}")
    lines += _list_doubts(facts.estimate) if facts.estimate else []
    if facts.verification is not None and not facts.verification.equal:
        lines.append(f"runs that promise equal outputs differ: {facts.verification.first}")
    lines += program.warnings
    return lines + [f"bounds: {bound}" for bound in program.bounds if not bound.holds]


def _list_doubts(estimate: Estimate) -> list[str]:
    """Return what an estimate lacks and assumes."""
    lines = []
    for mark, names in (("energy", estimate.unpriced), ("latency", estimate.untimed)):
        if names:
            price = "price" if mark == "energy" else "time"
            lines.append(
                f"{mark} *: cost set {estimate.costs} has no {price} of {name_events(names)}"
            )
    lines += [f"assumed: {assumption}" for assumption in estimate.assumed]
    if estimate.proof is not None and estimate.proof.lapsed:
        lines.append(str(estimate.proof))
    return lines
