"""Linear layers that have fewer synapses apart get a layer of sums between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.conversion import cheaper_sums
from snncompile.conversion.ann import SPARING_SUMS
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.conversion.fold_sums import fold_sums


class Bottlenecks(nn.Module):
    """Two blocks as of MobileNetV2, the second with a shortcut, and a global pool."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 24, 3, padding=1)
        self.narrow, self.wide = nn.Conv2d(24, 4, 1), nn.Conv2d(4, 24, 1)
        self.narrow_2, self.wide_2 = nn.Conv2d(24, 4, 1), nn.Conv2d(4, 24, 1)
        self.norm = nn.BatchNorm2d(4).eval()
        self.last = nn.Linear(24, 30)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        a = self.norm(self.narrow(torch.relu(self.first(x))))
        a = a + self.narrow_2(torch.relu(self.wide(a)))
        b = torch.relu(self.wide_2(a))
        return self.last(nn.functional.adaptive_avg_pool2d(b, 1).flatten(1))


NAMES = ["narrow_sums", "narrow_2_sums", "_functional_adaptive_avg_pool2d_sums"]


@pytest.fixture
def small_limit(monkeypatch):
    """Let layers of sums pay that save a few synapses."""
    monkeypatch.setattr(cheaper_sums, "FEWER", 1000)


def draw() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(64, 2, 6, 6)).astype(float)


def count(ann) -> int:
    return sum(t.synapses.wiring.synapses for layer in ann.layers for t in layer.terms)


def list_sums(ann) -> list[str]:
    return [layer.name for layer in ann.layers if layer.kind == SPARING_SUMS]


def test_a_small_network_has_none():
    assert not list_sums(capture(Bottlenecks(), draw()))


def test_each_saves_synapses(small_limit):
    ann = capture(Bottlenecks(), draw())
    assert len(list_sums(ann)) == 3
    assert count(ann) < 0.6 * count(fold_sums(ann))


def test_folded_it_is_what_it_was(small_limit, monkeypatch):
    x = draw()
    folded = fold_sums(capture(Bottlenecks(), x))
    monkeypatch.setattr(cheaper_sums, "FEWER", 10**9)
    whole = capture(Bottlenecks(), x)
    assert [layer.name for layer in folded.layers] == [layer.name for layer in whole.layers]
    for a, b in zip(folded.layers, whole.layers, strict=True):
        np.testing.assert_allclose(a.bias, b.bias, rtol=1e-9, atol=1e-12)
        assert [t.source for t in a.terms] == [t.source for t in b.terms]
        for s, t in zip(a.terms, b.terms, strict=True):
            assert type(s.synapses.wiring) is type(t.synapses.wiring)
            np.testing.assert_allclose(s.synapses.weight, t.synapses.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "steps"), [("graded", 1), ("sigma_delta", 1), ("signed", 64), ("balance", 128)]
)
def test_methods_of_messages_keep_them(small_limit, method, steps):
    x = draw()
    conversion = convert(Bottlenecks(), x, method, steps)
    messages = method in ("graded", "sigma_delta")
    names = {layer.name for layer in conversion.ann.layers}
    assert any("sums" in name for name in names) == messages
    shown = conversion.network.input.present(x[:, None] if method == "sigma_delta" else x)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:8])
    found = program.run(shown).answer
    with torch.no_grad():
        wanted = Bottlenecks().double()(torch.tensor(x)).numpy()
    a, b = (v - v.mean(axis=0) for v in (found, wanted))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98


def test_sums_of_both_signs_have_no_table_and_those_of_pools_are_rectifiers(small_limit):
    conversion = convert(Bottlenecks(), draw(), "graded")
    neurons = {p.name: p.neuron for p in conversion.network.populations}
    ends = {name: (float(n.lowest), n.table.size) for name, n in neurons.items() if "sums" in name}
    assert sorted(ends.values()) == [(-255.0, 0), (-255.0, 0), (0.0, 0)]


@pytest.mark.lava
def test_on_lava(small_limit, lava):
    x = draw()
    conversion = convert(Bottlenecks(), x, "graded")
    shown = conversion.network.input.present(x)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:8])
    found = program.verify(shown[:1])
    assert found.comparison("integer", "lava").equal


