"""Output of `compare`: two estimates side by side, as a rich table and as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from snncompile.backends.energy.result import add_energies, list_unpriced
from snncompile.report.units import UNKNOWN, format_scaled

if TYPE_CHECKING:
    from snncompile.backends.energy.result import Estimate, Row
    from snncompile.program import Program

Value = tuple[float | None, tuple[str, ...]]
"""A figure (None: not known), and the events whose price it lacks."""


def compare_estimates(
    programs: tuple[Program, Program], estimates: tuple[Estimate, Estimate]
) -> list[dict[str, Any]]:
    """Return one row per figure of two Programs.

    Each has the figure's name, its unit, both values (None: not known), for each the events whose
    price it lacks, and the ratio, None where a value is unknown.
    """
    rows = [
        _make_row("cores", "", *((float(p.mapping.cores), ()) for p in programs)),
        _make_row("chips", "", *((float(p.mapping.chips), ()) for p in programs)),
        _make_row("energy", "J", *(_sum_rows(e.rows, e) for e in estimates)),
        _make_row("dynamic energy", "J", *(_sum_rows(e.dynamic_rows, e) for e in estimates)),
        _make_row("static energy", "J", *(_sum_rows(e.static_rows, e) for e in estimates)),
        _make_row("latency", "s", *((e.latency_s, e.untimed) for e in estimates)),
        _make_row("energy x delay", "Js", *((e.energy_delay_js, e.missing) for e in estimates)),
        _make_row(
            "energy per synaptic op", "J", *((e.synaptic_op_j, e.unpriced) for e in estimates)
        ),
        _make_row("synaptic ops", "", *((e.synaptic_ops, ()) for e in estimates)),
        _make_row("utilisation", "", *((e.utilisation, e.untimed) for e in estimates)),
    ]
    for layer in dict.fromkeys(row.layer for e in estimates for row in e.rows):
        own = (_sum_rows(tuple(r for r in e.rows if r.layer == layer), e) for e in estimates)
        rows.append(_make_row(f"energy of {layer}", "J", *own))
    return rows


def list_other_parts(programs: tuple[Program, Program]) -> list[str]:
    """Return which of network, mapping and chip differ in their meaning; none: the same."""
    first, second = (program.hash_meaning() for program in programs)
    return [name for name in first if name != "all" and first[name] != second[name]]


def describe_meaning(other: list[str]) -> str:
    """Return one line about the parts of two Programs that differ."""
    return f"meaning: another {', another '.join(other)}" if other else "meaning: the same"


def _sum_rows(rows: tuple[Row, ...], estimate: Estimate) -> Value:
    """Return the energy of rows and the events it lacks; None of a layer that is not there."""
    return (add_energies(rows), list_unpriced(rows, estimate.untimed)) if rows else (None, ())


def _make_row(name: str, unit: str, a: Value, b: Value) -> dict[str, Any]:
    (first, first_lacks), (second, second_lacks) = a, b
    return {
        "figure": name,
        "unit": unit,
        "a": first,
        "b": second,
        "a_without": list(first_lacks),
        "b_without": list(second_lacks),
        "ratio": second / first if first and second is not None else None,
    }


def tabulate_comparison(names: tuple[str, str], rows: list[dict[str, Any]]) -> Table:
    """Return one row per figure: both values, what each lacks, and their ratio."""
    table = Table(title="per inference", title_justify="left")
    table.add_column("figure")
    for name in (*names, "ratio"):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        values = [_format_value(row[s], row["unit"], row[f"{s}_without"]) for s in ("a", "b")]
        table.add_row(row["figure"], *values, _format_ratio(row))
    return table


def _format_ratio(row: dict[str, Any]) -> str:
    """Return the ratio, with `*` where the two values lack other prices."""
    if row["ratio"] is None:
        return "-"
    mark = " *" if row["a_without"] != row["b_without"] else ""
    return f"{row['ratio']:.3g}{mark}"


def _format_value(value: float | None, unit: str, lacking: list[str]) -> str:
    """Return `1 uJ`, `unknown`, or `1 uJ *` where the value lacks prices."""
    if value is None:
        return UNKNOWN if lacking else "-"
    mark = " *" if lacking else ""
    return f"{format_scaled(value, unit) if unit else format(value, ',.4g')}{mark}"


def list_lacking(name: str, estimate: Estimate) -> str:
    """Return one line: the Program, its chip and cost set, and the prices that `*` lack."""
    missing = f"; missing in *: {', '.join(estimate.missing)}" if estimate.missing else ""
    return f"{name}: {estimate.chip}, cost set {estimate.costs}{missing}"
