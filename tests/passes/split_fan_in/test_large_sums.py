"""Sums of more than 24 bits, pools, and lists of more sources than a core of Loihi 2 hears."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import LOIHI2, PACKED, design, limited, same_spikes
from torch import nn

import snncompile
from snncompile.conversion import cheaper_sums
from snncompile.conversion.convert import convert
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.readout import Readout
from snncompile.neurons.sigma import Sigma
from snncompile.neurons.window_readout import WindowReadout
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.split_fan_in.equal_sources import add_equal_sources
from snncompile.passes.split_fan_in.split_fan_in import Accumulate
from snncompile.passes.timing.retime import Retime
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

NARROW = limited(LOIHI2, axons_in=300)
MESSAGES = Interval(0, 255)


def integers(synapses: IntegerSynapses, payload: Interval) -> IntegerNetwork:
    wiring = synapses.wiring
    return IntegerNetwork(
        Input("input", (wiring.sources,), payload),
        (Population("a", (wiring.targets,), IntegerCubaLif(4095, 0, 90), 1),),
        (Projection("input", "a", synapses, 1),),
        "a",
    )


def holds_every_sum(relay: Population) -> bool:
    """Whether the sums that can arrive, which are a relay's limits, have 24 bits."""
    return max(-relay.neuron.payload.low, relay.neuron.payload.high) < 2**23


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_sum_that_is_too_large_has_more_parts(kind):
    """Two parts would do for 5 axons a core, but 5 sources bring 5 * 127 * 2^14 > 2^23."""
    synapses = integer_dense([[254] * 9, [-256] * 9], 0, 8)
    if kind == "sparse":
        wiring = Sparse(np.repeat([0, 1], 9), np.tile(np.arange(9), 2), 2, 9)
        synapses = IntegerSynapses(wiring, synapses.weight.ravel(), 0, 8)
    network = integers(synapses, Interval(0, 2**14))
    found = Accumulate()(design(network, limited(PACKED, axons_in=5, cores=5000))).network
    relays = [p for p in found.populations if isinstance(p.neuron, IntegerAccumulate)]
    if kind == "dense":
        assert [p.size for p in relays] == [2] * 4
    assert all(map(holds_every_sum, relays))
    same_spikes(network, found, np.random.default_rng(0).integers(0, 2**14 + 1, (4, 6, 9)))


READOUTS = {
    "window": WindowReadout(np.asarray(1.0), bias=np.asarray([3.0, -2.0, 0.5])),
    "readout": Readout(np.asarray(1.0), np.asarray(1.0)),
    "sigma": Sigma(),
}


def wide(neuron, sources: int = 1000) -> Network:
    """Return input -> a of messages and weights that mostly have one sign."""
    weight = np.random.default_rng(3).normal(1.0, 0.3, (3, sources)) * [[1.0], [-2.0], [0.5]]
    return Network(
        Input("input", (sources,), MESSAGES),
        (Population("a", (3,), neuron),),
        (Projection("input", "a", dense(weight / sources)),),
        "a",
    )


@pytest.mark.parametrize("case", READOUTS)
def test_a_scale_leaves_room_for_relays(case):
    """1,000 messages of 255 add up to 28 bits of weights at full scale, which are rounded."""
    network = wide(READOUTS[case])
    x = np.random.default_rng(1).integers(0, 2, (16, 1, 1000)) * 255
    one, split = (snncompile.compile(network, chip=c, calibration=x) for c in (LOIHI2, NARROW))
    relays = [p for p in split.network.populations if p.name != "a"]
    assert relays
    assert not any(p.name != "a" for p in one.network.populations)
    assert all(map(holds_every_sum, relays))
    for program in (one, split):
        found, wanted = program.run(x).answer, program.source.run(x).answer
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9999
    before = Quantize()(Retime()(replace(design(network, NARROW), calibration=x))).network
    same_spikes(before, split.network, x)


