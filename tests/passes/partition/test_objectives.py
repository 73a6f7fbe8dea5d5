"""What the objectives of the mapping are good at, and laws of every placement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, design, integer_chain, limited
from scipy.sparse import csr_array

from snncompile.checker.mapping import check
from snncompile.errors import FitError
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.cut_population import count_work
from snncompile.passes.partition.partition import Partition, cut_network
from snncompile.passes.place.assign_chips import assign_chips, count_crossing
from snncompile.passes.place.place import Place
from snncompile.passes.place.placements import PLACEMENTS, Slots, count_hops
from snncompile.passes.route import Route

HARD = IntegerCubaLif(4095, 0, 1)


def test_latency_spreads_the_work_over_all_cores():
    network = integer_chain(30, 60, 20, neuron=HARD)
    chip = limited(LOIHI2, cores=8)
    mapping = Mapping(cut_network(network, chip, "latency"))
    work = [count_work(network, s) for s in mapping.slices]
    assert mapping.cores == len(mapping.slices) <= 8
    assert max(work) <= 1.5 * sum(work) / 8
    done = Route()(Place()(Partition("latency")(design(network, chip))))
    check(network, chip, done.mapping)
    assert Mapping(cut_network(network, chip)).cores == 1


def test_latency_says_what_does_not_fit():
    with pytest.raises(FitError):
        cut_network(integer_chain(1, 5000, neuron=HARD), limited(LOIHI1, cores=4), "latency")


def graphs(seed: int, cores: int) -> csr_array:
    rng = np.random.default_rng(seed)
    spikes = np.triu(rng.random((cores, cores)) * (rng.random((cores, cores)) < 0.3), 1)
    return csr_array(spikes + spikes.T)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), cores=st.integers(1, 60))
def test_every_placement_gives_each_core_a_slot_and_annealing_is_best(seed, cores):
    graph, slots = graphs(seed, cores), Slots.of(LOIHI1.mesh)
    host = np.random.default_rng(seed).random(cores) * (seed % 3)
    found = {name: way(graph, slots, host) for name, way in PLACEMENTS.items()}
    for slot in found.values():
        assert len(np.unique(slot)) == cores
        assert 0 <= slot.min() <= slot.max() < len(slots.x)
    costs = {name: count_hops(graph, slots, slot, host) for name, slot in found.items()}
    assert costs["annealed"] <= min(costs["linear"], costs["greedy"], costs["bisection"]) + 1e-6
    again = PLACEMENTS["annealed"](graph, slots, host)
    assert (again == found["annealed"]).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), cores=st.integers(1, 60), capacity=st.integers(3, 20))
def test_chips_are_as_few_as_hold_the_cores(seed, cores, capacity):
    graph = graphs(seed, cores)
    chip = assign_chips(graph, capacity)
    assert np.bincount(chip).max() <= capacity
    assert chip.max() + 1 == -(-cores // capacity)
    assert count_crossing(graph, chip) <= count_crossing(graph, np.arange(cores) // capacity) + 1e-9
