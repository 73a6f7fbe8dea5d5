"""SpikingJelly's SynapseFilter: values between layers and at the end, and what it may read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.backends.lava.run import spike_trains
from snncompile.errors import SnnCompileError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.reference.simulate import run_batches

pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron


def draw(*shape, rate=0.4):
    return (np.random.default_rng(3).random(shape) < rate).astype(np.float32)


def strong(module):
    """Return a module whose linear layers are large enough to fire."""
    generator = torch.Generator().manual_seed(1)
    for inner in module.modules():
        if isinstance(inner, nn.Linear | nn.Conv2d):
            inner.weight.data.normal_(0.3, 1.0, generator=generator)
    return module


def between(tau=5.0, learnable=False):
    """Return filters between layers and at the end."""
    return nn.Sequential(
        layer.Linear(6, 8),
        neuron.IFNode(v_threshold=2.0),
        layer.SynapseFilter(tau=tau, learnable=learnable),
        layer.Linear(8, 5),
        neuron.LIFNode(v_threshold=2.0),
        layer.SynapseFilter(tau=3.0),
    )


@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("mode", ["s", "m"])
def test_every_value_is_the_librarys(mode, learnable):
    module, x = strong(between(tau=7.3, learnable=learnable)), draw(4, 40, 6)
    functional.set_step_mode(module, mode)
    network = from_torch(module, x)
    assert [p.neuron.name for p in network.populations][1::2] == ["synapse_filter"] * 2
    functional.reset_net(module)
    functional.set_step_mode(module, "m")
    native = module.double()(torch.tensor(x).double().transpose(0, 1)).transpose(0, 1)
    np.testing.assert_array_equal(network.run(x).spikes, native.detach().numpy())
    assert len(np.unique(native.detach())) > 50


def test_the_mean_of_a_filter_is_an_answer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = strong(between())
            functional.set_step_mode(self.inner, "m")

        def forward(self, x):
            return self.inner(x).mean(0)

    network = from_torch(Net(), draw(4, 20, 6), time="first")
    assert str(network.answer) == str(snncompile.ir.answer.Answer("mean"))


def pooled_before():
    return nn.Sequential(layer.MaxPool2d(2), layer.SynapseFilter(4.0), nn.Flatten(), *_end(8))


def convolved():
    front = layer.SynapseFilter(4.0), layer.Conv2d(2, 3, 3), neuron.IFNode(v_threshold=3.0)
    return nn.Sequential(*front, nn.Flatten(), *_end(12))


def pooled_behind():
    return nn.Sequential(layer.SynapseFilter(4.0), layer.AvgPool2d(2), nn.Flatten(), *_end(8))


def _end(size):
    return layer.Linear(size, 5), neuron.IFNode(v_threshold=4.0)


class Counts(nn.Module):
    """A filter of the sum of two layers' spikes, beside one of them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layer.Linear(32, 6), layer.Linear(32, 6)
        self.fire_a, self.fire_b = neuron.IFNode(v_threshold=6.0), neuron.LIFNode(v_threshold=4.0)
        self.filter, self.end = layer.SynapseFilter(9.0), nn.Sequential(*_end(6))

    def forward(self, x):
        x = x.flatten(1)
        a, b = self.fire_a(self.a(x)), self.fire_b(self.b(x))
        return self.end(self.filter(a + b) - 0.5 * a)


class Gated(nn.Module):
    """Filtered values times spikes of now, and a rectifier of values."""

    def __init__(self):
        super().__init__()
        self.fc, self.fire = layer.Linear(32, 6), neuron.IFNode(v_threshold=6.0)
        self.filter, self.end = layer.SynapseFilter(9.0), nn.Sequential(*_end(6))

    def forward(self, x):
        spikes = self.fire(self.fc(x.flatten(1)))
        values = self.filter(spikes)
        return self.end(values * spikes + torch.relu(values - 1.0))


@pytest.mark.parametrize("make", [pooled_before, convolved, pooled_behind, Counts, Gated])
def test_networks_with_filters_are_exact_and_compile(make):
    module, x = strong(make()), draw(3, 20, 2, 4, 4)
    network = from_torch(module, x)
    assert network.run(x).spikes.any()
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert max(p.rate_error or 0 for p in program.loss.populations) < 0.1


def refused(*front):
    return lambda: nn.Sequential(*front)


KNOWN = (
    "a SynapseFilter is known of spikes, as its decay depends on what arrives; {} sends it other"
    " numbers: put it right behind a neuron layer, and linear layers behind it"
)
REFUSED = {
    "layer_1: " + KNOWN.format("input"): (
        lambda: nn.Sequential(layer.Linear(6, 4), layer.SynapseFilter(), *_end(4))
    ),
    "layer_1: " + KNOWN.format("layer_0"): (
        lambda: nn.Sequential(layer.SynapseFilter(), layer.SynapseFilter(), *_end(6))
    ),
    "layer_2: " + KNOWN.format("layer_0"): (
        lambda: nn.Sequential(
            neuron.IFNode(), layer.AvgPool1d(2), layer.SynapseFilter(), nn.Flatten(), *_end(3)
        )
    ),
    "layer_1: a maximum is known of spikes and of currents, layer_0 sends values; put the pool"
    " before it": (
        lambda: nn.Sequential(
            layer.SynapseFilter(), layer.MaxPool1d(2), neuron.IFNode(), nn.Flatten(), *_end(3)
        )
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refuses_what_it_cannot_read(message):
    x = draw(2, 8, 1, 6) if "Pool1d" in str(REFUSED[message]()) else draw(2, 8, 6)
    with pytest.raises(UnsupportedError) as error:
        from_torch(REFUSED[message](), x)
    assert str(error.value) == message


def test_refuses_analog_input():
    with pytest.raises(UnsupportedError) as error:
        from_torch(nn.Sequential(layer.SynapseFilter(), *_end(6)), draw(2, 8, 6) * 0.37)
    assert str(error.value) == "layer_0: " + KNOWN.format("input")


def test_event_counts_are_filtered_as_the_library_does():
    x = np.random.default_rng(1).poisson(0.5, (3, 20, 6))
    network = from_torch(strong(nn.Sequential(layer.SynapseFilter(6.0), *_end(6))), x)
    assert network.input.payload.high > 1
    assert network.run(x).spikes.any()


def test_chips_whose_spikes_carry_no_numbers_name_the_remedy():
    x = draw(3, 20, 6)
    network = from_torch(strong(between()), x)
    with pytest.raises(SnnCompileError) as error:
        snncompile.compile(network, chip="loihi1", calibration=x)
    assert "leave the filter out, or take neurons whose current has a memory" in str(error.value)


@pytest.mark.lava
def test_lava_computes_the_same_integers(lava):
    x = draw(3, 15, 6)
    network = from_torch(strong(between()), x)
    made = snncompile.compile(network, chip="loihi2", calibration=x).network
    computed = spike_trains(made, x.astype(bool))
    (batch,) = run_batches(made, x.astype(np.uint8))
    for population in made.populations:
        expected = batch[population.name].numpy()
        np.testing.assert_array_equal(computed[population.name], expected)
        assert expected.any()
