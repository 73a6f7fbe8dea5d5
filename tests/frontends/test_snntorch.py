"""snnTorch neurons: each rule of the translation against the library, and what is refused."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snncompile.errors import ImportMismatchError, InputError, UnsupportedError
from snncompile.frontends import snntorch
from snncompile.frontends.torch_module import from_torch

snn = pytest.importorskip("snntorch")
surrogate = pytest.importorskip("snntorch.surrogate")

MECHANISMS = ("subtract", "zero", "none")


def neuron(kind, mechanism, delayed, **parameters):
    """Return a layer of snnTorch that keeps its own state."""
    options = {"reset_mechanism": mechanism, "reset_delay": delayed, "init_hidden": True}
    own = {"beta": 0.75, **({"alpha": 0.5} if "Synaptic" in kind else {})}
    if kind.startswith("R"):
        own |= {"all_to_all": False, "V": 0.5}
    if kind == "Lapicque":
        del options["reset_delay"], own["beta"]
        own |= {"R": 2.0, "C": 2.0}
        parameters.pop("beta", None)
    return getattr(snn, kind)(**{**own, **options, **parameters})


def exact_spikes(layer, x):
    """Run one neuron layer of the library in float64 on x (samples, steps, n)."""
    layer = layer.double()
    layer.reset_mem()
    x = torch.tensor(x).double()
    return torch.stack([layer(one) for one in x.unbind(1)], dim=1).detach().numpy()


def drive(*shape, seed=0):
    """Return currents around the threshold."""
    return np.random.default_rng(seed).normal(0.4, 1.0, shape)


ROWS = [
    (kind, mechanism, delayed)
    for kind, resets in snntorch.RESETS.items()
    for mechanism, delayed in resets
    if delayed or kind not in ("Lapicque", "RSynaptic")  # the first has no such option
]


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


def test_all_resets_are_translated_or_refused():
    everything = set(itertools.product(snntorch.RESETS, MECHANISMS, (True, False)))
    refused = everything - {(kind, *row) for kind, rows in snntorch.RESETS.items() for row in rows}
    own = {("Lapicque", "subtract", False)}
    kinds = ("Leaky", "Synaptic", "RLeaky")
    assert refused - own == {(kind, "subtract", False) for kind in kinds}
    for kind, mechanism, delayed in sorted(refused - own):
        with pytest.raises(UnsupportedError) as error:
            from_torch(nn.Sequential(neuron(kind, mechanism, delayed)), drive(2, 3, 4))
        assert str(error.value) == (
            f"0: {kind} with reset_mechanism='subtract' and reset_delay=False is not known; use"
            " reset_delay=True"
        )


@pytest.mark.parametrize("kind, mechanism, delayed", ROWS)
def test_another_reset_would_be_noticed(monkeypatch, kind, mechanism, delayed):
    """Every other reset of ours gives other spikes, so none of the rows is there by luck."""
    right = snntorch.RESETS[kind][mechanism, delayed]
    for wrong in {"hard", "soft", "delayed_soft", "delayed_hard", "none"} - {right}:
        row = snntorch.RESETS[kind] | {(mechanism, delayed): wrong}
        monkeypatch.setitem(snntorch.RESETS, kind, row)
        with pytest.raises(ImportMismatchError):
            from_torch(neuron(kind, mechanism, delayed), drive(20, 50, 4) + 0.8)


@pytest.mark.parametrize("name, change", [("beta", 0.01), ("alpha", 0.01), ("threshold", 0.01)])
def test_another_parameter_would_be_noticed(monkeypatch, name, change):
    true = snntorch._parameter
    monkeypatch.setattr(
        snntorch, "_parameter", lambda m, n, w, s: true(m, n, w, s) + change * (n == name)
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
        " 'folded': TypeError: StochasticSpikeOperator.forward() missing 1 required positional"
        " argument: 'variance'"
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


class Spiking(nn.Module):
    """Random layers; states kept by the layers, or by hand in a list."""

    def __init__(self, layers, time, by_hand):
        super().__init__()
        self.layers, self.time, self.by_hand = nn.ModuleList(layers), time, by_hand
        for layer in self.layers:
            if hasattr(layer, "init_hidden"):
                layer.init_hidden = not by_hand

    def forward(self, x):
        states = [
            layer.reset_mem() if self.by_hand and hasattr(layer, "mem") else ()
            for layer in self.layers
        ]
        if self.time == "step":
            return self.step(x, states)
        axis = 0 if self.time == "first" else 1
        return torch.stack([self.step(one, states) for one in x.unbind(axis)], dim=axis)

    def step(self, x, states):
        for index, layer in enumerate(self.layers):
            if not self.by_hand or not hasattr(layer, "mem"):
                x = layer(x)
                continue
            state = states[index]
            out = layer(x, *(state if isinstance(state, tuple | list) else [state]))
            x, states[index] = out[0], out if hasattr(layer, "spk") else out[1:]
        return x


@st.composite
def parameter(draw, low, high, size):
    """Draw one number or one per neuron."""
    shape = draw(st.sampled_from([(), (1,), (size,), (1, size)]))
    count = int(np.prod(shape))
    values = draw(st.lists(st.floats(low, high, width=32), min_size=count, max_size=count))
    return torch.tensor(values).reshape(shape)


@st.composite
def recurrences(draw, size):
    """Draw how the spikes of a layer come back to it."""
    if draw(st.booleans()):
        return {"all_to_all": True, "V": 1.0, "linear_features": size}
    return {"all_to_all": False, "V": draw(parameter(-1.0, 1.0, size))}


@st.composite
def neurons(draw, size):
    """Draw a neuron layer."""
    kind, mechanism, delayed = draw(st.sampled_from(ROWS))
    parameters = {
        "beta": draw(parameter(-0.5, 1.5, size)),
        "threshold": draw(parameter(0.25, 2.0, size)),
        "learn_beta": draw(st.booleans()),
        "learn_threshold": draw(st.booleans()),
    }
    if kind == "Lapicque":
        parameters = {"threshold": parameters["threshold"], "R": 1.0, "C": draw(st.floats(1, 9))}
    if kind.startswith("R"):
        parameters |= draw(recurrences(size))
    if "Synaptic" in kind:
        parameters |= {"alpha": draw(parameter(0.0, 1.0, size)), "learn_alpha": draw(st.booleans())}
    return neuron(kind, mechanism, delayed, **parameters)


@st.composite
def modules(draw):
    """Draw (module, size of its input)."""
    sizes = draw(st.lists(st.integers(1, 8), min_size=2, max_size=5))
    layers = [draw(neurons(sizes[0]))] if draw(st.booleans()) else []
    for sources, targets in itertools.pairwise(sizes):
        layer = nn.Linear(sources, targets, bias=draw(st.booleans()))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        layers += [layer, draw(neurons(targets))]
    time = draw(st.sampled_from(["step", "first", "second"]))
    return Spiking(layers, time, by_hand=time != "step" and draw(st.booleans())), sizes[0]


def run_as_the_user_would(module, x):
    """Return the spikes, shape (samples, steps, n)."""
    for layer in module.layers:
        if hasattr(layer, "mem"):
            layer.reset_mem()
    with torch.no_grad():
        if module.time == "step":
            return torch.stack([module(one) for one in x.unbind(1)], dim=1)
        if module.time == "first":
            return module(x.transpose(0, 1)).transpose(0, 1)
        return module(x)


@settings(max_examples=150)
@given(
    made=modules(),
    samples=st.integers(1, 5),
    steps=st.integers(1, 12),
    seed=st.integers(0, 99),
    floats=st.booleans(),
)
def test_random_networks_spike_as_the_library(made, samples, steps, seed, floats):
    module, size = made
    x = drive(samples, steps, size, seed=seed).astype(np.float32)
    x = x if floats else (x > 0.4).astype(np.float32)
    network = from_torch(module, x)
    assert str(from_torch(module, x, time=module.time)) == str(network)
    last, record = module.layers[-1], []
    last.register_forward_hook(
        lambda m, a, out: record.append(out if torch.is_tensor(out) else out[0])
    )
    given_x = torch.tensor(x)
    with torch.no_grad():
        if module.time == "step":
            for layer in module.layers:
                if hasattr(layer, "mem"):
                    layer.reset_mem()
            for step in range(steps):
                module(given_x[:, step])
        else:
            module(given_x.transpose(0, 1) if module.time == "first" else given_x)
    native = torch.stack(record, dim=1).numpy()
    assert (native != network.run(x).spikes).mean() < 0.02  # float32 against float64
