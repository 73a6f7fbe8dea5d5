"""The checker finds what is too much on chips with rules of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chips_fit import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import integer_chain
from published import mlp, mnist_cnn

import snncompile
from snncompile.checker.chip_rules import _find_axons, check_chip_rules
from snncompile.checker.mapping import check
from snncompile.cores.chip_rules import fill_cores
from snncompile.errors import FitError, MappingError
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense
from snncompile.synapses.sparse import Sparse


def together(network, chip: str = "toy") -> Mapping:
    """Put every neuron on core 0."""
    slices = tuple(Slice.from_range(p, 0, p.size, 0) for p in network.populations)
    return Mapping(slices, (Site(0, 0, 0),))


def found(network, chip: str | Chip, mapping: Mapping | None = None) -> list[str]:
    known = load_chip(chip) if isinstance(chip, str) else chip
    return list(check_chip_rules(network, known, mapping or together(network)))


# Chip, network whose neurons are all on core 0; what the checker says.
TOO_MUCH = [
    ("truenorth", mlp(64, 64, 10, bits=4), ["core 0 holds 511 axons of 256"]),
    ("odin", mlp(100, 64, 10, bits=4), ["core 0 holds 327 axons of 256"]),
    ("xylo-audio2", mlp(17, 3, 9), ["core 0 holds 17 input lines of 16"]),
    ("xylo-audio2", mlp(1, 1001, 1), ["core 0 holds 1,001 hidden neurons of 1,000"]),
    ("xylo-audio2", mlp(1, 1, 65, 2), ["core 0 holds 65 targets of a dense1 of 64"]),
    ("paicore2", mlp(1, 513), ["core 0 holds 513 lines of 512"]),
    ("paicore2", mlp(9217, 1), ["core 0 holds 128 lines of a neuron of 64"]),
    ("spinnaker1", mlp(1, 1025), ["core 0 holds 65,600 bytes of 65,536"]),
]


@pytest.mark.parametrize("chip, network, messages", TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_finds_what_is_too_much(chip, network, messages):
    assert found(network, chip)[: len(messages)] == messages


# The largest that is not too much.
ENOUGH = [
    ("xylo-audio2", mlp(16, 64, 64, 8)),
    ("paicore2", mlp(1, 512)),
    ("paicore2", mlp(9216, 1)),
    ("spinnaker1", mlp(1, 1024)),
]


@pytest.mark.parametrize("chip, network", ENOUGH, ids=range(len(ENOUGH)))
def test_accepts_the_largest(chip, network):
    assert found(network, chip) == []


def test_a_neuron_is_counted_once_for_each_axon_it_drives():
    """65 neurons that drive 4 axons each take 260 places, though only 65 + 1 are built at all."""
    network = mlp(1, 65, 1, bits=4)
    weight = np.full((1, 65), -32)  # -1 is 1111
    last = network.projections[1]
    weight[0, 0] = 7 * 32
    synapses = replace(last.synapses, weight=weight.astype(np.int16))
    network = replace(
        network, projections=(network.projections[0], replace(last, synapses=synapses))
    )
    assert "core 0 holds 260 places of neurons of 256" in found(network, "truenorth")


def test_layers_of_speck_are_checked_against_their_own_core():
    program = snncompile.compile(mnist_cnn(), chip="speck2", prune=False)
    sites = list(program.mapping.sites)
    sites[2] = Site(2, 0, 0)  # 32 Ki words of kernels where 16 Ki are
    moved = replace(program.mapping, sites=tuple(sites))
    assert found(program.network, "speck2", moved) == [
        "core 2 holds 32,768 words of kernels of 16,384"
    ]
    with pytest.raises(MappingError):
        check(program.network, program.chip, moved)


def test_two_layers_are_too_much_for_a_core_of_speck():
    assert found(mnist_cnn(), "speck2") == ["core 0 does not hold exactly one layer"]


@pytest.mark.parametrize("chip", ["truenorth", "odin", "paicore2", "spinnaker1", "xylo-audio2"])
def test_accepts_what_fits(chip):
    network = CASES[chip][0]()
    cores = fill_cores(network, load_chip(chip)).cores
    slices = tuple(s for core in cores for s in core.slices)
    sites = tuple(Site(i, i, 0) for i in range(len(cores)))
    assert found(network, chip, Mapping(slices, sites)) == []


@settings(max_examples=25)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(1, 300)),
    bits=st.integers(2, 4),
    seed=st.integers(0, 9),
)
def test_crossbars_are_counted_alike(sizes, bits, seed):
    """The checker and the fit count axons and copies independently."""
    network = mlp(*sizes, bits=bits, seed=seed)
    fitted = fill_cores(network, load_chip("truenorth"))
    sites = tuple(Site(i, i, 0) for i in range(len(fitted.cores)))
    mapping = Mapping(fitted.slices, sites)
    for core in fitted.cores:
        for limit in ("axons", "neurons"):
            name = "axons" if limit == "axons" else "neurons and their copies"
            less = core.used[name] - 1
            small = _with_limit(load_chip("truenorth"), limit, less)
            assert any(
                f"holds {core.used[name]:,}" in m for m in check_chip_rules(network, small, mapping)
            )


def _with_limit(chip, limit, value):
    number = getattr(chip.crossbar, limit).model_copy(update={"value": float(value)})
    return chip.model_copy(update={"crossbar": chip.crossbar.model_copy(update={limit: number})})


@pytest.mark.parametrize("sources", [1152, 1153, 9216])
def test_mapper_and_checker_agree_on_fan_in_extension(sources):
    """PAICORE: with more lines per neuron a core hears its axons in as many turns."""
    program = snncompile.compile(mlp(sources, 10), chip="paicore2", prune=False)
    count = sum(axons.count for axons in program.mapping.tables.axons)
    assert count == sources * program.mapping.cores


def test_axons_beyond_the_fan_in_extension_are_too_many():
    program = snncompile.compile(mlp(1153, 3), chip="paicore2", prune=False)
    chip = load_chip("paicore2")
    ram = chip.weight_ram
    assert ram is not None
    one = ram.model_copy(update={"extension": ram.extension.model_copy(update={"value": 1})})
    chip = chip.model_copy(update={"weight_ram": one})
    message = "^the mapping is wrong: core 0 holds 1,153 input axons of 1,152$"
    with pytest.raises(MappingError, match=message):
        check(program.network, chip, program.mapping)


def test_one_neuron_with_too_many_sources_for_its_lines():
    with pytest.raises(FitError, match=r"needs 9,217 sources of 8 bits for one neuron, the chip"):
        snncompile.compile(mlp(9217, 1), chip="paicore2", prune=False)


def test_weights_of_zero_take_no_axons_of_a_crossbar():
    """300 sources in the tables of one core of 256 axons, 105 of them with a weight."""
    first, second = np.zeros((100, 200)), np.zeros((3, 100))
    first[np.arange(100), np.arange(100)] = second[:, :5] = 1.0
    fire = IntegrateFire(1.0, reset="hard")
    network = Network(
        Input("input", (200,)),
        (Population("a", (100,), fire), Population("b", (3,), fire)),
        (Projection("input", "a", dense(first)), Projection("a", "b", dense(second))),
        "b",
    )
    program = snncompile.compile(network, chip="truenorth", bits=2, prune=False)
    assert [u.used["axons_in"] for u in program.usage()] == [105]


def test_axons_of_a_source_are_of_the_signs_of_its_weights():
    """Bit 0 for weights above 0, bit 1 for those below; those of 0 are stored, and take none."""
    weight = np.array([32, 0, -32, 32, -32], np.int16)
    wiring = Sparse([0, 0, 0, 1, 0], [0, 1, 2, 3, 3], 2, 4)
    chain = integer_chain(4, 2)
    p = replace(chain.projections[0], synapses=IntegerSynapses(wiring, weight, 0, 4))
    assert _find_axons(p, np.arange(1), by_source=True).tolist() == [1, 0, 2, 2]


# Weight in steps; types of axons that a sum of 1, 2, 4, ... takes, the last one negative.
TYPES = [(7, 3), (8, 4), (-1, 1), (-2, 2), (-3, 3), (-4, 3), (-5, 4), (-8, 4), (-9, 5)]


@pytest.mark.parametrize("weight, types", TYPES)
def test_types_of_axons_that_a_weight_takes(weight, types):
    """As two's complement, which has one negative number more."""
    chip = load_chip("truenorth")
    network = integer_chain(1, 1, weight=8 * weight, bits=6)
    limits = {
        "axon_types": types - 1,
        "type_weight_bits": 8,
    }
    for limit, value in limits.items():
        chip = _with_limit(chip, limit, value)
    assert found(network, chip)[0] == f"input -> a needs {types} axon types of {types - 1}"


