"""Products of spikes: gates, and the blocks of SEW-ResNet."""

from __future__ import annotations

import pytest
import torch
from layers import check, filled, leaky, spikes
from torch import nn

import snncompile
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches


class Joined(nn.Module):
    """Some layers of neurons on the input, and one that gets what `join` makes of their spikes."""

    def __init__(self, join, layers, size=108):
        super().__init__()
        self.join, self.pool, self.one = join, nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(2, 3, 3, padding=1) for _ in range(layers))
        self.spiking = nn.ModuleList(leaky() for _ in range(layers))
        self.last, self.end = nn.Linear(size, 4), leaky()
        filled(self)

    def forward(self, x):
        spikes = [layer(conv(x)) for conv, layer in zip(self.convs, self.spiking, strict=True)]
        return self.end(self.last(self.join(self, x, *spikes).flatten(1)))


# What joins the spikes of so many layers; the sums above which products fire.
JOINED = {
    "and": (lambda m, x, a, b, c: a * b + c, 3, {"and": 1.5}),
    "and not": (lambda m, x, a, b: (1.0 - a) * b, 2, {"and_not": 0.5}),
    "not, behind": (lambda m, x, a, b: torch.mul(b, torch.sub(1, a)), 2, {"and_not": 0.5}),
    "ones": (lambda m, x, a, b: (torch.ones_like(a) - a) * b, 2, {"and_not": 0.5}),
    "with itself": (lambda m, x, a: a * a, 1, {"and": 1.5}),
    "three": (lambda m, x, a, b, c: a * b * (1 - c), 3, {"and": 1.5, "and_not": 0.5}),
    "with the input": (lambda m, x, a: x[:, :1] * a, 1, {"and": 1.5}),
    "of maxima": (lambda m, x, a, b: m.pool(a) * m.pool(b), 2, {"and": 1.5}),
    "a channel gates all": (lambda m, x, a, b: a[:, :1] * b, 2, {"and": 1.5}),
}


@pytest.mark.parametrize("case", JOINED)
def test_products_are_neurons(case):
    join, layers, wanted = JOINED[case]
    x = spikes(3, 10, 2, 6, 6)
    network = check(Joined(join, layers, 27 if case == "of maxima" else 108), x)
    gates = [p for p in network.populations if p.name.startswith("and")]
    assert {p.name: float(p.neuron.threshold) for p in gates} == wanted
    program = snncompile.compile(network, chip="loihi1", calibration=x)
    assert program.verify(x).equal


@pytest.mark.parametrize("name", ["and", "and_not"])
def test_the_integers_of_a_product_are_the_product(name):
    """In every step, with all four pairs of spikes: the rest of a step does not reach the next."""
    gates = {"and": lambda m, x, a, b: a * b, "and_not": lambda m, x, a, b: a * (1 - b)}
    x = spikes(2, 200, 2, 6, 6)
    imported = from_torch(Joined(gates[name], 2), x[:, :8])
    network = snncompile.compile(imported, chip="loihi1").network
    (sent,) = run_batches(network, x)
    a, b, product = (sent[key].long() for key in ("spiking_0", "spiking_1", name))
    assert torch.equal(product, gates[name](None, None, a, b))
    assert len(torch.unique(2 * a + b)) == 4


class SewBlock(nn.Module):
    """A block of SEW-ResNet: its spikes are joined with those that skip it."""

    def __init__(self, join, layer, neuron):
        super().__init__()
        self.join = join
        self.body = nn.Sequential(layer.Conv2d(3, 3, 3, padding=1), layer.BatchNorm2d(3), neuron())

    def forward(self, x):
        y = self.body(x)
        return {"ADD": lambda: x + y, "AND": lambda: x * y, "IAND": lambda: x * (1.0 - y)}[
            self.join
        ]()


@pytest.mark.parametrize("join", ["ADD", "AND", "IAND"])
def test_blocks_of_sew_resnet(join):
    """In SpikingJelly's multi-step mode, as its authors run it."""
    sj = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron

    assert sj is not None
    net = nn.Sequential(
        *(layer.Conv2d(2, 3, 3, padding=1), neuron.IFNode()),
        *(SewBlock(join, layer, neuron.IFNode), SewBlock("ADD", layer, neuron.IFNode)),
        *(layer.Flatten(), layer.Linear(108, 4), neuron.IFNode()),
    )
    functional.set_step_mode(net, "m")
    network = from_torch(filled(net), spikes(3, 6, 2, 6, 6))
    gates = [p.name for p in network.populations if p.name.startswith("and")]
    assert gates == {"ADD": [], "AND": ["and"], "IAND": ["and_not"]}[join]
