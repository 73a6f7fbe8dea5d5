"""Read HDF5 files from strangers: every value is checked before it is believed.

HDF5 can point at other files, at objects, and claim sizes without values; none of that is
followed. An error of h5py about a damaged file becomes one line of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, SnnCompileError
from snncompile.frontends.hdf5 import probe

LARGEST_ELEMENTS = 2**28
"""Numbers in one file: 2 GiB as float64. A whole Loihi 2 chip holds a tenth of it as synapses."""
LONGEST_TEXT = 64
"""Characters of a string."""


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[Group]:
    """Open a file and give its root.

    Raises:
        InputError: there is no such file, or it is not HDF5, or it is cut short, or reading it does
            not end.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if not probe.can_be_read(path):
        raise InputError(
            f"{path.name}: the HDF5 file is damaged: reading it does not end, or ends the process"
        )
    try:
        is_hdf5 = h5py.is_hdf5(path)
        file = h5py.File(path, "r") if is_hdf5 else None
    except Exception as error:
        raise InputError(f"{path.name}: the HDF5 file is cut short or damaged") from error
    if file is None:
        raise InputError(f"{path.name}: not an HDF5 file")
    with file:
        yield Group(file, path.name, _Allowance(LARGEST_ELEMENTS))


@dataclass
class _Allowance:
    """Count of numbers that may still be read from a file; shared by all its groups."""

    left: int


