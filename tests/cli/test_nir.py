"""NIR files on the command line."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest


@pytest.fixture
def model(snncompile_command):
    """A NIR file in the current folder."""
    size = np.ones(2)
    lif = nir.LIF(1e-3 * size, 10 * size, 0 * size, size)
    nir.write("model.nir", nir.NIRGraph.from_list(nir.Linear(np.array([[1.0, 0.5, 2.0]] * 2)), lif))
    return ("compile", "model.nir", "--chip", "loihi2", "-o", "build")


NIR = ("--assume", "origin=nir", "--assume", "dt=1e-4")


def test_compiles_a_nir_file_and_says_what_was_assumed(model, snncompile_command):
    done = snncompile_command(*model, "--assume", "reset=soft", *NIR)
    assert done.code == 0
    assert "NIR: read as written by nir (given); origin= sets it\n" in done.out
    assert "reset='soft' (given)" in done.out
    assert "NIR: read as written by nir" in snncompile_command("show", "build").out


@pytest.mark.parametrize("name", ["model.NIR", "model.h5", "model.hdf5"])
def test_other_suffixes_are_read_by_content(model, snncompile_command, name):
    Path("model.nir").rename(name)
    command = ("compile", name, "--chip", "loihi2", "-o", "build")
    done = snncompile_command(*command, *NIR)
    assert done.code == 0, done.err
    assert "NIR: read as written by nir (given)" in done.out


# What is typed after --assume, and the whole message.
WRONG = {
    "soft": "'soft': expected NAME=VALUE or reset:NODE=VALUE; known: origin, dt, reset, comparison,"
    " if_r, tau_unit, delay_unit, method, start, w_in, r, spikes_per_step, spike_delay, min_v,"
    " loop_delay, input_shape",
    "dt=fast": "'dt=fast': 'fast' is not a value of dt",
    "reset=zero": "no reset 'zero'; known: auto, hard, soft, delayed_soft, delayed_hard,"
    " strict_soft, none",
    "reset:x=soft": "reset: there is no node 'x'; there are lif",
    "input_shape=2x": "'input_shape=2x': '2x' is not a value of input_shape",
}


@pytest.mark.parametrize("word", WRONG)
def test_refuses_what_cannot_be_assumed(model, snncompile_command, word):
    done = snncompile_command(*model, "--assume", word)
    assert (done.code, done.err) == (1, f"error: {WRONG[word]}\n")


def test_only_nir_files_leave_something_open(snncompile_command):
    done = snncompile_command(
        "compile", "x.net", "--chip", "loihi2", "-o", "build", "--assume", "dt=1"
    )
    message = "error: x.net: only a .nir file leaves something to assume\n"
    assert (done.code, done.err) == (1, message)


def test_emit_writes_a_nir_file_and_a_net_file(model, snncompile_command):
    done = snncompile_command(*model, "--formats", "netx", *NIR)
    assert done.code == 0, done.err
    for backend in ("nir", "netx"):
        name = f"again.{backend[:3]}"
        done = snncompile_command("emit", "build", "--backend", backend, "-o", name, "--json")
        assert (done.code, done.json) == (0, {"output": name, "files": [name]})
        other = ("compile", name, "--chip", "loihi2", "-o", "other", "--json")
        assert snncompile_command(*other).code == 0


def test_emit_writes_a_nir_file_for_a_reader(model, snncompile_command):
    assert snncompile_command(*model, *NIR).code == 0
    emit = ("emit", "build", "--backend", "nir", "--for")
    done = snncompile_command(*emit, "norse", "-o", "x.nir", "--json")
    assert (done.code, done.json["files"]) == (0, ["x.nir"])
    assert done.json["note"].startswith("a network that flattens images takes one sample at a time")
    done = snncompile_command(*emit, "brian", "-o", "y.nir")
    message = "error: no reader 'brian' of NIR files; known: snntorch, norse, sinabs, spyx\n"
    assert (done.code, done.err) == (1, message)
