"""Synapses of weight zero: counted or skipped as the chip file says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2, apart, changed, integer_chain

from snncompile.backends.energy import nonzero
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.plastic import plastic
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

GRID = Convolution((4, 7, 6), 6, (3, 2), (2, 1), (1, 1), (1, 2), groups=2)
LINE = Convolution((3, 9), 5, (3,), (1,), (1,), (1,))
PAIRS = np.array([[0, 1], [2, 0], [2, 3], [3, 3]], np.int32)
WIRINGS = [
    Dense(5, 7),
    GRID,
    LINE,
    Sparse(PAIRS[:, 0], PAIRS[:, 1], 4, 4),
    Scale(6, per_neuron=True),
    SourceRange(Dense(5, 3), 2, 9),
    SourceRange(LINE, 27, 54),
]


@given(
    wiring=st.sampled_from(WIRINGS),
    seed=st.integers(0, 2**32 - 1),
    parts=st.integers(1, 4),
)
def test_as_many_as_the_matrix_has(wiring, seed, parts):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-1, 2, wiring.weight_shape)
    targets = rng.integers(0, parts, wiring.targets).astype(np.int32)
    matrix = wiring.matrix(weight).toarray() != 0
    expected = np.stack([matrix[targets == part].sum(axis=0) for part in range(parts)], axis=1)
    np.testing.assert_array_equal(nonzero.count(wiring, weight, targets, parts), expected)


@pytest.mark.parametrize(
    ("zeros", "learns", "operations"),
    [("counted", False, 8), ("skipped", False, 5), ("skipped", True, 7), ("counted", True, 8)],
)
def test_what_a_program_counts(zeros, learns, operations):
    """Two input spikes onto 3 neurons, one weight of zero each; one fires onto 2, one of zero.

    Of the first synapses those of weight zero count too where they learn.
    """
    network = integer_chain(2, 3, 2, neuron=IntegerCubaLif(4095, 0, 1))
    weights = ([[64, 64], [0, -64], [-64, 0]], [[64, 0, 0], [0, 64, 64]])
    for i, weight in enumerate(weights):
        network = changed(network, projection=i, synapses=integer_dense(np.array(weight), 0, 8))
    if learns:
        network = plastic(network, "input", network.populations[0].name, LearningRule("0*x0"))
    chip = LOIHI2.model_copy(update={"zero_weights": zeros})
    program = apart(network, chip=chip, prune=False, sparse="off")
    estimate = program.estimate(np.array([[[1, 1]]]))
    assert estimate.synaptic_ops == operations
    messages = sum(r.count for r in estimate.rows if r.event == "host_input")
    assert messages == 2  # zeros or not, they are sent
