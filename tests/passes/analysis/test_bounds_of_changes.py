"""Neurons that add up changes: the sum of all messages of a source bounds what they reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import TOY, integer_chain

from snncompile.neurons.base import Interval
from snncompile.neurons.graded_delta import IntegerGradedDelta
from snncompile.neurons.sigma import IntegerSigma
from snncompile.passes.analysis.bounds import collect_sums, prove_bounds
from snncompile.synapses.dense import dense


def make_network():
    """Return one neuron that sends changes of 0..9, before a sum with weight 2."""
    network = integer_chain(1, 1, 1, weight=2)
    a, b = network.populations
    changing = replace(a, neuron=IntegerGradedDelta(lowest=0, highest=9))
    return replace(network, populations=(changing, replace(b, neuron=IntegerSigma())))


@pytest.mark.parametrize("steps", [1, 7, None])
def test_a_sum_is_bounded_whatever_the_number_of_steps(steps):
    proved = {(b.population, b.quantity): b for b in prove_bounds(make_network(), TOY, steps)}
    in_one_step, in_all = proved["b", "accumulator"], proved["b", "sigma"]
    assert (in_one_step.low, in_one_step.high) == (-18, 18)
    assert (in_all.low, in_all.high) == (0, 18)


def test_sums_are_of_integer_synapses_from_sources_that_have_one():
    network = make_network()
    into_a, into_b = network.projections
    floats = replace(into_b, synapses=dense(np.ones((1, 1))))
    assert collect_sums(network, "b", (floats, into_b)) == [[(into_b.synapses, Interval(0, 9))]]
    assert collect_sums(network, "b", (replace(into_a, target="b"), into_b)) is None


def test_neurons_that_keep_their_own_time_have_no_sums():
    network = integer_chain(1, 1, 1)
    assert collect_sums(network, "b", network.projections) is None
