"""Messages of as many bits as the sums of their readers allow."""

from __future__ import annotations

import conversion_graded as plain
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import ROOM, GradedMessages
from snncompile.conversion.largest_messages import GREATEST_TOP, LEAST_TOP, WEIGHT_BITS
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.analysis.number_ranges import find_end
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime

SUMS = GradedMessages(bits="sums")


def make_integers(network, x):
    """Return the network on Loihi 2's integers."""
    return Quantize()(Retime()(design(network, LOIHI2, network.input.present(x)))).network


def find_tops(network):
    """Return the largest message of each population but the answer."""
    return {
        p.name: max(-int(p.neuron.payload.low), int(p.neuron.payload.high))
        for p in network.populations[:-1]
    }


def compute(model, x):
    """Return the answers of a model, in float64."""
    with torch.no_grad():
        return model.double()(torch.tensor(x)).numpy()


class Thin(nn.Module):
    """Depthwise convolutions, a gate, a shortcut, maxima and a table, as of MobileNets."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(1, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.narrow, self.wide = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.pool, self.last = nn.MaxPool2d(2), nn.Linear(24, 3)

    def forward(self, x):
        a = torch.relu(self.first(x))
        b = nn.functional.hardswish(self.deep(a))
        gate = torch.sigmoid(self.wide(torch.relu(self.narrow(b.mean((2, 3), keepdim=True)))))
        c = torch.relu(b * gate + a)
        return self.last(nn.functional.avg_pool2d(self.pool(c), 1).flatten(1))


def make_thin(seed=0):
    torch.manual_seed(seed)
    return Thin().eval(), np.random.default_rng(seed).normal(size=(40, 1, 4, 4))


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_integers_of_random_networks_are_those_of_the_formula(seed):
    """Each layer's largest message is within the limits, and no sum leaves 24 bits."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    size, gain = int(rng.integers(2, 600)), float(rng.choice([0.01, 1.0, 50.0]))
    model = nn.Sequential(nn.Linear(6, size), nn.ReLU(), nn.Linear(size, 9), nn.SiLU())
    model.append(nn.Linear(9, 3))
    with torch.no_grad():
        model[0].weight.mul_(gain)
    x = rng.normal(size=(9, 6)) * rng.choice([0.01, 1.0, 300.0])
    network = snncompile.from_ann(model, x, SUMS)
    assert all(LEAST_TOP <= top <= GREATEST_TOP for top in find_tops(network).values())
    integers = make_integers(network, x)
    assert plain.count_differences(integers, x)[0] == 0
    assert all(bound.holds for bound in prove_bounds(integers, LOIHI2, None))


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_weights_keep_their_bits(seed):
    """The largest message is the one with which the sums of the reader just fit."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    size = int(rng.integers(3, 2000))
    model = nn.Sequential(nn.Linear(4, size), nn.ReLU(), nn.Linear(size, 5, False), nn.ReLU())
    model.append(nn.Linear(5, 2))
    conversion = convert(model, rng.normal(size=(20, 4)), SUMS)
    network = conversion.network
    (reader,) = network.into(network.populations[1].name)
    weight = reader.synapses.weight
    top = find_tops(network)[network.populations[0].name]
    high, low = (np.maximum(sign * weight, 0).sum(axis=1) * top for sign in (1, -1))
    used = find_end(WEIGHT_BITS) * np.maximum(high, low) / np.abs(weight).max(axis=1)
    full = used.max() / (2**23 - 1)
    assert full <= 1.001 or top == LEAST_TOP
    assert full >= 0.99 or top == GREATEST_TOP


def test_thin_layers_send_more_and_are_nearer_the_model():
    model, x = make_thin()
    wanted, errors = compute(model, x), {}
    for method in (GradedMessages(), SUMS):
        network = snncompile.from_ann(model, x, method)
        answer = network.run(network.input.present(x)).spikes.sum(axis=1)
        errors[method.label] = float(np.abs(answer - wanted).max())
    assert min(find_tops(network).values()) > 1023
    assert errors["graded bits by sums"] < 0.7 * errors["graded 8 bits"]


def test_a_maximum_compares_what_it_sends():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    model.append(nn.Linear(27, 4))
    x = np.random.default_rng(3).normal(size=(20, 1, 8, 8))
    conversion = convert(model, x, SUMS)
    first, *_, pool = (layer for layer in conversion.ann.rectified)
    assert first.top == pool.top > 1023
    assert (conversion.scales[first.name] == conversion.scales[pool.name]).all()
    assert plain.count_differences(make_integers(conversion.network, x), x)[0] == 0


def test_messages_have_room_above_what_was_seen():
    model, x = make_thin()
    today, roomy = (convert(model, x, method) for method in (GradedMessages(), SUMS))
    name = today.ann.layers[0].name
    assert np.allclose(roomy.scales[name], ROOM * today.scales[name])


def test_a_table_has_as_many_more_entries():
    model = nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3))
    x = np.random.default_rng(1).normal(size=(200, 5))
    network = snncompile.from_ann(model, x, SUMS)
    table = network.populations[0].neuron.table
    assert table.size == 256 * ROOM
    assert np.abs(table).max() == find_tops(network)[network.populations[0].name]


@pytest.mark.lava
def test_lava_sends_the_same(lava):
    model, x = make_thin()
    network = snncompile.from_ann(model, x, SUMS)
    program = snncompile.compile(network, chip="loihi2", calibration=network.input.present(x[:8]))
    assert program.verify(network.input.present(x[:3]), lava=True).equal
