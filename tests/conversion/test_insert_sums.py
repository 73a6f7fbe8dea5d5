"""Linear layers in a row that are too large as one projection get a layer of sums between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.conversion.insert_sums import UNROLLED, is_unrolled
from snncompile.synapses import compose
from snncompile.synapses.base import Synapses
from snncompile.synapses.dense import dense
from snncompile.synapses.sparse import Sparse


class Level(nn.Module):
    """One level of a U-Net: a transposed convolution beside a shortcut, read by two layers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.deep = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.wide, self.next = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4).eval(), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = torch.relu(self.first(x))
        both = torch.cat([a, self.wide(torch.relu(self.deep(a)))], 1)
        b = torch.relu(self.norm(self.next(both)))
        return self.last(torch.cat([b, both[:, 4:]], 1))


@pytest.fixture
def small_limit(monkeypatch):
    """Let fewer synapses be too many, so that a small network has layers that are."""
    monkeypatch.setattr(compose, "LARGEST_LIST", 10_000)


def draw():
    return np.random.default_rng(0).normal(size=(64, 2, 8, 8))


def list_kinds(ann):
    return {layer.name: layer.kind for layer in ann.rectified}


def test_small_ones_are_one_projection():
    assert set(list_kinds(capture(Level(), draw())).values()) == {"rectifier"}


def test_the_large_one_is_sent_as_sums(small_limit):
    ann, x = capture(Level(), draw()), draw()
    kinds = list_kinds(ann)
    assert {name for name, kind in kinds.items() if kind == "sums"} == {"wide_sums"}
    assert ann.find_layer("wide_sums").shape == (4, 8, 8)
    got = ann.compute_activations(x)
    with torch.no_grad():
        wanted = Level().double()(torch.tensor(x)).float()
    torch.testing.assert_close(got[ann.layers[-1].name], wanted)


@pytest.mark.parametrize(("method", "steps"), [("graded", 1), ("signed", 64), ("balance", 128)])
def test_methods_send_sums(small_limit, method, steps):
    x = draw()
    conversion = convert(Level(), x, method, steps)
    rates = method != "graded"
    assert ("wide_sums_negative" in list_kinds(conversion.ann)) == rates
    shown = conversion.network.input.present(x)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:8])
    found = program.run(shown).answer
    with torch.no_grad():
        wanted = Level().double()(torch.tensor(x)).numpy()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


def test_lists_count_as_unrolled_beyond_the_limit():
    def make(count):
        ends = np.arange(count)
        return Synapses(Sparse(ends, ends, count, count), np.ones(count))

    half = UNROLLED // 2
    assert not is_unrolled([make(half), make(half)])
    assert is_unrolled([make(half), make(half + 1)])
    assert not is_unrolled([dense(np.ones((2, UNROLLED)))])
