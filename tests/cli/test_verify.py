"""The command verify, and running on Lava."""

import pytest


@pytest.fixture
def lying_lava(monkeypatch):
    """A Lava backend that gets one spike of the last layer wrong."""
    from snncompile.backends.lava import run as lava
    from snncompile.reference import backend as reference

    def spike_trains(network, x, *, progress=None, timeout_s=None):
        found = reference.spike_trains(network, x)
        wrong = found[network.output].copy()
        wrong[1, 4, 2] ^= 1
        return found | {network.output: wrong}

    monkeypatch.setattr(lava, "spike_trains", spike_trains)


@pytest.mark.usefixtures("build", "lying_lava")
def test_verify_finds_the_first_difference_and_exits_with_1(spikes, snncompile_command):
    done = snncompile_command("verify", "build", "--input", spikes, "--samples", 3)
    assert done.code == 1
    assert "first difference: sample 1, step 4, population output, neuron 2: the ref" in done.out
    done = snncompile_command("verify", "build", "--input", spikes, "--samples", 3, "--json")
    assert done.code == 1
    assert done.json["equal"] is False
    assert done.json["samples"] == 3
    lava = done.json["comparisons"][2]
    assert [row["differences"] for row in lava["rows"]] == [0, 1]
    assert lava["difference"] == done.json["first"]


MODEL = """
import numpy as np, snntorch, torch
from torch import nn

def build():
    torch.manual_seed(1)
    layers = [nn.Linear(12, 6), snntorch.Leaky(0.9, init_hidden=True), nn.Linear(6, 3)]
    module = nn.Sequential(*layers, snntorch.Leaky(0.9, init_hidden=True, threshold=0.2))
    return module, (np.random.default_rng(0).random((4, 10, 12)) < 0.4).astype(np.uint8)

def other():
    return nn.Sequential(nn.Linear(12, 6), snntorch.Leaky(0.9, init_hidden=True)), build()[1]

def network():
    import snncompile
    return snncompile.from_torch(*build())
"""


@pytest.fixture
def model(tmp_path, spikes, snncompile_command):
    """A Program compiled from a file with a torch module."""
    (tmp_path / "model.py").write_text(MODEL)
    done = snncompile_command("compile", "model.py:build", "--chip", "loihi2", "-o", "build")
    assert done.code == 0, done.err


@pytest.mark.usefixtures("model")
def test_verify_runs_the_library_and_the_float_network(spikes, snncompile_command):
    words = ("verify", "build", "--input", spikes, "--no-lava")
    done = snncompile_command(*words, "--model", "model.py:build", "--json")
    assert done.code == 0, done.err
    library, rounding, lava = done.json["comparisons"]
    assert library["equal"]
    assert [row["outputs"] for row in library["rows"]] == [8 * 10 * 6, 8 * 10 * 3]
    assert (rounding["promised"], rounding["missing"]) == (False, "")
    assert lava["missing"] == "Lava was left out"
    text = snncompile_command(*words).out
    assert "the source library and the float network: not compared, no model was given" in text
    assert "the reference and Lava: not compared, Lava was left out" in text


VERIFY_REFUSED = [
    (
        "model.py:other",
        "error: the model has a layer layer_1 (6,), the Program was compiled from hidden (6,),"
        " output (3,); give the model it was compiled from\n",
    ),
    ("build", "error: build: only a torch module can run by itself; give file.py:function\n"),
    ("model.py:network", "error: model.py:network: returned Network, expected (module, sample)\n"),
]


@pytest.mark.parametrize("name, message", VERIFY_REFUSED)
def test_verify_refuses_another_model(name, message, build, spikes, tmp_path, snncompile_command):
    (tmp_path / "model.py").write_text(MODEL)
    done = snncompile_command("verify", "build", "--input", spikes, "--no-lava", "--model", name)
    assert (done.code, done.err) == (1, message)


@pytest.mark.lava
@pytest.mark.usefixtures("build", "lava")
def test_verify_and_run_on_lava(spikes, snncompile_command):
    done = snncompile_command("verify", "build", "--input", spikes, "--json")
    assert done.code == 0, done.err
    assert done.json["equal"] is True
    assert done.json["samples"] == 8
    lava = snncompile_command("run", "build", "--input", spikes, "--backend", "lava", "--json")
    reference = snncompile_command("run", "build", "--input", spikes, "--json")
    assert lava.json["accuracy"] == reference.json["accuracy"]
