"""Does it fit, and what limits it: the use of each limit by the cores."""

from __future__ import annotations

from snncompile.cores.resources import read_core_limits
from snncompile.report.html.chart import COLORS, Chart, Numbers, make_figure, wrap
from snncompile.report.html.facts import Facts


def chart_fit(facts: Facts) -> Chart:
    """Return the fullest and the mean core of each limit."""
    limits = read_core_limits(facts.program.chip)
    rows = []
    for name, limit in limits.items():
        if not limit or not facts.usage:
            continue
        used = [core.used[name] for core in facts.usage]
        fullest = facts.usage[used.index(max(used))].core
        rows.append((name, max(used) / limit, sum(used) / len(used) / limit, fullest, limit))
    rows.sort(key=lambda row: -row[1])
    names = [wrap(facts.words[row[0]]) for row in rows]
    shares, means = [row[1] for row in rows], [row[2] for row in rows]
    hints = [f"core {row[3]}: {row[1] * row[4]:,.0f} of {row[4]:,}" for row in rows]
    figure = make_figure(
        [
            _bar("fullest core", names, shares, COLORS[0], hints),
            _bar("mean of the cores", names, means, COLORS[5], None),
        ],
        height=110 + 44 * len(rows),
        barmode="group",
        bargap=0.25,
        xaxis={
            "tickformat": ".0%",
            "range": [0, max([1.06, *(1.06 * share for share in shares)])],
            "title": {"text": "share of the limit"},
        },
        yaxis={"autorange": "reversed"},
        shapes=[_line_at(1.0)],
    )
    numbers = Numbers.of(
        ("limit", "fullest core", "used there", "available", "share", "mean share"),
        [(facts.words[n], core, round(s * limit), limit, s, mean)
         for n, s, mean, core, limit in rows],
    )  # fmt: skip
    figures = {"all limits": figure} if rows else {}
    return Chart("fit", "Does it fit, and what limits it?", _say(facts, rows), numbers, figures)


def _say(facts: Facts, rows: list[tuple[str, float, float, int, int]]) -> str:
    mapping, chip = facts.program.mapping, facts.program.chip
    cores = chip.mesh.cores.whole
    there = "an unknown number" if cores is None else f"{cores * chip.chips:,}"
    boards = f" on {mapping.chips:,} of {chip.chips:,} chips" if chip.chips > 1 else ""
    text = f"It fits: {mapping.cores:,} of {there} cores of {chip.full_name}{boards}."
    if not rows:
        return f"{text} What limits a core is unknown: the chip file knows no limit."
    name, share, _, core, limit = rows[0]
    layers = ", ".join(dict.fromkeys(s.population for s in facts.usage[core].slices))
    return (
        f"{text} The fullest limit is {facts.words[name]}: core {core} ({layers}) uses"
        f" {share * limit:,.0f} of {limit:,}, {share:.1%}."
    )


def _bar(
    name: str, names: list[str], values: list[float], color: str, hints: list[str] | None
) -> dict[str, object]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": names,
        "x": values,
        "marker": {"color": color},
        "text": [f"{value:.1%}" for value in values],
        "textposition": "auto",
        "hovertext": hints or [""] * len(names),
        "hovertemplate": "%{y}: %{x:.1%}<br>%{hovertext}<extra></extra>",
    }


def _line_at(x: float) -> dict[str, object]:
    """Return the line of the limit itself."""
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
    return {"type": "line", **ends, "line": {"color": COLORS[3], "width": 2, "dash": "dot"}}
