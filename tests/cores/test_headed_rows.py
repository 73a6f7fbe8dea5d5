"""Rows, kernels and axons of Loihi 2 against the recorded core tables of Intel's compiler.

Source of every figure: `tables` and `rows` in `hwmodels/loihi2.yaml`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2
from published import PILOTNET_TABLE, mlp, pilotnet, put_input_on_cores

from snncompile.checker.headed_rows import count_words
from snncompile.cores.headed_rows import (
    HeadedRules,
    count_pieces,
    count_real_bits,
    list_pieces,
    read_headed_rules,
)
from snncompile.cores.usage import measure_usage
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.intel.partition import PartitionIntel
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

RULES = read_headed_rules(LOIHI2)


def one_projection(synapses: IntegerSynapses) -> IntegerNetwork:
    """Return input -> b."""
    wiring = synapses.wiring
    population = Population("b", (wiring.targets,), IntegerCubaLif(4095, 0, 1), phase=1)
    projection = Projection("input", "b", synapses, 1)
    return IntegerNetwork(Input("input", (wiring.sources,)), (population,), (projection,), "b")


# Sources, targets on the core, bits, words; "-" between two lengths of one layer.
DENSE = [
    (10, 1, 6, 10),  # PilotNet, LIF
    (50, 10, 5, 150),
    (100, 50, 4, 1300),
    (100, 50, 6, 1500),  # SDNN
    (2560, 100, 3, 61440),  # unsplit
    (2560, 100, 4, 66560),
    (2560, 17, 3, 12800),
    (2560, 9, 3, 7680),
    (256, 200, 8, 16128),  # Oxford, unsplit
    (200, 256, 8, 16200),
    (200, 127, 8, 8000),
    (200, 2, 8, 200),
    (256, 127, 8, 10240),
    (256, 73, 8, 5888),
    (64, 10, 8, 256),  # MNIST
    (128, 64, 8, 2688),
    (784, 50, 8, 12544),
    (784, 120, 8, 29792),
    (200, 100, 8, 6400),  # EMSTDP
    (100, 10, 8, 400),
    (10, 10, 1, 30),
    (100, 100, 1, 2100),
    (256, 127, 4, 8192),  # S4D
    (4096, 1, 1, 4096),  # a relay
    (15, 15, 5, 75),  # DNF; the other bits are not recorded, no others give these words
    (59, 225, 3, 3127),
    (225, 29, 6, 2025),
    (29, 0, 1, 29),  # a row without targets is its head
    (1000, 48, 1, 10000),  # MIS-QUBO: 20 of these and one of 40
    (1000, 40, 1, 9000),
]


@pytest.mark.parametrize("sources, targets, bits, words", DENSE)
def test_dense_rows(sources, targets, bits, words):
    assert sources * RULES.count_row_words(targets, bits) == words


def test_rows_of_the_maximum_independent_set():
    assert 20 * 10000 + 9000 == 209000  # 1000 neurons over 21 cores


SPARSE = [(1, 1), (4, 1), (14, 4), (16, 4), (64, 14)]  # S4D: targets of a row, words


@pytest.mark.parametrize(("targets", "words"), SPARSE)
def test_sparse_rows_with_one_bit(targets, words):
    assert RULES.count_row_words(targets, 1) == words


def test_three_fields_onto_one():
    """45 -> 15 of DNF: three dense connections; one has up to 4 bits, two have 5 to 8."""
    words = [15 * RULES.count_row_words(15, bits) for bits in (4, 5, 8)]
    assert words == [60, 75, 75]
    assert sum(words) == 210


# Rows with so many targets of a quadratic program, 264 variables and 144 constraints: the
# matrices of lava-optimization's tutorial_01 (commit 39ab701, data/qp/ex_qp_small.npz) after its
# preconditioning in 5 rounds and rounding to 8 bits.
VARIABLES_TO_CONSTRAINTS = {1: 129, 2: 4, 3: 49, 4: 70, 5: 7, 6: 3, 7: 1, 8: 1}
VARIABLES_TO_VARIABLES = {1: 79, 2: 8, 3: 25, 4: 59, 5: 62, 6: 24, 7: 5, 8: 1, 9: 1}
CONSTRAINTS_TO_VARIABLES = {
    **{1: 24, 2: 60, 3: 11, 4: 10, 5: 9, 6: 8, 7: 5, 8: 2},
    **{15: 2, 17: 3, 18: 5, 19: 1, 20: 3, 21: 1},
}


def count_words_of(rows, rules=RULES):
    return sum(many * rules.count_row_words(n, 8) for n, many in rows.items())


def test_rows_of_a_quadratic_program():
    assert count_words_of(VARIABLES_TO_CONSTRAINTS) == 400
    onto_variables = count_words_of(VARIABLES_TO_VARIABLES) + count_words_of(
        CONSTRAINTS_TO_VARIABLES
    )
    assert onto_variables == 754
    shorter = HeadedRules(head_bits=8)
    assert count_words_of(VARIABLES_TO_CONSTRAINTS, shorter) == 397


@pytest.mark.parametrize(("sources", "targets", "words"), [(200, 100, 11400), (100, 10, 600)])
def test_rows_that_learn(sources, targets, words):
    assert sources * RULES.count_row_words(targets, 8, learning=True) == words


@pytest.mark.parametrize(("targets", "words"), [(200, 57), (256, 73)])
def test_rows_of_august_2022(targets, words):
    older = read_headed_rules(load_chip("loihi2:2022-08"))
    assert older.count_row_words(targets, 8) == words


# Source channels, target channels, bits, words of a 3 x 3 kernel.
CONVOLUTIONS = [
    (3, 24, 5, 81),  # PilotNet, LIF
    (24, 36, 4, 864),
    (36, 48, 4, 1620),
    (48, 64, 4, 2160),
    (64, 64, 4, 2880),
    (3, 24, 6, 81),  # SDNN
    (24, 36, 5, 864),
    (36, 48, 4, 1620),
    (48, 64, 5, 2592),
    (64, 64, 4, 2880),
]


@pytest.mark.parametrize("sources, channels, bits, words", CONVOLUTIONS)
def test_kernels(sources, channels, bits, words):
    assert sources * 9 * RULES.count_kernel_words(channels, bits) == words


@pytest.mark.parametrize(
    ("channels", "pieces"), [(24, (16, 8)), (36, (32, 4)), (48, (32, 16)), (64, (64,)), (1, (1,))]
)
def test_pieces(channels, pieces):
    assert list_pieces(channels) == pieces
    assert count_pieces(channels) == len(pieces)


def test_no_other_head_gives_the_recorded_words():
    def meets(head):
        rules = HeadedRules(head_bits=head)
        dense = all(s * rules.count_row_words(n, b) == words for s, n, b, words in DENSE)
        kernels = all(
            s * 9 * rules.count_kernel_words(n, b) == words for s, n, b, words in CONVOLUTIONS
        )
        program = count_words_of(VARIABLES_TO_CONSTRAINTS, rules) == 400
        sparse = all(rules.count_row_words(n, 1) == words for n, words in SPARSE)
        return dense and kernels and program and sparse

    assert [head for head in range(65) if meets(head)] == [11, 12]


# Weights; bits by lava-dl's `optimize_weight_bits`.
BITS = [
    ([2, -2], 1 + 1),
    ([254, -256], 8),
    ([14, -16], 4),
    ([16, -14], 5),
    ([64, -64], 2),
    ([128, -128], 2),
    ([64, -128], 2),
    ([0, 0], 1),
    ([255, 0], 8),
    ([128, 128], 1),
    ([1, 3], 2),
    ([-3, -4], 2),
    ([-255, -1], 8),
    ([-1, -1], 1),
    ([3, -3], 3),
    ([0, -4], 1),
    ([2, -6], 3),
]


@pytest.mark.parametrize(("weights", "bits"), BITS)
def test_real_bits(weights, bits):
    assert count_real_bits(integer_dense(np.array([weights]), 0, 8)) == bits


def used_by_layer(network, chip):
    """Return the usage of every core of Intel's cut, by population."""
    mapping = PartitionIntel()(Design(network, load_chip(chip))).mapping
    rows = {p.name: [] for p in network.populations}
    for core in measure_usage(network, load_chip(chip), mapping):
        rows[core.slices[0].population].append(core.used)
    return list(rows.values())


