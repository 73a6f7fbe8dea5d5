"""Describe a pass from its class: docstring, contract and options."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, fields
from typing import get_type_hints

from snncompile.passes.base import Pass
from snncompile.passes.text import name_type, write_value


@dataclass(frozen=True)
class OptionDescription:
    """One option of a pass."""

    name: str
    type: str
    """In words: `int or none`, `chip or netx`."""
    default: str
    """As in the text of a pipeline."""
    doc: str


@dataclass(frozen=True)
class PassDescription:
    """A pass, as `snncompile passes NAME` shows it."""

    name: str
    summary: str
    """First line of the docstring."""
    doc: str
    """Whole docstring."""
    requires: str
    """Requirements in the docstring."""
    ensures: str
    """Promises in the docstring."""
    options: tuple[OptionDescription, ...]


def describe_pass(kind: type[Pass]) -> PassDescription:
    """Return the description of a class of passes."""
    doc = inspect.getdoc(kind) or ""
    return PassDescription(
        name=kind.name,
        summary=doc.split("\n", 1)[0],
        doc=doc,
        requires=_read_section(doc, "Requires"),
        ensures=_read_section(doc, "Ensures"),
        options=_describe_options(kind),
    )


def _read_section(doc: str, title: str) -> str:
    """Return the text behind `Requires:`, up to the next section or empty line, as one line."""
    section = re.search(rf"^{title}:(.*?)(?=^\w+:|^\s*$|\Z)", doc, re.M | re.S)
    return " ".join(section[1].split()) if section else ""


def _describe_options(kind: type[Pass]) -> tuple[OptionDescription, ...]:
    hints, docs, default = get_type_hints(kind), _read_field_docs(kind), kind()
    return tuple(
        OptionDescription(
            name=field.name,
            type=name_type(hints[field.name]),
            default=write_value(getattr(default, field.name)),
            doc=docs.get(field.name, ""),
        )
        for field in fields(kind)
    )


def _read_field_docs(kind: type[Pass]) -> dict[str, str]:
    """Return the docstrings of the fields of a class; none without its source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    (record,) = tree.body
    assert isinstance(record, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, behind in zip(record.body, record.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
            docs[field.target.id] = " ".join(str(behind.value.value).split())
    return docs