def test_a_dense_layer_of_speck_takes_a_word_per_neuron():
    program = snncompile.compile(mlp(16, 8), chip="speck2", prune=False)
    (site,) = program.mapping.sites
    kernels = program.chip.kernels
    words = list(kernels.neuron_words.values)
    words[site.tile_x] = 7
    small = kernels.neuron_words.model_copy(update={"values": words})
    chip = program.chip.model_copy(
        update={"kernels": kernels.model_copy(update={"neuron_words": small})}
    )
    assert found(program.network, chip, program.mapping) == ["core 0 holds 8 words of neurons of 7"]


def layer(wiring: Convolution | Dense, shape: tuple[int, ...]) -> IntegerNetwork:
    """Return an image and one layer."""
    synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
    target = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
    populations = (Population("a", target, IntegerIntegrateFire(300, 0, 0, "hard"), 1),)
    projections = (Projection("input", "a", synapses, 1),)
    return IntegerNetwork(Input("input", shape), populations, projections, "a")


# Layer behind an image of 3 x 6 x 7; words of its kernels and of its neurons.
WORDS = [
    # 9 taps are 16, 5 channels 8, 6 x 7 pixels 8 x 8.
    (Convolution((3, 6, 7), 5, (3, 3), (1, 1), (1, 1), (1, 1)), 3 * 16 * 8, 5 * 8 * 8),
    (Convolution((3, 6, 7), 8, (2, 2), (1, 1), (0, 0), (1, 1)), 3 * 4 * 8, 8 * 8 * 8),
    # A dense layer is a kernel as large as the image, 42 pixels are 64.
    (Dense(5, 126), 3 * 64 * 8, 5),
]


