"""Event recordings of every format become the same frames, or are refused in one line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from aedat4 import write_aedat4
from hypothesis import given, settings
from hypothesis import strategies as st

import snncompile
from snncompile.errors import InputError
from snncompile.frontends.events.frames import Frames, encode_events
from snncompile.frontends.events.read import holds_events, read_recordings

pytest.importorskip("tonic")
pytest.importorskip("aedat")
WIDTH, HEIGHT, COUNT = 8, 6, 200
rng = np.random.default_rng(0)
T = np.sort(rng.integers(0, 10_000, COUNT)) + 5_000_000
X, Y, P = (rng.integers(0, high, COUNT) for high in (WIDTH, HEIGHT, 2))


def count(t=T, x=X, y=Y, p=P, *, bin_us=1000, size=(WIDTH, HEIGHT)) -> np.ndarray:
    """Return the frames by numpy's histogram, shape (steps, 2, height, width)."""
    steps = int((t.max() - t.min()) // bin_us) + 1
    step = (t - t.min()) // bin_us
    edges = [np.arange(n + 1) - 0.5 for n in (steps, 2, size[1], size[0])]
    return np.histogramdd(np.stack([step, p, y, x], 1), edges)[0].astype(int)


def table(names=("t", "x", "y", "p"), order=slice(None)) -> np.ndarray:
    """Return a structured array under the names of some writer."""
    types = ["<i8", "<u2", "<u2", "?"]
    array = np.zeros(COUNT, list(zip(names, types, strict=True)))
    for name, column in zip(names, (T, X, Y, P), strict=True):
        array[name] = column[order]
    return array


def write_structured(path: Path) -> Path:
    np.savez(path / "e.npz", events=table(("ts", "x", "y", "polarity")), label=3)
    return path / "e.npz"


def write_columns(path: Path) -> Path:
    np.savez(path / "c.npz", t=T, x=X, y=Y, p=np.where(P, 1, -1))
    return path / "c.npz"


def write_unsorted(path: Path) -> Path:
    np.save(path / "e.npy", table(order=rng.permutation(COUNT)))
    return path / "e.npy"


def write_groups(path: Path) -> Path:
    with h5py.File(path / "e.h5", "w") as file:
        for name, column in {"t": T, "x": X, "y": Y, "p": P}.items():
            file[f"events/{name}"] = column
        file["ms_to_idx"] = np.arange(3)
    return path / "e.h5"


def write_records(path: Path) -> Path:
    with h5py.File(path / "e.hdf5", "w") as file:
        array = table(("t", "x", "y", "p")).astype(
            [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
        )
        names = ("x", "y", "p", "t")
        ordered = np.zeros(COUNT, array.dtype)
        for name, column in zip(names, (X, Y, P, T), strict=True):
            ordered[name] = column
        file["CD/events"] = ordered
    return path / "e.hdf5"


def write_camera(path: Path) -> Path:
    write_aedat4(path / "e.aedat4", T, X, Y, P, (WIDTH, HEIGHT))
    return path / "e.aedat4"


WRITERS = {
    "structured npz": write_structured,
    "columns in npz": write_columns,
    "unsorted npy": write_unsorted,
    "HDF5 groups": write_groups,
    "HDF5 records": write_records,
    "AEDAT4": write_camera,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_gives_the_frames_of_a_histogram(writer, tmp_path):
    path = WRITERS[writer](tmp_path)
    assert holds_events(path)
    encoded = encode_events([path], Frames(1000, (WIDTH, HEIGHT)))
    assert encoded.spikes.x.dtype == np.uint8
    assert (encoded.spikes.x == count()).all()
    assert (encoded.events, encoded.late) == (COUNT, 0)
    label = encoded.spikes.label
    assert (None if label is None else label.tolist()) == ([3] if "struct" in writer else None)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 3), st.integers(0, 2), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 1500),
)
def test_no_event_is_lost(tmp_path_factory, events, bin_us):
    t, x, y, p = (np.array(column) for column in zip(*events, strict=True))
    path = tmp_path_factory.mktemp("events") / "e.npz"
    np.savez(path, t=t, x=x, y=y, p=p)
    one = int(t.max() - t.min() < bin_us / 10) or None  # it has to be said, see the unit of time
    encoded = encode_events([path], Frames(bin_us, (4, 3), one))
    assert (encoded.spikes.x[0] == count(t, x, y, p, bin_us=bin_us, size=(4, 3))).all()


