"""What `estimate` and `compare` show: rich tables for people, plain values for `--json`."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.table import Table

from snncompile.report.units import joules, scaled, seconds

if TYPE_CHECKING:
    from snncompile.backends.energy.baseline import BaselineRow
    from snncompile.backends.energy.result import Estimate, Row
    from snncompile.program import Program


def estimate_values(found: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON values."""
    by = found.by_step
    return {
        "chip": found.chip,
        "timing": found.timing,
        "account": found.account,
        "costs": found.costs,
        "energy_j": found.energy_j,
        "energy_label": found.label,
        "dynamic_j": found.dynamic_j,
        "static_j": found.static_j,
        "latency_s": found.latency_s,
        "latency_label": found.latency_label,
        "throughput": found.throughput,
        "energy_delay_js": found.energy_delay_js,
        "synaptic_op_j": found.synaptic_op_j,
        "utilisation": found.utilisation,
        "range": {
            "energy_j": found.range.energy_j,
            "latency_s": found.range.latency_s,
            "because": list(found.range.because),
        },
        "samples": found.samples,
        "steps": found.steps,
        "rows": [vars(row) | {"energy_j": row.energy_j} for row in found.rows],
        "step_s": by.seconds.mean(axis=0).tolist(),
        "bounds": found.bounds,
        "missing": list(found.missing),
        "assumed": list(found.assumed),
        "left_out": list(found.left_out),
        "title": found.title,
        "note": found.note,
    }


def estimate_table(found: Estimate) -> Table:
    """Return one row per layer and kind of event that occurred, the total, and all sources."""
    title = f"per inference on {found.chip}, cost set {found.costs}: {found.title}"
    rows = [row for row in found.rows if row.count]
    origins = list(dict.fromkeys(row.source for row in rows))
    notes = [f"({i}) {origin}" for i, origin in enumerate(origins, 1)]
    table = Table(title=title, caption="\n".join(notes), title_justify="left")
    table.caption_justify = "left"
    for name in ("layer", "event", "count", "price", "energy", "share", "source of the price"):
        right = name in ("count", "price", "energy", "share")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.columns[1].max_width = 24
    for row, following in zip_longest(rows, rows[1:]):
        note = f"({origins.index(row.source) + 1}) {row.source.partition(':')[0]}"
        last = following is None or following.layer != row.layer
        table.add_row(*_event_cells(row, found.energy_j), note, end_section=last)
    table.add_row("all", found.label, "", "", _total(found.rows), "", "sum of the rows")
    return table


def _event_cells(row: Row, total_j: float) -> tuple[str, ...]:
    static = row.event == "static power"
    price = "unknown" if row.price_j is None else scaled(row.price_j, "W" if static else "J")
    count = seconds(row.count) if static else f"{row.count:,.1f}"
    if row.energy_j is None:
        return row.layer, row.event, count, price, "unknown", ""
    share = f"{row.energy_j / total_j:.1%}" if total_j else ""
    return row.layer, row.event, count, price, joules(row.energy_j), share


def estimate_lines(found: Estimate) -> list[str]:
    """Return what follows the table: totals, ranges, what bounds the steps, what is missing."""
    samples = "1 sample" if found.samples == 1 else f"mean of {found.samples} samples"
    latency, static = "unknown", "unknown"
    if found.latency_s:
        latency, static = seconds(found.latency_s), _total(found.static_rows)
    return [
        f"{found.label} {_total(found.rows)} (dynamic {_total(found.dynamic_rows)}, static"
        f" {static}), {found.latency_label} {latency} for"
        f" {found.steps} time steps, {samples}, timing {found.timing}",
        *_derived(found),
        *_missing(found.missing),
        *(f"assumed: {what}" for what in found.assumed),
        f"left out: {', '.join(found.left_out)}",
        f"note: {found.note}",
    ]


def _missing(missing: tuple[str, ...]) -> list[str]:
    """Return one line about the energies and one about the times that nobody knows."""
    kinds = {
        kind: [m for m in missing if m.startswith(kind)] for kind in ("energy of ", "time of ")
    }
    return [
        f"missing in these totals: {kind}{', '.join(m.removeprefix(kind) for m in found)}"
        for kind, found in kinds.items()
        if found
    ]


