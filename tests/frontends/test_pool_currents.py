"""Maximum pooling of currents in floats: against torch, over windows of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from pooled import draw_layer, make_network

from snncompile.errors import UnsupportedError
from snncompile.frontends.pool_currents import Windows, make_term, pool_currents
from snncompile.neurons.readout import Readout
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

CURRENT = Readout(np.asarray(1.0), np.asarray(1.0))
"""Shows the input of each time step."""


@pytest.mark.parametrize("seed", range(120))
def test_it_is_the_maximum_of_torch(seed):
    """Stride, padding and dilation of kernel and pool; windows overlap, or leave places out."""
    layer = draw_layer(seed)
    found = make_network(layer, CURRENT).run(layer.x).spikes
    wanted = layer.pool(layer.convolve(layer.weight))
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=1e-12)


def test_by_hand():
    """Two windows of three with one place in common, one of them over the edge."""
    wiring = Convolution((1, 4), 1, (1,), (1,), (0,), (1,))
    names = iter("abcd")
    windows = Windows((3,), (2,), (1,), (1,), (2,))
    term = make_term("input", 0, Synapses(wiring, np.full((1, 1, 1), 2.0)), (1, 4))
    pooled = pool_currents([term], windows, lambda: next(names))
    assert [str(p.neuron) for p in pooled.populations] == [
        "graded factor=1 lowest=[-8.38861e+06 .. 0] highest=8.38861e+06 whole=0",
        "graded factor=1 lowest=0 highest=8.38861e+06 whole=0",
    ]
    ends = [
        (p.source, p.target, str(p.synapses.wiring), p.synapses.weight.ravel().tolist())
        for p in pooled.projections
    ]
    first = "convolution 1x4 -> 1x2 kernel=3 stride=2 padding=1"
    assert ends == [
        ("input", "a", "convolution 1x4 -> 1x2 kernel=1 stride=2", [2]),
        ("input", "a", first, [-2, 0, 0]),
        ("input", "b", "convolution 1x4 -> 1x2 kernel=2 stride=2", [0, 2]),
        ("input", "b", first, [-2, 0, 0]),
        ("a", "b", "scale 2x2", [-1]),
    ]
    assert [(t.source, t.weight.ravel().tolist()) for t in pooled.terms] == [
        ("input", [2, 0, 0]),
        ("a", [1]),
        ("b", [1]),
    ]


def test_refuses_what_is_no_grid():
    with pytest.raises(UnsupportedError) as error:
        make_term("input", 0, dense(np.ones((4, 2))), (1, 4))
    assert str(error.value) == (
        "a maximum is known of currents of convolutions, these are dense from input; put the pool"
        " behind the neuron layer, or use average pooling, and train with it"
    )


def test_refuses_windows_of_padding():
    wiring = Convolution((1, 1), 1, (1,), (1,), (0,), (1,))
    term = make_term("input", 0, Synapses(wiring, np.ones((1, 1, 1))), (1, 1))
    with pytest.raises(UnsupportedError) as error:
        pool_currents([term], Windows((2,), (1,), (1,), (2,), (1,)), lambda: "a")
    assert str(error.value) == (
        "a maximum over windows that hold nothing but padding is minus infinity; use less padding"
    )
