"""The table of what `auto` tried, on the command line and in Python."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.table import Table

from snncompile.conversion.auto_records import Trial
from snncompile.report.units import format_joules

COLUMNS = ("method", "steps", "in all", "agrees", "of", "spikes", "cores", "energy", "note")
"""Of the table: "of" are the samples compared; the note says which is taken, or why one is not."""
WIDTH = 160
"""Columns of the table as text."""


def tabulate_trials(trials: tuple[Trial, ...]) -> Table:
    """Return a row per candidate, in the order in which they were tried; `-`: not known."""
    table = Table(*COLUMNS)
    for column in table.columns[1:-1]:
        column.justify = "right"
    for t in trials:
        counts = (t.steps, t.total_steps), (t.samples, t.spikes, t.cores)
        before, after = (["-" if n is None else f"{n:,.0f}" for n in row] for row in counts)
        agrees = "-" if t.agreement is None else f"{t.agreement:.1%}"
        energy = "-" if t.energy_j is None else format_joules(t.energy_j)
        table.add_row(t.method, *before, agrees, *after, energy, t.note)
    return table


def format_trials(trials: tuple[Trial, ...]) -> str:
    """Return the table as text."""
    text = StringIO()
    Console(file=text, width=WIDTH).print(tabulate_trials(trials))
    return text.getvalue()
