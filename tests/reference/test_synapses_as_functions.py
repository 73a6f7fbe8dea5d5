"""Sums of weights: the fast functions beside torch's own, and beside a sum synapse by synapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.bistable_fire import BistableFire
from snncompile.reference import convolutions, synapses
from snncompile.reference.runner import Runner, Session
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import Sparse


@st.composite
def drawn_convolutions(draw):
    axes = draw(st.integers(1, 2))

    def values(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    groups = draw(st.sampled_from([1, 1, 2, 3]))
    own = draw(st.booleans())  # a kernel for each channel
    channels = groups if own else groups * draw(st.integers(1, 3))
    sources = groups if own else groups * draw(st.integers(1, 2))
    space, kernel = values(3, 12), values(1, 3)
    geometry = values(1, 3), values(0, 2), values(1, 2)
    try:
        return Convolution((sources, *space), channels, kernel, *geometry, groups)
    except ValueError:  # a kernel larger than the source
        assume(False)


@settings(max_examples=300)
@given(
    drawn_convolutions(),
    st.integers(0, 9),
    st.sampled_from([1, 500, 2**21]),
    st.integers(0, 2**31),
)
def test_convolutions_sum_as_torch_does(wiring, rows, window_bytes, seed):
    rng = np.random.default_rng(seed)
    images = torch.tensor(rng.integers(-3, 4, (rows, *wiring.source_shape))).double()
    weight = torch.tensor(rng.integers(-9, 10, wiring.weight_shape)).double()
    kept, convolutions.WINDOW_BYTES = convolutions.WINDOW_BYTES, window_bytes
    try:
        found = convolutions.convolve(images, weight, wiring)
    finally:
        convolutions.WINDOW_BYTES = kept
    wanted = convolutions.call_torch(images, weight, wiring)
    assert torch.equal(found, wanted)
    assert found.dtype == wanted.dtype


@settings(max_examples=200)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([(0,), (1,), (2, 3), (33,)]),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 2**31),
)
def test_sparse_sums_have_the_order_of_the_synapses(targets, sources, shape, dtype, seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(0, targets * sources + 1)
    pairs = rng.permutation(targets * sources)[:count]  # in any order
    wiring = Sparse(pairs // sources, pairs % sources, targets, sources)
    weight = torch.tensor(rng.normal(size=count)).to(dtype)
    x = torch.tensor(rng.normal(size=(*shape, sources)))
    fast = synapses.bind_weights(wiring, weight)(x)
    each = synapses.bind_weights(wiring, weight.clone().requires_grad_())(x)
    assert torch.equal(fast, each.detach())
    assert fast.dtype == each.dtype


@pytest.mark.parametrize(
    "wiring", [Convolution((2, 5), 3, (3,), (1,), (1,), (1,)), Sparse([0, 1, 0], [1, 0, 0], 2, 2)]
)
def test_what_arrives_has_gradients(wiring):
    weight = torch.randn(wiring.weight_shape, dtype=torch.float64)
    x = torch.randn(4, wiring.sources, dtype=torch.float64, requires_grad=True)
    synapses.bind_weights(wiring, weight)(x).sum().backward()
    ones = torch.tensor(wiring.matrix(weight.numpy()).toarray()).sum(0)
    assert torch.allclose(x.grad, ones.expand(4, -1))


def test_floats_hear_nothing_where_input_cannot_matter():
    """They receive in two steps of each four."""
    neuron = BistableFire(1.0, window=2)
    network = Network(
        Input("input", (2,), Interval(-3, 3)),
        (Population("a", (3,), neuron),),
        (Projection("input", "a", Synapses(Dense(3, 2), np.arange(6.0).reshape(3, 2) / 4)),),
        "a",
    )
    x = torch.tensor(np.random.default_rng(0).integers(-3, 4, (5, 12, 2))).double()
    runner = Runner(network)
    heard = []
    own = runner.synapses[id(network.projections[0])]
    runner.synapses[id(network.projections[0])] = lambda sent: (heard.append(sent), own(sent))[1]
    found = runner.run(Session(5), x, ["a"])["a"]
    assert sum(sent.shape[1] for sent in heard) == 6
    bound = runner.neurons["a"]
    state = bound.begin(torch.zeros(5, 3, dtype=torch.float64))
    drive = x @ torch.tensor(network.projections[0].synapses.weight).T
    for step in range(12):
        state, output = bound.step(state, drive[:, step])
        assert torch.equal(found[:, step], output)
    assert found.any()