# Neurons of the largest core of PilotNet's layers.
LARGEST = [3168, 3072, 2160, 2688, 2048, 2048, 9, 50, 10, 1]


@pytest.mark.parametrize("kind", ["LIF", "SDNN"])
def test_pilotnet(kind):
    """The printed figures are means over the cores, rounded down."""

    def mean(rows, name):
        return sum(row[name] for row in rows) // len(rows)

    layers = used_by_layer(put_input_on_cores(pilotnet(kind)), "loihi2:2022-09")
    for rows, wanted, largest in zip(layers, PILOTNET_TABLE.values(), LARGEST, strict=True):
        axons, words, sdnn, outputs, cores = wanted
        assert len(rows) == cores
        if rows is not layers[0]:  # there the axon of the biases, which nothing of ours stands for
            assert mean(rows, "axons_in") == axons
        assert max(row["compartments"] for row in rows) == largest
        assert mean(rows, "synapse_words") == (words if kind == "LIF" else sdnn)
        assert mean(rows, "axons_out") == outputs


def test_total_of_mnist():
    """Percent of 20,000 words, as printed; the first layer for 50 neurons on a core."""
    network = mlp(784, 128, 64, 10)
    ends = (("dense3", 10), ("dense2", 64), ("dense1", 50))
    slices = tuple(
        Slice.from_range(network.population(name), 0, n, core)
        for core, (name, n) in enumerate(ends)
    )
    used = [core.used for core in measure_usage(network, LOIHI2, Mapping(slices))]
    assert [f"{row['total_words'] / 200:.2f}" for row in used] == ["1.71", "14.72", "67.14"]


