"""NIR files written value by value, valid or not, without the package `nir`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py


def write_tree(path: Path, tree: dict[str, Any]) -> Path:
    """Write groups and datasets as they are; return the path."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0"
        _write(file.create_group("node"), tree)
    return path


def _write(group: h5py.Group, tree: dict[str, Any]) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(key), value)
        else:
            group[key] = value
