"""Maxima of currents in integers: exactly the maximum of the integer currents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import LOIHI2
from pooled import draw_layer, make_network

from snncompile.errors import FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import Input
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.readout import Readout
from snncompile.passes.quantize.quantize import Quantize

CURRENT = IntegerAccumulate()
"""Shows the input of each time step."""
NEURONS = (
    CubaLif(1.0, 0.1, 1.0, 0.125, "soft"),
    Readout(1.0, 1.0),
    CubaLif(0.5, 0.25, 0.75, reset="hard"),
)


def make_integers(network, bits=None, scales="neuron", chip=LOIHI2):
    return Quantize(bits=bits, scales=scales)(Design(network, chip)).network


def read_kernel(layer, network, integers):
    """Return the integer kernel, whose weights stand in the target's projection, and its exponent.

    There they have zeros beside them; equal float weights of a channel are equal integers.
    """
    pairs = zip(network.into("target"), integers.into("target"), strict=True)
    floats, whole = next(p for p in pairs if p[0].source == "input")
    kernel = np.zeros(layer.weight.shape, np.int64)
    for channel in range(len(kernel)):
        numbers = dict(
            zip(
                floats.synapses.weight[channel].ravel().tolist(),
                whole.synapses.weight[channel].ravel().tolist(),
                strict=True,
            )
        )
        kernel[channel] = np.vectorize(numbers.__getitem__)(layer.weight[channel])
    return kernel, whole.synapses.exponent


@pytest.mark.parametrize("seed", range(200))
def test_the_integer_maximum_is_the_maximum_of_the_integer_currents(seed):
    layer, rng = draw_layer(1000 + seed), np.random.default_rng(seed)
    size = float(rng.choice([1e-3, 0.1, 1.0, 30.0]))
    layer = replace(layer, weight=layer.weight * size)
    network = make_network(layer, NEURONS[seed % len(NEURONS)])
    bits = (None, None, 6, 4)[seed % 4]
    integers = make_integers(network, bits, ("neuron", "channel", "population")[seed % 3])
    kernel, exponent = read_kernel(layer, network, integers)
    shown = replace(
        integers,
        populations=(*integers.populations[:-1], replace(integers.populations[-1], neuron=CURRENT)),
    )
    wanted = layer.pool(layer.convolve(kernel * 2.0**exponent))
    found = shown.run(layer.x).spikes.reshape(wanted.shape)
    assert kernel.any()
    np.testing.assert_array_equal(found, wanted)
    for population in integers.populations[:-1]:
        assert np.abs(population.neuron.payload).max() < 2**23


def test_messages_are_no_wider_than_what_can_arrive():
    layer = draw_layer(3)
    network = make_network(layer, NEURONS[0])
    integers = make_integers(network)
    largest = max(int(p.neuron.highest.max()) for p in integers.populations[:-1])
    sent = layer.x.max() * np.abs(integers.into("target")[0].synapses.weight).astype(int) // 2
    assert largest <= sent.reshape(len(sent), -1).sum(axis=1).max()


def test_refuses_messages_beyond_24_bits():
    layer = draw_layer(3)
    network = make_network(layer, NEURONS[1])
    loud = replace(network, input=Input("input", network.input.shape, Interval(0, 2**21)))
    with pytest.raises(FitError) as error:
        make_integers(loud)
    assert str(error.value) == (
        "population larger_1: needs 490,733,568 as the largest difference of two currents, the chip"
        " allows 8,388,607; use fewer bits of a weight, or smaller kernels before the maximum"
    )


def test_refuses_chips_whose_spikes_carry_nothing():
    network = make_network(draw_layer(3), NEURONS[0])
    with pytest.raises(UnsupportedError) as error:
        make_integers(network, chip=chips.load_chip("loihi1"))
    assert str(error.value) == (
        "population larger_1: loihi1 has no neuron graded; it has cuba_lif/delayed_soft,"
        " cuba_lif/hard, cuba_lif/soft and 5 more; its spikes are numbers; if it is of a maximum"
        " pool, put that behind the neuron layer, or use average pooling, and train with it; or"
        " choose loihi2"
    )


def test_currents_have_one_reader_that_takes_them_as_they_are():
    network = make_network(draw_layer(3), NEURONS[0])
    last = network.projections[-1]
    assert last.source.startswith("larger")
    half = replace(last, synapses=replace(last.synapses, weight=last.synapses.weight * 0.5))
    with pytest.raises(QuantizeError) as error:
        make_integers(replace(network, projections=(*network.projections[:-1], half)))
    assert str(error.value) == (
        f"population {last.source}: it sends currents, which one target takes as they are; give"
        " every layer that reads them its own"
    )
