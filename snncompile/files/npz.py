"""Arrays in `.npz` files, read without trust: no pickle, shapes checked before memory is taken."""

from __future__ import annotations

import lzma
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError

MAX_BYTES = 16 * 2**30
"""Most bytes of arrays that are read, of one file."""
PLAIN = "biuf"
"""Kinds of dtype that are read: bool, integers, floats."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,  # damaged bzip2 data, offsets outside of the file
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors that `zipfile` raises on a file that is no archive."""
DAMAGED_HEADER = (
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
"""Errors that `numpy.lib.format` raises on a header that numpy did not write."""

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
Check = Callable[[str, tuple[int, ...], np.dtype[Any]], None]
"""Called with (name, shape, dtype) of each array before its memory is taken; may raise."""


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write arrays to a file; the same arrays give the same bytes."""
    save = np.savez_compressed if compress else np.savez
    save(path, allow_pickle=False, **{name: np.asarray(a) for name, a in arrays.items()})


def read_npz(
    path: Path, check: Check | None = None, *, records: bool = False
) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file.

    Args:
        path: of the file.
        check: called with name, shape and dtype of each array, before memory is taken.
        records: whether to read structured arrays of numbers too.

    Raises:
        InputError: not an npz file, damaged, an array of objects, one that is too large or there
            twice, or a member that is no array.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: is a device or a pipe, expected an .npz file")
        with path.open("rb") as file:
            return _read_archive(path, file, check, records)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected an .npz file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _read_archive(
    path: Path, file: IO[bytes], check: Check | None, records: bool
) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = _list_members(path, archive)
            heads = {
                name: _check_member(path, archive, info, check, records)
                for name, info in members.items()
            }
            _check_total(path, heads.values())
            return {name: _read_data(archive, members[name], *heads[name]) for name in members}
    except DAMAGED:
        raise InputError(f"{path}: not a readable .npz file (numpy.savez writes one)") from None


def _list_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an archive by the names of their arrays."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename:
            raise InputError(f"{path}: {repr(name[:40])[1:-1]} is no array (its name lacks .npy)")
        if name in members:
            raise InputError(f"{path}: {repr(name[:40])[1:-1]} is there twice")
        members[name] = info
    return members


def _check_total(path: Path, heads: Iterable[tuple[Header, int]]) -> None:
    """Refuse arrays that are too large together, before memory is taken for any of them."""
    need = sum(prod(shape) * dtype.itemsize for (shape, _, dtype), _ in heads)
    if need > MAX_BYTES:
        raise InputError(f"{path}: claims {need:,} bytes of arrays, the limit is {MAX_BYTES:,}")


def _read_data(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header, start: int
) -> NDArray[Any]:
    shape, columns, dtype = header
    data = archive.read(info)
    return np.ndarray(shape, dtype, data, start, order="F" if columns else "C").copy()


def _check_member(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, check: Check | None, records: bool
) -> tuple[Header, int]:
    """Return the header of a member that holds what it declares, and where its data start."""
    name = info.filename.removesuffix(".npy")
    where = f"{path}: {repr(name)[1:-1]}"  # a name may hold line breaks
    with archive.open(info) as member:
        shape, columns, dtype = _read_header(where, member)
        start = member.tell()
    if not (_holds_numbers(dtype) if records else dtype.kind in PLAIN):
        raise InputError(f"{where} has dtype {dtype}, expected numbers")
    need = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or need > MAX_BYTES or info.file_size != start + need:
        raise InputError(f"{where} claims shape {shape}, the file does not hold that")
    if check:
        check(name, shape, dtype)
    return (shape, columns, dtype), start


def _holds_numbers(dtype: np.dtype[Any]) -> bool:
    """Whether a type is plain, or a record of plain types."""
    inner = [dtype[name] for name in dtype.names] if dtype.names else [dtype]
    return all(kind.kind in PLAIN for kind in inner)


def _read_header(where: str, member: IO[bytes]) -> Header:
    """Return shape, whether columns come first, and dtype."""
    try:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's advice on headers of Python 2
            shape, columns, dtype = read(member)
    except DAMAGED_HEADER:
        raise InputError(f"{where} is not an array of numbers") from None
    return tuple(int(n) for n in shape), columns, dtype
