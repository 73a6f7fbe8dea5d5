"""processes="library": what Lava's own processes hold, and the loss of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import chain, spikes

from snncompile import compile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.fixed import apply_decay, shift_bias
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.passes.quantize.library_processes import fit_library
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense

KERNEL = Convolution((1, 6, 6), 4, (3, 3), (1, 1), (1, 1), (1, 1))


@pytest.fixture
def network() -> Network:
    """A convolution of soft neurons with starts and biases, and a readout that adds up."""
    random = np.random.default_rng(0)
    soft = IntegrateFire(1.0, random.normal(0, 0.1, 144), reset="soft", initial=0.5)
    weights = Synapses(KERNEL, random.normal(0, 0.3, KERNEL.weight_shape))
    last = Synapses(Dense(3, 144), random.normal(0, 0.1, (3, 144)))
    return Network(
        Input("input", (1, 6, 6)),
        (Population("layer", (4, 6, 6), soft), Population("out", (3,), Readout(1.0, 0.1))),
        (Projection("input", "layer", weights, 0), Projection("layer", "out", last, 0)),
        "out",
    )


@pytest.fixture
def shown(network):
    return spikes(network, 8, 10)


def test_numbers_are_those_of_the_library(network, shown):
    program = compile(network, chip="loihi2", calibration=shown, processes="library")
    layer = program.network.population("layer")
    assert layer.neuron.kind == "integrate_fire/hard"
    assert layer.neuron.threshold.shape == ()
    assert np.abs(layer.neuron.bias_mantissa).max() <= 4095
    assert layer.neuron.bias_exponent.max() <= 7
    assert not (layer.neuron.initial % 64).any()
    assert layer.neuron.initial.all()
    assert program.network.projections[0].synapses.exponent == 0


def test_the_loss_is_that_of_the_whole_change(network, shown):
    program = compile(network, chip="loihi2", calibration=shown, processes="library")
    assert program.options.quantize.processes == "library"
    assert "a spike resets to 0 in layer" in "\n".join(program.log)
    plain = compile(network, chip="loihi2", calibration=shown)
    of = {p: {x.population: x for x in p.loss.populations} for p in (program, plain)}
    assert of[program]["layer"].rate_error > 3 * of[plain]["layer"].rate_error
    hard = replace(network.population("layer").neuron, reset="hard")
    layer = replace(network.population("layer"), neuron=hard)
    other = replace(network, populations=(layer, network.populations[1]))
    trains = program.network.run(shown).spikes
    same = compile(other, chip="loihi2", calibration=shown, processes="library")
    np.testing.assert_array_equal(trains, same.network.run(shown).spikes)


def test_other_neurons_stay(shown):
    network = chain(3, 2, neuron=CubaLif(0.5, 0.1, 1.0, reset="hard"))
    program = compile(network, chip="loihi2", processes="library")
    assert "a spike resets" not in "\n".join(program.log)


@given(st.integers(-(2**22), 2**22), st.integers(0, 4000))
def test_what_is_left_of_a_start_is_a_whole_weight(initial, decay):
    neuron = IntegerCubaLif(4095, decay, 100, initial=initial)
    fitted = fit_library(Population("a", (1,), neuron)).neuron
    left = apply_decay(fitted.initial, np.asarray(decay))
    assert left % 64 == 0 or fitted.initial == initial
    if abs(initial) * 4096 < 2**22 * (4096 - decay):
        assert left % 64 == 0
        assert abs(left - apply_decay(np.asarray(initial), np.asarray(decay))) <= 32


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=3, max_size=3), st.integers(0, 4))
def test_biases_have_one_small_exponent(mantissas, exponent):
    neuron = IntegerIntegrateFire(100, mantissas, exponent, "hard")
    fitted = fit_library(Population("a", (3,), neuron)).neuron
    before, after = (shift_bias(n.bias_mantissa, n.bias_exponent) for n in (neuron, fitted))
    if np.abs(before).max() <= 4095 << 7:
        assert np.abs(fitted.bias_mantissa).max() <= 4095
        assert np.abs(before - after).max() <= (1 << int(fitted.bias_exponent.max())) / 2
    else:
        np.testing.assert_array_equal(before, after)
