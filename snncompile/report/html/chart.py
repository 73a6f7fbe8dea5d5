"""Records of the report: a chart is a question, a sentence, figures and the numbers behind them."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from snncompile.report.units import UNKNOWN

Cell = str | int | float | None
"""Of a table; None: not known."""
Figure = dict[str, Any]
"""Data and layout as plotly.js reads them: https://plotly.com/javascript/reference."""

INK, GRID, PALE = "#1f2933", "#e4e7eb", "#cbd2d9"
COLORS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D31", "#5E4FA2",
    "#B3B300", "#7F7F7F", "#A6192E", "#00857C",
)  # fmt: skip
"""Told apart by colour-blind readers: Okabe and Ito, "Color Universal Design", 2008, then more."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet read a text as a formula."""


@dataclass(frozen=True)
class Numbers:
    """The table behind a chart."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def of(cls, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Numbers:
        """Return the table of some rows."""
        return cls(tuple(columns), tuple(tuple(row) for row in rows))

    def write_csv(self) -> str:
        """Return the table as CSV; None is `unknown`, no text is a formula."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([_guard(column) for column in self.columns])
        writer.writerows([_guard(cell) for cell in row] for row in self.rows)
        return text.getvalue()


def _guard(cell: Cell) -> Cell:
    if cell is None:
        return UNKNOWN
    if isinstance(cell, str) and cell.startswith(FORMULA) and len(cell) > 1:
        return f"'{cell}"
    return cell


@dataclass(frozen=True)
class Chart:
    """One picture of the report."""

    key: str
    """Name of its place on the page and of its CSV."""
    title: str
    """The question, or the subject."""
    sentence: str
    """The answer, made from the data."""
    numbers: Numbers
    figures: dict[str, Figure] = field(default_factory=dict)
    """By the text of a choice; one figure has no choice, none is a table alone."""


def make_figure(data: list[dict[str, Any]], *, height: int = 320, **layout: Any) -> Figure:
    """Return a figure with the margins, fonts and colours of the report."""
    standard: dict[str, Any] = {
        "height": height,
        "margin": {"l": 60, "r": 16, "t": 12, "b": 48},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "colorway": list(COLORS),
        "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    }
    for axis in ("xaxis", "yaxis"):
        own = {"gridcolor": GRID, "zerolinecolor": PALE, "automargin": True}
        standard[axis] = own | layout.pop(axis, {})
    return {"data": data, "layout": standard | layout}


def label(text: str, limit: int = 200) -> str:
    """Return a name as plotly shows it letter by letter: no tags, and a long one cut within."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-(limit // 2 - 1) :]}"
    return escape(text, quote=False)


def hide_axis(**more: Any) -> dict[str, Any]:
    """Return an axis that is not drawn."""
    return {"visible": False, "showgrid": False, "zeroline": False, **more}


def color_of(index: int) -> str:
    """Return the colour of the entry with an index."""
    return COLORS[index % len(COLORS)]


def wrap(text: str, width: int = 20) -> str:
    """Return a name as plotly shows it, on several lines."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return "<br>".join(escape(line, quote=False) for line in lines)
