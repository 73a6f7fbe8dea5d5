"""Sums of weights: the fast functions beside torch's own, and beside a sum synapse by synapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

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
    st.integers(0, 20),
    st.sampled_from([1, 500, 2**21]),
    st.sampled_from([0, 2**23]),
    st.integers(0, 2**31),
)
def test_convolutions_sum_as_torch_does(wiring, rows, window_bytes, many, seed):
    rng = np.random.default_rng(seed)
    images = torch.tensor(rng.integers(-3, 4, (rows, *wiring.source_shape))).double()
    weight = torch.tensor(rng.integers(-9, 10, wiring.weight_shape)).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions, "WINDOW_BYTES", window_bytes)
        patch.setattr(convolutions, "MANY_WINDOWS", many)
        found = convolutions.convolve(images, weight, wiring)
    wanted = convolutions.call_torch(images, weight, wiring)
    assert torch.equal(found, wanted)
    assert found.dtype == wanted.dtype


@pytest.mark.parametrize(
    ("wiring", "rows", "own"),
    [
        (Convolution((6, 4, 4), 8, (3, 3), (1, 1), (1, 1), (1, 1)), 7, False),
        (Convolution((6, 4, 4), 8, (3, 3), (1, 1), (1, 1), (1, 1)), 8, True),
        (Convolution((3, 32, 32), 8, (3, 3), (1, 1), (1, 1), (1, 1)), 37, False),
        (
            Convolution((3, 32, 32), 8, (3, 3), (1, 1), (1, 1), (1, 1)),
            38,
            True,
        ),  # 8.4 MB of windows
        (Convolution((64, 16, 16), 8, (1, 1), (1, 1), (0, 0), (1, 1)), 200, False),
        (Convolution((64, 8, 8), 8, (1, 1), (1, 1), (0, 0), (1, 1)), 200, True),
        (Convolution((4, 8, 8), 4, (2, 2), (2, 2), (0, 0), (1, 1), 4), 7, False),
        (Convolution((4, 8, 8), 4, (2, 2), (2, 2), (0, 0), (1, 1), 4), 8, True),
        (Convolution((4, 8, 8), 8, (2, 2), (2, 2), (0, 0), (1, 1), 4), 8, False),
    ],
)
def test_windows_are_copied_where_that_pays(wiring, rows, own, monkeypatch):
    """A loop's time steps are few rows each, and torch starts sooner."""
    torch_rows = []
    call_torch = convolutions.call_torch

    def call(images, weight, wiring):
        torch_rows.append(len(images))
        return call_torch(images, weight, wiring)

    monkeypatch.setattr(convolutions, "call_torch", call)
    weight = torch.ones(wiring.weight_shape, dtype=torch.float64)
    convolutions.convolve(torch.ones(rows, *wiring.source_shape).double(), weight, wiring)
    assert torch_rows == ([] if own else [rows])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_weights_of_lists_without_gradients_keep_their_type(dtype):
    wiring = Sparse([0, 1, 0, 1], [1, 0, 0, 1], 2, 2)
    weight = torch.tensor([1.0, 2.0, 4.0, -8.0]).to(dtype)
    total = synapses.bind_weights(wiring, weight)(torch.tensor([[1.0, 1.0], [0.0, 2.0]]))
    assert total.dtype == dtype
    assert total.tolist() == [[5.0, -6.0], [2.0, -16.0]]


@pytest.mark.parametrize(("count", "matrices"), [(9, 0), (10, 1)])
def test_lists_of_few_synapses_make_no_matrix(count, matrices, monkeypatch):
    """It would read and write all of the neurons, where few have a synapse."""
    made = []

    def make(*arguments, **options):
        made.append(csr_array(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(synapses, "csr_array", make)
    wiring = Sparse(np.arange(count) % 10, np.arange(count), 10, 10)
    total = synapses.bind_weights(wiring, torch.ones(count).double())(torch.ones(3, 10))
    assert len(made) == matrices
    assert total.tolist() == [[1.0] * count + [0.0] * (10 - count)] * 3


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
