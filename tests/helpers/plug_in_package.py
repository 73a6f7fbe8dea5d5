"""A package of somebody else, written into a folder as an installer would leave it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install_package(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: str,
    rows: Mapping[str, Mapping[str, str]],
) -> Path:
    """Write a module and its entry points, and put the folder on the path.

    Args:
        folder: to write into.
        monkeypatch: undoes it after the test.
        name: of the module and of its distribution.
        code: of the module.
        rows: by group without `snncompile.` (`chips`): name -> value.
    """
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, values in rows.items():
        lines += [f"[snncompile.{group}]", *(f"{row} = {value}" for row, value in values.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    return folder
