"""Documents that commands write are up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def _script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_map_is_what_its_command_writes():
    assert (DOCS / "map.md").read_text() == _script("make_map").page()


def test_the_table_of_options_is_what_its_command_writes():
    assert (DOCS / "options.md").read_text() == _script("make_options").page()


def test_the_table_of_chips_is_what_its_command_writes():
    assert (DOCS / "chips.md").read_text() == _script("make_chips").page()


def test_the_page_on_chip_files_is_what_its_command_writes():
    text = (DOCS / "chip_files.md").read_text()
    assert text == _script("make_chip_format").page()
    assert "| `compartments` | `Count` | yes |" in text


def test_the_table_of_frontends_is_what_its_command_writes():
    """Imports a small model per library and feature; a cell that changed is a change to notice."""
    for library in ("snntorch", "spikingjelly", "norse", "sinabs"):
        pytest.importorskip(library)
    table = _script("make_frontends").table()
    assert table in (DOCS / "frontends.md").read_text()
    cells = [cell.strip() for line in table.splitlines() for cell in line.split("|")[2:-1]]
    assert sum(cell.startswith("exact") for cell in cells) > 60


def test_the_tables_of_nir_are_what_its_command_writes():
    """Runs every network in every reader; a cell that changed is a change to notice."""
    for library in ("snntorch", "norse", "sinabs"):
        pytest.importorskip(library)
    script, text = _script("make_nir"), (DOCS / "nir.md").read_text()
    assert script.list_origins() in text
    table = script.list_readers()
    assert table in text
    assert "differ" not in table
    assert table.count("equal") > 15
