"""Output of `estimate` and `compare`: rich tables for people, plain values for `--json`."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from snncompile.report.tables import serialize_proof
from snncompile.report.units import UNKNOWN, format_joules, format_scaled, format_seconds

if TYPE_CHECKING:
    from snncompile.backends.energy.baseline import BaselineRow
    from snncompile.backends.energy.result import Estimate, Row


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
        "step_s": [None if np.isnan(s) else s for s in by.seconds.mean(axis=0).tolist()],
        "bounds": estimate.bounds,
        "missing": list(estimate.missing),
        "assumed": list(estimate.assumed),
        "left_out": list(estimate.left_out),
        **serialize_proof(estimate.proof),
        "title": estimate.title,
        "note": estimate.note,
    }


def tabulate_estimate(estimate: Estimate) -> Table:
    """Return one row per layer and event that occurred, the total, and all sources."""
    title = f"per inference on {estimate.chip}, cost set {estimate.costs}: {estimate.title}"
    rows = [row for row in estimate.rows if row.occurs]
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
        "all", estimate.label, "", "", format_joules(estimate.energy_j), "", "sum of the rows"
    )
    return table


def _format_event(row: Row, total_j: float | None) -> tuple[str, ...]:
    static = row.event == "static power"
    price = format_scaled(row.price_j, "W" if static else "J")
    count = f"{row.count:,.1f}" if not static and row.count else format_seconds(row.count)
    share = "" if row.energy_j is None or not total_j else f"{row.energy_j / total_j:.1%}"
    return row.layer, row.event, count, price, format_joules(row.energy_j), share


def summarize_estimate(estimate: Estimate) -> list[str]:
    """Return the lines below the table: totals, ranges, bounds of the steps, missing prices."""
    samples = "1 sample" if estimate.samples == 1 else f"mean of {estimate.samples} samples"
    dynamic, static = format_joules(estimate.dynamic_j), format_joules(estimate.static_j)
    return [
        f"{estimate.label} {format_joules(estimate.energy_j)} (dynamic {dynamic}, static {static}),"
        f" {estimate.latency_label} {format_seconds(estimate.latency_s)} for"
        f" {estimate.steps} time steps, {samples}, timing {estimate.timing}",
        *_format_derived(estimate),
        *_format_missing(estimate),
        *(f"assumed: {assumption}" for assumption in estimate.assumed),
        f"left out: {', '.join(estimate.left_out)}",
        f"note: {estimate.note}",
    ]


def _format_missing(estimate: Estimate) -> list[str]:
    """Return one line about unknown energies and one about unknown times."""
    kinds = {"energy of": estimate.unpriced, "time of": estimate.untimed}
    return [
        f"missing in these totals: {kind} {', '.join(names)}"
        for kind, names in kinds.items()
        if names
    ]


def _format_derived(estimate: Estimate) -> list[str]:
    """Return the figures that need a time."""
    if estimate.throughput is None:
        return []
    operation_j, delay_js = estimate.synaptic_op_j, estimate.energy_delay_js
    operation = f"{format_joules(operation_j)} per" if estimate.synaptic_ops else "no"
    delay = UNKNOWN if delay_js is None else f"{delay_js:.3g} Js"
    share = estimate.utilisation
    working = "an unknown share" if share is None else f"{share:.0%}"
    energies, latencies = estimate.range.energy_j, estimate.range.latency_s
    because = " and ".join(estimate.range.because) or "nothing: one cost set, no published error"
    bounds = list(estimate.bounds.items())
    largest = ", ".join(f"{name} {share:.0%}" for name, share in bounds[:5])
    return [
        f"{estimate.throughput:,.4g} inferences/s,"
        f" {delay} energy x delay,"
        f" {operation} synaptic op,"
        f" cores work {working} of the time",
        f"range: energy {_format_span(energies, 'J')}, latency {_format_span(latencies, 's')};"
        f" from {because}",
        f"steps are bound by: {largest}{', ...' if len(bounds) > 5 else ''}",
    ]


def _format_span(span: tuple[float, float] | None, unit: str) -> str:
    """Return `1 uJ to 2 uJ`, or `unknown`."""
    return UNKNOWN if span is None else " to ".join(format_scaled(value, unit) for value in span)


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
