"""Partition: by hand on toy, each limit as the one that binds, the message if nothing fits."""

from __future__ import annotations

import dataclasses

import differential
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import (
    LOIHI1,
    LOIHI2,
    TOY,
    alone,
    changed,
    integer_chain,
    limited,
    partitioned,
    random_integer_network,
)

from snncompile.cores.resources import read_core_limits as core_limits
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.partition.partition import cut_network
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

HARD = IntegerCubaLif(4095, 0, 1)
SOFT = IntegerCubaLif(4095, 0, 1, reset="soft")


def sizes(network, chip=TOY) -> dict[str, list[int]]:
    mapping = partitioned(network, chip).mapping
    return {p.name: [s.size for s in mapping.of(p.name)] for p in network.populations}


# Network, chip; sizes of the slices. Toy's core: 4 compartments, 64 words, 8 axons in, 16 out.
BY_HAND = {
    "each population has a core of its own": (integer_chain(2, 1, 1), TOY, [[1], [1]]),
    "a full core": (integer_chain(2, 4), TOY, [[4]]),
    "one neuron too many": (integer_chain(2, 5), TOY, [[4, 1]]),
    "compartments bind": (integer_chain(2, 10), TOY, [[4, 4, 2]]),
    "two compartments per neuron": (integer_chain(2, 4, neuron=SOFT), TOY, [[2, 2]]),
    "an odd compartment is left over": (
        integer_chain(2, 3, neuron=SOFT),
        limited(TOY, compartments=5),
        [[2, 1]],
    ),
    "words bind": (integer_chain(8, 4), limited(TOY, synapse_words=23), [[2, 2]]),
    "words just fit": (integer_chain(8, 4), limited(TOY, synapse_words=32), [[4]]),
    "words of one neuron": (integer_chain(8, 4), limited(TOY, synapse_words=15), [[1, 1, 1, 1]]),
    "output axons bind: two targets, three cores": (
        integer_chain(1, 4, 4, neuron=HARD),
        limited(TOY, axons_out=2, compartments=3, cores=6),
        [[1, 1, 1, 1], [3, 1]],
    ),
    "output axons just fit": (
        integer_chain(1, 4, 4, neuron=HARD),
        limited(TOY, axons_out=4, compartments=2, cores=8),
        [[2, 2], [2, 2]],
    ),
    "input axons just fit": (integer_chain(8, 4), TOY, [[4]]),
    "unknown limits do not bind": (
        integer_chain(100, 30),
        limited(TOY, synapse_words=None, axons_in=None, compartments=None),
        [[30]],
    ),
    "threshold profiles bind": (
        alone(IntegerIntegrateFire([1, 2, 3], reset="hard"), 3),
        TOY,
        [[2, 1]],
    ),
    "compartment profiles bind": (alone(IntegerReadout([1, 2, 3], 0), 3), TOY, [[2, 1]]),
    "profiles just fit": (alone(IntegerCubaLif(4095, 0, np.arange(1, 8)), 7), LOIHI1, [[7]]),
    "profiles of loihi1": (alone(IntegerCubaLif(4095, 0, np.arange(1, 9)), 8), LOIHI1, [[4, 4]]),
    "decays of loihi1": (alone(IntegerCubaLif(np.arange(32), 0, 1), 32), LOIHI1, [[16, 16]]),
    "the output has no output axons": (
        integer_chain(1, 4),
        limited(TOY, axons_out=1),
        [[4]],
    ),
    "a loop to itself needs axons to all its cores": (
        changed(
            integer_chain(1, 4),
            projections=(Projection("a", "a", integer_dense(np.full((4, 4), 2), 0, 8), 1),),
        ),
        limited(TOY, axons_out=8, compartments=2),
        [[2, 2]],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    network, chip, wanted = BY_HAND[case]
    assert list(sizes(network, chip).values()) == wanted


def test_text(golden):
    network = integer_chain(3, 5, 4, 2, neuron=HARD, title="three layers")
    done = partitioned(network)
    golden(f"{done.mapping}\n{done.log[0]}\n")


def test_usage_by_hand():
    """a: 3 + 2 neurons, each sends to b's two cores; b: 5 axons in, 5 words per neuron."""
    network = integer_chain(3, 5, 5, neuron=SOFT)
    chip = limited(TOY, compartments=6, cores=4)
    done = partitioned(network, chip)
    found = [
        (u.core, *map(str, u.slices), u.used) for u in measure_usage(network, chip, done.mapping)
    ]
    assert found == [
        (0, "a[0:3] on core 0", used(compartments=6, synapse_words=9, axons_in=3, axons_out=6)),
        (1, "a[3:5] on core 1", used(compartments=4, synapse_words=6, axons_in=3, axons_out=4)),
        (2, "b[0:3] on core 2", used(compartments=6, synapse_words=15, axons_in=5, axons_out=0)),
        (3, "b[3:5] on core 3", used(compartments=4, synapse_words=10, axons_in=5, axons_out=0)),
    ]


def used(**counts: int) -> dict[str, int]:
    words = counts["synapse_words"] // max(counts["axons_in"], 1)  # all rows have one length
    tables = dict.fromkeys(("compartment_profiles", "threshold_profiles", "neuron_groups"), 1)
    return counts | tables | {"row_words": words, "synapse_formats": 0}


def test_a_source_with_two_projections_takes_its_axons_once_and_its_words_twice():
    network = integer_chain(3, 2)
    twice = dataclasses.replace(
        network,
        projections=(
            *network.projections,
            Projection("input", "a", integer_dense(np.full((2, 3), 4), 1, 8), 2),
        ),
    )
    (found,) = measure_usage(twice, TOY, partitioned(twice).mapping)
    assert found.used == used(compartments=2, synapse_words=12, axons_in=3, axons_out=0) | {
        "row_words": 2  # of one projection
    }


def test_axons_of_all_sources_and_targets_add_up():
    """c listens to the input, a and itself; a sends to b and c."""
    synapses = {
        (t, s): integer_dense(np.full((t, s), 2), 0, 8) for t in (1, 2, 3) for s in (1, 2, 3)
    }
    network = IntegerNetwork(
        Input("input", (3,)),
        (
            Population("a", (2,), HARD, 1),
            Population("b", (1,), HARD, 2),
            Population("c", (3,), HARD, 2),
        ),
        (
            Projection("input", "a", synapses[2, 3], 1),
            Projection("a", "b", synapses[1, 2], 1),
            Projection("a", "c", synapses[3, 2], 1),
            Projection("input", "c", synapses[3, 3], 2),
            Projection("c", "c", synapses[3, 3], 1),
        ),
        "b",
    )
    found = {
        u.slices[0].population: u.used
        for u in measure_usage(network, TOY, partitioned(network).mapping)
    }
    assert found["a"] == used(compartments=2, synapse_words=6, axons_in=3, axons_out=4)
    assert found["b"] == used(compartments=1, synapse_words=2, axons_in=2, axons_out=0)
    assert found["c"] == used(compartments=3, synapse_words=24, axons_in=8, axons_out=3)


def joined(wiring, weight=2, *, more=None, bits: int = 8) -> IntegerNetwork:
    """Return input -> a, and a -> b of the same size by `more`."""
    w = IntegerSynapses(wiring, np.full(wiring.weight_shape, weight), 0, bits)
    populations = [Population("a", (wiring.targets,), HARD, 1)]
    projections = [Projection("input", "a", w, 1)]
    if more is not None:
        populations.append(Population("b", (more.targets,), HARD, 2))
        synapses = IntegerSynapses(more, np.full(more.weight_shape, weight), 0, bits)
        projections.append(Projection("a", "b", synapses, 1))
    ends = Input("input", (wiring.sources,))
    return IntegerNetwork(ends, tuple(populations), tuple(projections), populations[-1].name)


def test_a_neuron_takes_an_output_axon_per_core_it_has_synapses_on():
    """a feeds b one to one: one axon each; a dense b of two cores would take two."""
    network = joined(Dense(8, 1), more=Scale(8))
    found = [u.used for u in measure_usage(network, TOY, partitioned(network).mapping)]
    assert [u["axons_out"] for u in found] == [4, 4, 0, 0]
    assert [u["axons_in"] for u in found] == [1, 1, 4, 4]
    assert [u["synapse_words"] for u in found] == [4, 4, 4, 4]
    found = measure_usage(
        dense_twice := joined(Dense(8, 1), more=Dense(8, 8)), TOY, cut_in_two(dense_twice)
    )
    assert [u.used["axons_out"] for u in found] == [8, 8, 0, 0]


def cut_in_two(network) -> Mapping:
    return Mapping(
        tuple(
            Slice.from_range(p, p.size * half // 2, p.size * (half + 1) // 2, 2 * i + half)
            for i, p in enumerate(network.populations)
            for half in (0, 1)
        )
    )


def test_a_convolution_by_hand():
    """Kernel 3, padding 1 over 6 neurons on two cores: neurons 2 and 3 reach both, the rest one."""
    wiring = Convolution((1, 6), 1, (3,), (1,), (1,), (1,))
    network = joined(wiring, more=wiring)
    chip = limited(TOY, compartments=3)
    found = [u.used for u in measure_usage(network, chip, partitioned(network, chip).mapping)]
    assert [u["axons_out"] for u in found] == [3 + 1, 1 + 3, 0, 0]
    assert [u["axons_in"] for u in found] == [4, 4, 4, 4]
    assert [u["synapse_words"] for u in found] == [2 + 3 + 3, 3 + 3 + 2, 8, 8]


def test_neurons_without_synapses_take_nothing():
    nothing = Sparse(np.array([], int), np.array([], int), 4, 4)
    network = joined(nothing, more=nothing)
    for found in measure_usage(network, TOY, partitioned(network).mapping):
        assert found.used == used(compartments=4, synapse_words=0, axons_in=0, axons_out=0)


def test_the_middle_may_need_more_than_the_ends():
    """The first slice is no measure: here the fourth neuron alone has a full core of synapses."""
    target, source = np.array([0, 1, 2, *[3] * 8]), np.array([0, 0, 0, *range(8)])
    network = joined(Sparse(target, source, 4, 8))
    assert sizes(network, limited(TOY, synapse_words=8)) == {"a": [3, 1]}
    assert sizes(network, limited(TOY, synapse_words=11)) == {"a": [4]}
    with pytest.raises(FitError) as error:
        partitioned(network, limited(TOY, synapse_words=7))
    assert "needs 8 words of synaptic memory" in str(error.value)


# Chip, cores of one layer of 16,384 neurons: its kernels are stored once per core; cores of two.
RESNET_LAYERS = [(LOIHI2, 5, 9), (LOIHI1, 16, 32)]


@pytest.mark.parametrize("chip, one, two", RESNET_LAYERS, ids=["loihi2", "loihi1"])
def test_layers_of_a_resnet_are_cut_without_unrolling(chip, one, two, monkeypatch):
    def unrolled(*arguments: object) -> None:
        raise AssertionError("a convolution was unrolled")

    monkeypatch.setattr(Convolution, "matrix", unrolled)
    wiring = Convolution((16, 32, 32), 16, (3, 3), (1, 1), (1, 1), (1, 1))
    assert Mapping(cut_network(joined(wiring), chip)).cores == one
    assert Mapping(cut_network(joined(wiring, more=wiring), chip)).cores == two


def test_profiles_are_counted_per_slice():
    neuron = IntegerCubaLif([1, 1, 2, 2, 2], [0, 0, 0, 5, 6], [1, 1, 1, 1, 2])
    network = alone(neuron, 5)
    (found,) = measure_usage(network, LOIHI1, partitioned(network, LOIHI1).mapping)
    assert (found.used["compartment_profiles"], found.used["threshold_profiles"]) == (4, 2)


@settings(max_examples=200)
@example(seed=63, compartments=6, synapse_words=30, axons_in=9, axons_out=2, cores=6)
@given(
    seed=st.integers(0, 10**9),
    compartments=st.integers(2, 12),
    synapse_words=st.integers(10, 200),
    axons_in=st.integers(4, 30),
    axons_out=st.integers(2, 60),
    cores=st.integers(1, 40),
)
def test_every_neuron_once_and_no_limit_exceeded(seed, cores, **limits):
    everything = differential.network(seed, 1, differential.Frame((12,), 3))
    network = random_integer_network(seed) if seed % 2 else everything
    chip = limited(TOY, cores=cores, **limits, compartment_profiles=99, threshold_profiles=99)
    kinds = {p.neuron.kind: TOY.neurons["cuba_lif/hard"] for p in network.populations}
    chip = chip.model_copy(update={"neurons": kinds | chip.neurons})
    try:
        slices = cut_network(network, chip)
    except FitError:
        return
    placed = sorted((s.population, i) for s in slices for i in s.neurons().tolist())
    assert placed == sorted((p.name, i) for p in network.populations for i in range(p.size))
    mapping = Mapping(slices)
    assert sorted({s.core for s in slices}) == list(range(mapping.cores))
    assert mapping.cores <= cores
    for found in measure_usage(network, chip, mapping):
        for resource in found.used:
            assert found.used[resource] <= core_limits(chip).get(resource, np.inf), (
                found,
                resource,
            )


@settings(max_examples=60)
@given(seed=st.integers(0, 10**9), compartments=st.integers(2, 6), words=st.integers(10, 100))
def test_one_core_less_would_not_do(seed, compartments, words):
    """Fewest cores per population, where output axons are plenty."""
    network = random_integer_network(seed)
    chip = limited(
        TOY,
        cores=60,
        compartments=compartments,
        synapse_words=words,
        axons_in=100,
        axons_out=10**6,
        compartment_profiles=9,
        threshold_profiles=9,
    )
    try:
        mapping = Mapping(cut_network(network, chip))
    except FitError:
        return
    for population in network.populations:
        count = len(mapping.of(population.name))
        if count > 1:
            larger = -(-population.size // (count - 1))
            per_neuron = 2 if population.neuron.kind.endswith("soft") else 1
            sources = sum(network.end(p.source).size for p in network.into(population.name))
            assert larger * per_neuron > compartments or larger * sources > words


@pytest.mark.parametrize("per_neuron, reset", [(1, "hard"), (2, "soft"), (2, "delayed_soft")])
def test_soft_resets_take_two_compartments_on_loihi1(per_neuron, reset):
    network = integer_chain(1, 1024, neuron=IntegerCubaLif(4095, 0, 1, reset=reset))
    assert sizes(network, LOIHI1) == {"a": [1024 // per_neuron] * per_neuron}
    assert sizes(network, LOIHI2) == {"a": [1024]}


def test_delays_take_memory_on_loihi1():
    """A delay of 1 is what every synapse takes; more is stored with each synapse."""
    for delay, bits in ((1, 8), (2, 8 + 6), (3, 8 + 6)):
        network = changed(integer_chain(10, 4), projection=0, delay=delay)
        (found,) = measure_usage(network, LOIHI1, partitioned(network, LOIHI1).mapping)
        row = 10 + 4 * bits + 6  # 48 or 72 bits
        assert found.used["synapse_words"] == 10 * -(-row // 64)


def test_the_log():
    assert partitioned(integer_chain(1, 5, 9, 1), limited(TOY, cores=9, axons_in=9)).log == (
        "partition: 6 of 9 cores, most for b (3)",
    )


def test_the_slices_know_their_size():
    a = integer_chain(1, 9).population("a")
    assert Slice.from_range(a, 3, 7, 0).size == 4
    assert str(Slice.from_range(a, 3, 7, 2)) == "a[3:7] on core 2"
