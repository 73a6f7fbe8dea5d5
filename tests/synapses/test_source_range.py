"""Wirings from a range of the sources: what is split is the same synapses."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, design, limited, ranged_network, spikes
from stored_synapses import list_stored_synapses

import snncompile
from snncompile.checker.mapping import check
from snncompile.errors import MappingError
from snncompile.ir.region import Region
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.prune.prune import Prune
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange, count_splits, find_image, split
from snncompile.synapses.sparse import Sparse

IMAGE = Convolution((6, 4, 5), 3, (3, 2), (1, 2), (1, 0), (1, 1))
SPLIT = {
    "dense": Dense(4, 7),
    "convolution": IMAGE,
    "line": Convolution((5, 9), 2, (4,), (3,), (2,), (1,)),
    "range": SourceRange(Dense(4, 7), 3, 12),
    "channels": SourceRange(IMAGE, 40, 200),
}


def random(wiring) -> IntegerSynapses:
    weight = np.random.default_rng(0).integers(-127, 128, wiring.weight_shape) * 2
    return IntegerSynapses(wiring, weight, -2, 8)


@settings(deadline=None)
@given(wiring=st.sampled_from(list(SPLIT.values())), data=st.data())
def test_parts_are_the_whole(wiring, data):
    whole = random(wiring)
    parts = split(whole, data.draw(st.integers(1, count_splits(wiring))))
    matrices = [part.wiring.matrix(part.weight).toarray() for part in parts]
    assert (sum(matrices) == wiring.matrix(whole.weight).toarray()).all()
    assert sum(part.wiring.synapses for part in parts) == wiring.synapses
    firsts = [part.wiring.first for part in parts]
    assert firsts[1:] == [part.wiring.stop for part in parts[:-1]]
    sizes = [part.wiring.part.sources for part in parts]
    assert max(sizes) - min(sizes) <= wiring.plain.sources // count_splits(wiring)


def test_what_cannot_be_split():
    grouped = Convolution((4, 3, 3), 4, (1, 1), (1, 1), (0, 0), (1, 1), 2)
    assert [count_splits(w) for w in (Scale(4), Sparse([0], [1], 2, 2), grouped)] == [1, 1, 1]


def test_what_it_says():
    assert str(SourceRange(Dense(4, 7), 3, 12)) == "dense 4x7 from 3:10 of 12"


IMAGES = [
    (IMAGE, ((6, 4, 5), 0)),
    (SourceRange(IMAGE, 40, 200), ((10, 4, 5), 2)),
    (SourceRange(IMAGE, 30, 200), None),
    (SourceRange(IMAGE, 40, 190), None),
    (Dense(4, 7), None),
]


@pytest.mark.parametrize("wiring, image", IMAGES)
def test_the_image_that_a_convolution_sees(wiring, image):
    assert find_image(wiring) == image


WRONG = [
    (Dense(4, 7), 6, 12, "source_range: 7 sources from 6 on are outside 0..11"),
    (Dense(4, 7), -1, 12, "source_range: 7 sources from -1 on are outside 0..11"),
    (
        SourceRange(Dense(4, 7), 0, 8),
        0,
        12,
        "source_range: its part has to be a wiring that is no range itself",
    ),
    (7, 0, 12, "source_range: its part has to be a wiring that is no range itself"),
]


@pytest.mark.parametrize("part, first, sources, message", WRONG)
def test_refuses(part, first, sources, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SourceRange(part, first, sources)


CHIPS = {
    name: limited(chip, compartments=4, axons_in=40, synapse_words=60)
    for name, chip in (("loihi1", LOIHI1), ("loihi2", LOIHI2))
}


def mapped(network, chip):
    return Route()(Place("linear")(Partition()(design(network, chip)))).mapping


@pytest.mark.parametrize("name", CHIPS)
def test_a_mapped_network_has_every_synapse_once(name):
    """By the checker, which takes the range as it is, and one by one."""
    network, chip = ranged_network(), CHIPS[name]
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    stored = list_stored_synapses(network, mapping)
    for place, p in enumerate(network.projections):
        wanted = p.synapses.wiring.matrix(p.synapses.weight.astype(int)).tocoo()
        each = zip(wanted.col, wanted.row, wanted.data, strict=True)
        assert sorted(stored[place]) == sorted((*synapse, p.delay) for synapse in each)


def test_the_checker_looks_where_a_range_begins():
    network, chip = ranged_network(), CHIPS["loihi2"]
    mapping = mapped(network, chip)
    (place, block), *_ = ((i, b) for i, b in enumerate(mapping.tables.axons) if b.source == "b")
    assert block.region.neurons().tolist() == [2, 3, 4]
    for neurons in ([1, 2, 3], [3, 4, 5]):
        axons = list(mapping.tables.axons)
        axons[place] = replace(block, region=Region.from_neurons(np.array(neurons)))
        tables = replace(mapping.tables, axons=tuple(axons))
        with pytest.raises(MappingError, match="not every source of b -> c into c"):
            check(network, chip, replace(mapping, tables=tables))


def test_a_network_is_read_back(tmp_path):
    network = ranged_network()
    network.save(tmp_path / "one")
    again = snncompile.load(tmp_path / "one")
    assert str(again) == str(network)
    x = spikes(network, 3, 6)
    assert (again.run(x).spikes == network.run(x).spikes).all()
    again.save(tmp_path / "two")
    for name in ("network.json", "arrays.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_pruned_it_sends_the_same():
    """c hears three neurons of b: the others go, and channels of the image only whole."""
    network = ranged_network()
    done = Prune()(design(network, LOIHI2))
    assert done.log[-1] == "prune: dropped 5 of 8 neurons of b, 35 weights"
    assert [str(p.synapses.wiring) for p in done.network.projections][2:4] == [
        "dense 3x7 from 1:8 of 8",
        "dense 4x3 from 0:3 of 3",
    ]
    x = spikes(network, 4, 9)
    assert (done.network.run(x).spikes == network.run(x).spikes).all()