def test_polarities_sizes_and_steps(tmp_path):
    path, counts = write_structured(tmp_path), count()

    def frames(**options):
        return encode_events([path], Frames(1000, **({"size": (WIDTH, HEIGHT)} | options)))

    assert (frames(polarity="merged").spikes.x[0] == counts.sum(1, keepdims=True)).all()
    assert (frames(polarity="signed").spikes.x[0] == counts[:, 1:] - counts[:, :1]).all()
    assert (frames(binary=True).spikes.x[0] == (counts > 0)).all()
    half = frames(size=(WIDTH // 2, HEIGHT // 2), sensor=(WIDTH, HEIGHT)).spikes.x[0]
    blocks = counts.reshape(len(counts), 2, HEIGHT // 2, 2, WIDTH // 2, 2).sum((3, 5))
    assert (half == blocks).all()
    short, long = frames(steps=4), frames(steps=15)
    assert (short.spikes.x[0] == counts[:4]).all()
    assert short.late == counts[4:].sum()
    assert (long.spikes.x[0, : len(counts)] == counts).all()
    assert not long.spikes.x[0, len(counts) :].any()


def test_several_recordings_are_as_long_as_the_longest(tmp_path):
    np.savez(tmp_path / "short.npz", t=[0, 900], x=[1, 2], y=[0, 0], p=[0, 1])
    paths = [tmp_path / "short.npz", write_columns(tmp_path)]
    x = encode_events(paths, Frames(1000, (WIDTH, HEIGHT))).spikes.x
    assert x.shape == (2, 10, 2, HEIGHT, WIDTH)
    assert (x[0, 0].sum(), x[0, 1:].sum()) == (2, 0)
    assert len(encode_events(paths, Frames(1000, (WIDTH, HEIGHT)), samples=1).spikes.x) == 1


def write_cochlea(path: Path) -> Path:
    """Write a file such as SHD's: times in seconds and units of several samples, with labels."""
    with h5py.File(path / "shd.h5", "w") as file:
        ragged = {"times": h5py.vlen_dtype(np.float32), "units": h5py.vlen_dtype(np.int64)}
        for name, rows in {
            "times": ([0.0, 0.004, 0.0041], [0.5, 0.501]),
            "units": ([3, 1, 1], [0, 2]),
        }.items():
            dataset = file.create_dataset(f"spikes/{name}", (2,), ragged[name])
            for number, row in enumerate(rows):
                dataset[number] = np.array(row)
        file["labels"] = np.array([7, 4])
    return path / "shd.h5"


def test_lines_of_a_cochlea(tmp_path):
    encoded = encode_events([write_cochlea(tmp_path)], Frames(1000, (4,)), "s")
    wanted = np.zeros((2, 5, 4), int)
    wanted[0, 0, 3] = wanted[1, 0, 0] = wanted[1, 1, 2] = 1
    wanted[0, 4, 1] = 2
    assert (encoded.spikes.x == wanted).all()
    assert encoded.spikes.label.tolist() == [7, 4]


def test_frames_go_into_a_network(tmp_path):
    torch = pytest.importorskip("torch")
    snntorch = pytest.importorskip("snntorch")
    x = encode_events([write_camera(tmp_path)], Frames(1000, (WIDTH, HEIGHT))).spikes.x
    torch.manual_seed(0)
    layers = (torch.nn.Flatten(), torch.nn.Linear(2 * WIDTH * HEIGHT, 4))
    module = torch.nn.Sequential(*layers, snntorch.Leaky(0.9, init_hidden=True, threshold=0.2))
    network = snncompile.from_torch(module, x)
    assert network.input.payload.high == 2 ** int(x.max()).bit_length() - 1
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.run(x).spikes.any()


def save(path: Path, **arrays) -> Path:
    np.savez(path / "e.npz", **arrays)
    return path / "e.npz"


FULL = {"t": T, "x": X, "y": Y, "p": P}
SIZE = (WIDTH, HEIGHT)
REFUSED = {
    "nothing there": (lambda p: p / "no.npz", Frames(1, SIZE), "no.npz: no such file"),
    "no events": (
        lambda p: save(p, a=T),
        Frames(1, SIZE),
        "e.npz: holds no events with fields t, x, y and p; it has a",
    ),
    "another file": (
        lambda p: p / "a.txt",
        Frames(1, SIZE),
        "a.txt: not a recording we read: .npz, .npy, .h5, .hdf5 or .aedat4",
    ),
    "lengths": (
        lambda p: save(p, t=T, x=X[1:]),
        Frames(1, SIZE),
        f"e.npz: t, x, y and p must be lists of one length, got t ({COUNT},), x ({COUNT - 1},)",
    ),
    "no event": (
        lambda p: save(p, t=T[:0], x=X[:0]),
        Frames(1, SIZE),
        "e.npz: recording 0 holds no event",
    ),
    "nan": (
        lambda p: save(p, t=T * np.nan, x=X),
        Frames(1, SIZE),
        "e.npz: t holds float64, expected finite numbers",
    ),
    "below 0": (
        lambda p: save(p, t=T, x=X - 1),
        Frames(1, SIZE),
        "e.npz: an event has a place below 0",
    ),
    "beyond the size": (
        lambda p: save(p, **FULL),
        Frames(1000, (7, HEIGHT)),
        "e.npz: x reaches 7, beyond the size 7; give the sensor's size to scale it",
    ),
    "rows of lines": (
        lambda p: save(p, **FULL),
        Frames(1000, (WIDTH,)),
        "e.npz: events have rows; give WIDTH,HEIGHT",
    ),
    "too many": (
        lambda p: save(p, **FULL),
        Frames(0.001, (2000, 2000)),
        re.compile(
            "frames of 1 recordings and .* steps take .* bytes, the limit is 2,147,483,648; take"
        ),
    ),
    "too many in a step": (
        lambda p: save(p, t=np.zeros(70_000), x=np.zeros(70_000), p=np.ones(70_000)),
        Frames(1000, (1,), 1),
        "e.npz: a pixel has more than 32,767 events in a step; take shorter bins",
    ),
    "seconds read as microseconds": (
        lambda p: save(p, **{**FULL, "t": np.linspace(0, 1.4, len(T))}),
        Frames(1000, SIZE),
        "e.npz: times read as us last 1 us, less than a tenth of a step of 1000 us; say the unit of"
        " the files with --time-unit, or --steps 1",
    ),
    "nanoseconds read as microseconds": (
        lambda p: save(p, **{**FULL, "t": np.linspace(0, 9e9, len(T))}),
        Frames(1000, SIZE),
        "e.npz: times read as us last 2.5 hours; say the unit of the files with --time-unit, or"
        " the number of --steps",
    ),
    "a damaged camera file": (
        lambda p: _damaged(p),
        Frames(1000, SIZE),
        "e.aedat4: not a readable AEDAT4 file, or one that is damaged or cut short",
    ),
}


def _damaged(path: Path) -> Path:
    write_camera(path).write_bytes(b"#!AER-DAT4.0\r\n" + bytes(30))
    return path / "e.aedat4"


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case, tmp_path):
    write, frames, message = REFUSED[case]
    with pytest.raises(InputError) as error:
        encode_events([write(tmp_path)], frames)
    text = str(error.value).removeprefix(f"{tmp_path}/")
    assert message.match(text) if isinstance(message, re.Pattern) else text == message
    assert "\n" not in text


FRAMES_REFUSED = [
    ({"bin_us": 0.0}, "frames need a bin above 0 us and at least 1 step"),
    ({"bin_us": float("nan")}, "frames need a bin above 0 us and at least 1 step"),
    ({"steps": 0}, "frames need a bin above 0 us and at least 1 step"),
    ({"size": (0, 3)}, "a size is WIDTH,HEIGHT or a number of lines, got (0, 3)"),
    ({"sensor": (3,)}, "a size is WIDTH,HEIGHT or a number of lines, got (3,)"),
    ({"polarity": "both"}, "no polarity 'both'; known: split, merged, signed"),
    ({"polarity": "signed", "binary": True}, "signed frames are not binary; leave one of them out"),
]


@pytest.mark.parametrize("options, message", FRAMES_REFUSED)
def test_frames_that_make_no_sense(options, message):
    with pytest.raises(InputError) as error:
        Frames(**({"bin_us": 1.0, "size": (4, 3)} | options))
    assert str(error.value) == message


def test_a_unit_of_time_that_is_not_known():
    with pytest.raises(InputError) as error:
        list(read_recordings(Path("e.npz"), "h"))
    assert str(error.value) == "no unit of time 'h'; known: ns, us, ms, s"


def test_tonic_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic.functional", None)
    with pytest.raises(InputError) as error:
        encode_events([save(tmp_path, **FULL)], Frames(1000, SIZE))
    assert str(error.value) == (
        "event recordings are read through tonic: pip install 'snncompile[events]'"
    )


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(InputError) as error:
        list(read_recordings(tmp_path / "pipe.npy"))
    assert str(error.value) == (
        f"{tmp_path}/pipe.npy: is a device or a pipe, expected an .npy file"
    )
