"""Pools before large dense layers: neurons that count spikes instead of many synapses."""

from __future__ import annotations

import pytest
from layers import check, filled, leaky, spikes
from torch import nn

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.synapses import compose


def make(pool):
    """A classifier behind a pool of the whole grid, or of its quarters."""
    features = 4 * (1 if isinstance(pool, nn.AdaptiveAvgPool2d) else 4)
    return filled(
        nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), leaky()),
            *(pool, nn.Flatten(), nn.Linear(features, 10), leaky(threshold=0.5)),
        )
    )


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AvgPool2d(4)])
def test_spikes_are_counted_where_synapses_would_be_many(pool, monkeypatch):
    x, net = spikes(3, 12, 2, 8, 8), make(pool)
    plain = check(net, x)
    assert [p.name for p in plain.populations] == ["layer_1", "layer_5"]
    monkeypatch.setattr(compose, "LARGEST", 2000)
    network = check(net, x)
    counts = network.population("layer_2")
    assert (counts.neuron.lowest, counts.neuron.highest) == (0, 64 // (counts.size // 4))
    assert sum(p.synapses.wiring.synapses for p in network.into("layer_5")) == counts.size * 10
    assert (network.run(x).spikes == plain.run(x).spikes).all()
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x).equal
    with pytest.raises(UnsupportedError, match="loihi1 has no neuron graded"):
        snncompile.compile(network, chip="loihi1")


class Added(nn.Module):
    """A pool of the sum of two layers' spikes, as behind the last block of SEW-ResNet."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.first, self.second, self.end = leaky(), leaky(), leaky(threshold=0.5)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 10)

    def forward(self, x):
        a = self.first(self.a(x))
        return self.end(self.fc(self.pool(a + self.second(self.b(a))).flatten(1)))


def test_sums_of_spikes_are_counted(monkeypatch):
    x, net = spikes(3, 12, 2, 8, 8), filled(Added())
    plain = check(net, x)
    monkeypatch.setattr(compose, "LARGEST", 2000)
    network = check(net, x)
    assert network.population("pool").neuron.highest == 2 * 64
    assert (network.run(x).spikes == plain.run(x).spikes).all()
