"""The cores on the mesh of all chips, by what limits them, by layer and by traffic."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.backends.energy.mesh import EAST, NORTH, WEST
from snncompile.report.html.chart import (
    COLORS,
    GRID,
    INK,
    PALE,
    Cell,
    Chart,
    Figure,
    Numbers,
    color_of,
    hide_axis,
    label,
    make_figure,
)
from snncompile.report.html.charts.bounds import name_layers
from snncompile.report.html.facts import Facts

LINKS = "links"
LEVELS = 5
"""Widths in which links are drawn."""
MOST_GROUPS = 10
"""Layers with a colour of their own; the others share a grey."""
NO_LIMIT = "no known limit"


@dataclass(frozen=True, eq=False)
class Plan:
    """Where cores are drawn: every tile is a square of cells, with a free cell between tiles."""

    column: dict[int, int]
    """By core, in cells."""
    row: dict[int, int]
    side: int
    """Cells of a tile in each direction."""
    left: int
    """First tile that is drawn."""
    top: int
    width: int
    """Tiles that are drawn."""
    height: int

    @property
    def pitch(self) -> int:
        """Cells from one tile to the next."""
        return self.side + 1

    def middle(self, tile: int, first: int) -> float:
        """Return the middle of a tile in cells."""
        return (tile - first) * self.pitch + (self.side - 1) / 2


def chart_cores(facts: Facts) -> Chart:
    """Return the map of the cores."""
    plan = make_plan(facts)
    figures = {
        "what limits": _draw(facts, plan, _group_by_limit(facts)),
        "layer": _draw(facts, plan, _group_by_layer(facts)),
    }
    if _list_links(facts):
        figures["traffic of the links"] = _draw(facts, plan, {}, links=True)
    return Chart("cores", "Cores on the mesh", _say(facts), list_cores(facts), figures)


def list_cores(facts: Facts) -> Numbers:
    """Return one row per core: place, layers, fullest limit, messages."""
    sites = {site.core: site for site in facts.program.mapping.sites}
    messages = _count_messages(facts)
    rows: list[tuple[Cell, ...]] = []
    for core in facts.usage:
        site, (name, share) = sites[core.core], find_fullest(facts, core.core)
        where = (core.core, site.chip, site.tile_x, site.tile_y)
        layers = ", ".join(s.where for s in core.slices)
        sent = messages.get(core.core, (None, None))
        rows.append((*where, layers, name, share, *sent, *core.used.values()))
    used = tuple(facts.usage[0].used) if facts.usage else ()
    words = tuple(facts.words.get(name, name) for name in used)
    head = ("core", "chip", "tile x", "tile y", "neurons", "fullest limit", "share",
            "messages out", "messages in")  # fmt: skip
    return Numbers.of((*head, *words), rows)


def list_links(facts: Facts) -> Chart:
    """Return the table of the links, the busiest first."""
    rows = sorted(_list_links(facts), key=lambda row: -row[1])
    text = f"Unknown: {facts.why_not}." if facts.why_not else "No message crosses a link."
    if rows:
        total = sum(row[1] for row in rows)
        text = (
            f"{total:,.0f} messages cross {len(rows):,} links per inference; the busiest is"
            f" {facts.mesh.name(rows[0][0])} with {rows[0][1]:,.1f}."
        )
    numbers = Numbers.of(
        ("link", "messages per inference"), [(facts.mesh.name(n), float(m)) for n, m in rows]
    )
    return Chart(LINKS, "Links by traffic", text, numbers)


def find_fullest(facts: Facts, core: int) -> tuple[str, float | None]:
    """Return the limit of which a core uses the largest share, in words, and the share."""
    shares = facts.shares.get(core, {})
    if not shares:
        return NO_LIMIT, None
    name = max(shares, key=lambda n: shares[n])
    return facts.words[name], shares[name]


def make_plan(facts: Facts) -> Plan:
    """Return the places of the cores, cut to the chips in use."""
    mesh, sites = facts.mesh, facts.program.mapping.sites
    x, y = mesh.x[: len(sites)], mesh.y[: len(sites)]
    per_tile = facts.program.chip.mesh.cores_per_tile.whole or 1
    side = math.isqrt(max(per_tile - 1, 0)) + 1
    left = int(x.min(initial=10**9)) // mesh.columns * mesh.columns if len(x) else 0
    top = int(y.min(initial=10**9)) // mesh.rows * mesh.rows if len(y) else 0
    width = (int(x.max(initial=0)) // mesh.columns + 1) * mesh.columns - left
    height = (int(y.max(initial=0)) // mesh.rows + 1) * mesh.rows - top
    held: defaultdict[tuple[int, int], int] = defaultdict(int)
    column, row = {}, {}
    for i, site in enumerate(facts.layout.sites[: len(sites)]):
        tile = (int(x[i]) - left, int(y[i]) - top)
        down, across = divmod(held[tile], side)
        held[tile] += 1
        column[site.core] = tile[0] * (side + 1) + across
        row[site.core] = tile[1] * (side + 1) + down
    return Plan(column, row, side, left, top, width, height)


Groups = dict[str, tuple[str, Callable[[int], float], list[int]]]
"""By text of the legend: colour, share of the full colour of a core, cores."""


def _group_by_limit(facts: Facts) -> Groups:
    cores: defaultdict[str, list[int]] = defaultdict(list)
    share: dict[int, float] = {}
    for core in facts.usage:
        name, value = find_fullest(facts, core.core)
        cores[name].append(core.core)
        share[core.core] = 0.5 if value is None else value
    order = [*(w for w in facts.words.values() if w in cores), *([NO_LIMIT] * (NO_LIMIT in cores))]
    colors = {word: color_of(i) for i, word in enumerate(facts.words.values())}
    return {w: (colors.get(w, "#7F7F7F"), share.__getitem__, cores[w]) for w in order}


def _group_by_layer(facts: Facts) -> Groups:
    cores: defaultdict[str, list[int]] = defaultdict(list)
    for core, slices in facts.program.mapping.by_core.items():
        sizes: defaultdict[str, int] = defaultdict(int)
        for s in slices:
            sizes[s.population] += s.size
        cores[max(sizes, key=lambda n: sizes[n])].append(core)
    names = sorted(cores, key=lambda n: -len(cores[n]))
    own = names[: MOST_GROUPS - 1] if len(names) > MOST_GROUPS else names
    groups: Groups = {
        label(name): (color_of(i), lambda core: 1.0, cores[name]) for i, name in enumerate(own)
    }
    rest = [core for name in names[len(own) :] for core in cores[name]]
    if rest:
        groups[f"{len(names) - len(own)} other layers"] = ("#7F7F7F", lambda core: 1.0, rest)
    return groups


def _draw(facts: Facts, plan: Plan, groups: Groups, links: bool = False) -> Figure:
    shape = (plan.height * plan.pitch - 1, plan.width * plan.pitch - 1)
    data: list[dict[str, Any]] = []
    if links:
        groups = {"cores in use": (PALE, lambda core: 1.0, list(plan.column))}
    hints = _write_hints(facts)
    for name, (color, share, cores) in groups.items():
        z: list[list[float | None]] = [[None] * shape[1] for _ in range(shape[0])]
        text = [[""] * shape[1] for _ in range(shape[0])]
        for core in cores:
            z[plan.row[core]][plan.column[core]] = round(min(share(core), 1.0), 3)
            text[plan.row[core]][plan.column[core]] = hints[core]
        data.append(
            {"type": "heatmap", "z": z, "text": text, "hoverinfo": "text", "zmin": 0, "zmax": 1,
             "colorscale": [[0, _mix(color, 0.15)], [1, color]], "showscale": False,
             "xgap": 1, "ygap": 1}
        )  # fmt: skip
        square = {"symbol": "square", "size": 11, "color": color}
        data.append({"type": "scatter", "mode": "markers", "x": [None], "y": [None],
                     "name": f"{name}: {len(cores):,}", "marker": square})  # fmt: skip
    if links:
        data += _draw_links(facts, plan)
    ratio = shape[0] / max(shape[1], 1)
    return make_figure(
        data,
        height=int(min(900, max(260, 60 + 1200 * ratio))),
        meta={"ratio": round(ratio, 4), "cells": shape[1]},
        showlegend=True,
        xaxis=hide_axis(range=[-1.2, shape[1] + 1.2], constrain="domain"),
        yaxis=hide_axis(range=[shape[0] + 1.2, -1.2], scaleanchor="x", constrain="domain"),
        shapes=_outline(facts, plan),
        annotations=_name_chips(facts, plan),
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
    )


def _mix(color: str, share: float) -> str:
    """Return a colour mixed with white."""
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - value) * share):02x}" for value in parts)


def _write_hints(facts: Facts) -> dict[int, str]:
    sites = {site.core: site for site in facts.program.mapping.sites}
    messages = _count_messages(facts)
    hints = {}
    for core in facts.usage:
        site, (name, share) = sites[core.core], find_fullest(facts, core.core)
        lines = [f"core {core.core}, chip {site.chip}, tile {site.tile_x},{site.tile_y}"]
        lines.append(label(name_layers(facts, core.core), 60))
        if share is not None:
            lines.append(f"{name}: {share:.0%}")
        if core.core in messages:
            out, into = messages[core.core]
            lines.append(f"messages per inference: {out:,.1f} out, {into:,.1f} in")
        hints[core.core] = "<br>".join(lines)
    return hints


def _count_messages(facts: Facts) -> dict[int, tuple[float, float]]:
    """Return the messages that leave and reach each core per inference; empty: not known."""
    if facts.estimate is None:
        return {}
    steps = facts.estimate.by_step
    sums = steps.counts.sum(axis=0)
    out, into = (sums[:, steps.events.index(name)] for name in ("message_out", "message_in"))
    totals: dict[int, tuple[float, float]] = {}
    for i, half in enumerate(steps.parts):
        before = totals.get(half.core, (0.0, 0.0))
        totals[half.core] = (before[0] + float(out[i]), before[1] + float(into[i]))
    return totals


def _list_links(facts: Facts) -> list[tuple[int, float]]:
    """Return number and messages of each link that carries any."""
    if facts.estimate is None:
        return []
    steps = facts.estimate.by_step
    pairs = zip(steps.links.tolist(), steps.link_messages.tolist(), strict=True)
    return [(number, messages) for number, messages in pairs if messages > 0]


def _draw_links(facts: Facts, plan: Plan) -> list[dict[str, Any]]:
    """Return the links in a few widths; the two directions of a border beside each other."""
    links = _list_links(facts)
    busiest = max(messages for _, messages in links)
    buckets: list[list[tuple[int, float]]] = [[] for _ in range(LEVELS)]
    for number, messages in links:
        buckets[min(LEVELS - 1, int(messages / busiest * LEVELS))].append((number, messages))
    data = []
    for level, bucket in enumerate(buckets):
        if not bucket:
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        text: list[str] = []
        for number, messages in bucket:
            ends = _place_link(facts, plan, number)
            hint = f"{facts.mesh.name(number)}: {messages:,.1f} messages"
            x += [ends[0], (ends[0] + ends[2]) / 2, ends[2], None]
            y += [ends[1], (ends[1] + ends[3]) / 2, ends[3], None]
            text += [hint, hint, hint, ""]
        low, high = busiest * level / LEVELS, busiest * (level + 1) / LEVELS
        data.append(
            {"type": "scatter", "mode": "lines", "x": x, "y": y, "text": text, "hoverinfo": "text",
             "name": f"{low:,.0f}-{high:,.0f} messages",
             "line": {"width": 1 + 1.6 * level, "color": _mix(COLORS[3], 0.3 + 0.7 * level / 4)}}
        )  # fmt: skip
    return data


def _place_link(facts: Facts, plan: Plan, number: int) -> tuple[float, float, float, float]:
    tile, way = divmod(number, 4)
    x, y = tile % facts.mesh.width - plan.left, tile // facts.mesh.width - plan.top
    x0, y0 = plan.middle(x, 0), plan.middle(y, 0)
    step = plan.pitch if way in (EAST, NORTH) else -plan.pitch
    shift = 0.22 if way in (EAST, NORTH) else -0.22
    if way in (EAST, WEST):
        return x0, y0 + shift, x0 + step, y0 + shift
    return x0 + shift, y0, x0 + shift, y0 + step


def list_chips(facts: Facts, plan: Plan) -> list[tuple[int, int, int]]:
    """Return number, first column and first row of each chip in use, in cells."""
    mesh, chips = facts.mesh, sorted({site.chip for site in facts.program.mapping.sites})
    places = []
    for chip in chips:
        down, across = divmod(chip, mesh.grid.columns)
        x = (across * mesh.columns - plan.left) * plan.pitch
        y = (down * mesh.rows - plan.top) * plan.pitch
        places.append((chip, x, y))
    return places


def _outline(facts: Facts, plan: Plan) -> list[dict[str, Any]]:
    """Return the borders of chips, and the tiles of chips in use where they are few."""
    mesh, shapes = facts.mesh, []
    chips = list_chips(facts, plan)
    if len(chips) * mesh.columns * mesh.rows <= 600:
        shapes = [
            {"type": "rect", "layer": "below", "x0": x + i * plan.pitch - 0.5,
             "x1": x + i * plan.pitch + plan.side - 0.5, "y0": y + j * plan.pitch - 0.5,
             "y1": y + j * plan.pitch + plan.side - 0.5, "fillcolor": "#f5f7fa",
             "line": {"color": GRID, "width": 1}}
            for _, x, y in chips for i in range(mesh.columns) for j in range(mesh.rows)
        ]  # fmt: skip
    return shapes + [
        {"type": "rect", "x0": x - 0.85, "x1": x + mesh.columns * plan.pitch - 1.15,
         "y0": y - 0.85, "y1": y + mesh.rows * plan.pitch - 1.15,
         "line": {"color": INK, "width": 1}}
        for _, x, y in chips
    ]  # fmt: skip


def _name_chips(facts: Facts, plan: Plan) -> list[dict[str, Any]]:
    if facts.program.mapping.chips < 2:
        return []
    return [
        {"x": x - 0.5, "y": y - 0.85, "text": f"chip {chip}", "showarrow": False,
         "xanchor": "left", "yanchor": "top" if y else "bottom",
         "bgcolor": "rgba(255,255,255,0.75)", "font": {"size": 10}}
        for chip, x, y in list_chips(facts, plan)
    ]  # fmt: skip


def _say(facts: Facts) -> str:
    mapping = facts.program.mapping
    shares = [value for core in facts.usage if (value := find_fullest(facts, core.core)[1])]
    chips = f" on {mapping.chips:,} chips" if mapping.chips > 1 else ""
    text = f"{mapping.cores:,} core{'s' * (mapping.cores != 1)}{chips}"
    if len(shares) == 1:
        text += f", whose fullest limit is used to {shares[0]:.0%}"
    elif shares:
        text += f"; the fullest limit of a core is used to {np.mean(shares):.0%} in the mean"
    note = facts.mesh.assumed if mapping.chips > 1 else ""
    return f"{text}. The darker a core, the fuller it is.{f' Assumed: {note}.' if note else ''}"
