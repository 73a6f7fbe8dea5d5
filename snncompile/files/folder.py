"""Networks and Programs as folders of JSON and npz, under one hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.files.npz import read_npz, write_npz
from snncompile.files.replace import replace_folder

MAX_JSON_BYTES = 64 * 2**20
ARRAYS = "arrays.npz"
HEADS = ("program.json", "network.json")
OURS = re.compile(rb'\{\s*"format":\s*"snncompile (program|network)"')
"""Beginning of a file of ours."""
SEAL = "sha256"
"""Key of a record that holds the hash of all the rest of the folder."""


def is_saved(path: Path) -> bool:
    """Whether a folder holds a network or a Program of ours and nothing else."""
    names = {entry.name for entry in path.iterdir()}
    if any(not (path / name).is_file() or (path / name).is_symlink() for name in names):
        return False
    return names <= {*HEADS, ARRAYS} and any(_is_head(path / name) for name in names & {*HEADS})


def _is_head(file: Path) -> bool:
    with file.open("rb") as opened:
        return OURS.match(opened.read(80)) is not None


def write_folder(
    path: Path, name: str, record: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write `name` (JSON) and `arrays.npz` into the folder `path`, with the hash of both."""
    record = record | {SEAL: hash_content(record, arrays)}
    with replace_folder(path, is_saved) as folder:
        text = json.dumps(record, indent=1, allow_nan=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
        write_npz(folder / ARRAYS, arrays)


def read_folder(path: Path, name: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the record and the arrays of a folder.

    Raises:
        InputError: a file is missing, damaged or too large, or a key or an array is there twice.
    """
    file = path / name
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{file}: is larger than {MAX_JSON_BYTES >> 20} MiB")
        record = read_json(file, file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: not valid JSON") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    return record, read_npz(path / ARRAYS)


def read_seal(file: Path) -> str | None:
    """Return the hash that a JSON file which was read before names; None of older ones."""
    seal: str | None = json.loads(file.read_text(encoding="utf-8")).get(SEAL)
    return seal


def read_json(file: Path, text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON.
        InputError: a key is there twice, of which only one would be read.
    """

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{file}: the key {twice[:40]!r} is there twice")
        return values

    return json.loads(text, object_pairs_hook=make_object)


def is_sealed(record: Any, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a folder holds what it was saved with, by its hash; true of older ones without.

    A version that writes the hash requires it, see `files/network.py`.
    """
    if not isinstance(record, dict) or SEAL not in record:
        return True
    content = {key: value for key, value in record.items() if key != SEAL}
    try:
        return bool(hash_content(content, arrays) == record[SEAL])
    except ValueError:  # NaN, which is never written
        return False


def hash_content(record: Any, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a record and its arrays; equal content, equal hash."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
