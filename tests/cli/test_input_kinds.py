"""Models of torch with their own kind of input, on the command line."""

from __future__ import annotations

import numpy as np
import pytest

MODEL = """
import numpy as np, snntorch, torch
from torch import nn

def build():
    torch.manual_seed(1)
    layers = [nn.Linear(6, 8), snntorch.Leaky(0.9, init_hidden=True, threshold=0.5)]
    output = snntorch.Leaky(0.9, init_hidden=True, threshold=0.1)
    return nn.Sequential(*layers, nn.Linear(8, 3), output)

def both():
    return build(), np.random.default_rng(0).random((2, 6, 6))

def network():
    import snncompile
    return snncompile.from_torch(*both())
"""
COMPILE = ["compile", "model.py:build", "--sample", "x.npz", "--chip", "loihi2", "-o", "build"]


@pytest.fixture
def model(tmp_path, snncompile_command):
    rng = np.random.default_rng(0)
    (tmp_path / "model.py").write_text(MODEL)
    np.savez(tmp_path / "x.npz", x=rng.standard_normal((4, 6, 6)).astype(np.float32))
    np.savez(tmp_path / "counts.npz", x=rng.integers(0, 4, (4, 6, 6)))
    return tmp_path


@pytest.mark.usefixtures("model")
def test_analog_values_from_file_to_price(snncompile_command):
    options = ("--calibration", "x.npz", "--input-bits", 6, "--input-range=-4,4.5")
    done = snncompile_command(*COMPILE, *options, "--json")
    assert done.code == 0, done.err
    assert done.json["log"][0].startswith(
        "input: analog values from -4 to 4.5 are rounded to 6 bits"
    )
    for words in (
        "run build --input x.npz",
        "verify build --input x.npz --model model.py:build --no-lava",
        "estimate build --input x.npz",
        "present build x.npz -o shown.npz",
        "run build --input shown.npz",
        "show build",
    ):
        done = snncompile_command(*words.split())
        assert done.code == 0, done.err


@pytest.mark.usefixtures("model")
def test_the_kind_is_stated(snncompile_command):
    words = [word.replace("x.npz", "counts.npz") for word in COMPILE]
    done = snncompile_command(*words, "--input-kind", "counts", "--input-range", "0,20", "--json")
    assert done.code == 0, done.err
    assert done.json["log"][0] == "input: whole numbers from 0 to 20, sent as 0 to 31"


REFUSED = {
    "another kind": (
        [*COMPILE, "--input-kind", "spikes"],
        'sample holds values from -2.3653 to 2.00239, expected 0 or 1 for input="spikes"; leave'
        ' input out, or give input="analog"',
    ),
    "no range": (
        [*COMPILE, "--input-range", "1"],
        "--input-range 1: expected two numbers, --input-range=-1,1",
    ),
    "a function without its sample": (
        ["compile", "model.py:build", "--chip", "loihi2", "-o", "build"],
        "model.py:build: returned Sequential, expected (module, sample) (or the module alone, with"
        " --sample)",
    ),
    "a network": (
        ["compile", "model.py:network", "--sample", "x.npz", "--chip", "loihi2", "-o", "build"],
        "model.py:network: returned a network, which has its input; leave the sample and its kind"
        " out, or return the module",
    ),
    "a file": (
        ["compile", "some.net", "--input-kind", "counts", "--chip", "loihi2", "-o", "build"],
        "some.net: a sample and its kind are for a torch module, file.py:function",
    ),
    "a chip without numbers": (
        ["compile", "model.py:both", "--chip", "loihi1", "-o", "build"],
        "input: sends numbers from 0 to 255, and messages of loihi1 are spikes alone; make spikes"
        " (0 or 1) of the values and train with them, or take a chip whose messages carry numbers:"
        " loihi2, spinnaker1, spinnaker2",
    ),
}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_one_line(case, snncompile_command):
    words, message = REFUSED[case]
    done = snncompile_command(*words)
    assert (done.code, done.err) == (1, f"error: {message}\n")
