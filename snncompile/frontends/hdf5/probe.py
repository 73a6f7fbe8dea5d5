"""Read everything of an HDF5 file in a process of its own, before ours does.

The HDF5 library can loop for ever, or end the process, on a damaged file: a list of strings whose
links form a ring is enough. Nothing inside the process can stop it then, so one process reads each
file first, and is ended when it takes too long.

This file is also the program of that process, which imports nothing of ours. It takes paths, one
JSON string a line, and answers with a line for each.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import h5py

MOST_SECONDS = 30.0
"""Time to read a file, plus one second per `BYTES_PER_SECOND` of its size."""
BYTES_PER_SECOND = 2**24
LARGEST_BYTES = 2**31
"""Larger arrays are not read, neither here nor by `read.py`."""

_lock = Lock()
_processes: dict[int, subprocess.Popen[str]] = {}  # by the process that started it


def can_be_read(path: Path) -> bool:
    """Return whether reading the file ends, with values or with an error.

    Cost: the file is read once more; about a millisecond for a small one, and 0.2 s the first time.
    """
    with _lock:
        process = _get_process()
        seconds = MOST_SECONDS + path.stat().st_size / BYTES_PER_SECOND
        too_long = Timer(seconds, process.kill)
        too_long.start()
        ended = _ask(process, str(path.absolute())) == "read"
        too_long.cancel()
        if not ended:
            _end()
        return ended


def _ask(process: subprocess.Popen[str], path: str) -> str:
    """Return the process's answer for a file; "" if it was ended before answering."""
    assert process.stdin
    assert process.stdout
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(path) + "\n")
        process.stdin.flush()
    return process.stdout.readline().rstrip()


def _get_process() -> subprocess.Popen[str]:
    """Return the reading process of this process; a new one if there is none."""
    process = _processes.get(os.getpid())
    if process is not None and process.poll() is None:
        return process
    _end()
    command = [sys.executable, "-I", __file__]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=none, text=True)
    _processes[os.getpid()] = process
    return process


@atexit.register
def _end() -> None:
    """End the reading process of this process, if there is one."""
    process = _processes.pop(os.getpid(), None)
    if process is not None:
        process.kill()
        with suppress(BrokenPipeError), process:
            pass  # closes its pipes and waits for it


def _serve() -> None:
    """Read file after file, until standard input ends."""
    for line in sys.stdin:
        _read(json.loads(line))
        sys.stdout.write("read\n")
        sys.stdout.flush()


def _read(path: str) -> None:
    try:
        with h5py.File(path, "r") as file:
            _read_group(file, set())
    except Exception:
        return  # an error is an answer; the next reader of the file gets it too


def _read_group(group: Any, seen: set[int]) -> None:
    for name in group:
        try:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            member = group[name]
            if isinstance(member, h5py.Dataset):
                _read_dataset(member)
            elif (address := h5py.h5o.get_info(member.id).addr) not in seen:
                seen.add(address)
                _read_group(member, seen)
        except Exception:  # the rest may be read all the same
            continue


def _read_dataset(dataset: Any) -> None:
    text = h5py.check_string_dtype(dataset.dtype) is not None
    plain = text or dataset.dtype.kind in "biuf"
    elsewhere = dataset.is_virtual or dataset.external is not None
    stored = dataset.id.get_storage_size()
    if (
        plain
        and stored
        and not elsewhere
        and dataset.size * dataset.dtype.itemsize <= LARGEST_BYTES
    ):
        dataset[()]


if __name__ == "__main__":
    _serve()