def _total(rows: tuple[Row, ...]) -> str:
    """Return the energy of rows, `unknown` where none of what occurred has a price."""
    energies = [row.energy_j for row in rows if row.count]
    known = [energy for energy in energies if energy is not None]
    return joules(sum(known)) if known or not energies else "unknown"


def _derived(found: Estimate) -> list[str]:
    """Return the figures that need a time."""
    if found.throughput is None:
        return []
    operation = found.synaptic_op_j
    low, high = (joules(value) for value in found.range.energy_j)
    fast, slow = (seconds(value) for value in found.range.latency_s)
    because = " and ".join(found.range.because) or "nothing: one cost set, no published error"
    bounds = list(found.bounds.items())
    most = ", ".join(f"{name} {share:.0%}" for name, share in bounds[:5])
    return [
        f"{found.throughput:,.4g} inferences/s, {found.energy_delay_js:.3g} Js energy x delay,"
        f" {'no synaptic op' if operation is None else joules(operation) + ' per synaptic op'},"
        f" cores work {found.utilisation:.0%} of the time",
        f"range: energy {low} to {high}, latency {fast} to {slow}; from {because}",
        f"steps are bound by: {most}{', ...' if len(bounds) > 5 else ''}",
    ]


def baseline_values(rows: tuple[BaselineRow, ...]) -> dict[str, Any]:
    """Return the comparison with an ANN's arithmetic as JSON values."""
    return {"baseline": [vars(r) | {"ann_j": r.ann_j, "snn_j": r.snn_j} for r in rows]}


def baseline_table(rows: tuple[BaselineRow, ...], source: str) -> Table:
    """Return one row per layer: arithmetic of an ANN and of the spiking network."""
    table = Table(title="arithmetic alone", caption=source, title_justify="left")
    table.caption_justify = "left"
    table.add_column("layer")
    for name in ("ANN: MAC", "energy", "SNN: AC", "energy"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.layer, f"{row.macs:,}", joules(row.ann_j), f"{row.acs:,.1f}", joules(row.snn_j)
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(r.macs for r in rows):,}",
        joules(sum(r.ann_j for r in rows)),
        f"{sum(r.acs for r in rows):,.1f}",
        joules(sum(r.snn_j for r in rows)),
    )
    return table


def comparison(
    programs: tuple[Program, Program], found: tuple[Estimate, Estimate]
) -> list[dict[str, Any]]:
    """Return one row per figure of two Programs: name, unit, both values (None: has none)."""
    rows = [
        _row("cores", "", *(float(p.mapping.cores) for p in programs)),
        _row("chips", "", *(float(p.mapping.chips) for p in programs)),
        _row("energy", "J", *(e.energy_j for e in found)),
        _row("dynamic energy", "J", *(e.dynamic_j for e in found)),
        _row("static energy", "J", *(e.static_j for e in found)),
        _row("latency", "s", *(e.latency_s for e in found)),
        _row("energy x delay", "Js", *(e.energy_delay_js for e in found)),
        _row("energy per synaptic op", "J", *(e.synaptic_op_j for e in found)),
    ]
    rows.append(_row("synaptic ops", "", *(e.synaptic_ops for e in found)))
    rows.append(_row("utilisation", "", *(e.utilisation for e in found)))
    layers = dict.fromkeys(row.layer for e in found for row in e.rows)
    for layer in layers:
        own = [[r.energy_j or 0.0 for r in e.rows if r.layer == layer] for e in found]
        rows.append(_row(f"energy of {layer}", "J", *(sum(o) if o else None for o in own)))
    return rows


def _row(name: str, unit: str, a: float | None, b: float | None) -> dict[str, Any]:
    ratio = b / a if a and b is not None else None
    return {"figure": name, "unit": unit, "a": a, "b": b, "ratio": ratio}


def comparison_table(names: tuple[str, str], rows: list[dict[str, Any]]) -> Table:
    """Return one row per figure: both values and their ratio."""
    table = Table(title="per inference", title_justify="left")
    table.add_column("figure")
    for name in (*names, "ratio"):
        table.add_column(name, justify="right")
    for row in rows:
        values = [_shown(row[side], row["unit"]) for side in ("a", "b")]
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3g}"
        table.add_row(row["figure"], *values, ratio)
    return table


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return scaled(value, unit) if unit else f"{value:,.4g}"
