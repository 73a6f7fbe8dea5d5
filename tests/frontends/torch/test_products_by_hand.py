"""Products between neurons that are written out in the module's code, exact like others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layers import filled, leaky, spikes
from torch import nn

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches

SIZE = 8


class Lif(nn.Module):
    """Keeps its potential as an attribute."""

    mem = 0.0

    def forward(self, x):
        self.mem = 0.7 * self.mem + x
        spk = (self.mem > 0.5).to(x)
        self.mem = self.mem * (1 - spk)
        return spk


class Several(nn.Module):
    """As many spikes as thresholds in the potential."""

    mem = 0.0

    def forward(self, x):
        self.mem = self.mem + x
        spk = torch.clamp(torch.floor(self.mem / 0.5), min=0.0)
        self.mem = self.mem - 0.5 * spk
        return spk


class Joined(nn.Module):
    """Three layers by hand on the input; the last one gets what `join` makes of their spikes."""

    def __init__(self, join, neuron=Lif):
        super().__init__()
        self.join = join
        self.fcs = nn.ModuleList(nn.Linear(6, SIZE) for _ in range(3))
        self.spiking = nn.ModuleList(neuron() for _ in range(3))
        self.current, self.norm = nn.Linear(6, SIZE), nn.BatchNorm1d(SIZE)
        self.layer = leaky()
        self.last, self.end = nn.Linear(SIZE, 5), Lif()

    def forward(self, x):
        a, b, c = (n(fc(x)) for fc, n in zip(self.fcs, self.spiking, strict=True))
        return self.end(self.last(self.join(self, x, a, b, c)))


class Loop(nn.Module):
    """The same, with a loop over the second axis in forward."""

    def __init__(self, join):
        super().__init__()
        self.join = join
        self.fcs = nn.ModuleList(nn.Linear(6, SIZE) for _ in range(3))
        self.current, self.norm = nn.Linear(6, SIZE), nn.BatchNorm1d(SIZE)
        self.last = nn.Linear(SIZE, 5)

    def forward(self, x):
        mems, end, record = [torch.zeros(len(x), SIZE)] * 3, torch.zeros(len(x), 5), []
        for step in x.unbind(1):
            fired = []
            for i, fc in enumerate(self.fcs):
                mems[i] = 0.7 * mems[i] + fc(step)
                fired.append((mems[i] > 0.5).to(x))
                mems[i] = mems[i] * (1 - fired[i])
            end = 0.7 * end + self.last(self.join(self, step, *fired))
            spk = (end > 0.5).to(x)
            end = end * (1 - spk)
            record.append(spk)
        return torch.stack(record, 1)


# What joins the spikes of three layers; the kinds of the populations that multiply.
JOINED = {
    "and": (lambda m, x, a, b, c: a * b + c, ["and"]),
    "and not": (lambda m, x, a, b, c: a * (1 - b) + c, ["and_not"]),
    "ones": (lambda m, x, a, b, c: (torch.ones_like(a) - a) * b + c, ["and_not"]),
    "in place": (lambda m, x, a, b, c: (a + 0).mul_(b) + c, ["product"]),
    "three": (lambda m, x, a, b, c: a * b * (1 - c), ["and", "and_not"]),
    "with the input": (lambda m, x, a, b, c: x[:, :1] * a + b + c, ["and"]),
    "one gates all": (lambda m, x, a, b, c: a[:, :1] * b + c, ["and"]),
    "a sum and spikes": (lambda m, x, a, b, c: (a + b) * c, ["product"]),
    "neither": (lambda m, x, a, b, c: (1 - a) * (1 - b) + c, ["product"]),
    "a current": (lambda m, x, a, b, c: m.current(x) * a + b * c, ["product", "and"]),
    "two currents": (
        lambda m, x, a, b, c: m.current(x) * m.norm(m.current(x)) + a + b + c,
        ["product"],
    ),
    "rectified": (lambda m, x, a, b, c: torch.relu(m.current(x)) * a + b + c, ["relu", "product"]),
}


def native(module, x):
    """Return what the module computes in float64."""
    module, x = module.double(), torch.tensor(x).double()
    with torch.no_grad():
        if isinstance(module, Loop):
            return module(x).numpy()
        return torch.stack([module(step) for step in x.unbind(1)], 1).numpy()


def check(module, x, time):
    """Import the module; its network fires as the module does, in every step."""
    network = from_torch(module, x, time=time)
    wanted = native(module, x)
    np.testing.assert_array_equal(network.run(x).spikes, wanted)
    assert 0.05 < wanted.mean() < 0.95
    return network


def find_made(network):
    """Return the populations between the layers that the module has."""
    names = [p.name for p in network.populations]
    return [n for n in names if n.startswith(("and", "product", "relu"))]


@pytest.mark.parametrize("case", JOINED)
@pytest.mark.parametrize("kind", [Joined, Loop])
def test_products_are_neurons(case, kind):
    join, wanted = JOINED[case]
    x = spikes(3, 12, 6)
    network = check(filled(kind(join)), x, "step" if kind is Joined else "second")
    assert sorted(find_made(network)) == sorted(wanted)


def test_a_layer_of_a_library_times_neurons_by_hand():
    join = lambda m, x, a, b, c: m.layer(m.current(x)) * a + b + c  # noqa: E731
    module, x = filled(Joined(join)), spikes(3, 12, 6)
    network = from_torch(module, x, time="step")
    assert find_made(network) == ["and"]
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x))


def test_several_spikes_multiply_as_numbers():
    module, x = filled(Joined(lambda m, x, a, b, c: a * b + c, Several)), spikes(3, 12, 6)
    network = check(module, x, "step")
    (product,) = (p for p in network.populations if p.name in find_made(network))
    assert product.neuron.name == "product"
    assert product.neuron.whole


@pytest.mark.parametrize("case", ["three", "a sum and spikes"])
def test_integers_multiply_alike(case):
    """In every step: what the layers before send, multiplied in plain numpy."""
    x = spikes(2, 60, 6)
    network = from_torch(filled(Joined(JOINED[case][0])), x[:, :8], time="step")
    program = snncompile.compile(network, chip="loihi2", prune=False)
    (sent,) = run_batches(program.network, x)
    a, b, c = (sent[f"spiking_{i}"].long() for i in range(3))
    if case == "three":
        pairs = [("and", a * b), ("and_not", sent["and"].long() * (1 - c))]
    else:
        pairs = [("product", (a + b) * c)]
    for name, wanted in pairs:
        assert torch.equal(sent[name].long(), wanted)
        assert 0 < wanted.sum() < wanted.numel()


@pytest.mark.lava
def test_lava_sends_the_same(lava):
    x = spikes(2, 10, 6)
    network = from_torch(filled(Joined(JOINED["a current"][0])), x, time="step")
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x, lava=True).equal


REFUSED = {
    "a function": (
        lambda m, x, a, b, c: a * torch.sigmoid(m.current(x)) + b * c,
        "torch.Tensor.mul between spiking.0 and current and last is not known; known are functions"
        " that only reshape or select, average pooling, sums of layers and factors",
    ),
    "a potential": (
        lambda m, x, a, b, c: a * m.spiking[1].mem + b * c,
        "torch.Tensor.mul between spiking.0 and spiking.1 and last is not known; known are"
        " functions that only reshape or select, average pooling, sums of layers and factors",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    join, message = REFUSED[case]
    with pytest.raises(UnsupportedError) as error:
        from_torch(filled(Joined(join)), spikes(3, 6, 6), time="step")
    assert str(error.value) == message
