"""The table of a verification, and its plain values for `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from snncompile.report.tables import serialize_proof
from snncompile.verification import WEIGHTS, Agreement, Comparison, Verification

HEADS = {
    ("library", "float"): "library = float",
    ("float", "integer"): "float ~ integer",
    ("integer", "lava"): "integer = Lava",
}
"""Column of a comparison; = where equal outputs are promised."""


def tabulate_verification(verification: Verification) -> Table:
    """Return one row per population: its activity and the agreement of the runs.

    Rows of weights, where synapses learned and two runs gave them, follow.
    """
    title = f"{verification.samples} samples of {verification.steps} steps"
    table = Table(title=title, title_justify="left")
    table.add_column("layer")
    for name in ("neurons", "rate", "dead", "saturated", *HEADS.values(), "rate error"):
        table.add_column(name, justify="right")
    for layer in verification.activity:
        agree = [_format_agreement(c, layer.population) for c in verification.comparisons]
        error = _find_row(verification.comparison("float", "integer"), layer.population)
        table.add_row(
            layer.population,
            f"{layer.neurons:,}",
            "-" if layer.rate is None else f"{layer.rate:.2%}",
            _format_count(layer.dead, layer.neurons),
            _format_count(layer.saturated, layer.neurons),
            *agree,
            "-" if error is None or error.rate_error is None else f"{error.rate_error:.2%}",
        )
    for name in _list_weights(verification):
        agree = [_format_agreement(c, name) for c in verification.comparisons]
        table.add_row(name, *"----", *agree, "-")
    return table


def serialize_verification(verification: Verification) -> dict[str, Any]:
    """Return a verification as JSON values."""
    return {
        "equal": verification.equal,
        "samples": verification.samples,
        "steps": verification.steps,
        "layers": [asdict(layer) for layer in verification.activity],
        "comparisons": [asdict(c) | {"equal": c.equal} for c in verification.comparisons],
        "first": None if verification.first is None else asdict(verification.first),
        **serialize_proof(verification.proof),
    }


def _format_count(count: int | None, neurons: int) -> str:
    """Return a number of neurons, or `all`."""
    if count is None:
        return "-"
    return "all" if count == neurons else f"{count:,}"


def _list_weights(verification: Verification) -> list[str]:
    rows = (row.population for c in verification.comparisons for row in c.rows)
    return list(dict.fromkeys(name for name in rows if name.startswith(WEIGHTS)))


def _find_row(comparison: Comparison, population: str) -> Agreement | None:
    return next((row for row in comparison.rows if row.population == population), None)


def _format_agreement(comparison: Comparison, population: str) -> str:
    """Return `equal`, the share of equal outputs, or `-` if they were not compared."""
    row = _find_row(comparison, population)
    if row is None or row.agreement is None:
        return "-"
    return "equal" if row.differences == 0 else f"{row.agreement:.2%}"
