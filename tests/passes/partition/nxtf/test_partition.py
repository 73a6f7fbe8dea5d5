"""Rules of Intel's NxTF: its published cores, words of its run, its own tests, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, integer_chain
from published import mlp, mnist_cnn

import snncompile
from snncompile.cores.equal_tiles import Box, cut_boxes, list_tilings
from snncompile.cores.row_encoding import LOIHI1_ROWS, read_row_rules
from snncompile.errors import FitError, InputError, UnsupportedError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.passes.partition.nxtf.cores import (
    Core,
    Layer,
    count_input_axons,
    count_output_axons,
    encode_core,
    find_reach,
    number_source_groups,
)
from snncompile.passes.partition.nxtf.partition import partition_nxtf
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.sparse import Sparse

# ---- published -----------------------------------------------------------------------------------

# Encoding; published cores of input and layers (of dense2 their sum, 19); words of the layers,
# which are published nowhere: Intel's mapper counted them, run on the weights of seed 0.
PUBLISHED = [
    ("sparse", [1, 4, 7, 3, 1], [21708, 92544, 46080, 3072]),
    ("run_length", [1, 3, 5, 3, 1], [7986, 78880, 41517, 3072]),
    ("dense2", [1, 3, 10, 4, 1], [18612, 132900, 32172, 3072]),
]


@pytest.mark.parametrize("encoding, cores, words", PUBLISHED)
def test_mnist_cnn(encoding, cores, words):
    layers = partition_nxtf(mnist_cnn(), LOIHI1, encoding)
    assert [len(cut.cores) for cut in layers] == cores
    assert [cut.words for cut in layers[1:]] == words


@pytest.mark.parametrize("seed", [1, 2])
def test_other_weights_take_the_same_cores(seed):
    for encoding, cores, words in PUBLISHED:
        layers = partition_nxtf(mnist_cnn(seed=seed), LOIHI1, encoding)
        assert [len(cut.cores) for cut in layers] == cores
        if encoding == "sparse":  # which does not depend on where the signs are
            assert [cut.words for cut in layers[1:]] == words


def test_mlp():
    layers = partition_nxtf(mlp(784, 128, 10), LOIHI1, "sparse")
    assert [len(cut.cores) for cut in layers] == [1, 2, 1]


# Source (H, W, C), (channels, kernel), stride, encoding, tile; input axons, synapses, words of the
# whole layer: expectations of NxTF's own tests (tests/test_dnn_partitioner.py). The words of
# encodings other than sparse depend on its random signs, as do the fillers of dense2.
EXPECTED = [
    ((7, 7, 2), (2, 3), 1, "sparse", (5, 5, 2), (14, 900, 378)),
    ((32, 32, 3), (2, 3), 1, "sparse", (30, 10, 2), (108, 29160, 10080)),
    ((32, 32, 3), (2, 3), 2, "sparse", (10, 5, 2), (198, 4050, 2592)),
    ((27, 26, 2), (2, 1), 2, "sparse", (7, 13, 2), (52, 56, 28)),
    ((32, 30, 2), (2, 2), 2, "sparse", (16, 5, 2), (60, 768, 384)),
    ((7, 7, 2), (2, 3), 1, "run_length", (5, 5, 2), (14, 900, None)),
    ((7, 7, 2), (2, 3), 1, "dense1", (5, 5, 2), (14, 900, None)),
]


@pytest.mark.parametrize("source, kernels, stride, kind, tile, wanted", EXPECTED)
def test_layers_of_its_own_tests(source, kernels, stride, kind, tile, wanted):
    layer = convolution(source, *kernels, stride)
    axons, synapses, words = 0, 0, 0
    for box in cut_boxes(layer.shape, counts(layer.shape, tile)):
        reach = find_reach(layer, box)
        groups = number_source_groups(layer, box, reach, layer.synapses.wiring.sources)
        axons += count_input_axons(layer, Core(box, 0, {}, groups), np.ones(len(groups), np.int64))
        encoded = encode_core(layer, box, reach, (), kind, LOIHI1_ROWS)
        synapses, words = synapses + encoded.synapses, words + encoded.words
    assert (axons, synapses) == wanted[:2]
    assert wanted[2] in (None, words)


def convolution(source, channels, kernel, stride, padding=0, groups=1, seed=0) -> Layer:
    height, width, inputs = source
    wiring = Convolution(
        (inputs, height, width),
        channels,
        (kernel, kernel),
        (stride, stride),
        (padding, padding),
        (1, 1),
        groups,
    )
    weight = np.random.default_rng(seed).choice([-2, 2], wiring.weight_shape)
    channels, height, width = wiring.target_shape
    return Layer("a", (height, width, channels), IntegerSynapses(wiring, weight, 0, 8), 1)


def counts(shape, tile):
    return tuple(-(-length // size) for length, size in zip(shape, tile, strict=True))


def test_rules_are_in_the_chip_file():
    assert read_row_rules(LOIHI1) == LOIHI1_ROWS


# ---- geometry ------------------------------------------------------------------------------------


def test_tilings_split_channels_last():
    found = list_tilings((4, 4, 2), (2, 0, 1), 1)
    assert found[:7] == [
        *((1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 1, 2)),
        *((1, 4, 1), (2, 2, 1), (4, 1, 1)),
    ]
    assert (1, 3, 1) not in found  # tiles of two need only two cores
    assert list_tilings((4, 4, 2), (2, 0, 1), 32) == [(4, 4, 2)]


@settings(max_examples=60)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    depthwise=st.booleans(),
    tile=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
)
def test_rows_hold_every_synapse(height, width, kernel, stride, padding, depthwise, tile):
    """Every column's rows, moved to its base, are the unrolled weights."""
    if min(height, width) + 2 * padding < kernel:
        return
    groups = 3 if depthwise else 1
    layer = convolution((height, width, 3), 3, kernel, stride, padding, groups)
    matrix = layer.synapses.wiring.matrix(layer.synapses.weight).toarray()
    tile = tuple(min(a, b) for a, b in zip(tile, layer.shape, strict=True))
    for box in cut_boxes(layer.shape, counts(layer.shape, tile)):
        reach = find_reach(layer, box)
        if reach is not None:
            rebuilt = rebuild(layer, box, reach, matrix.shape[1])
            np.testing.assert_array_equal(rebuilt, matrix[box.neurons(layer.shape)])