class Chain(nn.Module):
    """Linear layers with shortcuts, without an activation: each doubles the ways through them."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(2, 8, 1), nn.Linear(8, 3)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        y = torch.relu(self.first(x))
        for block in self.blocks:
            y = y + 0.2 * block(y)
        return self.last(torch.relu(y).mean((2, 3)))


def test_a_long_drive_is_not_tried_in_all_its_ways(monkeypatch):
    tried = []
    monkeypatch.setattr(cheaper_sums, "LONGEST", 100)
    monkeypatch.setattr(cheaper_sums, "FEWER", 1)
    monkeypatch.setattr(
        cheaper_sums._Cut, "_measure", lambda *_: tried.append(1) or cheaper_sums._Cost(0)
    )
    assert not list_sums(capture(Chain(6), draw()))
    assert len(tried) == 2  # those of the first layer and of the last


def test_the_library_has_no_sums(small_limit):
    conversion = convert(Bottlenecks(), draw(), "sigma_delta", processes="library")
    assert not any("sums" in p.name for p in conversion.network.populations)


class Means(nn.Module):
    """Two global means, of images of different sizes, and a pool along a row of pools."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, 2, 1)
        self.of_a, self.of_b, self.of_rows = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        a = torch.relu(self.a(x))
        b = torch.relu(self.b(a))
        rows = nn.functional.avg_pool2d(a, 2).flatten(2).mean(2)
        return self.of_a(a.mean((2, 3))) + self.of_b(b.mean((2, 3))) + self.of_rows(rows)


@pytest.mark.parametrize("method", ["graded", "signed"])
def test_means_of_several_sizes(method):
    x = draw()
    conversion = convert(Means(), x, method)
    with torch.no_grad():
        wanted = Means().double()(torch.tensor(x)).float().flatten(1)
    got = conversion.ann.compute_activations(x)[conversion.ann.layers[-1].name]
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-3)


class Narrow(nn.Module):
    """64 values, a rectifier, and 64 -> `width` -> 64 without an activation between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 3)
        self.narrow, self.wide = nn.Linear(64, width), nn.Linear(width, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        return self.last(torch.relu(self.wide(self.narrow(torch.relu(self.first(x))))))


def draw_rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 64))


@pytest.mark.parametrize(
    ("width", "fewer", "apart"),
    [(16, 2048, True), (16, 2049, False), (17, 100, False)],
    ids=["half as many", "too few saved", "more than half"],
)
def test_what_pays(monkeypatch, width, fewer, apart):
    """4,096 synapses are one layer, 128 times the width two."""
    monkeypatch.setattr(cheaper_sums, "FEWER", fewer)
    assert bool(list_sums(capture(Narrow(width), draw_rows()))) == apart


@pytest.mark.parametrize(
    ("weight", "bias", "lowest"), [(0.1, 0.1, 0), (0.1, -0.1, -255), (-0.1, 0.1, -255)]
)
def test_sums_are_rectifiers_where_none_can_be_below_0(small_limit, weight, bias, lowest):
    net = Narrow(8)
    with torch.no_grad():
        net.narrow.weight.uniform_(0.01, 0.1).mul_(weight / 0.1)
        net.narrow.bias.fill_(bias)
    network = convert(net, draw_rows(), "graded").network
    assert network.population("narrow_sums").neuron.lowest == lowest


class Squeezed(nn.Module):
    """The mean of an image of 8 channels, two channels of it, and an answer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.size = size
        self.first, self.squeeze = nn.Conv2d(2, 8, 1), nn.Linear(8, 2)
        self.last = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        x = nn.functional.interpolate(x, scale_factor=self.size // 6, mode="nearest")
        mean = nn.functional.silu(self.first(x)).mean((2, 3))
        return self.last(torch.relu(self.squeeze(mean)))


@pytest.mark.parametrize(("many", "apart"), [(1152, False), (1151, True)])
def test_a_mean_of_many_places_stays_apart_whatever_it_saves(monkeypatch, many, apart):
    """A neuron reads 8 channels of 12 x 12 places, or 8 means."""
    monkeypatch.setattr(cheaper_sums, "MANY", many)
    assert bool(list_sums(capture(Squeezed(12), draw()))) == apart


def test_weights_behind_a_mean_of_many_places_keep_their_bits():
    x = draw()
    conversion = convert(Squeezed(24), x, "graded")
    shown = conversion.network.input.present(x)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:8])
    assert max(layer.weight_error for layer in program.quantized) < 0.01
