"""Another device than the plain CPU gives the same; `cpu:0` takes that way without a GPU."""

from __future__ import annotations

import pytest
import torch
from differential import FRAMES
from differential import network as drawn
from differential import spikes as drawn_spikes
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_integer_network, random_network, spikes

from snncompile.neurons.base import BINARY
from snncompile.reference import simulate
from snncompile.reference.runner import Runner
from snncompile.reference.simulate import run_batches
from snncompile.reference.synapses import bind
from snncompile.synapses.dense import integer_dense

SEEDS = st.integers(0, 10**9)
GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
)


@pytest.mark.parametrize("device", ["cpu:0", GPU])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, frame=st.sampled_from(FRAMES))
def test_every_output_is_the_same(device, seed, frame):
    network, x = drawn(seed, 0, frame), drawn_spikes(seed, frame)
    here, there = (next(iter(run_batches(network, x, device=d))) for d in ("cpu", device))
    for name, train in here.items():
        assert there[name].device.type == "cpu"
        assert there[name].dtype == train.dtype
        assert torch.equal(there[name], train), name


@pytest.mark.parametrize("device", ["cpu:0", GPU])
@pytest.mark.parametrize("make", [random_network, random_integer_network])
def test_a_run_may_be_told_where(device, make):
    network = make(4)
    x = spikes(network, 3, 6)
    assert (network.run(x, device=device).spikes == network.run(x).spikes).all()


def test_sums_elsewhere_are_rounded(monkeypatch):
    """A library that is off by a little, as one that computes through transforms."""
    import snncompile.reference.synapses as module

    plain = module.bind_weights
    monkeypatch.setattr(module, "bind_weights", lambda *a: lambda spikes: plain(*a)(spikes) - 1e-6)
    synapses = integer_dense([[3, 4]], 0, 8)
    ones = torch.ones(1, 2, dtype=torch.uint8)
    assert bind(synapses, BINARY, "cpu:0")(ones).tolist() == [[7]]
    assert bind(synapses, BINARY)(ones).tolist() == [[6]]


def test_a_gpu_is_taken_where_it_pays(monkeypatch):
    network = random_integer_network(4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert simulate._choose_device(network, simulate.GPU_FROM) == "cuda"
    assert simulate._choose_device(network, simulate.GPU_FROM - 1) == "cpu"
    assert simulate._choose_device(random_network(4), simulate.GPU_FROM) == "cpu"
    assert Runner(network, fast=True, device="cpu:0").fast == {}
