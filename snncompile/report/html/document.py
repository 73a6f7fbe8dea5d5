"""A finished report: its text, and the file it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from snncompile.files.replace import begins_with, replace_file

MARK = "<!DOCTYPE html>\n<!-- written by snncompile -->"
"""Beginning of every report."""


@dataclass(frozen=True)
class Page:
    """A report: the text of one HTML file. A notebook shows it, `write` saves it."""

    html: str
    answers: dict[str, dict[str, str]]
    """The sentence that answers each question, by name of the Program."""

    def write(self, path: str | Path) -> None:
        """Write the report; nothing half-written is left behind.

        Raises:
            InputError: at the path is something else than a report, or it cannot be written.
        """
        with replace_file(Path(path), begins_with(MARK)) as aside:
            aside.write_text(self.html, encoding="utf-8")

    def __repr__(self) -> str:
        """Its size; the text itself is long."""
        return f"<report, {len(self.html) / 1e6:.1f} MB; .write('report.html') saves it>"

    def _repr_html_(self) -> str:
        style = "width:100%;height:80vh;border:1px solid #ccc"
        return f'<iframe srcdoc="{escape(self.html)}" style="{style}"></iframe>'