def test_messages_of_one_column_are_sent_from_ranges():
    """Of 24 sources 8 are too many for a core: three lists, of which each core hears one or two."""
    chip = limited(LOIHI2, axons_in=8)
    wiring = Sparse(np.arange(5, 29), np.arange(24), 40, 24)
    weight = np.arange(-24, 24, 2)
    network = integers(IntegerSynapses(wiring, weight, -4, 8), Interval(-200, 200))
    found = Accumulate()(design(network, chip))
    assert [str(p.synapses.wiring) for p in found.network.projections] == [
        f"sparse 40x2 from {i}:{i + 2} of 24" for i in range(0, 24, 2)
    ]
    assert found.log == (
        "accumulate: no relays added, 11 more projections, from ranges of sources",
    )
    x = np.random.default_rng(0).integers(-200, 201, (3, 5, 24))
    same_spikes(network, found.network, x)
    program = snncompile.compile(network, chip=chip, prune=False)
    same_spikes(network, program.network, x)


@pytest.mark.parametrize("exponent", [-4, 0])
def test_weights_of_single_neurons_are_a_list_too(exponent):
    chip = limited(LOIHI2, axons_in=8)
    synapses = IntegerSynapses(Scale(24, per_neuron=True), np.arange(-24, 24, 2), exponent, 8)
    network = integers(synapses, Interval(-200, 200))
    found = Accumulate()(design(network, chip)).network
    assert [str(p.synapses.wiring) for p in found.projections] == [
        f"sparse 24x2 from {i}:{i + 2} of 24" for i in range(0, 24, 2)
    ]
    x = np.random.default_rng(0).integers(-200, 201, (3, 5, 24))
    same_spikes(network, found, x)
    same_spikes(network, snncompile.compile(network, chip=chip, prune=False).network, x)


def test_one_weight_for_all_is_no_list():
    chip = limited(LOIHI2, axons_in=8)
    network = integers(IntegerSynapses(Scale(24), np.asarray(6), 0, 8), Interval(0, 9))
    found = Accumulate()(design(network, chip)).network
    assert [str(p.synapses.wiring) for p in found.projections] == ["scale 24x24"]
    snncompile.compile(network, chip=chip, prune=False)


def test_a_list_whose_sums_are_rounded_stays_one():
    """Neuron 0 hears sources of two ranges, and its sum loses bits."""
    wiring = Sparse(np.r_[np.arange(24), 0], np.r_[np.arange(24), 23], 24, 24)
    for exponent, count in ((-4, 1), (-1, 12)):
        network = integers(IntegerSynapses(wiring, np.full(25, 6), exponent, 8), Interval(0, 9))
        found = Accumulate()(design(network, limited(LOIHI2, axons_in=8))).network
        assert len(found.projections) == count
        same_spikes(network, found, np.random.default_rng(0).integers(0, 10, (3, 5, 24)))


def test_lists_that_are_too_wide_together_are_split():
    """Each neuron hears two lists of 12 sources, as of the two signs of sums; a core has 16."""
    chip = limited(LOIHI2, axons_in=16)
    once = Sparse(np.arange(3, 15), np.arange(12), 20, 12)
    network = integers(IntegerSynapses(once, np.full(12, 6), -4, 8), Interval(0, 9))
    (first,) = network.projections
    second = replace(first, synapses=replace(first.synapses, weight=np.full(12, -4)))
    network = replace(network, projections=(first, second))
    found = Accumulate()(design(network, chip)).network
    assert len(found.projections) == 2 * 3
    others = Sparse(np.arange(15, 20), np.arange(5), 20, 12)  # of other neurons
    third = replace(first, synapses=IntegerSynapses(others, np.full(5, 6), -4, 8))
    enough = design(
        replace(network, projections=(first, second, third)), limited(LOIHI2, axons_in=24)
    )
    assert len(Accumulate()(enough).network.projections) == 3
    same_spikes(network, found, np.random.default_rng(0).integers(0, 10, (3, 5, 12)))
    snncompile.compile(network, chip=chip, prune=False)


