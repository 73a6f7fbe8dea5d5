"""How records look in a notebook: a small table of HTML, and one line as text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

UNKNOWN = "unknown"


def format_rows(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """Return a table of names and values as HTML; every text is escaped, None is `unknown`."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(format_value(value))}</td></tr>"
        for name, value in rows
    )
    return f"<table><caption style='text-align:left'>{escape(title)}</caption>{lines}</table>"


def format_line(kind: str, rows: Iterable[tuple[str, object]]) -> str:
    """Return `<Program cores=2, chip=loihi2>`."""
    values = ", ".join(f"{name}={format_value(value)}" for name, value in rows)
    return f"<{kind} {values}>"


def format_value(value: object) -> str:
    """Return a value as people read it; None is `unknown`."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
