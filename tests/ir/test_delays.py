"""Delays per synapse: equal to adding up each synapse by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import chain, integer_chain

from snncompile.errors import InputError
from snncompile.ir.delays import split_by_delay
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.readout import IntegerReadout
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale

WIRINGS = [
    Dense(3, 4),
    Convolution((1, 4), 2, (2,), (1,), (1,), (1,)),
    Scale(4, per_neuron=True),
]


@given(seed=st.integers(0, 10**6), which=st.sampled_from(range(len(WIRINGS))))
def test_every_synapse_has_its_own_delay(seed, which):
    rng, wiring = np.random.default_rng(seed), WIRINGS[which]
    weight = rng.integers(-60, 60, wiring.weight_shape) * 2
    shape = [(), (4,), (wiring.targets, 1), (wiring.targets, 4)][rng.integers(4)]
    delays = rng.integers(0, 5, shape)
    whole = Projection("input", "a", IntegerSynapses(wiring, weight, 0, 8), delay=1)
    parts = split_by_delay(whole, delays)
    neuron = IntegerReadout(4095, 4095)  # shows the input of each step
    network = IntegerNetwork(
        Input("input", (4,)), (Population("a", (wiring.targets,), neuron),), parts, "a"
    )
    x = rng.random((2, 9, 4)) < 0.5
    wanted = np.zeros((2, 9, wiring.targets), np.int64)
    each = np.broadcast_to(delays, (wiring.targets, 4))
    dense = wiring.matrix(weight).toarray()
    for t in range(9):
        for target, source in np.ndindex(dense.shape):
            sent = t - 1 - each[target, source]
            if sent >= 0:
                wanted[:, t, target] += dense[target, source] * x[:, sent, source]
    found = network.run(x).spikes
    assert (shown(found) == wanted).all()
    assert sum(p.synapses.wiring.synapses for p in parts) == wiring.synapses
    assert len({p.delay for p in parts}) == len(parts)


def shown(v):
    """Return the input of each step: a 4096th of the last potential stays, toward zero."""
    before = np.zeros_like(v)
    before[:, 1:] = v[:, :-1]
    kept = np.sign(before) * (np.abs(before) // 4096)
    return (v - kept) // 64


def test_equal_delays_keep_the_wiring():
    whole = integer_chain(3, 2).projections[0]
    (part,) = split_by_delay(whole, [4, 4, 4])
    assert part.synapses is whole.synapses
    assert part.delay == whole.delay + 4


def test_float_synapses_stay_floats():
    parts = split_by_delay(chain(3, 2).projections[0], [0, 2, 2])
    assert [(p.delay, p.synapses.weight.tolist()) for p in parts] == [
        (0, [1.0, 1.0]),
        (2, [1.0, 1.0, 1.0, 1.0]),
    ]


REFUSED = [
    ([1, 2], "delays have shape (2,), expected one for all, (source,) or (target, source) of"),
    ([0.5, 0, 0], "delays must be whole numbers from 0"),
    ([0, -1, 0], "delays must be whole numbers from 0"),
    (["a", "b", "c"], "delays must be whole numbers from 0"),
]


@pytest.mark.parametrize("delays, message", REFUSED)
def test_refuses(delays, message):
    whole = Projection("input", "a", integer_dense(np.ones((2, 3)) * 2, 0, 8))
    with pytest.raises(InputError) as error:
        split_by_delay(whole, delays)
    tail = " (2, 3)" if "shape" in message else ""
    assert str(error.value) == f"projection input -> a: {message}{tail}"
