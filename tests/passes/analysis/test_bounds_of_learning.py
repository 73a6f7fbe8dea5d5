"""Weights that learn count at the ends that their rule can reach, whatever they begin with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import LOIHI1, alone

from snncompile import LearningRule
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.synapses.dense import integer_dense

NEURON = IntegerCubaLif(4095, 4095, 100)


def learner(sign: str, exponent: int = 0):
    """Return two neurons with three sources whose weights learn, and one whose weight stays."""
    network = alone(NEURON, 2, np.array([[2, -4, 6], [0, 0, 8]]), sources=3)
    (stays,) = network.projections
    synapses = integer_dense(np.full((2, 3), 64), exponent, 8)
    rule = LearningRule("2^-2*x1*y0", x1_impulse=16, x1_tau=4, sign=sign)
    learns = replace(stays, synapses=synapses, rule=rule)
    return replace(network, projections=(stays, learns))


# Sign of the rule, exponent of its weights; lowest and highest sum of three of them.
ENDS = [
    ("mixed", 0, (-3 * 256, 3 * 255)),
    ("mixed", 2, (-12 * 256, 12 * 255)),
    ("positive", 0, (0, 3 * 255)),
]


@pytest.mark.parametrize("sign, exponent, ends", ENDS)
def test_weights_that_learn_reach_the_ends_of_their_range(sign, exponent, ends):
    bounds = {b.quantity: b for b in prove_bounds(learner(sign, exponent), LOIHI1, 1)}
    low, high = ends
    accumulator = bounds["accumulator"]
    assert (accumulator.low, accumulator.high) == (low - 4, high + 8)
