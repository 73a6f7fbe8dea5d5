"""Change one value of a saved record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def record_of(path: Path, name: str = "network.json") -> Any:
    return json.loads((path / name).read_text())


def edit(path: Path, where: tuple[Any, ...], value: Any, name: str = "network.json") -> None:
    """Set (or with `...` delete) one value of the record."""
    record = record_of(path, name)
    part = record
    for key in where[:-1]:
        part = part[key]
    if value is ...:
        del part[where[-1]]
    else:
        part[where[-1]] = value
    (path / name).write_text(json.dumps(record))
