"""Products of activations, as of squeeze-and-excitation, in networks of graded messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.conversion.convert import convert
from snncompile.errors import UnsupportedError
from snncompile.reference.simulate import run_batches


class Excited(nn.Module):
    """A block of squeeze-and-excitation behind a convolution, and one whose input has a sign."""

    def __init__(self, gate=torch.sigmoid):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.narrow, self.wide = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)
        self.pool, self.last, self.gate = nn.AdaptiveAvgPool2d(1), nn.Linear(24, 5), gate

    def excite(self, a):
        return self.gate(self.wide(torch.relu(self.narrow(self.pool(a)))))

    def forward(self, x):
        a = torch.relu(self.first(x))
        a = a * self.excite(a)
        b = self.norm(self.second(a))
        b = torch.relu(b * self.excite(b) + a)
        return self.last(nn.functional.avg_pool2d(b, 4).flatten(1))


class Gate(nn.Module):
    """A gate beside a dense layer."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(7, 9), nn.Linear(7, 9), nn.Linear(9, 4)

    def forward(self, x):
        return self.c(torch.relu(self.a(x)) * torch.sigmoid(self.b(x)))


def make(kind, seed=0):
    torch.manual_seed(seed)
    net = kind().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.1, 0.4)
    return net


DATA = {Excited: (60, 2, 8, 8), Gate: (60, 7)}


@pytest.mark.parametrize("kind", DATA)
def test_floats_and_integers_are_near_the_model(kind):
    """Within a few of 255 levels, and with the model's answers on nearly all samples."""
    net, x = make(kind), np.random.default_rng(1).random(DATA[kind])
    wanted = net(torch.tensor(x).float()).detach().numpy()
    network = snncompile.from_ann(net, x, "graded")
    assert [p.neuron.kind for p in network.populations].count("product/scaled") == (
        2 if kind is Excited else 1
    )
    program = snncompile.compile(network, chip="loihi2", calibration=network.input.present(x))
    shown = network.input.present(x)
    for name, run in (("floats", network.run), ("integers", program.run)):
        result = run(shown)
        assert (result.prediction == wanted.argmax(1)).mean() >= 0.93, name


@pytest.mark.parametrize("kind", DATA)
def test_every_product_equals_its_formula(kind):
    """A plain loop over the integers of the Program, for each sample."""
    net, x = make(kind), np.random.default_rng(1).random(DATA[kind])[:8]
    network = snncompile.from_ann(net, x, "graded")
    program = snncompile.compile(network, chip="loihi2")
    made = program.network
    (sent,) = run_batches(made, network.input.present(x))
    for population in (p for p in made.populations if p.neuron.name == "product"):
        neuron = population.neuron
        sums = {port: np.zeros((len(x), population.size), np.int64) for port in "ab"}
        for p in made.into(population.name):
            matrix = p.synapses.wiring.matrix(p.synapses.weight.astype(np.int64)).toarray()
            source = sent[p.source].long().numpy()[:, 0]
            total = source @ matrix.T
            shift = p.synapses.exponent
            sums[p.port] += total << shift if shift >= 0 else total >> -shift
        a, b = sums["a"] + neuron.bias_a, sums["b"] + neuron.bias_b
        half = (1 << neuron.shift) >> 1
        v = (a * b * neuron.factor + half) >> neuron.shift
        wanted = np.clip(v, neuron.lowest, neuron.highest)
        assert np.array_equal(sent[population.name].long().numpy()[:, 0], wanted)
        assert len(np.unique(wanted)) > 20


@pytest.mark.lava
def test_lava_sends_the_same(lava):
    net, x = make(Excited), np.random.default_rng(1).random(DATA[Excited])[:4]
    network = snncompile.from_ann(net, x, "graded")
    program = snncompile.compile(network, chip="loihi2")
    assert program.verify(network.input.present(x), lava=True).equal


def test_changes_have_no_products():
    net, x = make(Gate), np.random.default_rng(1).random(DATA[Gate])
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_ann(net, x, "sigma_delta")
    assert str(error.value) == (
        "mul: a product of two activations is no sum of changes; take method='graded', leave out"
        " the gate, or train with one that is added"
    )


class Gated(nn.Module):
    """Gated linear units, as a layer and as a function along channels."""

    def __init__(self):
        super().__init__()
        self.first, self.glu, self.last = nn.Conv2d(2, 8, 3), nn.GLU(1), nn.Linear(72, 3)

    def forward(self, x):
        y = nn.functional.glu(self.glu(self.first(x)), dim=1)
        return self.last(y.flatten(1))


def test_gated_linear_units_are_products():
    net, x = make(Gated), np.random.default_rng(0).normal(size=(60, 2, 8, 8))
    conversion = convert(net, x, "graded")
    kinds = ["Sigmoid", "product", "Sigmoid", "product"]
    assert [layer.kind for layer in conversion.ann.rectified] == kinds
    network = conversion.network
    program = snncompile.compile(network, chip="loihi2", calibration=network.input.present(x[:8]))
    found = program.run(network.input.present(x)).answer
    with torch.no_grad():
        wanted = net.double()(torch.tensor(x)).numpy()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


def test_rates_refuse_gated_linear_units_by_name():
    x = np.random.default_rng(0).normal(size=(8, 2, 8, 8))
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_ann(make(Gated), x, "signed")
    assert str(error.value) == (
        "glu.sigmoid: Sigmoid is no rectifier, and signed sends rates of rectifiers; take"
        " method='graded', or train with ReLU"
    )