def rebuild(layer, box, reach, sources):
    """Return the weights (neurons of the box, sources) from the shared rows of its columns."""
    from snncompile.passes.partition.nxtf.cores import list_column_rows, number_compartments

    weight = layer.synapses.weight.astype(np.int64)
    weight = weight.reshape(*weight.shape[:2], -1)[box.start[2] : box.stop[2]]
    inputs, height, width = layer.synapses.wiring.source_shape
    neuron = {c: i for i, c in enumerate(number_compartments(box, reach).tolist())}
    found = np.zeros((len(neuron), sources), np.int64)
    heard = range(box.start[2], box.stop[2]) if layer.depthwise else range(inputs)
    for at, column in enumerate(reach.columns.tolist()):
        rows = list_column_rows(layer, weight, reach, reach.kind[at])
        for r in range(rows.count):
            channel, row = divmod(r, len(reach.rows))
            source = (heard[channel] * height + reach.rows[row]) * width + column
            for i in range(rows.ends[r], rows.ends[r + 1]):
                compartment = rows.index[i] * reach.groups + rows.sublist[i] + reach.base[at]
                found[neuron[int(compartment)], source] += rows.weight[i]
    return found


def test_soft_reset_takes_twice_the_compartments():
    hard = partition_nxtf(mnist_cnn(), LOIHI1, "sparse")
    soft = partition_nxtf(mnist_cnn("soft"), LOIHI1, "sparse")
    assert [len(cut.cores) for cut in soft] == [2, 6, 8, 3, 1]
    last = [cut[-1].cores[0].used for cut in (hard, soft)]
    assert [used["compartments"] for used in last] == [10, 20]
    # One more row of a word, input and output axon per neuron for its reset.
    assert [used["synapse_words"] for used in last] == [3072, 3082]
    assert [used["axons_in"] for used in last] == [16 * 16, 1024 + 10]
    assert [used["axons_out"] for used in last] == [0, 10]


def test_a_core_of_soft_resets_ends_on_a_multiple_of_four():
    """Nine neurons of two compartments each, and two more."""
    wiring = Convolution((1, 3, 3), 1, (1, 1), (1, 1), (0, 0), (1, 1))
    synapses = IntegerSynapses(wiring, np.full((1, 1, 1, 1), 2), 0, 8)
    network = IntegerNetwork(
        Input("input", (1, 3, 3)),
        (Population("a", (1, 3, 3), IntegerIntegrateFire(300, 0, 0, "soft"), phase=1),),
        (Projection("input", "a", synapses, 1),),
        "a",
    )
    assert partition_nxtf(network, LOIHI1, "sparse")[1].cores[0].used["compartments"] == 20


def test_a_full_memory_is_too_full():
    """A row of 25 synapses takes 4 words: 4,096 rows are all words there are, less is used."""
    for sources, cores in ((4095, [4, 1]), (4096, [4, 2])):
        layers = partition_nxtf(integer_chain(sources, 25), LOIHI1, "sparse")
        assert [len(cut.cores) for cut in layers] == cores


