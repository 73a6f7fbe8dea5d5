"""Read event recordings: structured arrays and columns in npz and HDF5, AEDAT4 through tonic."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, list_briefly
from snncompile.files.npz import read_npz
from snncompile.frontends.hdf5.read import Group, open_hdf5

EVENT = np.dtype([("t", np.int64), ("x", np.int64), ("y", np.int64), ("p", np.int64)])
"""One event: time in microseconds, column, row, and polarity, 1 for brighter and 0 for darker.
Events of lines instead of pixels (a cochlea) have row 0."""
NAMES = {
    "t": ("t", "ts", "timestamp", "timestamps", "time", "times"),
    "x": ("x", "unit", "units", "addr", "address"),
    "y": ("y",),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
"""Our field -> what writers of recordings call it."""
MICROSECONDS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
"""Unit of time -> microseconds in it."""
HDF5 = (".h5", ".hdf5", ".hdf")
GROUPS = ("events", "CD", "spikes", "dvs/events")
"""Groups and tables of HDF5 files in which events are looked for, after the root."""
LARGEST_EVENTS = 2**27
"""Events of a file, 32 bytes each."""
DECODE = "import sys, aedat; [None for packet in aedat.Decoder(sys.argv[1])]"
"""Program that reads an AEDAT4 file to its end."""
MOST_SECONDS = 60.0
"""Time to decode a file, plus one second per `BYTES_PER_SECOND` of its size."""
BYTES_PER_SECOND = 2**20
Columns = Mapping[str, NDArray[Any]]


def holds_events(path: Path) -> bool:
    """Whether a file is a recording by its name, or an npz file whose arrays are events."""
    if path.suffix in (*HDF5, ".aedat4", ".npy"):
        return True
    return path.suffix == ".npz" and _find_events(read_npz(path, records=True)) is not None


def read_recordings(path: Path, unit: str = "us") -> Iterator[tuple[NDArray[Any], int | None]]:
    """Yield the recordings of a file, sorted by time: (events of dtype `EVENT`, label or None).

    Args:
        path: `.npz` or `.npy`, `.h5`, `.hdf5` or `.hdf`, `.aedat4`.
        unit: of time: ns, us, ms or s; AEDAT4 has microseconds.

    Raises:
        InputError: the file is not readable or holds no events; a library is missing.
    """
    if unit not in MICROSECONDS:
        raise InputError(f"no unit of time {unit!r}; known: {', '.join(MICROSECONDS)}")
    if path.suffix == ".aedat4":
        yield _make_events(path, _read_aedat4(path), 1.0), None
    elif path.suffix in HDF5:
        yield from _read_hdf5(path, MICROSECONDS[unit])
    elif path.suffix in (".npz", ".npy"):
        arrays = _read_npy(path) if path.suffix == ".npy" else read_npz(path, records=True)
        columns = _find_events(arrays)
        if columns is None:
            raise _explain_no_events(path, arrays)
        label = arrays.get("label", arrays.get("y") if "y" not in columns else None)
        known = label is not None and label.size == 1 and label.dtype.kind in "iu"
        number = int(label.reshape(-1)[0]) if known and label is not None else None
        yield _make_events(path, columns, MICROSECONDS[unit]), number
    else:
        raise InputError(f"{path}: not a recording we read: .npz, .npy, .h5, .hdf5 or .aedat4")


def load_tonic(module: str) -> Any:
    """Return a module of tonic.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            "event recordings are read through tonic: pip install 'snncompile[events]'"
        ) from None