class Pooled(nn.Module):
    """A global average pool between a rectifier and the answers, as ResNet-18 has it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 5, bias=False)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).mean((2, 3)))


def test_a_pool_before_the_answers_is_a_sum_of_its_own(monkeypatch):
    """6,400 messages of 255 would need 28 bits; 16 sums of 400 each are weighted as they are."""
    monkeypatch.setattr(cheaper_sums, "MANY", 10_000)  # else the conversion keeps it apart
    x = np.random.default_rng(0).normal(size=(64, 1, 20, 20)) + 1
    conversion = convert(Pooled(), x, "graded")
    shown = conversion.network.input.present(x)
    one, split = (
        snncompile.compile(conversion.network, chip=chip, calibration=shown)
        for chip in (LOIHI2, limited(LOIHI2, axons_in=2000))
    )
    before, after = ([p.name for p in made.network.populations] for made in (one, split))
    assert (before, after) == (["relu", "last"], ["relu", "last_sum", "last"])
    assert [str(p.synapses.wiring) for p in split.network.projections[1:]] == [
        "convolution 16x20x20 -> 16x1x1 kernel=20x20 stride=20x20 groups=16",
        "dense 5x16",
    ]
    assert all(map(holds_every_sum, split.network.populations[1:2]))
    assert (split.run(shown).answer == one.run(shown).answer).all()


WINDOWS = np.repeat(np.repeat(np.arange(8).reshape(2, 2, 2), 2, axis=1), 2, axis=2).ravel()
"""Windows of 2 x 2 of two channels of 4 x 4."""


@pytest.mark.parametrize("exponent", [-5, 2])
def test_equal_sources_are_added_up_first(exponent):
    weight = np.random.default_rng(0).integers(-128, 128, (3, 8))[:, WINDOWS] * 2
    network = integers(integer_dense(weight, exponent, 8), Interval(-9, 99))
    network = replace(network, input=replace(network.input, shape=(2, 4, 4)))
    found = Accumulate()(design(network, limited(PACKED, axons_in=20, cores=5000))).network
    assert [str(p.synapses.wiring) for p in found.projections] == [
        "convolution 2x4x4 -> 2x2x2 kernel=2x2 stride=2x2 groups=2",
        "dense 3x8",
    ]
    assert found.populations[0].neuron.payload == Interval(-36, 396)
    same_spikes(network, found, np.random.default_rng(1).integers(-9, 100, (3, 5, 2, 4, 4)))


# Groups of sources with equal weights, the shape of the sources, their largest number.
OTHERS = {
    "one channel": (WINDOWS, (32,), 9),
    "channels of one": (WINDOWS, (32, 1), 9),
    "three axes": (WINDOWS, (2, 2, 2, 4), 9),
    "sums of 25 bits": (WINDOWS, (2, 4, 4), 2**22),
    "windows of several sizes": (np.repeat([0, 1, 2, 3], [4, 12, 8, 8]), (2, 4, 4), 9),
    "no windows": (np.arange(32) % 5, (2, 4, 4), 9),
    "few": (np.arange(32) // 2 * 2 + np.arange(32) % 4 // 3, (2, 4, 4), 9),
}


@pytest.mark.parametrize("case", OTHERS)
def test_others_are_weighted_one_by_one(case):
    groups, shape, largest = OTHERS[case]
    weight = np.random.default_rng(0).integers(-128, 128, (3, 32))[:, groups] * 2
    synapses = integer_dense(weight, 0, 8)
    assert add_equal_sources(synapses, shape, Interval(0, largest)) is None


@pytest.mark.lava
def test_on_lava(lava):
    weight = np.random.default_rng(0).integers(-128, 128, (3, 8))[:, WINDOWS] * 2
    network = integers(integer_dense(weight, -5, 8), Interval(-9, 99))
    network = replace(network, input=replace(network.input, shape=(2, 4, 4)))
    each = Sparse(np.arange(3, 35), np.arange(32), 40, 32)
    listed = IntegerSynapses(each, np.arange(-32, 32, 2), -3, 8)
    neuron = network.populations[0].neuron
    network = replace(
        network,
        populations=(*network.populations, Population("b", (40,), neuron, 1)),
        projections=(*network.projections, Projection("input", "b", listed, 1)),
    )
    chip = limited(LOIHI2, axons_in=24)
    program = snncompile.compile(network, chip=chip, prune=False)
    assert len(program.network.projections) == 8
    found = program.verify(np.random.default_rng(1).integers(-9, 100, (2, 6, 2, 4, 4)))
    assert found.equal
    assert found.comparison("integer", "lava").equal
