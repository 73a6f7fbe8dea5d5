"""The loss of a Program: a table for people, plain values for `--json`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from snncompile.ir.loss import FREQUENT, Loss, PopulationLoss


def serialize_loss(loss: Loss) -> dict[str, Any]:
    """Return a loss as JSON values, with the shares that follow from its counts."""
    values: dict[str, Any] = loss.model_dump(mode="json")
    if loss.answers:
        values["answers"] |= {
            "share": loss.answers.share,
            "standard_error": loss.answers.standard_error,
        }
    for row, shown in zip(loss.populations, values["populations"], strict=True):
        shown |= {"silenced_share": row.silenced_share, "silent": row.silent}
    return values


def tabulate_loss(loss: Loss) -> Table:
    """Return one row per population of a loss that was measured, and the answers below."""
    title = (
        f"loss: floats and integers on {loss.samples:,} of {loss.available:,} samples,"
        f" {loss.steps:,} steps"
    )
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("layer")
    fire = ("fire as floats", "fire as integers", "silenced")
    for name in ("outputs differ", "rate error", "neurons", *fire):
        table.add_column(name, justify="right")
    for row in loss.populations:
        table.add_row(row.population, *_format_row(row))
    answers = str(loss.answers or "a single output neuron gives no answer to compare")
    table.caption = (
        f"{answers}\nsilenced: fire {FREQUENT} times or more as floats, never as integers"
    )
    return table


def _format_row(row: PopulationLoss) -> tuple[str, ...]:
    return (
        "-" if row.different is None else f"{row.different:.2%}",
        "from none" if row.rate_error is None else f"{row.rate_error:.2%}",
        f"{row.neurons:,}",
        *("-" if n is None else f"{n:,}" for n in (row.fired, row.fired_integer, row.silenced)),
    )
