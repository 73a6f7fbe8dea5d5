"""Folders as results: written aside and renamed, so that nothing half-written is left behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.files.npz import read_npz, write_npz

MAX_JSON_BYTES = 64 * 2**20
ARRAYS = "arrays.npz"
SEAL = "sha256"
"""Key of a record that holds the hash of all the rest of the folder."""


@contextmanager
def replace_folder(path: Path, marks: tuple[str, ...]) -> Iterator[Path]:
    """Give an empty folder beside `path` and rename it to `path` when the block ends well.

    An older result at `path` is replaced; any other content is left alone.

    Raises:
        InputError: `path` is a file, or a folder that holds anything but an older result, which has
            one of the files `marks`; or it cannot be written.
    """
    path = Path(os.path.abspath(path))
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not _is_ours(path, marks)):
        raise InputError(f"{path}: is there already and is not a result of ours; choose another")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        new = aside / "new"
        new.mkdir()
        yield new
        _swap(new, path, aside / "old")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Give the name of a file beside `path` and rename it to `path` when the block ends well."""
    path = Path(os.path.abspath(path))
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield aside / path.name
        (aside / path.name).replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_folder(
    path: Path, name: str, record: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write `name` (JSON) and `arrays.npz` into the folder `path`, with the hash of both."""
    record = record | {SEAL: hash_content(record, arrays)}
    with replace_folder(path, ("program.json", "network.json")) as folder:
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


def _swap(new: Path, path: Path, old: Path) -> None:
    """Rename `new` to `path`; if that fails, the older result stays."""
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise


def _is_ours(path: Path, marks: tuple[str, ...]) -> bool:
    """Whether a folder holds a result and nothing else, so that nothing else gets lost."""
    names = {entry.name for entry in path.iterdir()}
    return any((path / mark).is_file() for mark in marks) and names <= {*marks, ARRAYS}
