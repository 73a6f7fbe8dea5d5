"""Chips with rules of their own: what fits, what does not and why, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chips_fit import CASES, outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from published import mlp, mnist_cnn

import snncompile
from snncompile.cores.chip_rules import fill_cores
from snncompile.errors import FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense, integer_dense

OWN = [
    name
    for name in CASES
    if load_chip(name).encoding not in ("loihi1", "loihi2", "packed_rows", "one_word")
]


@pytest.mark.parametrize("chip", OWN)
def test_one_network_fits_and_one_does_not(chip, golden):
    fits, too_large = CASES[chip]
    with pytest.raises(FitError) as error:
        fill_cores(too_large(), load_chip(chip))
    golden(f"{outcome(chip, fits)}\n{error.value}\n")


@pytest.mark.slow  # the message tells what other chips need, which takes its time
@pytest.mark.parametrize("chip", CASES)
def test_compile_takes_one_and_refuses_the_other(chip):
    fits, too_large = CASES[chip]
    assert snncompile.compile(fits(), chip=chip, prune=False).mapping.cores
    with pytest.raises(FitError):
        snncompile.compile(too_large(), chip=chip, prune=False)


@pytest.mark.parametrize("chip", OWN)
def test_every_neuron_is_on_one_core_and_no_core_is_too_full(chip):
    network = CASES[chip][0]()
    fitted = fill_cores(network, load_chip(chip))
    for population in network.populations:
        mine = [s for s in fitted.slices if s.population == population.name]
        assert sorted(np.concatenate([s.neurons() for s in mine])) == list(range(population.size))
    for core in fitted.cores:
        for resource, need in core.used.items():
            available = core.available[resource]
            assert available is None or need <= available
    assert all(need <= fitted.available[name] for name, need in fitted.used.items())


def test_the_tables_show_such_a_chip():
    program = snncompile.compile(mnist_cnn(), chip="speck2", prune=False)
    assert [u.used["synapse_words"] for u in program.usage()] == [512, 8192, 32768, 16384]


def chain(shapes, wirings, reset="hard", bits=8) -> IntegerNetwork:
    """Return populations of these shapes, joined by wirings; all weights are the largest."""
    names = ["input", *"abcdefghijkl"[: len(wirings)]]
    populations, projections = [], []
    for i, (shape, wiring) in enumerate(zip(shapes[1:], wirings, strict=True)):
        neuron = IntegerIntegrateFire(300, 0, 0, reset)
        populations.append(Population(names[i + 1], shape, neuron, phase=i + 1))
        weight = np.full(wiring.weight_shape, ((1 << (bits - 1)) - 1) << (9 - bits))
        projections.append(
            Projection(names[i], names[i + 1], IntegerSynapses(wiring, weight, 0, bits), 1)
        )
    parts = (tuple(populations), tuple(projections))
    return IntegerNetwork(Input("input", shapes[0]), *parts, names[-1])


def convolutions(source, *layers) -> IntegerNetwork:
    """Return convolutions of (channels, kernel, stride)."""
    shapes, wirings = [source], []
    for channels, kernel, stride in layers:
        sides = ((kernel,) * 2, (stride,) * 2, (0, 0), (1, 1))
        wirings.append(Convolution(shapes[-1], channels, *sides))
        shapes.append(wirings[-1].target_shape)
    return chain(shapes, wirings)


# ---- crossbars -----------------------------------------------------------------------------------


def weights(weight, bits=4) -> IntegerNetwork:
    """Return one dense layer with these weights, in steps of its bits."""
    array = np.asarray(weight) << (9 - bits)
    neuron = IntegerIntegrateFire(300, 0, 0, "hard")
    return IntegerNetwork(
        Input("input", (array.shape[1],)),
        (Population("a", (array.shape[0],), neuron, phase=1),),
        (Projection("input", "a", integer_dense(array, 0, bits), 1),),
        "a",
    )


# Weights (target, source); axons on TrueNorth, axons and places on ODIN.
AXONS = [
    ([[1, 1, 1]], 3, (3, 4)),
    ([[1, 0, 1]], 2, (2, 3)),
    ([[3, 0, 0]], 2, (1, 2)),  # 1 + 2
    ([[1, 0, 0], [2, 0, 0]], 2, (1, 3)),
    ([[-1, 0, 0]], 1, (1, 2)),  # one type that is weighed -1
    ([[-2, 1, 0]], 2, (2, 3)),
    ([[-8, 7, 0]], 4, None),
    ([[7, -7, 0]], 3 + 2, (2, 3)),  # 0111 and 1001
    ([[1, 0], [-1, 0]], 2, (2, 4)),  # both signs: two axons
]


@pytest.mark.parametrize("weight, truenorth, odin", AXONS, ids=range(len(AXONS)))
def test_axons_of_a_crossbar(weight, truenorth, odin):
    core = fill_cores(weights(weight), load_chip("truenorth")).cores[0]
    assert core.used == {"neurons and their copies": len(weight), "axons": truenorth}
    if odin is not None:
        core = fill_cores(weights(weight), load_chip("odin")).cores[0]
        assert (core.used["axons"], core.used["neurons and their copies"]) == odin


def test_a_neuron_is_built_once_for_each_axon_it_drives():
    network = mlp(3, 5, 2, bits=4)
    first, last = fill_cores(network, load_chip("odin")).cores[0].slices
    assert (first.population, last.population) == ("dense1", "dense2")
    weight = network.projections[1].synapses.weight
    both = [len(np.unique(weight[:, i] > 0)) for i in range(5)]
    inputs = network.projections[0].synapses.weight
    lines = [len(np.unique(inputs[:, i] > 0)) for i in range(3)]
    used = fill_cores(network, load_chip("odin")).cores[0].used
    assert used["neurons and their copies"] == sum(both) + 2 + sum(lines)
    assert used["axons"] == sum(both) + sum(lines)


def test_neurons_that_reach_two_cores_are_built_twice():
    """TrueNorth: 257 targets of one source take two cores, and two axons on each: 1 and -2."""
    network = mlp(1, 1, 257, bits=2)
    cores = fill_cores(network, load_chip("truenorth")).cores
    assert [core.used["neurons and their copies"] for core in cores] == [1 + 4, 256]


def test_odin_says_what_a_magnitude_needs():
    with pytest.raises(FitError) as error:
        fill_cores(weights([[15]], bits=5), load_chip("odin"))
    assert str(error.value) == (
        "projection input -> a: needs 4 bits of magnitude, the chip allows 3;"
        " quantize to fewer bits"
    )


def test_truenorth_says_what_a_weight_needs():
    with pytest.raises(FitError) as error:
        fill_cores(weights([[15, -1]], bits=5), load_chip("truenorth"))
    assert str(error.value) == (
        "projection input -> a: needs 5 axon types, the chip allows 4;"
        " quantize to fewer bits; a weight takes an axon of another type for each bit"
    )


def test_crossbars_have_no_loops():
    network = mlp(2, 2, bits=2)
    loop = Projection("dense1", "dense1", network.projections[0].synapses, 1)
    with pytest.raises(UnsupportedError) as error:
        fill_cores(
            replace(network, projections=(*network.projections, loop)), load_chip("truenorth")
        )
    assert str(error.value) == (
        "populations dense1 are a loop; crossbars are filled from the output back to the input"
    )


def test_a_chip_without_decays_refuses_neurons_that_decay():
    import snntorch
    from torch import nn

    module = nn.Sequential(nn.Linear(4, 2), snntorch.Leaky(beta=0.9, init_hidden=True))
    network = snncompile.from_torch(module, np.ones((1, 2, 4), np.uint8))
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip="truenorth", bits=4)
    assert str(error.value).endswith(
        "truenorth has no neuron cuba_lif/delayed_soft; it has integrate_fire/hard,"
        " integrate_fire/soft"
    )


def test_more_bits_than_axon_types_are_refused_by_name():
    with pytest.raises(QuantizeError) as error:
        snncompile.compile(mlp(4, 2), chip="truenorth")
    assert str(error.value) == (
        "projection input -> dense1: 8-bit weights are not among (2, 3, 4) of truenorth"
    )


# ---- kernel cores --------------------------------------------------------------------------------

# Input; channels, kernel, stride; kernel and neuron words by hand.
MEMORY = [
    ((1, 28, 28), (16, 5, 2), 1 << (5 + 4), 16 << (4 + 4)),
    ((3, 9, 9), (5, 3, 1), 3 << (4 + 3), 5 << (3 + 3)),  # 7 x 7 outputs: 8 x 8
    ((2, 16, 16), (8, 2, 8), 2 << (2 + 3), 8 << (1 + 1)),
]


@pytest.mark.parametrize("source, layer, kernel, neurons", MEMORY)
def test_words_of_a_layer(source, layer, kernel, neurons):
    (core,) = fill_cores(convolutions(source, layer), load_chip("speck2")).cores
    assert core.used == {"words of kernel memory": kernel, "words of neuron memory": neurons}


def test_layers_go_where_they_fit():
    """64 Ki neuron words are on cores 0 to 2 only, 64 Ki kernel words on 5 and 6."""
    network = convolutions((1, 65, 65), (16, 2, 1), (16, 2, 8), (64, 7, 1))
    places = [core.number for core in fill_cores(network, load_chip("speck2")).cores]
    assert places[0] in (0, 1, 2)
    assert places[2] in (5, 6)


# A network; the whole message.
SPECK = [
    (
        convolutions((1, 30, 30), (4, 17, 1)),
        "population a: needs 17 neurons as side of a kernel, the chip allows 16;"
        " use smaller kernels, or pool before a dense layer",
    ),
    (
        convolutions((1, 130, 130), (8, 3, 1)),
        "population a: needs 131,072 words of neuron memory, the chip allows 65,536;"
        " use fewer channels, a stride or pooling",
    ),
    (
        convolutions((64, 34, 34), (64, 3, 1)),
        "population a: needs 65,536 words of kernel memory beside 65,536 words of neuron memory,"
        " the chip allows 16,384; use fewer channels",
    ),
    (
        convolutions((1, 64, 64), *[(16, 1, 1)] * 4),
        "network network, population d: needs 4 cores with memory for their layers, the chip allows"
        " 3; each layer alone fits a core, but layers need the same cores; use fewer channels",
    ),
    (
        convolutions((1, 14, 14), *[(2, 1, 1)] * 10),
        "network network: needs 10 cores, one per layer (a, b, c, d, e, f, g, h, i, j), the chip"
        " allows 9; use fewer layers",
    ),
]


@pytest.mark.parametrize("network, message", SPECK, ids=range(len(SPECK)))
def test_says_why_layers_do_not_fit(network, message):
    with pytest.raises(FitError) as error:
        fill_cores(network, load_chip("speck2"))
    assert str(error.value) == message


def test_refuses_a_stride_the_chip_does_not_have():
    with pytest.raises(UnsupportedError) as error:
        fill_cores(convolutions((1, 9, 9), (2, 3, 3)), load_chip("speck2"))
    assert str(error.value) == "population a: the chip has no stride (3, 3); it has 1, 2, 4, 8"


# ---- layers, lines, bytes ------------------------------------------------------------------------

XYLO = [
    (
        (17, 2, 8),
        "network 17-2-8: needs 17 input lines, the chip allows 16; use fewer input channels",
    ),
    (
        (4, 1001, 2),
        "network 4-1001-2: needs 1,001 hidden neurons, the chip allows 1,000;"
        " use smaller hidden layers",
    ),
    (
        (4, 3, 65, 2),
        "network 4-3-65-2: needs 65 hidden neurons that one reaches, the chip allows 64;"
        " use smaller layers or sparse weights between them",
    ),
]


@pytest.mark.parametrize("sizes, message", XYLO)
def test_says_which_part_of_the_network_is_too_large(sizes, message):
    with pytest.raises(FitError) as error:
        fill_cores(mlp(*sizes, reset="soft"), load_chip("xylo-audio2"))
    assert str(error.value) == message


def test_zero_weights_reach_nothing_on_xylo():
    network = mlp(4, 3, 65, 2, reset="soft")
    synapses = network.projections[1].synapses
    weight = synapses.weight.copy()
    weight[0] = 0
    sparse = replace(network.projections[1], synapses=replace(synapses, weight=weight))
    pruned = replace(network, projections=(network.projections[0], sparse, network.projections[2]))
    core = fill_cores(pruned, load_chip("xylo-audio2")).cores[0]
    assert core.used["hidden neurons that one reaches"] == 64


def test_output_neurons_are_not_counted_as_reached_on_xylo():
    chip = load_chip("xylo-audio2")
    few = chip.layers.fan_out.model_copy(update={"value": 2.0})
    chip = chip.model_copy(update={"layers": chip.layers.model_copy(update={"fan_out": few})})
    core = fill_cores(mlp(4, 3, 2, 8, reset="soft"), chip).cores[0]
    assert core.used["hidden neurons that one reaches"] == 2


# Sources, bits, neurons; cores and lines per neuron of PAICORE.
LINES = [(144, 8, 512, 1, 1), (145, 8, 512, 2, 2), (1152, 8, 64, 1, 8), (9216, 8, 8, 1, 64)]


@pytest.mark.parametrize("sources, bits, neurons, cores, lines", LINES)
def test_lines_of_a_neuron(sources, bits, neurons, cores, lines):
    fitted = fill_cores(mlp(sources, neurons, bits=bits), load_chip("paicore2"))
    assert len(fitted.cores) == cores
    assert fitted.cores[0].used["lines of weight memory"] == lines * neurons // cores


@settings(max_examples=30)
@given(
    side=st.integers(3, 12),
    channels=st.integers(1, 20),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
)
def test_boxes_of_a_convolution_see_no_more_than_counted(side, channels, kernel, stride):
    network = convolutions((3, side, side), (channels, kernel, stride))
    fitted = fill_cores(network, load_chip("paicore2"))
    assert sum(s.size for s in fitted.slices) == network.populations[0].size
    for core in fitted.cores:
        seen = network.projections[0].synapses.wiring.fan_out(core.slices[0].neurons()) > 0
        assert np.count_nonzero(seen) <= core.used["axons"] <= core.available["axons"]


def test_spinnaker_shares_its_memory_and_routes():
    fitted = fill_cores(mlp(100, 2000, 10), load_chip("spinnaker1"))
    assert [core.used["bytes of data memory"] for core in fitted.cores] == [64_000, 64_000, 640]
    assert fitted.used == {
        "bytes of shared memory": 4 * (100 * 2000 + 2000 * 10),
        "router entries": 2 + 1,
    }


def test_spinnaker_says_when_its_shared_memory_is_full():
    chip = load_chip("spinnaker1")
    small = chip.memory.shared_bytes.model_copy(update={"value": 1000.0})
    chip = chip.model_copy(
        update={"memory": chip.memory.model_copy(update={"shared_bytes": small})}
    )
    with pytest.raises(FitError) as error:
        fill_cores(mlp(10, 26), chip)
    assert str(error.value) == (
        "network 10-26: needs 1,040 bytes of shared memory for synapses on one chip, the chip"
        " allows 1,000; use fewer synapses or, where there is one, a board of several chips"
    )


def dead_end(hidden: float = -1.0) -> Network:
    """Return a hidden layer that never fires, and an output behind it that hears nothing."""
    neuron = IntegrateFire(1.0, reset="hard")
    return Network(
        Input("input", (4,)),
        (Population("a", (3,), neuron), Population("b", (2,), neuron)),
        (
            Projection("input", "a", dense(np.full((3, 4), hidden))),
            Projection("a", "b", dense(np.ones((2, 3)))),
        ),
        "b",
    )


def test_speck_says_when_nothing_reaches_a_layer():
    assert snncompile.compile(dead_end(1.0), chip="speck2").mapping.cores == 2
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(dead_end(), chip="speck2")
    assert str(error.value) == (
        "population b: no spike ever reaches it, and a layer of the chip needs a source; check"
        " weights and thresholds of the layers before it, or take more weight bits"
    )


@pytest.mark.parametrize("chip", [name for name in OWN if name not in ("speck2", "xylo-audio2")])
def test_outputs_that_hear_nothing_are_mapped_with_a_warning(chip):
    program = snncompile.compile(dead_end(), chip=chip)
    assert [p.name for p in program.network.populations] == ["b"]
    assert program.warnings[0].startswith("population b: 2 of 2 outputs can never fire")
