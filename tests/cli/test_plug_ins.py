"""Frontends and backends of other packages are reached by the names in their entry points."""

from __future__ import annotations

import numpy as np
import pytest
from networks import integer_chain
from plug_in_package import install_package

import snncompile
from snncompile.cli.model_argument import load_model
from snncompile.errors import InputError
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.registry import load

CODE = """
from dataclasses import replace
from pathlib import Path
from networks import integer_chain
from snncompile.backends.energy.estimate import estimate_fast
from snncompile.reference.backend import run, spike_trains

def read(path):
    return integer_chain(*map(int, Path(path).read_text().split()))

read.suffixes = (".sizes",)

def read_number(path):
    return 7

def emit(program, path):
    path.write_text(str(program.network.title))

def estimate(program, x, **options):
    return replace(estimate_fast(program, x), note=" ".join(sorted(options)))

class Method:
    pass
"""
ROWS = {
    "frontends": {"sizes": "others:read", "number": "others:read_number"},
    "backends": {"echo": "others"},
    "emitters": {"title": "others:emit"},
    "estimators": {"none": "others:estimate"},
    "conversions": {"none": "others:Method"},
}
KNOWN = "expected a .net or .nir file, file.py:function or the folder of a saved network"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Install the package; work in a folder with a file that its frontend reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.sizes").write_text("2 3 2")
    (tmp_path / "small.txt").write_text("2 3 2")
    return install_package(tmp_path, monkeypatch, "others", CODE, ROWS)


@pytest.mark.parametrize("model", ["small.sizes", "sizes:small.sizes", "sizes:small.txt"])
def test_a_frontend_of_another_package_reads_a_file(folder, model):
    assert str(load_model(model)) == str(integer_chain(2, 3, 2))


def test_a_shipped_frontend_can_be_named(folder):
    (folder / "broken.txt").write_text("none")
    with pytest.raises(InputError, match=r"^broken\.txt"):
        load_model("nir:broken.txt")


# MODEL; the whole message.
WRONG = [
    ("small.txt", f"small.txt: not a kind of file we know; {KNOWN}, or number:PATH, or sizes:PATH"),
    ("sizes:none", f"none: no such file; {KNOWN}"),
    ("shapes:small.txt", f"shapes:small.txt: no such file; {KNOWN}"),
    ("torch:small.txt", f"torch:small.txt: no such file; {KNOWN}"),
    ("number:small.txt", "small.txt: frontend number returned int, expected a network"),
]


@pytest.mark.parametrize("model, message", WRONG)
def test_refuses(folder, model, message):
    with pytest.raises(InputError) as error:
        load_model(model)
    assert str(error.value) == message


def test_two_frontends_of_one_suffix_are_named(folder, monkeypatch):
    more = folder / "more"
    more.mkdir()
    code = "def read(path):\n    pass\n\nread.suffixes = ('.sizes',)\n"
    install_package(more, monkeypatch, "rivals", code, {"frontends": {"rival": "rivals:read"}})
    with pytest.raises(InputError) as error:
        load_model("small.sizes")
    assert str(error.value) == (
        ".sizes files are read by the frontends rival and sizes; give sizes:PATH or rival:PATH"
    )


def test_backends_emitters_and_estimators_are_reached_by_name(folder):
    network = integer_chain(2, 3, 2, neuron=IntegerCubaLif(4095, 0, 1))
    program = snncompile.compile(network, chip="toy", prune=False)
    x = np.ones((1, 4, 2), np.uint8)
    assert np.array_equal(program.run(x, "echo").spikes, program.run(x).spikes)
    program.emit(folder / "title.txt", "title")
    assert (folder / "title.txt").read_text() == network.title
    assert program.estimate(x, timing="none").note == "account costs progress"
    assert load("conversions", "none").__name__ == "Method"
