"""Tables that carry spikes: numbered without gaps, in order, and refused where they are not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design, integer_chain, limited, random_integer_network

from snncompile.checker.core_limits import count_route_entries
from snncompile.errors import ContractError, FitError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.ir.tables import Tables
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.pipeline import Pipeline
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route, write_tables
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.sparse import Sparse

HARD = IntegerCubaLif(4095, 0, 1)
EVERY = LOIHI2.neurons | TOY.neurons | LOIHI1.neurons
FEW_CORES = limited(load_chip("loihi1:nahuku"), compartments=5, cores=2)
CHIPS = {
    "loihi1": LOIHI1,
    "loihi1, 5 neurons a core, two cores a chip": FEW_CORES,
    "loihi2, 5 neurons a core": limited(LOIHI2, compartments=5, axons_in=600, cores=120),
}


def mapped(network, chip):
    return Route()(Place("linear")(Partition()(design(network, chip))))


@settings(max_examples=60)
@example(seed=0, name="loihi1, 5 neurons a core, two cores a chip")
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(CHIPS)))
def test_every_core_counts_from_0_on_without_gaps(seed, name):
    """Words, input axons and output axons; those of a port of Loihi 2 are the same for all routes.

    Routes are in the order of their slices and blocks, blocks of words in rising order.
    """
    network = random_integer_network(seed, wild=False)
    chip = CHIPS[name].model_copy(update={"neurons": EVERY})
    try:
        mapping = mapped(network, chip).mapping
    except FitError:
        return
    tables = mapping.tables
    assert_no_gaps([(b.core, b.first, b.words) for b in tables.memory])
    assert_no_gaps([(a.core, a.first, a.count) for a in tables.axons])
    if chip.headed_rows is None:
        counts = count_route_entries(network, chip, mapping)
        cores = [mapping.slices[s].core for s in tables.lines[:, 0].tolist()]
        assert_no_gaps(list(zip(cores, tables.lines[:, 3].tolist(), counts, strict=True)))
    routes = tables.lines[:, :2].tolist()
    assert routes == sorted(routes)
    assert all(axons.memory == tuple(sorted(axons.memory)) for axons in tables.axons)


def assert_no_gaps(spans: list[tuple[int, int, int]]) -> None:
    """Compare the first entry of each (core, first, count) with the end of the one before it."""
    end: defaultdict[int, int] = defaultdict(int)
    for core, first, count in spans:
        assert first == end[core], spans
        end[core] += count


def test_an_axon_to_another_chip_takes_an_entry_more():
    """Five neurons of each core of a chip share a population axon, two entries, and one more."""
    network = integer_chain(1, 10, 5, neuron=HARD)
    mapping = mapped(network, FEW_CORES).mapping
    assert [mapping.chip_of[core] for core in range(3)] == [0, 0, 1]
    assert mapping.tables.lines.tolist() == [[0, 2, 5, 0], [1, 2, 5, 0]]
    assert count_route_entries(network, FEW_CORES, mapping) == [3, 3]


def on_toy():
    return mapped(integer_chain(3, 4, 2, neuron=HARD), limited(TOY, compartments=4))


def without_sites(done):
    return replace(done, mapping=replace(done.mapping, sites=done.mapping.sites[:1]))


def without_slices(done):
    return replace(done, mapping=Mapping())


# What is changed of a design with tables; what the pass lacks.
LACKS = [
    (lambda done: done, ""),
    (without_sites, "a site for every core: run place before it"),
    (without_slices, "every neuron in one slice (a has none): run partition before it"),
]


@pytest.mark.parametrize("change, lacks", LACKS)
def test_requires(change, lacks):
    assert Route().requires(change(on_toy())) == lacks


def with_tables(done, **fields):
    tables = replace(done.mapping.tables, **fields)
    return replace(done, mapping=replace(done.mapping, tables=tables))


def set_line(done, column: int, value: int):
    lines = done.mapping.tables.lines.copy()
    lines[0, column] = value
    return with_tables(done, routes=lines)


def misplace(done):
    first, *rest = done.mapping.tables.memory
    return with_tables(done, memory=(replace(first, core=1), *rest))


ASTRAY = "that routes lead from existing slices to existing axons"
# Damage; what the pass has not ensured.
BROKEN = [
    (lambda done: done, ""),
    (lambda done: with_tables(done, routes=None), ""),
    (misplace, "that synapses are on the core of their neurons: core 1"),
    (lambda done: set_line(done, 0, 2), ASTRAY),
    (lambda done: set_line(done, 1, 2), ASTRAY),
    (lambda done: set_line(done, 2, 9), ""),  # neurons, not a place
]


@pytest.mark.parametrize("damage, promise", BROKEN)
def test_ensures(damage, promise):
    done = on_toy()
    assert Route().ensures(done, damage(done)) == promise


def test_a_network_of_one_population_has_no_routes():
    done = mapped(integer_chain(3, 4, neuron=HARD), TOY)
    assert done.mapping.tables.lines.shape == (0, 4)
    assert done.log[-1] == "route: 1 blocks of synapses, 1 of input axons, 0 routes"
    assert Route().ensures(done, done) == ""
    assert np.array_equal(Tables().lines, done.mapping.tables.lines)


@pytest.mark.parametrize("axon, promise", [(0, ""), (1, ASTRAY)])
def test_a_route_to_axons_behind_the_only_ones_is_astray(axon, promise):
    done = mapped(integer_chain(3, 4, neuron=HARD), TOY)
    routed = with_tables(done, routes=np.array([[0, axon, 3, 0]], np.int32))
    assert Route().ensures(done, routed) == promise


def test_ports_of_a_slice_lie_behind_each_other():
    """Three neurons send by two projections on Loihi 2: entries 0 to 2, then 3 to 5, 6 to 8."""
    network = integer_chain(1, 3, 2, neuron=HARD)
    into, onward = network.projections
    a, b = network.populations
    others = tuple(replace(b, name=name) for name in ("c", "d"))
    ways = tuple(replace(onward, target=other.name) for other in others)
    network = replace(
        network, populations=(a, b, *others), projections=(into, onward, *ways), output="b"
    )
    tables = mapped(network, LOIHI2).mapping.tables
    assert tables.lines[:, 3].tolist() == [0, 3, 6]


def test_blocks_of_memory_of_an_axon_rise():
    """Two projections from one source into two halves of a population lie on the core by halves."""
    network = integer_chain(3, 4, neuron=HARD)
    (first,) = network.projections
    network = replace(network, projections=(first, replace(first, delay=2)))
    mapping = mapped(network, LOIHI1).mapping
    (a,) = network.populations
    halves = Slice.from_range(a, 0, 2, 0), Slice.from_range(a, 2, 4, 0)
    tables = write_tables(network, LOIHI1, replace(mapping, slices=halves))
    assert [(b.projection, b.slice) for b in tables.memory] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [axons.memory for axons in tables.axons] == [(0, 1, 2, 3)]


def test_routes_of_a_slice_are_in_the_order_of_blocks():
    """The first half of b hears four neurons of a, the second two."""
    pairs = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 0), (3, 1)]
    network = integer_chain(1, 4, 4, neuron=HARD)
    into, onward = network.projections
    sparse = Sparse(*np.transpose(pairs), 4, 4)
    weights = IntegerSynapses(sparse, np.full(6, 2, np.int16), 0, 8)
    network = replace(network, projections=(into, replace(onward, synapses=weights)))
    a, b = network.populations
    cuts = (a, 0, 4, 0), (b, 0, 2, 0), (b, 2, 4, 1)
    mapping = mapped(network, LOIHI1).mapping
    slices = tuple(Slice.from_range(*cut) for cut in cuts)
    mapping = replace(mapping, slices=slices, sites=(*mapping.sites, Site(1, 0, 0)))
    assert write_tables(network, LOIHI1, mapping).lines[:, :3].tolist() == [[0, 1, 4], [0, 2, 2]]


def test_a_failure_of_the_pass_says_its_name():
    with pytest.raises(ContractError, match="pass route"):
        Pipeline((Partition(), Route())).run(design(integer_chain(1, 2), LOIHI1))
