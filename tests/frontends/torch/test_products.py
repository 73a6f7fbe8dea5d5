"""Products of numbers and spikes: neurons with two inputs, exact in floats and on Lava."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layers import check, filled, leaky, spikes
from torch import nn

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches

CHANNELS, SIDE = 3, 4


class Joined(nn.Module):
    """Layers of neurons and currents on the input; the last layer gets what `join` makes of it."""

    def __init__(self, join, size=CHANNELS * SIDE**2):
        super().__init__()
        self.join = join
        self.convs = nn.ModuleList(nn.Conv2d(2, CHANNELS, 3, padding=1) for _ in range(3))
        self.spiking = nn.ModuleList(leaky() for _ in range(3))
        self.current = nn.Conv2d(2, CHANNELS, 3, padding=1)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.pool, self.mean = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)
        self.narrow, self.wide = nn.Linear(CHANNELS, 2), nn.Linear(2, CHANNELS)
        self.inner, self.gate = leaky(), leaky()
        self.last, self.end = nn.Linear(size, 4), leaky()

    def excite(self, a):
        """Return a spike per channel: a spiking squeeze-and-excitation."""
        squeezed = self.inner(self.narrow(self.mean(a).flatten(1)))
        return self.gate(self.wide(squeezed))[:, :, None, None]

    def forward(self, x):
        a, b, c = (n(conv(x)) for conv, n in zip(self.convs, self.spiking, strict=True))
        return self.end(self.last(self.join(self, x, a, b, c).flatten(1)))


# What joins the spikes of three layers; whether the product is of whole numbers.
JOINED = {
    "neither": (lambda m, x, a, b, c: (1 - a) * (1 - b) + 0 * c, True),
    "a sum and spikes": (lambda m, x, a, b, c: (a + b) * c, True),
    "two sums": (lambda m, x, a, b, c: (a + b) * (b + c), True),
    "one more": (lambda m, x, a, b, c: a * (1 + b) + 0 * c, True),
    "a difference": (lambda m, x, a, b, c: (a - b) * c, True),
    "a sum and the input": (lambda m, x, a, b, c: (a + b) * x[:, :1] + 0 * c, True),
    "a current and spikes": (lambda m, x, a, b, c: m.current(x) * a + b * c, False),
    "normalized": (lambda m, x, a, b, c: m.norm(m.current(x)) * (a + b) + 0 * c, False),
    "two currents": (lambda m, x, a, b, c: m.current(x) * m.norm(m.current(x)) + a * b * c, False),
    "half": (lambda m, x, a, b, c: (a + b) * (0.5 * c), False),
    "three": (lambda m, x, a, b, c: m.current(x) * (a + b) * c, False),
    "a pooled current": (lambda m, x, a, b, c: (a + b) * m.mean(m.current(x)) + 0 * c, False),
    "rectified": (
        lambda m, x, a, b, c: torch.relu(m.current(x)) * m.norm(m.current(x)) + a * b * c,
        False,
    ),
    "excited": (lambda m, x, a, b, c: m.current(x) * m.excite(a) + 0 * (b * c), False),
}


def make(name):
    return filled(Joined(JOINED[name][0]))


@pytest.mark.parametrize("name", JOINED)
def test_products_are_neurons(name):
    x = spikes(3, 10, 2, SIDE, SIDE)
    network = check(make(name), x)
    products = [p for p in network.populations if p.neuron.name == "product"]
    assert products
    assert {bool(p.neuron.whole) for p in products} == {JOINED[name][1]}
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    (sent,) = run_batches(program.network, x)
    for p in products:
        assert len(np.unique(sent[p.name])) > 1, "proves nothing"


@pytest.mark.parametrize("name", ["neither", "two sums", "a difference", "one more"])
def test_whole_numbers_stay_exact_as_integers(name):
    """In every step: what arrives at a port, multiplied in plain numpy."""
    x = spikes(2, 60, 2, SIDE, SIDE)
    network = from_torch(make(name), x[:, :8])
    program = snncompile.compile(network, chip="loihi2")
    (sent,) = run_batches(program.network, x)
    a, b = sent["spiking_0"].long(), sent["spiking_1"].long()
    c = sent["spiking_2"].long() if "spiking_2" in sent else a
    product = next(p.name for p in program.network.populations if p.neuron.name == "product")
    wanted = {
        "neither": (1 - a) * (1 - b),
        "two sums": (a + b) * (b + c),
        "a difference": (a - b) * c,
        "one more": a * (1 + b),
    }
    assert torch.equal(sent[product].long(), wanted[name])
    assert len(torch.unique(a + 2 * b)) == 4


def test_integers_of_a_current_are_near():
    """A message is rounded to 1/64 of a natural value, and weights to 8 bits."""
    x = spikes(4, 40, 2, SIDE, SIDE)
    network = from_torch(make("a current and spikes"), x[:, :8])
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    loss = program.loss
    assert loss is not None
    layer = next(layer for layer in program.quantized if layer.population.startswith("product"))
    assert layer.output_error < 0.02
    assert layer.message is not None


@pytest.mark.lava
@pytest.mark.parametrize("name", ["two sums", "excited"])
def test_lava_sends_the_same(lava, name):
    x = spikes(3, 12, 2, SIDE, SIDE)
    program = snncompile.compile(from_torch(make(name), x), chip="loihi2", calibration=x)
    verification = program.verify(x, lava=True)
    assert verification.equal


def test_several_spikes_at_once():
    sinabs = pytest.importorskip("sinabs.layers")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.end = nn.Linear(4, 4), sinabs.IAFSqueeze(batch_size=3)
            self.a, self.b = (sinabs.IAFSqueeze(batch_size=3) for _ in range(2))

        def forward(self, x):
            return self.end(self.fc(self.a(3 * x) * self.b(2 * x)))

    network = from_torch(filled(Net()), spikes(3, 6, 4))
    (product,) = (p for p in network.populations if p.neuron.name == "product")
    assert product.neuron.whole


def test_a_chip_without_numbers_names_what_to_try():
    network = from_torch(make("two sums"), spikes(3, 6, 2, SIDE, SIDE))
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip="loihi1")
    assert str(error.value) == (
        "population product: loihi1 has no neuron product; it has cuba_lif/delayed_soft,"
        " cuba_lif/hard, cuba_lif/soft and 5 more; its spikes are numbers; multiply spikes that are"
        " 0 or 1, add instead of multiplying, or train without the gate; or choose loihi2"
    )


REFUSED = {
    "a function": (
        lambda m, x, a, b, c: a * torch.sigmoid(m.current(x)) + b * c,
        CHANNELS * SIDE**2,
        "torch.Tensor.mul between spiking.0 and current and last is not known; known are functions"
        " that only reshape or select, average pooling, sums of layers and factors",
    ),
    "a maximum of currents": (
        lambda m, x, a, b, c: m.pool(a) * m.pool(m.current(x)) + m.pool(b * c),
        CHANNELS * SIDE**2 // 4,
        "product: reads a maximum of currents, pool_2, which has no neurons of its own; put the"
        " pool behind the neuron layer",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name):
    join, size, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(filled(Joined(join, size)), spikes(3, 6, 2, SIDE, SIDE))
    assert str(error.value) == message
