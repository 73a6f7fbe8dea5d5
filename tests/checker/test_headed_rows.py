"""The checker counts cores of Loihi 2 with code of its own; both agree, and mistakes are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI2, limited, random_integer_network, ranged_network
from published import mlp, mnist_cnn, pilotnet, put_input_on_cores

import snncompile
from snncompile.checker.core_limits import count_held
from snncompile.checker.headed_rows import _choose_bits
from snncompile.checker.mapping import check
from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, MappingError
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import cut_network
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale


def mapped(network, chip, **options) -> Mapping:
    """Return the whole mapping of a network of integers."""
    design = Design(network, chip, mapping=Mapping(cut_network(network, chip, **options)))
    return Route()(Place("linear")(design)).mapping


def agree(network, chip, mapping) -> None:
    """Compare what the checker holds with what the core model uses."""
    check(network, chip, mapping)
    held = count_held(network, chip, mapping)
    for core in measure_usage(network, chip, mapping):
        for resource, by_core in held.items():
            assert by_core[core.core] == core.used[resource], resource


LIMITS = {"compartments": 5, "synapse_words": 24, "axons_in": 9, "total_words": 70, "cores": 120}


@settings(max_examples=40, deadline=None)
@example(seed=3, small=True)
@given(seed=st.integers(0, 10**6), small=st.booleans())
def test_mapper_and_checker_agree(seed, small):
    network = random_integer_network(seed, wild=False)
    chip = limited(LOIHI2, **LIMITS) if small else LOIHI2
    try:
        mapping = mapped(network, chip)
    except FitError:
        return
    agree(network, chip, mapping)
    assert compute_lower_bound(network, chip, mapping).cores <= mapping.cores


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_mapping_without_sharing_is_below_its_bound(seed):
    network, chip = random_integer_network(seed, wild=False), limited(LOIHI2, **LIMITS)
    try:
        mapping = Mapping(cut_network(network, chip, share=False))
    except FitError:
        return
    assert compute_lower_bound(network, chip, mapping).cores <= mapping.cores


def residual(channels: int, per_neuron: np.ndarray | None = None) -> IntegerNetwork:
    """Return a convolution, a depthwise one and a shortcut around it."""
    rng = np.random.default_rng(0)
    shape = (channels, 6, 5)
    first = Convolution((3, 6, 5), channels, (3, 3), (1, 1), (1, 1), (1, 1))
    depthwise = Convolution(shape, channels, (3, 3), (1, 1), (1, 1), (1, 1), channels)
    shortcut = Scale(first.targets, per_neuron is not None)
    weights = [rng.integers(-9, 9, w.weight_shape) * 2 for w in (first, depthwise)]
    weights.append(np.asarray(2) if per_neuron is None else per_neuron)
    ends = (("input", "a", 1), ("a", "b", 1), ("a", "b", 2))
    projections = tuple(
        Projection(source, target, IntegerSynapses(w, weight, 0, 8), delay)
        for (source, target, delay), w, weight in zip(
            ends, (first, depthwise, shortcut), weights, strict=True
        )
    )
    neuron = IntegerCubaLif(4095, 0, 60)
    populations = (Population("a", shape, neuron, 1), Population("b", shape, neuron, 2))
    return IntegerNetwork(Input("input", (3, 6, 5)), populations, projections, "b")


def one_convolution(channels: int) -> IntegerNetwork:
    """Return a convolution of an image with so many channels."""
    wiring = Convolution((channels, 6, 5), 2, (3, 3), (1, 1), (1, 1), (1, 1))
    synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
    population = Population("a", (2, 6, 5), IntegerCubaLif(4095, 0, 60), 1)
    projections = (Projection("input", "a", synapses, 1),)
    return IntegerNetwork(Input("input", (channels, 6, 5)), (population,), projections, "a")


def one_axis() -> IntegerNetwork:
    """Return a convolution along one axis, with a shortcut by channel around another."""
    wirings = [
        Convolution((2, 20), 6, (5,), (1,), (2,), (1,)),
        Convolution((6, 20), 6, (3,), (1,), (1,), (1,)),
        Scale(120, True),
    ]
    weights = [np.full(w.weight_shape, 2) for w in wirings[:2]]
    weights.append(np.repeat(np.arange(1, 7) * 2, 20))
    projections = tuple(
        Projection(source, target, IntegerSynapses(w, weight, 0, 8), delay)
        for (source, target, delay), w, weight in zip(
            (("input", "a", 1), ("a", "b", 1), ("a", "b", 2)), wirings, weights, strict=True
        )
    )
    neuron = IntegerCubaLif(4095, 0, 60)
    populations = (Population("a", (6, 20), neuron, 1), Population("b", (6, 20), neuron, 2))
    return IntegerNetwork(Input("input", (2, 20)), populations, projections, "b")


CHANNELS = np.repeat(np.arange(1, 7) * 2, 30)
NETWORKS = {
    "ranges": ranged_network,
    "dense": lambda: mlp(784, 128, 64, 10),
    "shortcut": lambda: residual(7),
    "shortcut by channel": lambda: residual(6, CHANNELS),
    "shortcut by neuron": lambda: residual(6, np.arange(1, 181) * 2 % 254),
    "one axis of space": one_axis,
    "PilotNet": pilotnet,
    "PilotNet with its input": lambda: put_input_on_cores(pilotnet()),
    "input of one channel": lambda: put_input_on_cores(mnist_cnn()),
    "input of seven channels": lambda: put_input_on_cores(one_convolution(7)),
}


@pytest.mark.parametrize("share", [True, False], ids=["shared", "apart"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_count_alike(name, share):
    network = NETWORKS[name]()
    agree(network, LOIHI2, mapped(network, LOIHI2, share=share))


def test_a_shortcut_by_channel_takes_a_kernel():
    """Six channels 4 + 2: two input axons and 6 * (2 words); by neuron one row each."""
    words = {}
    for name in ("shortcut by channel", "shortcut by neuron"):
        tables = mapped(NETWORKS[name](), LOIHI2).tables
        (block,) = [b for b in tables.memory if b.projection == 2]
        (axons,) = [a for a in tables.axons if a.memory == (tables.memory.index(block),)]
        words[name] = (block.format, block.words, axons.count)
    assert words == {
        "shortcut by channel": ("kernels", 12, 2),
        "shortcut by neuron": ("rows", 180, 180),
    }


# Weights; bits of each: the largest power of two that divides all is left out, signs if alike too.
STORED = [
    ([0, 0], 1),
    ([], 1),
    ([2, 254], 7),
    ([2, 256], 8),
    ([1, 127], 7),
    ([1, 128], 8),
    ([-256, 254], 8),
    ([-254, 254], 8),
    ([-2, -254], 7),
    ([-2, -256], 7),
    ([-2, -258], 8),
    ([64, 128], 2),
    ([64, 64], 1),
    ([-64, 64], 2),
    ([0, -64], 1),
]


@pytest.mark.parametrize("weights, bits", STORED)
def test_bits_of_a_stored_weight(weights, bits):
    wiring = Dense(1, len(weights))
    synapses = IntegerSynapses(wiring, np.array([weights], np.int16), 0, 9)
    assert _choose_bits(tuple(range(1, 17)), synapses) == bits
    assert _choose_bits((1, 2, 4, 8), synapses) == min(b for b in (1, 2, 4, 8) if b >= bits)


def test_a_wrong_number_of_words_is_seen():
    network = mlp(10, 6, 4)
    mapping = mapped(network, LOIHI2)
    tables = mapping.tables
    memory = (replace(tables.memory[0], words=11), *tables.memory[1:])
    with pytest.raises(MappingError) as error:
        check(network, LOIHI2, replace(mapping, tables=replace(tables, memory=memory)))
    assert str(error.value) == (
        "the mapping is wrong: input -> dense1 into dense1[0:6] on core 0 has 11 words, needs 30"
    )


def test_wrong_numbers_of_axons_are_seen():
    network = mlp(10, 6, 4)
    mapping = mapped(network, LOIHI2)
    tables = mapping.tables
    axons = (replace(tables.axons[0], size=9), *tables.axons[1:])
    with pytest.raises(MappingError) as error:
        check(network, LOIHI2, replace(mapping, tables=replace(tables, axons=axons)))
    assert str(error.value) == ("the mapping is wrong: core 0 has 9 axons from input, needs 10")


def test_a_port_has_one_place_for_all_its_destinations():
    network = mlp(10, 600, 400)
    mapping = mapped(network, limited(LOIHI2, compartments=200))
    lines = mapping.tables.lines
    assert len({(s, first) for s, _, _, first in lines.tolist()}) < len(lines)
    moved = lines.copy()
    moved[1, 3] += 1
    with pytest.raises(MappingError) as error:
        check(network, LOIHI2, replace(mapping, tables=replace(mapping.tables, routes=moved)))
    assert str(error.value) == (
        "the mapping is wrong: routes of dense1[0:200] begin at different output axons"
    )


def test_more_words_than_the_total_are_seen():
    network = mlp(64, 30)
    mapping = mapped(network, LOIHI2)
    small = limited(LOIHI2, total_words=100)
    with pytest.raises(MappingError) as error:
        check(network, small, mapping)
    assert str(error.value) == ("the mapping is wrong: core 0 holds 765 words of all tables of 100")


def test_compile_runs_the_checker():
    program = snncompile.compile(mlp(784, 128, 10), chip="loihi2", share_cores=False)
    assert [core.used["total_words"] for core in program.usage()] == [16591, 16591, 1573, 661]
