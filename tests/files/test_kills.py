"""A process killed at any moment leaves the old or the new result, and nothing beside it."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kills import kill_one, measure_one, wait_for_the_guard
from networks import LOIHI2, chain

import snncompile
from snncompile.backends.lava.sums import is_emitted
from snncompile.cli.convert import convert
from snncompile.files.npz import read_npz
from snncompile.files.spikes import Spikes, write_spikes

WRITERS: dict[str, tuple[Callable[[Any, Path], object], Callable[[Path], object]]] = {
    "save": (lambda p, out: p.save(out), lambda out: snncompile.load(out)),
    "emit": (lambda p, out: p.emit(out), lambda out: [is_emitted(out)].index(True)),
    "spikes": (lambda p, out: write_spikes(out, Spikes(np.ones((2, 3, 4)), None)), read_npz),
    "convert": (lambda p, out: convert_model(out), lambda out: snncompile.load(out)),
    "nir": (lambda p, out: p.emit(out, "nir"), lambda out: snncompile.from_nir(out)),
}


MODEL = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
"""


def convert_model(out: Path) -> None:
    """Convert as the command line does; the files that it reads stand above the folder."""
    model, values = out.parent.parent / "model.py", out.parent.parent / "values.npz"
    if not model.exists():
        model.write_text(MODEL)
        np.savez(values, x=np.random.default_rng(0).random((4, 2)))
    convert(f"{model}:build", values, out, as_json=True)


def kill_often(name: str, kills: int, folder: Path) -> None:
    write, read = WRITERS[name]
    programs = [snncompile.compile(chain(2, n), chip=LOIHI2, prune=False) for n in (3, 40)]
    rng, out, seen = random.Random(0), folder / "results" / "out", set()
    out.parent.mkdir()
    write(programs[0], out)  # imports all that it needs

    def write_both() -> None:
        for program in programs:
            write(program, out)

    longest = 2 * measure_one(write_both)
    for _ in range(kills):
        assert kill_one(write_both, rng.uniform(0.001, longest)) == -signal.SIGKILL
        assert wait_for_the_guard(out.parent) == ["out"]
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
