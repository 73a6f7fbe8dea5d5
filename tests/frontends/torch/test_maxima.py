"""Maximum pools of torch: of currents, and of several spikes per step; those of spikes stand in
test_networks.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layers import check, filled, leaky, spikes
from torch import nn
from torch.nn import functional as F  # noqa: N812

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches

snn = pytest.importorskip("snntorch")


def normalized(pool):
    """Return normalization before the pool and behind it, which turns some channels around."""
    norms = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    return nn.Sequential(nn.Conv2d(2, 3, 3), norms[0], pool, norms[1], leaky())


# A module, and the populations that it becomes.
POOLED = {
    "2x2": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), leaky()),
        {"layer_1_1": (3, 6, 3), "layer_1_2": (3, 3, 3), "layer_2": (3, 3, 3)},
    ),
    "overlapping, with a border": (
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(3, 2, 1), leaky()),
        {
            "layer_1_1": (3, 8, 4),
            "layer_1_2": (3, 8, 4),
            "layer_1_3": (3, 4, 4),
            "layer_1_4": (3, 4, 4),
            "layer_2": (3, 4, 4),
        },
    ),
    "one axis only": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d((1, 3)), leaky()),
        {"layer_1_1": (3, 6, 2), "layer_1_2": (3, 6, 2), "layer_2": (3, 6, 2)},
    ),
    "of all places": (
        nn.Sequential(nn.Conv2d(2, 3, 5), nn.AdaptiveMaxPool2d(1), nn.Flatten(), leaky()),
        None,
    ),
    "adaptive": (nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveMaxPool2d((3, None)), leaky()), None),
    "normalized": (normalized(nn.MaxPool2d(2)), None),
    "of spikes that were scaled": (
        nn.Sequential(nn.BatchNorm2d(2), nn.MaxPool2d(2), leaky()),
        None,
    ),
    "before a readout": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), leaky(reset_mechanism="none")),
        None,
    ),
    "behind a current with memory": (
        nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), snn.Synaptic(0.75, 0.5, init_hidden=True)
        ),
        None,
    ),
}


@pytest.mark.parametrize("case", POOLED)
def test_maxima_of_currents_are_imported_exactly(case):
    module, shapes = POOLED[case]
    network = check(filled(module), spikes(3, 8, 2, 8, 8))
    if shapes:
        assert {p.name: p.shape for p in network.populations} == shapes


def test_a_line():
    net = nn.Sequential(nn.Conv1d(2, 3, 3), nn.MaxPool1d(3, 2), leaky())
    network = check(filled(net), spikes(3, 8, 2, 12))
    assert [p.shape for p in network.populations] == [(3, 4), (3, 4), (3, 4)]


class Shortcut(nn.Module):
    """A maximum of a sum; beside the pool another sum, and a second reader."""

    def __init__(self):
        super().__init__()
        self.first, self.lif, self.second = nn.Conv2d(2, 3, 3, padding=1), leaky(), leaky()
        self.conv, self.skip = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(2, 3, 1, bias=False)
        self.beside, self.end = nn.Conv2d(3, 3, 2, stride=2), leaky()

    def forward(self, x):
        spikes = self.lif(self.first(x))
        pooled = F.max_pool2d(self.conv(spikes) + self.skip(x), 2)
        second = self.second(pooled + self.beside(spikes))
        return self.end(0.5 * pooled + F.adaptive_max_pool2d(second, 4))


def test_a_maximum_of_a_sum_beside_other_terms_for_two_readers():
    network = check(filled(Shortcut()), spikes(3, 8, 2, 8, 8))
    names = [p.name for p in network.populations]
    assert names == [
        "lif",
        "max_pool2d_1",
        "max_pool2d_2",
        "second",
        "adaptive_max_pool2d",
        "max_pool2d_3",
        "max_pool2d_4",
        "end",
    ]
    program = snncompile.compile(network, chip="loihi2", calibration=spikes(3, 8, 2, 8, 8))
    assert program.verify(spikes(2, 8, 2, 8, 8)).equal


class Between(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.conv, self.pool, self.lif = nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(2), leaky()
        self.norm, self.fc, self.after = nn.BatchNorm2d(2), nn.Linear(48, 4), nn.Conv2d(3, 3, 1)


def _layers_behind(m, x):
    return m.lif(m.after(m.pool(m.conv(x))))


def _uneven_bias(m, x):
    return m.lif(m.pool(m.conv(m.norm(x))))


def _turned(m, x):
    return m.lif(m.pool(m.conv(x).transpose(2, 3)))


REFUSED = {
    _layers_behind: (
        "lif gets a maximum of currents, pool, through other layers; between the pool and the"
        " neurons only batch normalization is known: put the pool behind the neuron layer"
    ),
    _uneven_bias: (
        "pool: a maximum is known of currents whose bias is the same in a whole channel; normalize"
        " behind the convolution, or pad after the normalization"
    ),
    _turned: (
        "pool: a maximum is known of currents of convolutions, these are sparse from input; put the"
        " pool behind the neuron layer, or use average pooling, and train with it"
    ),
}


@pytest.mark.parametrize("forward", REFUSED)
def test_refuses(forward):
    module = filled(type("Net", (Between,), {"forward": forward})())
    with pytest.raises(UnsupportedError) as error:
        from_torch(module, spikes(3, 6, 2, 8, 8))
    assert str(error.value) == REFUSED[forward]


def test_a_maximum_of_several_spikes_at_once():
    """The neuron of sinabs sends up to 255 spikes in a step: their largest number goes on."""
    sinabs = pytest.importorskip("sinabs.layers")
    one, two = (sinabs.IAFSqueeze(batch_size=3) for _ in range(2))
    net = nn.Sequential(nn.Conv1d(2, 3, 3), one, nn.MaxPool1d(2), nn.Conv1d(3, 2, 2), two)
    x = spikes(3, 10, 2, 12)
    network = from_torch(filled(net), x)
    payloads = [tuple(p.neuron.payload) for p in network.populations]
    assert payloads == [(0, 255)] * 4
    largest = network.population("layer_2").neuron
    assert str(largest) == "graded factor=1 lowest=0 highest=255 whole=1"
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x).equal
    integers = program.network
    both = replay_numbers(integers, x)
    np.testing.assert_array_equal(
        both["layer_2"].reshape(-1, 3, 5),
        torch.nn.functional.max_pool1d(
            torch.tensor(both["layer_1"]).double().reshape(-1, 3, 10), 2
        ),
    )
    assert both["layer_1"].max() > 1


def replay_numbers(network, x):
    """Return the numbers that each population sends in its own steps."""
    (batch,) = list(run_batches(network, x))
    return {name: train.numpy().astype(np.int64) for name, train in batch.items()}
