"""Documents that commands write are up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_frontends_is_what_its_command_writes():
    """Imports a small model per library and feature; a cell that changed is a change to notice."""
    for library in ("snntorch", "spikingjelly", "norse", "sinabs"):
        pytest.importorskip(library)
    spec = importlib.util.spec_from_file_location("make_frontends", DOCS / "make_frontends.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = module.table()
    assert table in (DOCS / "frontends.md").read_text()
    cells = [cell.strip() for line in table.splitlines() for cell in line.split("|")[2:-1]]
    assert sum(cell.startswith("exact") for cell in cells) > 60
