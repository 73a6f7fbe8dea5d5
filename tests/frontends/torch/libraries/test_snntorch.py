"""snnTorch neurons: each rule of the translation against the library, and what is refused."""

from __future__ import annotations

import itertools
import warnings
from typing import get_args

import numpy as np
import pytest
import torch
from snntorch_layers import MECHANISMS, ROWS, drive, neuron
from torch import nn

from snncompile.errors import ImportMismatchError, InputError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.libraries import snntorch
from snncompile.neurons.cuba_lif import Reset

snn = pytest.importorskip("snntorch")
surrogate = pytest.importorskip("snntorch.surrogate")


def exact_spikes(layer, x):
    """Run one neuron layer of the library in float64 on x (samples, steps, n)."""
    layer = layer.double()
    layer.reset_mem()
    x = torch.tensor(x).double()
    return torch.stack([layer(one) for one in x.unbind(1)], dim=1).detach().numpy()


@pytest.mark.parametrize("kind, mechanism, delayed", ROWS)
@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 1.5, -1.0])
def test_every_reset_spikes_as_the_library(kind, mechanism, delayed, beta):
    x = drive(20, 50, 4).astype(np.float32)
    layer = neuron(kind, mechanism, delayed, beta=beta, threshold=0.75)
    network = from_torch(layer, x)
    assert network.populations[0].neuron.reset == snntorch.RESETS[kind][mechanism, delayed]
    expected = exact_spikes(layer, x)
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert 100 < expected.sum() < x.size


def test_all_resets_are_translated():
    everything = set(itertools.product(snntorch.RESETS, MECHANISMS, (True, False)))
    assert everything == {(kind, *row) for kind, rows in snntorch.RESETS.items() for row in rows}


OWN = {"Leaky": {}, "Synaptic": {"alpha": 0.0}, "RLeaky": {"V": 0.0}}


@pytest.mark.parametrize("kind", OWN)
def test_a_reset_taken_back_is_rounded_as_in_the_library(kind):
    """It takes 0.1 off and puts it back, and stays just below the 0.1 the third input aims at."""
    threshold = torch.tensor(0.1, dtype=torch.float64)
    layer = neuron(kind, "subtract", False, beta=1.0, threshold=threshold, **OWN[kind]).double()
    x = np.array([0.36, -0.43, 0.27]).reshape(1, 3, 1)
    expected = exact_spikes(layer, x)
    assert expected.ravel().tolist() == [1, 0, 0]
    np.testing.assert_array_equal(from_torch(layer, x).run(x).spikes, expected)


def test_an_attribute_that_the_library_does_not_read_changes_nothing():
    layer = neuron("Lapicque", "zero", True)
    layer.reset_delay = False
    assert from_torch(layer, drive(20, 50, 4)).populations[0].neuron.reset == "delayed_hard"


@pytest.mark.parametrize("kind, mechanism, delayed", ROWS)
def test_another_reset_would_be_noticed(monkeypatch, kind, mechanism, delayed):
    """Every other reset of ours gives other spikes, so none of the rows is there by luck."""
    right = snntorch.RESETS[kind][mechanism, delayed]
    for wrong in set(get_args(Reset)) - {right}:
        row = snntorch.RESETS[kind] | {(mechanism, delayed): wrong}
        monkeypatch.setitem(snntorch.RESETS, kind, row)
        with pytest.raises(ImportMismatchError):
            from_torch(neuron(kind, mechanism, delayed), drive(20, 50, 4) + 0.8)


@pytest.mark.parametrize("name, change", [("beta", 0.01), ("alpha", 0.01), ("threshold", 0.01)])
def test_another_parameter_would_be_noticed(monkeypatch, name, change):
    true = snntorch._read_parameter
    monkeypatch.setattr(
        snntorch, "_read_parameter", lambda m, n, w, s: true(m, n, w, s) + change * (n == name)
    )
    with pytest.raises(ImportMismatchError):
        from_torch(neuron("Synaptic", "subtract", True), drive(20, 100, 4))


