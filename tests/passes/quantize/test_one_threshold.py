"""With processes="library" a population has one threshold where its neurons share no kernel."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile import compile
from snncompile.backends.lava.hardware.plan import plan_network
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.passes.quantize.library_processes import use_one_threshold
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

KERNEL = Convolution((1, 4, 4), 3, (2, 2), (1, 1), (0, 0), (1, 1))
SPARSE = Sparse(np.array([0, 5, 26, 26]), np.array([1, 2, 3, 4]), 27, 16)
RANDOM = np.random.default_rng(0)
EACH = RANDOM.uniform(0.5, 2, 27)
CHANNELS = np.repeat([0.5, 1.0, 1.7], 9)
X = (RANDOM.random((4, 12, 16)) < 0.5).astype(np.uint8)

# Wiring, thresholds, and how many of them are left.
CASES = {
    "dense": (Dense(27, 16), EACH, 1),
    "sparse": (SPARSE, EACH, 1),
    "channels": (KERNEL, CHANNELS, 1),
    "pixels": (KERNEL, EACH, 27),
    "scale": (Scale(16), EACH[:16], 16),
    "one": (Dense(27, 16), np.full(27, 0.7), 1),
}


def make_network(wiring, threshold, reset="hard"):
    size = threshold.size
    more = RANDOM.uniform(-0.1, 0.2, size), reset, RANDOM.uniform(-0.3, 0.3, size)
    neuron = CubaLif(0.6, 0.2, threshold, more[0], reset, initial=more[2])
    weight = RANDOM.normal(0.3, 0.5, wiring.weight_shape)
    return Network(
        Input("input", (16,)),
        (Population("a", (size,), neuron),),
        (Projection("input", "a", Synapses(wiring, weight)),),
        "a",
    )


@pytest.mark.parametrize("name", CASES)
def test_spikes_stay(name):
    wiring, threshold, left = CASES[name]
    network = make_network(wiring, threshold)
    changed = use_one_threshold(network)
    assert len(np.unique(changed.population("a").neuron.threshold)) == left
    assert network.run(X).spikes.any()
    np.testing.assert_array_equal(changed.run(X).spikes, network.run(X).spikes)


def test_soft_resets_stay_as_they_are():
    network = make_network(Dense(27, 16), EACH, "soft")
    assert use_one_threshold(network) is network


def test_the_process_has_one_threshold():
    network = make_network(Dense(27, 16), EACH)
    program = compile(network, chip="loihi2", calibration=X, processes="library")
    fit = plan_network(program.network, 12).neurons["a"].fit
    assert fit.arguments["vth"].shape == ()
    assert (program.run(X).spikes == network.run(X).spikes).mean() > 0.97  # what rounding leaves
