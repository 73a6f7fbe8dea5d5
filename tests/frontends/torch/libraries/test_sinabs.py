"""sinabs: neurons, spike and reset functions, time layouts against the library, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import library
from torch import nn

from snncompile.errors import ImportMismatchError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.libraries import sinabs as frontend
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.readout import Readout

sinabs = library("sinabs")
layers = library("sinabs.layers")
activation = library("sinabs.activation")
SAMPLES, STEPS = 6, 30


def drive(*shape, seed=0):
    """Return currents around the threshold, shape (samples, steps, *shape)."""
    return np.random.default_rng(seed).normal(0.4, 1.0, (SAMPLES, STEPS, *shape))


def native(module, x):
    """Run a module in float64; it takes (samples, steps, ...), or both in one axis."""
    module = module.double().eval()
    sinabs.reset_states(module)
    for layer in module.modules():
        frontend.LIBRARY.reset(layer)
        if isinstance(layer, nn.Linear | nn.Conv2d):  # spikes are float32
            layer.register_forward_pre_hook(lambda layer, args: args[0].double())
    x = torch.tensor(x).double()
    folded = any(type(layer).__name__.endswith("Squeeze") for layer in module.modules())
    with torch.no_grad():
        out = module(x.flatten(0, 1) if folded else x)
    return out.reshape(SAMPLES, STEPS, *out.shape[1 if folded else 2 :]).numpy()


SINGLE = {"spike_fn": activation.SingleSpike}
HARD = {"reset_fn": activation.MembraneReset()}
FUNCTIONS = {
    "many": {},
    "one": SINGLE,
    "at most two": {"spike_fn": activation.MaxSpike(2)},
    "many, hard": HARD,
    "one, hard": {**SINGLE, **HARD},
    "bounded": {"min_v_mem": -0.25},
    "one, bounded": {**SINGLE, "min_v_mem": -0.5},
}
NEURONS = {
    "IAF": {},
    "IAF with a current": {"tau_syn": 3.0},
    "LIF": {"tau_mem": 4.0, "norm_input": False},
    "LIF of normalised input": {"tau_mem": 4.0},
    "LIF with a current": {"tau_mem": 8.0, "tau_syn": 2.0, "norm_input": False},
    "LIF of trained alphas": {"tau_mem": 5.0, "tau_syn": 2.0, "train_alphas": True},
    "LIF, one tau per neuron": {"tau_mem": torch.tensor([2.0, 3.0, 4.0, 9.0])},
}


@pytest.mark.parametrize("functions", FUNCTIONS)
@pytest.mark.parametrize("name", NEURONS)
def test_neurons_spike_as_the_library(name, functions):
    x = drive(4) * 3
    options = {"spike_threshold": torch.tensor(0.4)} | NEURONS[name] | FUNCTIONS[functions]
    module = getattr(layers, name[:3])(**options)
    network = from_torch(module, x)
    expected = native(module, x)
    assert expected.sum() > 50
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    several = "one" not in functions or "bounded" in functions
    assert (expected.max() > 1) == ("one" not in functions)
    assert isinstance(network.populations[0].neuron, MultiSpikeLif) == several


def test_fires_at_the_threshold():
    """With quarters every potential meets the threshold exactly, again and again."""
    x = np.random.default_rng(0).integers(-2, 4, (SAMPLES, STEPS, 4)) / 4
    for options in ({}, SINGLE, {**SINGLE, **HARD}):
        module = layers.IAF(spike_threshold=torch.tensor(0.75), **options)
        np.testing.assert_array_equal(from_torch(module, x).run(x).spikes, native(module, x))


def test_a_leak_without_spikes_is_a_readout():
    module, x = layers.ExpLeak(tau_mem=5.0), drive(4)
    network = from_torch(module, x)
    assert isinstance(network.populations[0].neuron, Readout)
    np.testing.assert_allclose(network.run(x).spikes, native(module, x), rtol=1e-12, atol=1e-12)


def recurrent(kind, size, **options):
    inner = nn.Sequential(nn.Flatten(), nn.Linear(size, size))
    return getattr(layers, kind)(rec_connect=inner, **options)


@pytest.mark.parametrize("options", [{}, {"tau_syn": 2.0}])
def test_the_bias_of_a_recurrent_connection_is_missing_in_the_first_step(options):
    torch.manual_seed(0)
    usual = {"tau_mem": 3.0, "spike_threshold": torch.tensor(0.2), **SINGLE}
    layer = layers.LIFRecurrent(rec_connect=nn.Linear(4, 4), **usual, **options)
    nn.init.constant_(layer.rec_connect.bias, 0.7)
    module, x = nn.Sequential(nn.Linear(3, 4), layer), drive(3)
    network = from_torch(module, x)
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x))
    assert [p.delay for p in network.out_of("layer_1_late_bias")] == [1]


def dense():
    first = layers.LIF(tau_mem=10.0, spike_threshold=torch.tensor(0.2))
    recurring = recurrent("LIFRecurrent", 6, tau_mem=5.0, spike_threshold=torch.tensor(0.3))
    layer = nn.Sequential(nn.Linear(4, 8), first, nn.Linear(8, 6), recurring)
    return nn.Sequential(*layer, nn.Linear(6, 3), layers.ExpLeak(tau_mem=5.0))


def folded():
    once = {"batch_size": 1}
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        layers.IAFSqueeze(spike_threshold=torch.tensor(0.5), **once),
        layers.SumPool2d(2),
        nn.Conv2d(4, 3, 3),
        nn.Dropout2d(0.5),
        layers.LIFSqueeze(tau_mem=5.0, spike_threshold=torch.tensor(0.3), **once),
        nn.Flatten(),
        nn.Linear(12, 5),
        layers.ExpLeakSqueeze(tau_mem=3.0, **once),
    )


def repeated():
    return nn.Sequential(
        layers.Repeat(nn.Conv2d(2, 3, 3)),
        layers.IAF(spike_threshold=torch.tensor(0.5)),
        nn.Flatten(2),
        nn.Linear(108, 4),
        layers.IAF(spike_threshold=torch.tensor(0.5)),
    )


NETWORKS = {dense: (4,), folded: (2, 8, 8), repeated: (2, 8, 8)}


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_spike_as_the_library(make, golden):
    torch.manual_seed(2)
    module, x = make(), (drive(*NETWORKS[make]) > 0.5).astype(np.uint8)
    network = from_torch(module, x)
    golden(str(network))
    for layer in module.modules():
        frontend.LIBRARY.prepare(layer, SAMPLES, STEPS)
    expected = native(module, x)
    assert expected.any()
    np.testing.assert_allclose(
        network.run(x).spikes.reshape(expected.shape), expected, rtol=1e-12, atol=1e-12
    )


@settings(max_examples=25)
@given(data=st.data())
def test_random_networks_spike_as_the_library(data):
    torch.manual_seed(data.draw(st.integers(0, 10**6)))
    made, size = [], 3
    for _ in range(data.draw(st.integers(1, 3))):
        new = data.draw(st.integers(2, 6))
        name = data.draw(st.sampled_from(list(NEURONS)[:-1]))
        functions = FUNCTIONS[data.draw(st.sampled_from(list(FUNCTIONS)))]
        options = {"spike_threshold": torch.tensor(0.3)} | NEURONS[name] | functions
        made += [nn.Linear(size, new), getattr(layers, name[:3])(**options)]
        size = new
    module, x = nn.Sequential(*made), drive(3, seed=7)
    np.testing.assert_array_equal(from_torch(module, x).run(x).spikes, native(module, x))


@pytest.mark.parametrize("change", [{"potential_decay": 0.1}, {"gain": 0.9}, {"most_spikes": 2}])
def test_another_parameter_would_be_noticed(monkeypatch, change):
    true = frontend.Dynamics
    monkeypatch.setattr(frontend, "Dynamics", lambda **own: true(**own | change))
    with pytest.raises(ImportMismatchError):
        from_torch(layers.LIF(tau_mem=5.0, norm_input=False), drive(4) * 3)


def own(spikes, state, threshold):
    return state


REFUSED = {
    "subtract": (
        {"reset_fn": activation.MembraneSubtract(0.5)},
        "IAF with subtract_value=0.5 is not known; leave it out to subtract the threshold",
    ),
    "reset": (
        {"reset_fn": activation.MembraneReset(0.5)},
        "IAF with reset_value=0.5 is not known; known: MembraneSubtract() and MembraneReset()",
    ),
    "function": (
        {"reset_fn": own},
        "IAF with function is not known; known: MembraneSubtract() and MembraneReset()",
    ),
    "threshold": (
        {"spike_threshold": torch.tensor(-1.0)},
        "spike_threshold must be positive, got -1",
    ),
    "positive": ({"min_v_mem": 0.5}, "min_v_mem must not be positive, got 0.5"),
    "shape": (
        {"spike_threshold": torch.ones(2, 4)},
        "spike_threshold has shape (2, 4) for neurons of shape (4,); give one number or one per"
        " neuron",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_name(name):
    options, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(layers.IAF(**options), drive(4))
    assert str(error.value) == f"IAF: {message}"


OTHERS = {
    "adaptive, bounded": (
        lambda: layers.ALIF(tau_mem=5.0, tau_adapt=5.0, min_v_mem=-1.0),
        "ALIF: ALIF with min_v_mem is not known; use min_v_mem=None, or LIF",
    ),
    "adaptive, several spikes": (
        lambda: layers.ALIF(tau_mem=5.0, tau_adapt=5.0, spike_fn=activation.MultiSpike),
        "ALIF: ALIF with several spikes in a time step is not known; use spike_fn=SingleSpike",
    ),
    "adaptive, of a fixed value": (
        lambda: layers.ALIF(
            tau_mem=5.0, tau_adapt=5.0, reset_fn=activation.MembraneSubtract(subtract_value=1.0)
        ),
        "ALIF: ALIF with subtract_value=1 is not known; leave it out to subtract the threshold",
    ),
    "adaptive, not at all": (
        lambda: layers.ALIF(tau_mem=5.0, tau_adapt=5.0, adapt_scale=-1.0),
        "ALIF: ALIF needs a positive spike_threshold, an adapt_scale of 0 or more, and a v_mem that"
        " its input reaches",
    ),
    "leak": (
        lambda: layers.ExpLeak(tau_mem=5.0, min_v_mem=-1.0),
        "ExpLeak: ExpLeak with min_v_mem is not known; a readout has no lowest potential, use"
        " min_v_mem=None",
    ),
    "recurrence": (
        lambda: layers.IAFRecurrent(rec_connect=nn.Sequential(nn.Linear(4, 4), nn.ReLU())),
        "IAFRecurrent: rec_connect holds Linear, ReLU; one linear layer is known, with Flatten and"
        " Unflatten around it",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_refuses_layers_by_name(name):
    make, message = OTHERS[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(make(), drive(4))
    assert str(error.value) == message


ADAPTIVE = {
    "plain": {},
    "input not normalized": {"norm_input": False, "adapt_scale": 0.4},
    "with a current": {"tau_syn": 3.0},
    "hard reset": {"reset_fn": activation.MembraneReset()},
    "trained": {"train_alphas": True, "spike_threshold": torch.tensor(0.7)},
}


@pytest.mark.parametrize("name", ADAPTIVE)
def test_an_adaptive_threshold_rises_as_the_librarys(name):
    torch.manual_seed(2)
    module = layers.ALIF(tau_mem=4.0, tau_adapt=6.0, **ADAPTIVE[name])
    x = 4 * drive(5)
    network = from_torch(module, x)
    (population,) = network.populations
    assert population.neuron.name == "adaptive_lif"
    wanted = native(module, x)
    assert wanted.sum() > 20
    assert np.array_equal(network.run(x).spikes, wanted)


def test_an_adaptive_layer_may_be_recurrent():
    torch.manual_seed(0)
    connect = nn.Linear(4, 4)
    module = layers.ALIFRecurrent(tau_mem=4.0, tau_adapt=6.0, rec_connect=connect, norm_input=False)
    network = from_torch(module, drive(4))
    assert {p.source for p in network.projections} >= {"input", network.output}
