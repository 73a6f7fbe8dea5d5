"""Scales of graded neurons whose weights have few steps, as so many sources fill 24 bits."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.errors import QuantizeError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.graded import Graded
from snncompile.passes.quantize.graded import quantize_graded, shrink_room
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution


def make_mean(weights: np.ndarray) -> Network:
    """Return one neuron that weights the means of channels of 32 x 32 places."""
    shape = (len(weights), 32, 32)
    wiring = Convolution(shape, 1, (32, 32), (1, 1), (0, 0), (1, 1))
    each = np.broadcast_to(weights[None, :, None, None] / 1024, wiring.weight_shape).copy()
    neuron = Graded(lowest=np.asarray(0.0), highest=np.asarray(255.0))
    mean = Population("mean", (1, 1, 1), neuron)
    projection = Projection("input", "mean", Synapses(wiring, each))
    return Network(Input("input", shape, Interval(0, 255)), (mean,), (projection,), "mean")


def test_equal_weights_that_round_up_together_have_a_scale_at_which_some_round_down():
    network = make_mean(np.random.default_rng(2).uniform(0.62, 1.4, 33))
    choice = quantize_graded(network, network.populations[0], load_chip("loihi2"), 8, None)
    synapses = choice.projections[0].synapses
    assert synapses.exponent == -1
    assert 0.7 * 2**23 < 255 * int(synapses.weight.sum()) / 2 < 2**23
    assert 0.1 < choice.report.weight_error < 0.5  # and it says so


def test_weights_that_all_round_to_nothing_are_refused():
    network = make_mean(np.full(33, 1.0))
    with pytest.raises(QuantizeError) as error:
        quantize_graded(network, network.populations[0], load_chip("loihi2"), 8, None)
    assert str(error.value) == (
        "population mean: its sums need more than 24 bits at any scale; give it fewer or smaller"
        " weights, or messages of fewer bits"
    )


def test_room_shrinks_where_a_sum_is_too_wide_and_more_each_time():
    room = np.array([1.0, 1.0, 0.5])
    excess = np.array([0.9, 1.25, 1.0])
    assert shrink_room(room, excess, 0).tolist() == [1.0, 0.8 * 0.999, 0.5]
    assert shrink_room(room, excess, 3).tolist() == [1.0, 0.8 * 0.999**8, 0.5]
