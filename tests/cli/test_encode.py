"""The command encode: images, and event recordings."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tonic")
EVENTS = {"t": [10, 900, 2500, 2600], "x": [0, 1, 2, 2], "y": [0, 1, 0, 0], "p": [0, 1, 1, 1]}


@pytest.fixture
def recording(tmp_path):
    np.savez(tmp_path / "e.npz", **EVENTS)


@pytest.mark.usefixtures("recording")
def test_recordings_become_frames(tmp_path, snncompile_command):
    words = [
        "encode",
        "e.npz",
        "e.npz",
        "-o",
        "x.npz",
        "--bin-us",
        "1000",
        "--size",
        "3,2",
        "--json",
    ]
    done = snncompile_command(*words)
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "output": "x.npz",
        "shape": [2, 3, 2, 2, 3],
        "lowest": 0,
        "highest": 2,
    }
    x = np.load(tmp_path / "x.npz")["x"]
    assert (x[0] == x[1]).all()
    assert x[0, 2, 1].tolist() == [[0, 0, 2], [0, 0, 0]]
    done = snncompile_command(*words, "--binary", "--flatten")
    assert done.json == {"output": "x.npz", "shape": [2, 3, 12], "rate": 3 / 36}


@pytest.mark.usefixtures("recording")
def test_events_that_are_left_out_are_told(snncompile_command):
    words = "encode e.npz -o x.npz --bin-us 1000 --size 3,2 --steps 2 --polarity signed"
    done = snncompile_command(*words.split())
    assert done.out == "output: x.npz\nshape: [1, 2, 1, 2, 3]\nlowest: -1\nhighest: 1\n"
    assert done.err == ("warning: 2 of 4 events come after the last of 2 steps and are left out\n")


NEEDS = "event recordings need the bin and the size of their frames: --bin-us 1000 --size 34,34"
REFUSED = {
    "no bin": ("encode e.npz -o x.npz --size 3,2", NEEDS),
    "no size": ("encode e.npz -o x.npz --bin-us 5", NEEDS),
    "neither": ("encode e.npz -o x.npz", NEEDS),
    "images without steps": (
        "encode i.npz -o x.npz",
        "images take one file and --steps; recordings --bin-us and --size",
    ),
    "no size at all": (
        "encode e.npz -o x.npz --bin-us 5 --size wide",
        "--size wide: expected WIDTH,HEIGHT or LINES",
    ),
}


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_one_line(case, tmp_path, snncompile_command):
    np.savez(tmp_path / "i.npz", x=np.zeros((2, 3)))
    words, message = REFUSED[case]
    done = snncompile_command(*words.split())
    assert (done.code, done.err) == (1, f"error: {message}\n")
    assert not (tmp_path / "x.npz").exists()