@pytest.mark.parametrize("wiring, kernel, neurons", WORDS, ids=range(len(WORDS)))
def test_words_of_a_layer_count_in_powers_of_two(wiring, kernel, neurons):
    """Speck addresses taps, channels and pixels by bits of their own."""
    network, chip = layer(wiring, (3, 6, 7)), load_chip("speck2")
    for name, words, what in (
        ("kernel_words", kernel, "words of kernels"),
        ("neuron_words", neurons, "words of neurons"),
    ):
        for available, messages in (
            (words, []),
            (words - 1, [f"core 0 holds {words:,} {what} of {words - 1:,}"]),
        ):
            limits = chip.kernels
            values = (available, *getattr(limits, name).values[1:])
            number = getattr(limits, name).model_copy(update={"values": values})
            small = chip.model_copy(update={"kernels": limits.model_copy(update={name: number})})
            assert found(network, small) == messages


def test_a_weight_of_zero_is_no_target():
    """65 weights from one hidden neuron of Xylo to others, where 64 may be, and one is zero."""
    network = mlp(1, 1, 65, 2)
    second = network.projections[1]
    weight = np.full((65, 1), 2)
    weight[7] = 0
    synapses = replace(second.synapses, weight=weight.astype(np.int16))
    projections = (network.projections[0], replace(second, synapses=synapses))
    network = replace(network, projections=(*projections, *network.projections[2:]))
    assert found(network, "xylo-audio2") == []


@pytest.mark.parametrize("name", ["neuron_bytes", "input_bytes", "buffered_steps", "synapse_bytes"])
def test_bytes_that_are_not_known_are_left_out(name):
    """20 neurons with 12 sources each: what is known of them fills the memories exactly."""
    chip = load_chip("spinnaker1")
    names = ("neuron_bytes", "input_bytes", "buffered_steps", "synapse_bytes")
    known = {n: getattr(chip.memory, n).whole or 0 for n in names} | {name: 0}
    need = 20 * (known["neuron_bytes"] + known["input_bytes"] * known["buffered_steps"])
    sizes = {"data_bytes": need, "shared_bytes": 12 * 20 * known["synapse_bytes"], name: None}
    numbers = {n: getattr(chip.memory, n).model_copy(update={"value": v}) for n, v in sizes.items()}
    small = chip.model_copy(update={"memory": chip.memory.model_copy(update=numbers)})
    assert found(mlp(12, 20), small) == []


def test_strides_that_the_chip_has_not_come_in_rising_order():
    wiring = Convolution((1, 24, 24), 2, (3, 3), (8, 3), (0, 0), (1, 1))
    chip = load_chip("speck2")
    strides = chip.kernels.strides.model_copy(update={"values": (1, 2)})
    kernels = chip.kernels.model_copy(update={"strides": strides})
    assert found(layer(wiring, (1, 24, 24)), chip.model_copy(update={"kernels": kernels})) == [
        "input -> a has stride 3; the chip has 1, 2",
        "input -> a has stride 8; the chip has 1, 2",
    ]