class Group:
    """A group of a file; `where` starts every message about it."""

    def __init__(self, group: Any, where: str, allowance: _Allowance) -> None:
        self._group = group
        self.where = where
        self._allowance = allowance

    def list_names(self) -> tuple[str, ...]:
        """Return the names in the group, sorted."""
        with self._explain_errors("it"):
            return tuple(sorted(self._group))

    def __contains__(self, name: str) -> bool:
        return name in self.list_names()

    def holds_group(self, name: str) -> bool:
        """Return whether there is a group, and not a dataset, called `name`."""
        return name in self and isinstance(self._get(name), h5py.Group)

    def open_group(self, name: str, where: str) -> Group:
        """Return the group called `name`; messages about it start with `where`."""
        member = self._get(name)
        if not isinstance(member, h5py.Group):
            raise InputError(f"{self.where}: {name} is not a group")
        return Group(member, where, self._allowance)

    def read_text(self, name: str) -> str:
        """Return a string, or the one string of an array."""
        dataset = self._get_dataset(name)
        known = h5py.check_string_dtype(dataset.dtype) is not None
        if dataset.size != 1 or not known or dataset.dtype.itemsize > LONGEST_TEXT:
            raise InputError(f"{self.where}: {name} is not a string")
        with self._explain_errors(name):
            value = np.asarray(dataset[()]).reshape(-1)[0]
            text = value.decode("ascii") if isinstance(value, bytes) else str(value)
        return text[:LONGEST_TEXT]

    def holds_text(self, name: str) -> bool:
        """Return whether `name` is a dataset of strings."""
        member = self._get(name)
        known = isinstance(member, h5py.Dataset) and h5py.check_string_dtype(member.dtype)
        return bool(known)

    def holds_numbers(self, name: str) -> bool:
        """Return whether `name` is a dataset of numbers."""
        member = self._get(name)
        return isinstance(member, h5py.Dataset) and member.dtype.kind in "biuf"

    def holds_records(self, name: str) -> bool:
        """Return whether `name` is a list of records, whose fields are numbers."""
        member = self._get(name)
        if not isinstance(member, h5py.Dataset) or not member.dtype.names:
            return False
        fields = [member.dtype[field] for field in member.dtype.names]
        return member.ndim == 1 and all(field.kind in "biuf" for field in fields)

    def read_records(self, name: str) -> NDArray[Any]:
        """Return a list of records as a structured array."""
        dataset = self._get_dataset(name)
        self._take(name, dataset.size * len(dataset.dtype.names))
        with self._explain_errors(name):
            return np.asarray(dataset[()])

    def holds_ragged(self, name: str) -> bool:
        """Return whether `name` is a list of lists of numbers, each of its own length."""
        member = self._get(name) if name in self else None
        inner = h5py.check_vlen_dtype(member.dtype) if isinstance(member, h5py.Dataset) else None
        return inner is not None and np.dtype(inner).kind in "biuf"

    def read_ragged(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the lists of a list of lists of numbers."""
        dataset = self._get_dataset(name)
        for index in range(dataset.shape[0]):
            with self._explain_errors(name):
                row = np.asarray(dataset[index])
            self._take(name, row.size)
            yield row

    def read_pairs(self, name: str, limit: int) -> list[tuple[str, str]]:
        """Return the rows of an array of strings of shape (n, 2), at most `limit`, or none."""
        if self.holds_numbers(name) and not self._get(name).size:
            return []  # h5py writes an empty list as numbers
        dataset = self._get_dataset(name)
        if not self.holds_text(name) or dataset.ndim != 2 or dataset.shape[1] != 2:
            raise InputError(f"{self.where}: {name} is not a list of pairs of names")
        if dataset.shape[0] > limit:
            raise InputError(
                f"{self.where}: {name} claims {dataset.shape[0]:,} pairs, at most {limit:,} are"
                " read"
            )
        self._take(name, dataset.size)
        with self._explain_errors(name):
            rows = [[str(n, "utf-8") for n in row] for row in dataset[()].tolist()]
        return [(source, target) for source, target in rows]

    def read_numbers(self, name: str) -> NDArray[Any]:
        """Return an array of finite numbers."""
        dataset = self._get_dataset(name)
        if dataset.dtype.kind not in "biuf" or dataset.dtype.itemsize > 8:
            raise InputError(f"{self.where}: {name} holds {dataset.dtype}, expected numbers")
        self._take(name, prod(dataset.shape))
        with self._explain_errors(name):
            array = np.asarray(dataset[()])
        wrong = np.count_nonzero(~np.isfinite(array)) if array.dtype.kind == "f" else 0
        if wrong:
            raise InputError(f"{self.where}: {name} holds {wrong:,} values that are not finite")
        return array

    def read_integers(self, name: str, low: int, high: int) -> NDArray[np.int64]:
        """Return an array of whole numbers from low to high, both included."""
        array = self.read_numbers(name)
        array = array.astype(np.int64) if array.dtype.kind == "b" else array
        if array.dtype.kind == "f" and (np.rint(array) != array).any():
            first = array[np.rint(array) != array].flat[0]
            raise InputError(f"{self.where}: {name} holds {first:g}, expected whole numbers")
        if array.size and (array.min() < low or array.max() > high):
            worst = array.min() if array.min() < low else array.max()
            raise InputError(f"{self.where}: {name} holds {worst:g}, expected {low}..{high}")
        return array.astype(np.int64)

    def read_integer(self, name: str, low: int, high: int) -> int:
        """Return one whole number from low to high, both included."""
        array = self.read_integers(name, low, high)
        if array.size != 1:
            raise InputError(f"{self.where}: {name} has shape {array.shape}, expected one number")
        return int(array.reshape(-1)[0])

    def _take(self, name: str, size: int) -> None:
        """Take `size` numbers from the allowance."""
        if size > self._allowance.left:
            raise InputError(
                f"{self.where}: {name} claims {size:,} numbers; at most"
                f" {LARGEST_ELEMENTS:,} are read from one file"
            )
        self._allowance.left -= size

    def _get_dataset(self, name: str) -> Any:
        member = self._get(name)
        if not isinstance(member, h5py.Dataset):
            raise InputError(f"{self.where}: {name} is a group, expected a dataset")
        with self._explain_errors(name):
            elsewhere = member.is_virtual or member.external is not None
            empty = member.shape is None
            stored = member.id.get_storage_size()
        if elsewhere:
            raise InputError(f"{self.where}: {name} is kept in another file, which is not read")
        if empty or (member.size and not stored):
            raise InputError(f"{self.where}: {name} holds no values")
        return member

    def _get(self, name: str) -> Any:
        with self._explain_errors(name):
            link = self._group.get(name, getlink=True)
            if isinstance(link, h5py.HardLink):
                return _check_readable(self._group[name])
        if link is None:
            raise InputError(f"{self.where}: {name} is missing")
        raise InputError(f"{self.where}: {name} is a link to elsewhere, which is not followed")

    @contextmanager
    def _explain_errors(self, name: str) -> Iterator[None]:
        """Turn any error of h5py into one line."""
        try:
            yield
        except SnnCompileError:
            raise
        except Exception as error:
            message = f"{self.where}: {name} cannot be read, the file is damaged"
            raise InputError(message) from error


def _check_readable(member: Any) -> Any:
    """Return a group or dataset; raise h5py's error if its type or shape cannot be read."""
    if isinstance(member, h5py.Dataset):
        _ = member.dtype, member.shape
    return member
