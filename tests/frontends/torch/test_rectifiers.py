"""Rectifiers of currents, as of a front end of ReLUs: neurons that send values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layers import check, filled, leaky, spikes
from torch import nn
from torch.nn import functional

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches

SIDE = 6


class Net(nn.Module):
    """Neurons, what `between` makes of their spikes, and neurons behind a dense layer."""

    def __init__(self, between, size=3 * SIDE**2):
        super().__init__()
        self.between = between
        self.first, self.spiking = nn.Conv2d(2, 3, 3, padding=1), leaky()
        self.conv, self.other = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.relu = nn.BatchNorm2d(3), nn.ReLU()
        self.last, self.end = nn.Linear(size, 4), leaky()

    def forward(self, x):
        return self.end(self.last(self.between(self, self.spiking(self.first(x))).flatten(1)))


BETWEEN = {
    "of a convolution": (lambda m, a: functional.relu(m.conv(a)), 1),
    "a layer, normalized": (lambda m, a: m.relu(m.norm(m.conv(a))), 1),
    "two in a row": (lambda m, a: functional.relu(m.other(m.relu(m.conv(a)))), 2),
    "beside a shortcut": (lambda m, a: torch.relu(m.conv(a)) + a, 1),
    "of whole numbers": (lambda m, a: functional.relu(3 * a - 2 * a.flip(-1)), 1),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_rectifiers_are_neurons(name):
    between, count = BETWEEN[name]
    x = spikes(3, 12, 2, SIDE, SIDE)
    network = check(filled(Net(between)), x)
    rectifiers = [p for p in network.populations if p.neuron.name == "graded"]
    assert len(rectifiers) == count
    whole = name == "of whole numbers"
    assert {bool(p.neuron.values) for p in rectifiers} == {not whole}
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    (sent,) = run_batches(program.network, x)
    for p in rectifiers:
        assert len(np.unique(sent[p.name])) > 2
        assert sent[p.name].min() == 0
    reports = {layer.population: layer for layer in program.quantized}
    assert all(reports[p.name].output_error < 0.03 for p in rectifiers)


def test_a_front_end_of_an_analog_input():
    """Two layers of ReLUs before the first neurons; they stay on the chip."""
    net = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(2 * 2 * 2, 5), leaky()),
    )
    x = np.random.default_rng(0).normal(size=(4, 12, 1, SIDE, SIDE)).astype("float32")
    network = from_torch(filled(net), x, time="step")
    assert [p.neuron.name for p in network.populations] == ["graded", "graded", "cuba_lif"]
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    same = (program.run(x).spikes == network.run(x).spikes).mean()
    assert same > 0.9


@pytest.mark.lava
def test_lava_sends_the_same(lava):
    x = spikes(3, 12, 2, SIDE, SIDE)
    network = from_torch(filled(Net(BETWEEN["two in a row"][0])), x)
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x, lava=True).equal


def test_a_chip_without_numbers_refuses_by_name():
    network = from_torch(filled(Net(BETWEEN["of a convolution"][0])), spikes(3, 12, 2, SIDE, SIDE))
    with pytest.raises(UnsupportedError, match="loihi1 has no neuron graded/scaled"):
        snncompile.compile(network, chip="loihi1")
