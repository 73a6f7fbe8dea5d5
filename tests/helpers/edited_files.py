"""Change one value of a saved record."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from snncompile.files import folder
from snncompile.files.npz import read_npz


def record_of(path: Path, name: str = "network.json") -> Any:
    return json.loads((path / name).read_text())


def edit(path: Path, where: tuple[Any, ...], value: Any, name: str = "network.json") -> None:
    """Set (or with `...` delete) one value of the record, and write its hash anew."""
    record = record_of(path, name)
    part = record
    for key in where[:-1]:
        part = part[key]
    if value is ...:
        del part[where[-1]]
    else:
        part[where[-1]] = value
    seal(path, record, name)


def seal(path: Path, record: Any, name: str = "network.json") -> None:
    """Write a record with the hash of it and of the arrays there, as if it was saved so."""
    content = {key: value for key, value in record.items() if key != folder.SEAL}
    if folder.SEAL in record:
        with contextlib.suppress(ValueError):  # of NaN; the hash that was there does as well
            record[folder.SEAL] = folder.hash_content(content, read_npz(path / folder.ARRAYS))
        content[folder.SEAL] = record[folder.SEAL]
    (path / name).write_text(json.dumps(content))
