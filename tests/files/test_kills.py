"""A process killed at any moment leaves the old or the new result, and nothing beside it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import LOIHI2, chain

import snncompile
from snncompile.backends.lava.sums import is_emitted
from snncompile.files.npz import read_npz
from snncompile.files.spikes import Spikes, write_spikes

WRITERS: dict[str, tuple[Callable[[Any, Path], object], Callable[[Path], object]]] = {
    "save": (lambda p, out: p.save(out), lambda out: snncompile.load(out)),
    "emit": (lambda p, out: p.emit(out), lambda out: [is_emitted(out)].index(True)),
    "spikes": (lambda p, out: write_spikes(out, Spikes(np.ones((2, 3, 4)), None)), read_npz),
    "nir": (lambda p, out: p.emit(out, "nir"), lambda out: snncompile.from_nir(out)),
}


def write_for_ever(write: Callable[[Any, Path], object], programs: list[Any], out: Path) -> None:
    """Write one after the other until this process is killed."""
    try:
        while True:
            for program in programs:
                write(program, out)
    finally:
        os._exit(1)


def kill_one(write: Callable[[Any, Path], object], programs: list[Any], out: Path, s: float) -> int:
    """Write in a process that is killed after `s` seconds; return how it ended."""
    child = os.fork()
    if child == 0:
        write_for_ever(write, programs, out)
    time.sleep(s)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for_the_guard(folder: Path) -> list[str]:
    """Return what is in a folder once nothing hidden is left, or after five seconds."""
    end = time.monotonic() + 5
    while time.monotonic() < end and any(p.name.startswith(".") for p in folder.iterdir()):
        time.sleep(0.005)
    return [p.name for p in folder.iterdir()]


def kill_often(name: str, kills: int, folder: Path) -> None:
    write, read = WRITERS[name]
    programs = [snncompile.compile(chain(2, n), chip=LOIHI2, prune=False) for n in (3, 40)]
    rng, out, seen = random.Random(0), folder / "out", set()
    write(programs[0], out)  # imports all that it needs
    for _ in range(kills):
        assert kill_one(write, programs, out, rng.uniform(0.001, 0.15)) == -signal.SIGKILL
        names = wait_for_the_guard(folder)
        assert names == ["out"]
        read(out)
        seen.add(out.stat().st_mtime_ns)
    assert len(seen) > kills / 4  # it was not always killed before its first result


@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_leaves_the_old_or_the_new(name, tmp_path):
    kill_often(name, 8, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_fifty_kills_of_each(name, tmp_path):
    kill_often(name, 50, tmp_path)
