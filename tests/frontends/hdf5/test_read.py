"""Files on which the HDF5 library itself fails."""

from __future__ import annotations

import os
import signal

import h5py
import numpy as np
import pytest

from snncompile.errors import InputError
from snncompile.frontends.hdf5 import probe
from snncompile.frontends.hdf5.read import open_hdf5

HEAP_HEADER = 16
"""Bytes before the first object of a heap; an object is 16 bytes and its text, to 8 bytes."""


def names(path, count=3):
    with h5py.File(path, "w") as file:
        file.create_dataset("in/names", data=["name"] * count, dtype=h5py.string_dtype())
        file["self"] = file["/"]
    return path


def ring(path):
    """Write a heap of strings whose second object leads back to itself."""
    content = bytearray(names(path).read_bytes())
    second = content.index(b"GCOL") + HEAP_HEADER + 16 + 8
    content[second + 8 : second + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(content)
    return path


def test_a_file_that_does_not_end_is_refused_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "MOST_SECONDS", 1.0)
    with pytest.raises(InputError) as error, open_hdf5(ring(tmp_path / "ring.nir")):
        pass
    assert str(error.value) == (
        "ring.nir: the HDF5 file is damaged: reading it does not end, or ends the process"
    )
    monkeypatch.undo()
    with open_hdf5(names(tmp_path / "names.nir", count=1)) as root:
        assert root.open_group("in", "in").read_text("names") == "name"


def test_a_process_that_was_ended_between_files_is_started_anew(tmp_path):
    path = names(tmp_path / "names.nir")
    assert probe.can_be_read(path)
    process = probe._processes[os.getpid()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert probe.can_be_read(path)


def test_a_number_of_an_unknown_kind_is_one_line(tmp_path):
    path = tmp_path / "some.nir"
    with h5py.File(path, "w") as file:
        file["number"] = np.float64(1)
    content = bytearray(path.read_bytes())
    # of an IEEE double: precision, where its exponent and mantissa are, and the exponent's bias
    double = content.index(bytes([64, 0, 52, 11, 0, 52]) + (1023).to_bytes(4, "little"))
    content[double + 6 : double + 10] = b"\xff\xff\xff\x00"
    path.write_bytes(content)
    with (
        open_hdf5(path) as root,
        pytest.raises(InputError, match=r"^some\.nir: number cannot be read, the file is damaged$"),
    ):
        root.read_numbers("number")