SHAPES = [(), (1,), (4,), (1, 4), (1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("learn", [True, False])
def test_parameters_are_one_number_or_one_per_neuron(shape, learn):
    generator = torch.Generator().manual_seed(1)

    def values(low, high):
        return low + (high - low) * torch.rand(shape, generator=generator)

    layer = neuron(
        "Synaptic",
        "subtract",
        True,
        alpha=values(0.2, 0.9),
        beta=values(0.2, 0.9),
        threshold=values(0.5, 2),
        learn_alpha=learn,
        learn_beta=learn,
        learn_threshold=learn,
    )
    x = drive(5, 40, 4).astype(np.float32)
    network = from_torch(layer, x)
    ours = network.populations[0].neuron
    size = int(np.prod(shape))
    assert ours.threshold.shape == ours.current_decay.shape == ((4,) if size == 4 else ())
    np.testing.assert_array_equal(network.run(x).spikes, exact_spikes(layer, x))


def test_parameters_of_neurons_with_a_shape_of_their_own(golden):
    layer = neuron("Leaky", "zero", True, beta=torch.tensor([[0.5], [0.25]]), threshold=1)
    network = from_torch(layer, drive(3, 20, 2, 3))
    golden(str(network))
    assert network.populations[0].neuron.potential_decay.tolist() == [0.5] * 3 + [0.75] * 3


def test_a_bias_of_a_leaky_layer_is_the_bias_of_its_neurons(golden):
    golden(str(from_torch(_with_bias("Leaky", [0.5, -0.25]), drive(3, 20, 1))))


def test_a_bias_of_a_synaptic_layer_comes_from_a_neuron_that_always_fires(golden):
    network = from_torch(_with_bias("Synaptic", [0.5, -0.25]), drive(3, 20, 1))
    golden(str(network))
    assert from_torch(_with_bias("Synaptic", [0.0, 0.0]), drive(3, 20, 1)).projections[1:] == ()


def test_a_synaptic_layer_without_memory_has_a_bias():
    net = _with_bias("Synaptic", [0.5, -0.25], alpha=0.0)
    assert len(from_torch(net, drive(3, 20, 1)).populations) == 1


def test_a_bias_of_neurons_of_which_one_has_memory():
    net = _with_bias("Synaptic", [0.5, -0.25], alpha=torch.tensor([0.0, 0.5]))
    assert len(from_torch(net, drive(3, 20, 1)).populations) == 2


def _with_bias(kind, bias, **parameters):
    linear = nn.Linear(1, 2)
    with torch.no_grad():
        linear.weight.fill_(1.0)
        linear.bias.copy_(torch.tensor(bias))
    return nn.Sequential(linear, neuron(kind, "subtract", True, **parameters))


# Features without a counterpart, with the whole message.
def _loaded_with_another_reset():
    layer = neuron("Leaky", "zero", True)
    layer.load_state_dict(neuron("Leaky", "none", True).state_dict())
    return layer


def _changed_reset():
    layer = neuron("Leaky", "subtract", True)
    layer.reset_mechanism = "zero"
    return layer


def _inhibiting():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns that the feature is unstable
        return neuron("Leaky", "subtract", True, inhibition=True)


ONLY_A_STEP = "; only a step that is 1 above the threshold and 0 at it and below is known"

FEATURES = {
    "inhibition": (_inhibiting, "Leaky with inhibition is not known; switch it off"),
    "state_quant": (
        lambda: neuron("Synaptic", "zero", True, state_quant=torch.round),
        "Synaptic with state_quant is not known; switch it off",
    ),
    "graded": (
        lambda: neuron("Leaky", "zero", True, graded_spikes_factor=2.0),
        "Leaky with graded_spikes_factor=2 is not known; spikes are 0 or 1, move the factor into"
        " the weights of the next layer",
    ),
    "graded per neuron": (
        lambda: neuron("Leaky", "zero", True, graded_spikes_factor=torch.tensor([1.0, 1, 1, 0])),
        "Leaky with graded_spikes_factor=one of 4 values is not known; spikes are 0 or 1, move the"
        " factor into the weights of the next layer",
    ),
    "at threshold": (
        lambda: neuron("Leaky", "zero", True, spike_grad=lambda v: (v >= 0).float()),
        f"the spike function gives 1 at threshold +0{ONLY_A_STEP}",
    ),
    "sigmoid": (
        lambda: neuron("Leaky", "zero", True, spike_grad=torch.sigmoid),
        f"the spike function gives 0.0474259 at threshold -3{ONLY_A_STEP}",
    ),
    "threshold": (
        lambda: neuron("Leaky", "zero", True, threshold=0.0),
        "threshold must be positive, got 0",
    ),
    "reset changed": (
        _changed_reset,
        "reset_mechanism was changed to 'zero' after the layer was made with 'subtract', which it"
        " still computes with; make a new layer",
    ),
    "reset loaded": (
        _loaded_with_another_reset,
        "reset_mechanism was changed to 'none' after the layer was made with 'zero', which it"
        " still computes with; make a new layer",
    ),
}


@pytest.mark.parametrize("name", FEATURES)
def test_refuses_features_by_name(name):
    make, message = FEATURES[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(nn.Sequential(make()), drive(2, 3, 4))
    assert str(error.value) == f"0: {message}"


def test_refuses_a_parameter_that_is_not_finite():
    with pytest.raises(InputError) as error:
        from_torch(nn.Sequential(neuron("Leaky", "zero", True, beta=np.nan)), drive(2, 3, 4))
    assert str(error.value) == "0.beta: 1 of 1 values are not finite"


def test_refuses_a_parameter_per_sample():
    """It runs as long as there are as many samples, and means nothing for a network."""
    layer = neuron("Leaky", "zero", True, beta=torch.tensor([[0.5], [0.25]]))
    with pytest.raises(UnsupportedError) as error:
        from_torch(nn.Sequential(layer), drive(2, 3, 4))
    assert str(error.value) == (
        "0: beta has shape (2, 1) for neurons of shape (4,); give one number or one per neuron"
    )


STEPS = [
    None,
    surrogate.atan(),
    surrogate.fast_sigmoid(),
    surrogate.sigmoid(),
    surrogate.straight_through_estimator(),
    surrogate.triangular(),
    surrogate.spike_rate_escape(),
    surrogate.SSO(),
    surrogate.SFS(),
]


@pytest.mark.parametrize("function", STEPS)
def test_all_surrogates_that_step_are_known(function):
    from_torch(neuron("Leaky", "subtract", True, spike_grad=function), drive(2, 9, 4))
    disabled = neuron("Leaky", "subtract", True, spike_grad=function, surrogate_disable=True)
    from_torch(disabled, drive(2, 9, 4))


def test_an_error_of_the_library_is_said_once():
    """`LSO` of snntorch 1.0.0 calls the wrong operator."""
    with pytest.raises(InputError) as error:
        from_torch(neuron("Leaky", "zero", True, spike_grad=surrogate.LSO()), drive(2, 3, 4))
    assert str(error.value) == (
        "Leaky does not run on 2 samples of 3 time steps; tried time='step', 'first', 'second',"
        " 'folded', 'last', 'inside': TypeError: StochasticSpikeOperator.forward() missing 1"
        " required positional argument: 'variance'"
    )


def test_stochastic_spikes_are_refused():
    layer = neuron("Leaky", "zero", True, spike_grad=lambda v: torch.bernoulli(v.sigmoid()))
    with pytest.raises(UnsupportedError, match="the spike function gives"):
        from_torch(layer, drive(2, 9, 4))


@pytest.mark.parametrize("output", [True, False])
def test_a_layer_may_return_its_state(output):
    module = nn.Sequential(nn.Linear(3, 4), neuron("Synaptic", "zero", True, output=output))
    assert len(from_torch(module, drive(2, 9, 3), time="step").populations) == 2


def test_a_float64_module_keeps_its_precision():
    """The library's spikes are float32, which would round `reset * threshold` to float32."""
    threshold = torch.tensor(0.1, dtype=torch.float64)
    layer = neuron("Leaky", "subtract", True, beta=1.0, threshold=threshold).double()
    x = np.full((1, 2, 1), 0.1 + 1e-12)
    network = from_torch(layer, x)
    assert network.populations[0].neuron.threshold == 0.1
