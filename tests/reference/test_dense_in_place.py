"""A large dense map is computed from its weights where they are, without a copy of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from snncompile.neurons.base import BINARY
from snncompile.reference import synapses as reference
from snncompile.synapses.dense import dense, integer_dense


@pytest.mark.parametrize("kind", ["float", "integer"])
def test_the_sums_are_the_same(monkeypatch, kind):
    weight = np.random.default_rng(0).integers(-100, 100, (40, 30))
    made = dense(weight / 4) if kind == "float" else integer_dense(weight, 0, 8)
    x = torch.tensor(np.random.default_rng(1).random((5, 30)) < 0.4)
    small = reference.bind(made, BINARY)(x)
    monkeypatch.setattr(reference, "LARGE_DENSE", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        large = reference.bind(made, BINARY)(x)
    assert torch.equal(small, large)
    assert large.dtype == small.dtype


def test_no_copy_is_made(monkeypatch):
    made = dense(np.random.default_rng(0).normal(size=(40, 30)))
    monkeypatch.setattr(reference, "LARGE_DENSE", 10)
    seen = []
    monkeypatch.setattr(reference, "bind_weights", lambda wiring, weight: seen.append(weight))
    reference.bind(made, BINARY)
    assert seen[0].data_ptr() == made.weight.ctypes.data
