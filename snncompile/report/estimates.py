"""Output of `estimate` and `compare`: rich tables for people, plain values for `--json`."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.table import Table

from snncompile.report.units import format_joules, format_scaled, format_seconds

if TYPE_CHECKING:
    from snncompile.backends.energy.baseline import BaselineRow
    from snncompile.backends.energy.result import Estimate, Row
    from snncompile.program import Program


def serialize_estimate(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON values."""
    by = estimate.by_step
    return {
        "chip": estimate.chip,
        "timing": estimate.timing,
        "account": estimate.account,
        "costs": estimate.costs,
        "energy_j": estimate.energy_j,
        "energy_label": estimate.label,
        "dynamic_j": estimate.dynamic_j,
        "static_j": estimate.static_j,
        "latency_s": estimate.latency_s,
        "latency_label": estimate.latency_label,
        "throughput": estimate.throughput,
        "energy_delay_js": estimate.energy_delay_js,
        "synaptic_op_j": estimate.synaptic_op_j,
        "utilisation": estimate.utilisation,
        "range": {
            "energy_j": estimate.range.energy_j,
            "latency_s": estimate.range.latency_s,
            "because": list(estimate.range.because),
        },
        "samples": estimate.samples,
        "steps": estimate.steps,
        "rows": [vars(row) | {"energy_j": row.energy_j} for row in estimate.rows],
        "step_s": by.seconds.mean(axis=0).tolist(),
        "bounds": estimate.bounds,
        "missing": list(estimate.missing),
        "assumed": list(estimate.assumed),
        "left_out": list(estimate.left_out),
        "title": estimate.title,
        "note": estimate.note,
    }


def tabulate_estimate(estimate: Estimate) -> Table:
    """Return one row per layer and event that occurred, the total, and all sources."""
    title = f"per inference on {estimate.chip}, cost set {estimate.costs}: {estimate.title}"
    rows = [row for row in estimate.rows if row.count]
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
        table.add_row(*_format_event(row, estimate.energy_j), note, end_section=last)
    table.add_row(
        "all", estimate.label, "", "", _format_total(estimate.rows), "", "sum of the rows"
    )
    return table


def _format_event(row: Row, total_j: float) -> tuple[str, ...]:
    static = row.event == "static power"
    price = "unknown" if row.price_j is None else format_scaled(row.price_j, "W" if static else "J")
    count = format_seconds(row.count) if static else f"{row.count:,.1f}"
    if row.energy_j is None:
        return row.layer, row.event, count, price, "unknown", ""
    share = f"{row.energy_j / total_j:.1%}" if total_j else ""
    return row.layer, row.event, count, price, format_joules(row.energy_j), share


def summarize_estimate(estimate: Estimate) -> list[str]:
    """Return the lines below the table: totals, ranges, bounds of the steps, missing prices."""
    samples = "1 sample" if estimate.samples == 1 else f"mean of {estimate.samples} samples"
    dynamic, latency, static = _format_total(estimate.dynamic_rows), "unknown", "unknown"
    if estimate.latency_s:
        latency, static = format_seconds(estimate.latency_s), _format_total(estimate.static_rows)
    return [
        f"{estimate.label} {_format_total(estimate.rows)} (dynamic {dynamic}, static {static}),"
        f" {estimate.latency_label} {latency} for"
        f" {estimate.steps} time steps, {samples}, timing {estimate.timing}",
        *_format_derived(estimate),
        *_format_missing(estimate.missing),
        *(f"assumed: {assumption}" for assumption in estimate.assumed),
        f"left out: {', '.join(estimate.left_out)}",
        f"note: {estimate.note}",
    ]


def _format_missing(missing: tuple[str, ...]) -> list[str]:
    """Return one line about unknown energies and one about unknown times."""
    kinds = {
        kind: [m for m in missing if m.startswith(kind)] for kind in ("energy of ", "time of ")
    }
    return [
        f"missing in these totals: {kind}{', '.join(m.removeprefix(kind) for m in names)}"
        for kind, names in kinds.items()
        if names
    ]


def _format_total(rows: tuple[Row, ...]) -> str:
    """Return the energy of rows, `unknown` where no event that occurred has a price."""
    energies = [row.energy_j for row in rows if row.count]
    known = [energy for energy in energies if energy is not None]
    return format_joules(sum(known)) if known or not energies else "unknown"


