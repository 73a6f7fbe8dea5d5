"""Biases that the host computes: they widen what a neuron's state can reach, on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import TOY, alone

from snncompile.ir.graph import Projection
from snncompile.ir.host import HostLayer
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.passes.analysis.bounds import (
    collect_arriving,
    find_bias_limit,
    find_silent_neurons,
    prove_bounds,
    prove_population_bounds,
)
from snncompile.synapses.dense import dense, integer_dense

WEIGHTS = np.array([[2, 0, 0, 0], [4, 0, 0, 0], [-4, 0, 0, 0], [-6, 0, 0, 0]])
NEURON = IntegerIntegrateFire(14, 0, 0, "hard")


def with_host(limit: int | None, target: str = "a"):
    """Return four neurons that the first of them feeds, and the host with at most a limit."""
    network = alone(NEURON, 4)
    (a,) = network.populations
    loop = Projection("a", "a", integer_dense(WEIGHTS, 0, 8), 1)
    layer = HostLayer(target, dense(np.ones((4, 1))), np.zeros(4), 1.0, limit=limit)
    b = (replace(a, name="b", phase=2),) * (target == "b")
    return replace(
        network,
        input=replace(network.input, host=(layer,)),
        populations=(a, *b),
        projections=(loop,),
    )


def reach(network, steps: int = 1):
    return {b.quantity: (b.low, b.high) for b in prove_bounds(network, TOY, steps)}


# Largest bias; lowest and highest current in one time step.
@pytest.mark.parametrize("limit, ends", [(None, (-6, 4)), (0, (-6, 4)), (10, (-16, 14))])
def test_the_bias_is_no_synapse_and_reaches_the_state(limit, ends):
    network = with_host(limit)
    reached = reach(network)
    assert reached["accumulator"] == (-6, 4)
    assert reached["v"] == tuple(64 * end for end in ends)


def test_the_limit_is_that_of_the_population():
    assert find_bias_limit(with_host(10), "a") == 10
    assert find_bias_limit(with_host(None), "a") == 0
    assert find_bias_limit(with_host(10, "b"), "a") == 0


def test_without_a_limit_there_is_no_bias():
    """As the scale of a population is chosen before the biases are."""
    network = with_host(10)
    (population,) = network.populations
    arriving = collect_arriving(network, "a", network.projections)
    bounds = prove_population_bounds(population, arriving, TOY, 1)
    assert [(b.low, b.high) for b in bounds] == list(reach(with_host(0)).values())


# Largest bias; which neurons cannot get above 14, under weights of 2, 4, -4 and -6.
SILENT = [(None, [True] * 4), (10, [True] * 4), (11, [True, False, True, True]), (15, [False] * 4)]


@pytest.mark.parametrize("limit, silent", SILENT)
def test_a_neuron_is_silent_if_weights_and_bias_together_reach_no_threshold(limit, silent):
    network = with_host(limit)
    assert find_silent_neurons(network, network.populations[0], 1).tolist() == silent


# Largest bias; which neurons stay within -14..14, under weights of 2, 4, -4 and -6.
BOTH_SIDES = [(8, [True] * 4), (9, [True, True, True, False]), (11, [True, False, False, False])]


@pytest.mark.parametrize("limit, silent", BOTH_SIDES)
def test_a_neuron_with_negative_spikes_is_silent_within_both_thresholds(limit, silent):
    """Neurons feed them that send no negative spikes, as their own loop would."""
    network = with_host(limit)
    (a,) = network.populations
    ternary = replace(a, neuron=IntegerTernaryLif(4095, 4095, 14, -14), phase=2)
    populations = (replace(a, name="b"), ternary)
    projections = (replace(network.projections[0], source="b"),)
    network = replace(network, populations=populations, projections=projections)
    assert find_silent_neurons(network, ternary, 1).tolist() == silent


# Sources of the second list of neurons with ports; a float projection is no integer synapse.
def test_synapses_of_floats_do_not_arrive_yet():
    network = with_host(0)
    floats = replace(network.projections[0], synapses=dense(np.ones((4, 4))))
    (arriving,) = collect_arriving(network, "a", (floats, network.projections[0]))
    assert [synapses for synapses, _ in arriving] == [network.projections[0].synapses]
