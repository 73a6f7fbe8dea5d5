"""snnTorch's Alpha: without a reset two filters in a row, with one a neuron of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.backends.lava.run import spike_trains
from snncompile.errors import ImportMismatchError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.libraries import snntorch
from snncompile.reference.simulate import run_batches

snn = pytest.importorskip("snntorch")

TENSORS = {
    "one number": (0.9, 0.6),
    "no memory of the current": (0.8, 0.0),
    "no leak": (1.0, 0.5),
    "beyond 0..1": (1.5, -0.5),
    "per neuron": (torch.tensor([0.9, 0.8, 1.0, 0.7]), torch.tensor([0.5, 0.0, 0.7, 0.6])),
}


def draw(*shape, rate=0.4):
    return (np.random.default_rng(3).random(shape) < rate).astype(np.float32)


def layer(alpha=0.9, beta=0.6, reset="zero", **options):
    return snn.Alpha(alpha, beta, reset_mechanism=reset, init_hidden=True, **options)


def dense(*layers):
    """Return layers of Alpha behind dense layers that make them fire."""
    torch.manual_seed(1)
    module = nn.Sequential(*(each for a in layers for each in (nn.Linear(4, 4), a)))
    for inner in module[::2]:
        inner.weight.data.normal_(0.5, 2.0)
    return module


def native(module, x):
    """Return what the module computes in float64; its spikes are float32."""
    module, outputs = module.double(), []
    for layer in module[1::2]:
        layer.reset_mem()
    for one in torch.tensor(x).unbind(1):
        for inner in module:
            one = inner(one.double())
        outputs.append(one)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("decays", TENSORS)
def test_it_spikes_as_the_library(decays, reset):
    alpha, beta = TENSORS[decays]
    module = dense(layer(alpha, beta, reset, threshold=0.7), layer(0.8, 0.5, reset))
    x = draw(8, 40, 4)
    network = from_torch(module, x)
    kind = {"zero": "alpha_lif", "subtract": "alpha_soft_lif", "none": "cuba_lif/none"}[reset]
    assert [p.neuron.kind for p in network.populations if p.size > 1] == [kind] * 2
    expected = native(module, x).detach().numpy()
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert 50 < expected.sum() < expected.size


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("name", ["alpha", "beta", "threshold"])
def test_another_parameter_would_be_noticed(monkeypatch, name, reset):
    true = snntorch._read_parameter
    monkeypatch.setattr(
        snntorch, "_read_parameter", lambda m, n, w, s: true(m, n, w, s) + 0.02 * (n == name)
    )
    with pytest.raises(ImportMismatchError):
        from_torch(dense(layer(reset=reset)), draw(8, 60, 4))


class Handed(nn.Module):
    """The user hands the states on; forward returns spikes and potentials."""

    def __init__(self, reset, record):
        super().__init__()
        self.fc, self.record = nn.Linear(4, 4), record
        self.alpha = snn.Alpha(0.9, 0.6, reset_mechanism=reset)
        self.fc.weight.data.normal_(0.5, 2.0, generator=torch.Generator().manual_seed(2))

    def forward(self, x):
        states, spikes, potentials = self.alpha.reset_mem(), [], []
        for one in x:
            spike, *states = self.alpha(self.fc(one), *states)
            spikes.append(spike)
            potentials.append(states[-1])
        return torch.stack(potentials if self.record == "potential" else spikes)


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_states_that_are_handed_on(reset):
    x = draw(6, 30, 4)
    network = from_torch(Handed(reset, "spikes"), x, time="first")
    assert network.run(x).spikes.any()


def test_a_potential_without_reset_is_a_readout():
    x = draw(6, 30, 4)
    module = Handed("none", "potential")
    network = from_torch(module, x, time="first")
    assert network.population(network.output).neuron.name == "readout"
    expected = module.double()(torch.tensor(x).double().transpose(0, 1)).transpose(0, 1)
    np.testing.assert_allclose(network.run(x).spikes, expected.detach().numpy(), rtol=0, atol=1e-11)


REFUSED = {
    "0: threshold must be positive, got -1": lambda: layer(threshold=-1.0),
    "0: Alpha with alpha=0.5 and beta=0.6 has no positive response; alpha must be above beta": (
        lambda: changed(alpha=0.5)
    ),
}


def changed(**values):
    """Return a layer with other parameters than those it was made with, as training may leave."""
    made = layer()
    for name, value in values.items():
        setattr(made, name, torch.tensor(value))
    return made


@pytest.mark.parametrize("message", REFUSED)
def test_refuses_by_name(message):
    with pytest.raises(UnsupportedError) as error:
        from_torch(nn.Sequential(REFUSED[message](), nn.Linear(4, 2), layer()), draw(2, 6, 4))
    assert str(error.value) == message


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_its_integers_fire_alike(chip, reset):
    x = draw(16, 40, 4)
    network = from_torch(dense(layer(reset=reset), layer(0.8, 0.5, reset)), x)
    program = snncompile.compile(network, chip=chip, calibration=x)
    assert max(p.different or 0 for p in program.loss.populations) < 0.05


@pytest.mark.lava
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_lava_computes_the_same_integers(lava, reset):
    x = draw(3, 20, 4)
    network = from_torch(dense(layer(reset=reset), layer(0.8, 0.5, reset)), x)
    made = snncompile.compile(network, chip="loihi2", calibration=x).network
    computed = spike_trains(made, x.astype(bool))
    (batch,) = run_batches(made, x.astype(np.uint8))
    for population in made.populations:
        expected = batch[population.name].numpy()
        np.testing.assert_array_equal(computed[population.name], expected)
        assert expected.any()
