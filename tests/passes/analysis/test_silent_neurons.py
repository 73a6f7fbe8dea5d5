"""Neurons that provably never fire: up to the threshold, on either side, if it is known."""

from __future__ import annotations

import numpy as np
import pytest
from networks import alone

from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.multi_spike_lif import IntegerMultiSpikeLif
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.passes.analysis.bounds import find_silent_neurons

WEIGHTS = np.array([[2], [4], [6], [-4], [-6], [0]])
# Neuron whose thresholds are 4 weights; whether it is silent under each of the weights, one step.
SILENT = [
    (IntegerIntegrateFire(4, 0, 0, "hard"), [True, True, False, True, True, True]),
    (IntegerTernaryLif(4095, 4095, 4, -4), [True, True, False, True, False, True]),
    (IntegerReadout(0, 0), [False] * 6),
    (IntegerMultiSpikeLif(4095, 4095, 4), [False] * 6),
]


@pytest.mark.parametrize("neuron, silent", SILENT, ids=lambda value: getattr(value, "kind", ""))
def test_a_neuron_that_only_reaches_its_threshold_is_silent(neuron, silent):
    network = alone(neuron, 6, WEIGHTS)
    assert find_silent_neurons(network, network.populations[0], 1).tolist() == silent


def test_more_steps_reach_farther():
    network = alone(SILENT[0][0], 6, WEIGHTS)
    (population,) = network.populations
    assert find_silent_neurons(network, population, 2)[:3].tolist() == [True, False, False]
    assert find_silent_neurons(network, population)[:3].tolist() == [False, False, False]