def test_sparse_projections_keep_an_axon_of_every_source():
    """Behind 8192 sources, 64 to each neuron: 4032 words for 63 neurons, 8192 input axons."""
    target = np.repeat(np.arange(128), 64).astype(np.int32)
    wiring = Sparse(target, np.arange(8192, dtype=np.int32), 128, 8192)
    synapses = IntegerSynapses(wiring, np.full(8192, 2), 0, 8)
    network = one_projection(synapses)
    s = Slice.from_range(network.population("b"), 0, 63, 0)
    (core,) = measure_usage(network, LOIHI2, Mapping((s,)))
    assert (core.used["axons_in"], core.used["synapse_words"]) == (8192, 4032)
    assert count_words(LOIHI2, network.projections[0], s) == 4032


def test_total_behind_4096_sources():
    """Printed as 41.61 % of 20,000 words; this counting gives 41.605."""
    target = np.repeat(np.arange(64), 64).astype(np.int32)
    wiring = Sparse(target, np.arange(4096, dtype=np.int32), 64, 4096)
    network = one_projection(IntegerSynapses(wiring, np.full(4096, 2), 0, 8))
    s = Slice.from_range(network.population("b"), 0, 64, 0)
    (core,) = measure_usage(network, LOIHI2, Mapping((s,)))
    assert core.used["total_words"] == 4096 + 1 + 64 + 4096 + 64 == 8321


def test_one_weight_for_all_is_a_kernel():
    network = one_projection(IntegerSynapses(Scale(500), np.asarray(6), 0, 8))
    s = Slice.from_range(network.population("b"), 0, 500, 0)
    (core,) = measure_usage(network, LOIHI2, Mapping((s,)))
    assert (core.used["axons_in"], core.used["synapse_words"]) == (1, 1)


@given(channels=st.integers(1, 300), more=st.integers(1, 300), bits=st.sampled_from([1, 3, 5, 8]))
def test_a_box_takes_no_more_than_its_slices(channels, more, bits):
    """Slices of one core that make up a box become one."""
    together = RULES.count_kernel_words(channels + more, bits)
    apart = RULES.count_kernel_words(channels, bits) + RULES.count_kernel_words(more, bits)
    assert together <= apart
    assert count_pieces(channels + more) <= count_pieces(channels) + count_pieces(more)