def _find_events(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
    """Return the columns of events by our names: of a structured array, or arrays side by side."""
    for array in arrays.values():
        if array.dtype.names:
            columns = _rename({name: array[name] for name in array.dtype.names})
            if columns is not None:
                return columns
    return _rename({name: a for name, a in arrays.items() if a.ndim == 1})


def _rename(columns: Columns) -> dict[str, NDArray[Any]] | None:
    """Return the columns by our names; None where time or place is missing."""
    lower = {name.lower(): column for name, column in columns.items()}
    ours = {
        name: lower[theirs[0]]
        for name, known in NAMES.items()
        if (theirs := [other for other in known if other in lower])
    }
    return ours if {"t", "x"} <= ours.keys() else None


def _explain_no_events(path: Path, arrays: Mapping[str, NDArray[Any]]) -> InputError:
    others = ", ".join(arrays) or "nothing"
    return InputError(f"{path}: holds no events with fields t, x, y and p; it has {others}")


def _read_npy(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: is a device or a pipe, expected an .npy file")
        return {"events": np.load(path, mmap_mode="r", allow_pickle=False)}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError):
        raise InputError(f"{path}: not a readable .npy file of numbers") from None


def _read_aedat4(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = load_tonic("tonic.io")
    load_tonic("aedat")
    if not _can_be_decoded(path):
        raise InputError(f"{path}: not a readable AEDAT4 file, or one that is damaged or cut short")
    try:
        events = reader.read_aedat4(str(path))
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{path}: cannot be read as AEDAT4, {lines[0]}") from None
    columns = _find_events({"events": np.asarray(events)})
    assert columns is not None, "tonic gives t, x, y and the polarity"
    return columns


def _can_be_decoded(path: Path) -> bool:
    """Whether reading all of an AEDAT4 file ends well, tried in a process of its own.

    The decoder panics on damaged files, which writes to the console and is no `Exception`.
    """
    seconds = MOST_SECONDS + path.stat().st_size / BYTES_PER_SECOND
    command = [sys.executable, "-c", DECODE, str(path)]
    try:
        return not subprocess.run(command, capture_output=True, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return False


def _read_hdf5(path: Path, factor: float) -> Iterator[tuple[NDArray[Any], int | None]]:
    with open_hdf5(path) as root:
        for group in _list_groups(root):
            names = group.list_names()
            if group.holds_ragged("times") and group.holds_ragged("units"):
                yield from _read_ragged(path, root, group, factor)
                return
            tables = [name for name in names if group.holds_records(name)]
            arrays = {name: group.read_records(name) for name in tables[:1]}
            if not arrays:
                known = {name for theirs in NAMES.values() for name in theirs}
                present = [n for n in names if n.lower() in known and group.holds_numbers(n)]
                arrays = {name: group.read_numbers(name) for name in present}
            columns = _find_events(arrays)
            if columns is not None:
                yield _make_events(path, columns, factor), None
                return
        raise InputError(
            f"{path}: holds no events with fields t, x, y and p; it has"
            f" {list_briefly(root.list_names(), 120) or 'nothing'}"
        )


def _list_groups(root: Group) -> Iterator[Group]:
    yield root
    for path in GROUPS:
        group, names = root, path.split("/")
        while names and group.holds_group(names[0]):
            group = group.open_group(names[0], f"{group.where}: {names[0]}")
            names = names[1:]
        if not names:
            yield group


def _read_ragged(
    path: Path, root: Group, group: Group, factor: float
) -> Iterator[tuple[NDArray[Any], int | None]]:
    """Yield the samples of a file such as SHD's: `spikes/times`, `spikes/units`, `labels`."""
    labels = root.read_integers("labels", 0, 2**31) if "labels" in root else None
    rows = zip(group.read_ragged("times"), group.read_ragged("units"), strict=True)
    for number, (times, units) in enumerate(rows):
        label = int(labels[number]) if labels is not None and number < labels.size else None
        yield _make_events(path, {"t": times, "x": units}, factor), label


def _make_events(path: Path, columns: Columns, factor: float) -> NDArray[Any]:
    """Return events sorted by time; refuse columns that do not belong together."""
    lengths = {column.shape for column in columns.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise InputError(f"{path}: t, x, y and p must be lists of one length, got {shapes}")
    (count,) = next(iter(lengths))
    if count > LARGEST_EVENTS:
        raise InputError(f"{path}: holds {count:,} events, at most {LARGEST_EVENTS:,} are read")
    events = np.zeros(count, EVENT)
    for name, column in columns.items():
        numbers = np.asarray(column)
        if numbers.dtype.kind not in "biuf" or not np.isfinite(numbers).all():
            raise InputError(f"{path}: {name} holds {numbers.dtype}, expected finite numbers")
        events[name] = _convert(name, numbers, factor)
    if count and min(events["x"].min(), events["y"].min()) < 0:
        raise InputError(f"{path}: an event has a place below 0")
    return events[np.argsort(events["t"], kind="stable")]


def _convert(name: str, numbers: NDArray[Any], factor: float) -> NDArray[Any]:
    if name == "p":
        return numbers > 0  # 0 and 1, False and True, or -1 and 1
    return np.rint(numbers * factor) if name == "t" and factor != 1 else np.rint(numbers)
