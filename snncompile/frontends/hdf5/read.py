"""Read HDF5 files from strangers: every value is checked before it is believed.

HDF5 can point at other files, at objects, and claim sizes that are not there; none of that is
followed. Whatever h5py says about a damaged file becomes one line of ours.
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
from snncompile.frontends.hdf5 import probe as hdf5_probe

LARGEST_ELEMENTS = 2**28
"""Numbers in one file: 2 GiB as float64. A whole Loihi 2 chip holds a tenth of it as synapses."""
LONGEST_TEXT = 64
"""Characters of a string."""


@contextmanager
def opened(path: str | Path) -> Iterator[Group]:
    """Open a file and give its root.

    Raises:
        InputError: there is no such file, or it is not HDF5, or it is cut short, or reading it does
            not end.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if not hdf5_probe.can_be_read(path):
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
    """How many numbers may still be read from a file; shared by all its groups."""

    left: int


class Group:
    """A group of a file; `where` starts every message about it."""

    def __init__(self, group: Any, where: str, allowance: _Allowance) -> None:
        self._group = group
        self.where = where
        self._allowance = allowance

    def names(self) -> tuple[str, ...]:
        """Return the names in the group, sorted."""
        with self._reading("it"):
            return tuple(sorted(self._group))

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def holds_group(self, name: str) -> bool:
        """Return whether there is a group, and not a dataset, called `name`."""
        return name in self and isinstance(self._get(name), h5py.Group)

    def group(self, name: str, where: str) -> Group:
        """Return the group called `name`; messages about it start with `where`."""
        found = self._get(name)
        if not isinstance(found, h5py.Group):
            raise InputError(f"{self.where}: {name} is not a group")
        return Group(found, where, self._allowance)

    def text(self, name: str) -> str:
        """Return a string, or the one string of an array."""
        dataset = self._dataset(name)
        known = h5py.check_string_dtype(dataset.dtype) is not None
        if dataset.size != 1 or not known or dataset.dtype.itemsize > LONGEST_TEXT:
            raise InputError(f"{self.where}: {name} is not a string")
        with self._reading(name):
            value = np.asarray(dataset[()]).reshape(-1)[0]
            text = value.decode("ascii") if isinstance(value, bytes) else str(value)
        return text[:LONGEST_TEXT]

    def holds_text(self, name: str) -> bool:
        """Return whether `name` is a dataset of strings."""
        found = self._get(name)
        known = isinstance(found, h5py.Dataset) and h5py.check_string_dtype(found.dtype)
        return bool(known)

    def holds_numbers(self, name: str) -> bool:
        """Return whether `name` is a dataset of numbers."""
        found = self._get(name)
        return isinstance(found, h5py.Dataset) and found.dtype.kind in "biuf"

    def pairs(self, name: str, most: int) -> list[tuple[str, str]]:
        """Return the rows of an array of strings of shape (n, 2), at most so many; perhaps none."""
        if self.holds_numbers(name) and not self._get(name).size:
            return []  # h5py writes an empty list as numbers
        dataset = self._dataset(name)
        if not self.holds_text(name) or dataset.ndim != 2 or dataset.shape[1] != 2:
            raise InputError(f"{self.where}: {name} is not a list of pairs of names")
        if dataset.shape[0] > most:
            raise InputError(
                f"{self.where}: {name} claims {dataset.shape[0]:,} pairs, at most {most:,} are read"
            )
        self._take(name, dataset.size)
        with self._reading(name):
            rows = [[str(n, "utf-8") for n in row] for row in dataset[()].tolist()]
        return [(source, target) for source, target in rows]

    def numbers(self, name: str) -> NDArray[Any]:
        """Return an array of finite numbers."""
        dataset = self._dataset(name)
        if dataset.dtype.kind not in "biuf" or dataset.dtype.itemsize > 8:
            raise InputError(f"{self.where}: {name} holds {dataset.dtype}, expected numbers")
        self._take(name, prod(dataset.shape))
        with self._reading(name):
            array = np.asarray(dataset[()])
        wrong = np.count_nonzero(~np.isfinite(array)) if array.dtype.kind == "f" else 0
        if wrong:
            raise InputError(f"{self.where}: {name} holds {wrong:,} values that are not finite")
        return array

    def integers(self, name: str, low: int, high: int) -> NDArray[np.int64]:
        """Return an array of whole numbers from low to high, both included."""
        array = self.numbers(name)
        array = array.astype(np.int64) if array.dtype.kind == "b" else array
        if array.dtype.kind == "f" and (np.rint(array) != array).any():
            first = array[np.rint(array) != array].flat[0]
            raise InputError(f"{self.where}: {name} holds {first:g}, expected whole numbers")
        if array.size and (array.min() < low or array.max() > high):
            worst = array.min() if array.min() < low else array.max()
            raise InputError(f"{self.where}: {name} holds {worst:g}, expected {low}..{high}")
        return array.astype(np.int64)

    def integer(self, name: str, low: int, high: int) -> int:
        """Return one whole number from low to high, both included."""
        array = self.integers(name, low, high)
        if array.size != 1:
            raise InputError(f"{self.where}: {name} has shape {array.shape}, expected one number")
        return int(array.reshape(-1)[0])

    def _take(self, name: str, size: int) -> None:
        """Use up some of the allowance."""
        if size > self._allowance.left:
            raise InputError(
                f"{self.where}: {name} claims {size:,} numbers; at most"
                f" {LARGEST_ELEMENTS:,} are read from one file"
            )
        self._allowance.left -= size

    def _dataset(self, name: str) -> Any:
        found = self._get(name)
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"{self.where}: {name} is a group, expected a dataset")
        with self._reading(name):
            elsewhere = found.is_virtual or found.external is not None
            empty = found.shape is None
            stored = found.id.get_storage_size()
        if elsewhere:
            raise InputError(f"{self.where}: {name} is kept in another file, which is not read")
        if empty or (found.size and not stored):
            raise InputError(f"{self.where}: {name} holds no values")
        return found

    def _get(self, name: str) -> Any:
        with self._reading(name):
            link = self._group.get(name, getlink=True)
            if isinstance(link, h5py.HardLink):
                return _described(self._group[name])
        if link is None:
            raise InputError(f"{self.where}: {name} is missing")
        raise InputError(f"{self.where}: {name} is a link to elsewhere, which is not followed")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn whatever h5py raises into one line."""
        try:
            yield
        except SnnCompileError:
            raise
        except Exception as error:
            message = f"{self.where}: {name} cannot be read, the file is damaged"
            raise InputError(message) from error


def _described(found: Any) -> Any:
    """Return a group or dataset whose type and shape can be read, or raise what h5py raises."""
    if isinstance(found, h5py.Dataset):
        _ = found.dtype, found.shape
    return found
