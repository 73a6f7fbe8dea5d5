"""Remedies count cores as the other chip's own quantizer would fill them."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, integer_chain

from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.advice.remedies import share_thresholds


@pytest.mark.parametrize(
    "chip, thresholds",
    [
        (LOIHI1, [1, 4, 7, 10, 13, 16, 19]),
        (TOY, [1, 11]),
        (LOIHI2, list(range(1, 21))),
    ],
    ids=["seven profiles", "two profiles", "number not known"],
)
def test_neurons_share_the_thresholds_that_a_chip_has(chip, thresholds):
    network = integer_chain(3, 20, 2, neuron=IntegerCubaLif(4095, 0, 5))
    (a, b) = network.populations
    neuron = IntegerCubaLif(4095, 0, np.arange(20, 0, -1))
    network = type(network)(
        network.input, (type(a)("a", (20,), neuron, a.phase), b), network.projections, "b"
    )
    shared = share_thresholds(network, chip)
    assert np.unique(shared.population("a").neuron.threshold).tolist() == thresholds
    assert shared.population("b").neuron.threshold == 5
