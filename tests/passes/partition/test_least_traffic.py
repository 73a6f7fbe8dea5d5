"""Slices, cores and sites chosen together: the objective `traffic`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design, integer_chain, limited, random_integer_network

from snncompile.checker.mapping import check
from snncompile.cores import resources, usage
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Site
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.analysis.traffic import count_flows, measure_load, measure_rates
from snncompile.passes.partition import least_traffic
from snncompile.passes.partition.anneal_slices import COPY, anneal_slices, count_hops, make_task
from snncompile.passes.partition.hyperedges import Hyperedges
from snncompile.passes.partition.pack_slices import renumber
from snncompile.passes.partition.partition import Partition, cut_for_traffic, cut_network
from snncompile.passes.place.place import Place
from snncompile.passes.place.placements import Slots
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

SIDE = 8
SMALL = limited(LOIHI1, compartments=192)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(least_traffic, "FINAL_MOVES", 2_000)


def images(layers: int = 3) -> IntegerNetwork:
    """Return layers of 8 channels, each neuron of which hears 3 x 3 places of the one before."""
    neuron, shape = IntegerCubaLif(4095, 0, 100, 50), (8, SIDE, SIDE)
    wiring = Convolution(shape, 8, (3, 3), (1, 1), (1, 1), (1, 1))
    weight = np.full(wiring.weight_shape, 2, np.int16)
    names = [f"layer{i}" for i in range(layers)]
    return IntegerNetwork(
        Input("input", (1,)),
        tuple(Population(name, shape, neuron, phase=i) for i, name in enumerate(names)),
        tuple(
            Projection(a, b, IntegerSynapses(wiring, weight, 0, 8), 1) for a, b in pairwise(names)
        ),
        names[-1],
    )


def travels(network, chip, mapping: Mapping) -> float:
    return measure_load(
        count_flows(network, chip, mapping, measure_rates(network, None)), mapping.sites
    ).hops


def done(network, chip, objective: str, calibration=None):
    found = Partition(objective)(design(network, chip, calibration))
    found = Route()(Place()(found))
    check(network, chip, found.mapping)
    return found.mapping


def test_blocks_of_an_image_stay_together_through_all_layers():
    """Three layers of 512 neurons, 192 a core: copies go to other tiles at the edges only."""
    network = images()
    few, near = (done(network, SMALL, objective) for objective in ("cores", "traffic"))
    assert travels(network, SMALL, near) < 0.75 * travels(network, SMALL, few)
    assert near.cores <= few.cores + 4
    assert done(network, SMALL, "traffic") == near


def test_sites_chosen_with_the_slices_are_never_made_worse():
    network = images(2)
    chosen = cut_for_traffic(network, SMALL, measure_rates(network, None))
    assert {site.core for site in chosen.sites} == {s.core for s in chosen.slices}
    placed = done(network, SMALL, "traffic")
    assert placed.slices == chosen.slices
    assert travels(network, SMALL, placed) <= travels(network, SMALL, chosen)


def test_slices_of_different_populations_share_a_core_only_if_they_may():
    network = images(2)
    for share in (True, False):
        found = cut_for_traffic(network, SMALL, measure_rates(network, None), share=share)
        mixed = [len({s.population for s in on}) > 1 for on in found.by_core.values()]
        assert any(mixed) == share


def test_what_one_chip_does_not_hold_is_cut_for_few_copies():
    network = images(2)
    board = limited(SMALL, cores=4).model_copy(update={"board": "nahuku"})
    found = cut_for_traffic(network, board, measure_rates(network, None))
    assert (found.slices, found.sites) == (cut_network(network, board, "traffic"), ())


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_atoms_travel_as_the_flows_of_their_slices(seed):
    """Wherever the slices are: the hypergraph and the tables of usage agree."""
    network, rng = random_integer_network(seed), np.random.default_rng(seed)
    slices = cut_network(network, LOIHI2)
    rate = {p.name: rng.random(p.size) for p in (network.input, *network.populations)}
    slots = Slots.of(LOIHI2.mesh)
    need, most = np.ones((len(slices), 1)), np.array([np.inf])
    task = make_task(Hyperedges.of(network, LOIHI2, slices, rate), slots, 4, need, most)
    slot = rng.integers(0, len(slots.x), len(slices))
    used = list(dict.fromkeys(slot.tolist()))
    sites = tuple(Site(i, int(slots.x[k]), int(slots.y[k])) for i, k in enumerate(used))
    mapping = Mapping(tuple(renumber(network, LOIHI2, slices, slot)), sites)
    flow = count_flows(network, LOIHI2, mapping, rate).drop_host()
    between = flow.drop_local().total
    assert count_hops(task, slot) == pytest.approx(measure_load(flow, sites).hops + COPY * between)
    after = anneal_slices(task, slot, 500, seed)
    assert count_hops(task, after) <= count_hops(task, slot) + 1e-9
    assert (after == anneal_slices(task, slot, 500, seed)).all()


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 8), min_size=2, max_size=4))
def test_no_core_is_too_full(sizes):
    network = integer_chain(*sizes)
    chip = limited(TOY, cores=64)
    mapping = cut_for_traffic(network, chip, measure_rates(network, None))
    for core in usage.measure_usage(network, chip, mapping):
        for name, most in resources.read_core_limits(chip).items():
            assert core.used[name] <= most