def test_axons_of_the_mnist_cnn():
    """Sources of several cores have an axon for each, the others share one per column."""
    layers = partition_nxtf(mnist_cnn(), LOIHI1, "sparse")
    used = [cut.cores[0].used for cut in layers]
    # conv3 sends 4 columns of 22 channels to one core, by population axons of 2 entries.
    assert used[3]["axons_out"] == 4 * 22 * 2
    assert used[4]["axons_in"] == 4 * 64
    # conv2 sends 9 x 9 neurons of 5 channels to 3 cores, one by one; the last row is not used.
    assert used[2]["axons_out"] == 9 * 9 * 5 * 3
    assert used[3]["axons_in"] == 9 * 9 * 32
    # Of the input, columns 6 to 8 reach two cores of conv1, and all rows but the last are used.
    assert used[1]["axons_in"] == 3 * 27 + 6


@pytest.mark.parametrize("chip, entries", [(0, 2 + 3 * 1), (1, 3 + 3 * 2)])
def test_axons_to_another_chip_take_an_entry_more(chip, entries):
    """Two neurons of one group that reach one core, three that reach two."""
    layer = Layer("a", (5, 1, 1), None, 1)
    box = Box((0, 0, 0), (5, 1, 1))
    core = Core(box, chip, {}, np.zeros(5, np.int32))
    assert (
        count_output_axons(LOIHI1, layer, box, 0, [core], np.array([1, 1, 2, 2, 2])).entries
        == entries
    )


# ---- compile -------------------------------------------------------------------------------------


def test_compile_cuts_by_these_rules():
    program = snncompile.compile(
        mnist_cnn(), chip="loihi1", partitioner="nxtf", encoding="run_length", prune=False
    )
    assert program.mapping.cores == 3 + 5 + 3 + 1
    assert next(line for line in program.log if line.startswith("partition_nxtf: ")) == (
        "partition_nxtf: NxTF, run_length: 13 cores with those of the input (1/3/5/3/1),"
        " 7,986 / 78,880 / 41,517 / 3,072 words"
    )
    for population in program.network.populations:
        neurons = np.concatenate([s.neurons() for s in program.mapping.of(population.name)])
        assert sorted(neurons) == list(range(population.size))
    assert str(program.mapping.slices[0]) == "conv1[0:16, 0:4, 0:12] on core 0"


def test_sparse_is_the_encoding_unless_told():
    program = snncompile.compile(mlp(6, 4, 2), chip="loihi1", partitioner="nxtf")
    assert "NxTF, sparse: 3 cores" in "".join(program.log)


def test_encoding_needs_its_partitioner():
    message = "^encoding is chosen for you by partitioner free; give partitioner nxtf too$"
    with pytest.raises(InputError, match=message):
        snncompile.compile(mlp(6, 4), chip="loihi1", encoding="sparse")


def test_refuses_another_partitioner():
    message = "^partitioner: Input should be 'free', 'nxtf' or 'intel', got 'own'$"
    with pytest.raises(InputError, match=message):
        snncompile.compile(mlp(6, 4), chip="loihi1", partitioner="own")


# ---- refusals ------------------------------------------------------------------------------------


def test_refuses_another_chip():
    with pytest.raises(UnsupportedError) as error:
        partition_nxtf(mlp(6, 4), LOIHI2, "sparse")
    assert str(error.value) == "partitioner nxtf is for Loihi 1; loihi2 stores no such rows"


def test_refuses_a_branch():
    network = mlp(6, 4, 4)
    skip = replace(network.projections[0], target="dense2", delay=2)
    branched = replace(network, projections=(*network.projections, skip))
    with pytest.raises(UnsupportedError) as error:
        partition_nxtf(branched, LOIHI1, "sparse")
    assert str(error.value) == "partitioner nxtf takes a chain of layers; input branches or ends"


def test_refuses_other_synapses():
    network = mlp(2, 2)
    wiring = Sparse(np.array([0, 1]), np.array([0, 1]), 2, 2)
    synapses = IntegerSynapses(wiring, np.array([2, 4]), 0, 8)
    one = replace(network, projections=(Projection("input", "dense1", synapses, 1),))
    with pytest.raises(UnsupportedError) as error:
        partition_nxtf(one, LOIHI1, "sparse")
    assert str(error.value) == (
        "population dense1: partitioner nxtf knows dense layers and convolutions, not sparse"
        " synapses"
    )


def test_says_what_does_not_fit():
    with pytest.raises(FitError) as error:
        partition_nxtf(integer_chain(4097, 2), LOIHI1, "sparse")
    assert str(error.value) == (
        "population a: needs 4,097 input axons on a core, the chip allows 4,096;"
        " no tiling holds all limits under partitioner nxtf with sparse rows"
    )


def test_says_how_many_cores_are_missing():
    few = LOIHI1.mesh.cores.model_copy(update={"value": 3.0})
    small = LOIHI1.model_copy(update={"mesh": LOIHI1.mesh.model_copy(update={"cores": few})})
    with pytest.raises(FitError) as error:
        partition_nxtf(mlp(784, 128, 10), small, "sparse")
    assert str(error.value) == (
        "network 784-128-10: needs 4 cores (input 1, dense1 2, dense2 1), the chip allows 3;"
        " partitioner nxtf gives every layer cores of its own; free shares them"
    )