def _format_derived(estimate: Estimate) -> list[str]:
    """Return the figures that need a time."""
    if estimate.throughput is None:
        return []
    operation_j = estimate.synaptic_op_j
    operation = "no" if operation_j is None else f"{format_joules(operation_j)} per"
    low, high = (format_joules(value) for value in estimate.range.energy_j)
    fast, slow = (format_seconds(value) for value in estimate.range.latency_s)
    because = " and ".join(estimate.range.because) or "nothing: one cost set, no published error"
    bounds = list(estimate.bounds.items())
    largest = ", ".join(f"{name} {share:.0%}" for name, share in bounds[:5])
    return [
        f"{estimate.throughput:,.4g} inferences/s,"
        f" {estimate.energy_delay_js:.3g} Js energy x delay,"
        f" {operation} synaptic op,"
        f" cores work {estimate.utilisation:.0%} of the time",
        f"range: energy {low} to {high}, latency {fast} to {slow}; from {because}",
        f"steps are bound by: {largest}{', ...' if len(bounds) > 5 else ''}",
    ]


def serialize_baseline(rows: tuple[BaselineRow, ...]) -> dict[str, Any]:
    """Return the comparison with an ANN's arithmetic as JSON values."""
    return {"baseline": [vars(r) | {"ann_j": r.ann_j, "snn_j": r.snn_j} for r in rows]}


def tabulate_baseline(rows: tuple[BaselineRow, ...], source: str) -> Table:
    """Return one row per layer: arithmetic of an ANN and of the spiking network."""
    table = Table(title="arithmetic alone", caption=source, title_justify="left")
    table.caption_justify = "left"
    table.add_column("layer")
    for name in ("ANN: MAC", "energy", "SNN: AC", "energy"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.layer,
            f"{row.macs:,}",
            format_joules(row.ann_j),
            f"{row.acs:,.1f}",
            format_joules(row.snn_j),
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(r.macs for r in rows):,}",
        format_joules(sum(r.ann_j for r in rows)),
        f"{sum(r.acs for r in rows):,.1f}",
        format_joules(sum(r.snn_j for r in rows)),
    )
    return table


def compare_estimates(
    programs: tuple[Program, Program], estimates: tuple[Estimate, Estimate]
) -> list[dict[str, Any]]:
    """Return one row per figure of two Programs: name, unit, both values (None: missing)."""
    rows = [
        _make_row("cores", "", *(float(p.mapping.cores) for p in programs)),
        _make_row("chips", "", *(float(p.mapping.chips) for p in programs)),
        _make_row("energy", "J", *(e.energy_j for e in estimates)),
        _make_row("dynamic energy", "J", *(e.dynamic_j for e in estimates)),
        _make_row("static energy", "J", *(e.static_j for e in estimates)),
        _make_row("latency", "s", *(e.latency_s for e in estimates)),
        _make_row("energy x delay", "Js", *(e.energy_delay_js for e in estimates)),
        _make_row("energy per synaptic op", "J", *(e.synaptic_op_j for e in estimates)),
    ]
    rows.append(_make_row("synaptic ops", "", *(e.synaptic_ops for e in estimates)))
    rows.append(_make_row("utilisation", "", *(e.utilisation for e in estimates)))
    layers = dict.fromkeys(row.layer for e in estimates for row in e.rows)
    for layer in layers:
        own = [[r.energy_j or 0.0 for r in e.rows if r.layer == layer] for e in estimates]
        rows.append(_make_row(f"energy of {layer}", "J", *(sum(o) if o else None for o in own)))
    return rows


def _make_row(name: str, unit: str, a: float | None, b: float | None) -> dict[str, Any]:
    ratio = b / a if a and b is not None else None
    return {"figure": name, "unit": unit, "a": a, "b": b, "ratio": ratio}


def tabulate_comparison(names: tuple[str, str], rows: list[dict[str, Any]]) -> Table:
    """Return one row per figure: both values and their ratio."""
    table = Table(title="per inference", title_justify="left")
    table.add_column("figure")
    for name in (*names, "ratio"):
        table.add_column(name, justify="right")
    for row in rows:
        values = [_format_value(row[side], row["unit"]) for side in ("a", "b")]
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3g}"
        table.add_row(row["figure"], *values, ratio)
    return table


def _format_value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return format_scaled(value, unit) if unit else f"{value:,.4g}"
