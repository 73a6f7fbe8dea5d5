"""Verifying with the model takes what `from_torch` took: the time axis, arguments, said neurons."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.errors import SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.training import Lif


class Along(nn.Module):
    """Takes (samples, features, steps), which here is also what (samples, steps, features) is."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(8, 8), Lif()

    def forward(self, x):
        return torch.stack([self.lif(3 * self.fc(x[..., t])) for t in range(x.shape[-1])])


class Counted(Along):
    """Makes as many steps as it is told."""

    def forward(self, x, number, gain=1.0):
        return torch.stack([self.lif(gain * self.fc(x)) for _ in range(number)])


class Unseen(nn.Module):
    """A neuron in numpy, which no trace sees."""

    def forward(self, x, v):
        v = torch.from_numpy(0.9 * v.numpy() + x.numpy())
        spike = (v > 1).to(x)
        return spike, v - spike


class Written(Along):
    def __init__(self):
        super().__init__()
        self.cell = Unseen()

    def forward(self, x):
        v, spikes = torch.zeros(len(x), 8), []
        for t in range(x.shape[1]):
            spike, v = self.cell(3 * self.fc(x[:, t]), v)
            spikes.append(spike)
        return torch.stack(spikes, 1)


SQUARE = (np.random.default_rng(0).random((3, 8, 8)) < 0.5).astype(np.float32)
IMAGES = np.random.default_rng(0).random((3, 8)).astype(np.float32)
SAID = {Unseen: CubaLif(1.0, 1 - 0.9, 1.0, reset="soft")}

# name: module, sample, what both calls are given
GIVEN = {
    "time": (Along(), SQUARE, {"time": "last"}),
    "args": (Counted(), IMAGES, {"args": (8,)}),
    "named args": (Counted(), IMAGES, {"args": {"number": 8, "gain": 4.0}}),
    "neurons": (Written(), SQUARE, {"neurons": SAID}),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_model_is_verified_as_it_was_imported(name):
    module, sample, given = GIVEN[name]
    program, x = _compile(module, sample, given)
    library = program.verify(x, model=module, lava=False, **given).comparison("library", "float")
    assert library.equal
    assert library.rows[0].outputs > 0


def _compile(module, sample, given):
    network = from_torch(module, sample, **given)
    x = sample if sample.ndim == 3 else network.input.present(sample)
    return snncompile.compile(network, chip="loihi2", calibration=x), x


def test_another_time_axis_or_argument_is_seen():
    module, sample, given = GIVEN["time"]
    program, x = _compile(module, sample, given)
    with pytest.raises(SnnCompileError, match="before it arrives"):
        program.verify(x, model=module, lava=False, time="second")
    module, sample, given = GIVEN["args"]
    program, x = _compile(module, sample, given)
    other = program.verify(x, model=module, lava=False, args={"number": 8, "gain": 4.0})
    assert not other.comparison("library", "float").equal


@pytest.mark.parametrize("name", ["args", "neurons"])
def test_what_is_missing_is_asked_for(name):
    module, sample, given = GIVEN[name]
    program, x = _compile(module, sample, given)
    with pytest.raises(SnnCompileError, match=r"args=\(\.\.\.\)|holds no neuron layer"):
        program.verify(x, model=module, lava=False)
