"""Source of a file that notes which of its statements run; much faster than `sys.settrace`."""

from __future__ import annotations

import ast

NOTES = "_noted_lines"
"""Module whose `hits` has, by file, the first lines of the statements that ran."""


def add_notes(source: str, file: str) -> str:
    """Return the source with a note before each statement of a function."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _add_to_bodies(node)
    start = next((i for i, node in enumerate(tree.body) if not _stands_first(node)), len(tree.body))
    tree.body[start:start] = ast.parse(
        f"import {NOTES}\n__note__ = {NOTES}.hits.setdefault({file!r}, set()).add"
    ).body
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def list_spans(source: str) -> dict[int, range]:
    """Return the lines of each statement, of a compound one those of its header, by the first."""
    spans = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            spans[node.lineno] = range(node.lineno, max(node.lineno, last) + 1)
    return spans


def _add_to_bodies(function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and not isinstance(node, ast.ClassDef):
                noted = [n for old in body for n in _note_before(old)]
                setattr(node, field, noted)


def _note_before(statement: ast.stmt) -> list[ast.stmt]:
    """Return the statement behind its note, or alone if it has one already or is a text."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    if text or getattr(statement, "is_noted", False):
        return [statement]
    statement.is_noted = True  # type: ignore[attr-defined]
    note = ast.parse(f"__note__({statement.lineno})").body[0]
    note.is_noted = True  # type: ignore[attr-defined]
    return [note, statement]


def _stands_first(node: ast.stmt) -> bool:
    """Whether a statement is the docstring or an import from the future."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
