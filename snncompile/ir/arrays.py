"""Arrays in `.npz` files, read without trust: no pickle, shapes checked before memory is taken."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError

MAX_BYTES = 16 * 2**30
"""Largest array that is read."""
PLAIN = "biuf"
"""Kinds of dtype that are read: bool, integers, floats."""

Header = tuple[tuple[int, ...], np.dtype[Any]]
Check = Callable[[str, tuple[int, ...], np.dtype[Any]], None]
"""Called with (name, shape, dtype) of each array before its memory is taken; may raise."""


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write arrays to a file; the same arrays give the same bytes."""
    save = np.savez_compressed if compress else np.savez
    save(path, allow_pickle=False, **{name: np.asarray(a) for name, a in arrays.items()})


def read_npz(path: Path, check: Check | None = None) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file.

    Raises:
        InputError: not an npz file, damaged, an array of objects, or one that is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removesuffix(".npy"): _read_member(path, archive, info, check)
                for info in archive.infolist()
            }
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected an .npz file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise InputError(f"{path}: not a readable .npz file (numpy.savez writes one)") from None


def _read_member(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, check: Check | None
) -> NDArray[Any]:
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as member:
        shape, dtype = _header(path, name, member)
    if dtype.kind not in PLAIN:
        raise InputError(f"{path}: {name} has dtype {dtype}, expected numbers")
    need = prod(shape) * dtype.itemsize
    if need > MAX_BYTES or not need <= info.file_size <= need + 2**16:
        raise InputError(f"{path}: {name} claims shape {shape}, the file does not hold that")
    if check:
        check(name, shape, dtype)
    data = archive.read(info)
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _header(path: Path, name: str, member: IO[bytes]) -> Header:
    try:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(member)
    except (ValueError, KeyError):
        raise InputError(f"{path}: {name} is not an array of numbers") from None
    return shape, dtype
