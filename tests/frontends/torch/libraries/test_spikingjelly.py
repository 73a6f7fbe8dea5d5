"""SpikingJelly: neurons, layers, containers and step modes against the library, and refusals."""

from __future__ import annotations

import itertools
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spiking import spikes
from torch import nn

from snncompile.errors import ImportMismatchError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.libraries import spikingjelly

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
layer = pytest.importorskip("spikingjelly.activation_based.layer")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")


def drive(*shape, seed=0):
    """Return currents around the threshold."""
    return np.random.default_rng(seed).normal(0.5, 1.0, shape)


def native(module, x, mode):
    """Run a module in float64 as a user of the library does; x is (samples, steps, *shape)."""
    module = module.double().eval()
    functional.reset_net(module)
    x = torch.tensor(x).double()
    with torch.no_grad():
        if mode == "m":
            return module(x.transpose(0, 1)).transpose(0, 1).numpy()
        return torch.stack([module(one) for one in x.unbind(1)], dim=1).numpy()


RESETS = {"at 0": 0.0, "below": -0.25, "above": 0.3, "soft": None}
NEURONS = {
    "IFNode": {},
    "SimpleIFNode": {},
    "LIFNode": {"tau": 1.75},
    "LIFNode, input not decayed": {"tau": 1.75, "decay_input": False},
    "SimpleLIFNode": {"tau": 3.0, "decay_input": True},
    "SimpleLIFNode, input not decayed": {"tau": 3.0, "decay_input": False},
    "ParametricLIFNode": {"init_tau": 2.5},
    "ParametricLIFNode, input not decayed": {"init_tau": 2.5, "decay_input": False},
    "CUBALIFNode": {"c_decay": 0.3, "v_decay": 0.8},
}
ROWS = [
    row for row in itertools.product(NEURONS, RESETS) if "Simple" not in row[0] or row[1] != "soft"
]


def model_part(file, name):
    """Return a class of the ready-made networks."""
    return getattr(import_module(f"spikingjelly.activation_based.model.{file}"), name)


def node(name, reset):
    kind = name.split(",")[0]
    return getattr(neuron, kind)(v_threshold=0.9, v_reset=RESETS[reset], **NEURONS[name])


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("name, reset", ROWS)
def test_neurons_spike_as_the_library(name, reset, mode):
    x = drive(20, 40, 4)
    module = node(name, reset)
    module.step_mode = mode
    module.double()
    network = from_torch(module, x)
    expected = native(module, x, mode)
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert 100 < expected.sum() < x.size
    assert network.populations[0].neuron.reset == ("soft" if reset == "soft" else "hard")


ONLINE = {"OTTTLIFNode", "SLTTLIFNode"}


@pytest.mark.parametrize("name", sorted(ONLINE))
@pytest.mark.parametrize("reset", RESETS)
def test_neurons_of_online_training_are_leaky_ones(name, reset):
    """They run single steps only; a number may follow, as in the library's own networks."""
    x, kind = drive(20, 40, 4), getattr(neuron, name)
    scaled, linear = model_part("spiking_vggws_ottt", "Scale"), nn.Linear(4, 3)
    nn.init.constant_(linear.weight, 0.3)
    nn.init.constant_(linear.bias, 0.1)
    module = layer.OTTTSequential(
        kind(tau=1.75, v_threshold=0.9, v_reset=RESETS[reset]), scaled(1.5), linear
    )
    module.append(kind(tau=1.5, v_threshold=0.3, v_reset=0.0))
    module.double()
    network = from_torch(module, x)
    expected = native(module, x, "s")
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert 100 < expected.sum() < expected.size


CLOCK_DRIVEN = {"MultiStepIFNode", "MultiStepLIFNode", "MultiStepParametricLIFNode"}
"""Neurons of older releases; see `test_releases.py`."""


def test_all_neurons_of_the_table_are_tested():
    tested = {name.split(",")[0] for name in NEURONS} | {"HalfThresholdIFNode", "KLIFNode"}
    assert tested | CLOCK_DRIVEN | ONLINE | {"SynapseFilter"} == set(spikingjelly.NEURONS)


def test_starts_at_half_the_threshold():
    x = drive(9, 20, 4)
    module = neuron.HalfThresholdIFNode(v_threshold=0.9).double()
    network = from_torch(module, x)
    assert network.populations[0].neuron.initial == 0.45
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x, "s"))


@pytest.mark.parametrize("reset", ["at 0", "soft"])
def test_fires_at_the_threshold(reset):
    """With quarters every potential meets the threshold exactly, again and again."""
    x = np.random.default_rng(0).integers(-2, 4, (50, 60, 4)) / 4
    module = neuron.IFNode(v_threshold=0.75, v_reset=RESETS[reset]).double()
    network = from_torch(module, x)
    threshold = network.populations[0].neuron.threshold
    assert threshold < 0.75 == np.nextafter(threshold, 1)
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x, "s"))


def test_the_threshold_exceeded_would_be_noticed(monkeypatch):
    x = np.random.default_rng(0).integers(-2, 4, (9, 30, 4)) / 4
    monkeypatch.setattr("snncompile.frontends.torch.dynamics.np.nextafter", lambda a, b: a)
    with pytest.raises(ImportMismatchError):
        from_torch(neuron.IFNode(v_threshold=0.75), x)


@pytest.mark.parametrize("change", [{"potential_decay": 0.4}, {"gain": 0.9}, {"constant": 0.05}])
def test_another_parameter_would_be_noticed(monkeypatch, change):
    true = spikingjelly.Dynamics
    monkeypatch.setattr(spikingjelly, "Dynamics", lambda **own: true(**own | change))
    with pytest.raises(ImportMismatchError):
        from_torch(neuron.LIFNode(tau=2.0, v_reset=-0.25), drive(20, 40, 4))


# Networks, each for input of shape (samples, steps, 2, 8, 8); the modes they take.
def strong(module, seed=0):
    """Return a module with weights that make it lively, and batch norms with statistics."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.ndim:
            continue
        value = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim > 1:
            value = value * 3 / tensor[0].numel() ** 0.5
        elif name.endswith(("weight", "var")):
            value = value.abs() + 0.5
        tensor.data.copy_(value)
    return module


def convolutional():
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, bias=False),
        layer.BatchNorm2d(4),
        neuron.LIFNode(tau=1.75),
        layer.MaxPool2d(2),
        layer.WSConv2d(4, 4, 3),
        neuron.IFNode(v_reset=None),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(4, 6),
        layer.BatchNorm1d(6),
        neuron.ParametricLIFNode(v_threshold=0.25, v_reset=-0.5),
        layer.VotingLayer(2),
    )


class Sew(nn.Module):
    """Residual blocks that add spikes, so that values are 0, 1 or 2."""

    def __init__(self):
        super().__init__()
        block = layer.SeqToANNContainer
        self.conv1 = block(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.conv2 = block(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.conv3 = block(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.nodes = nn.ModuleList(neuron.IFNode(step_mode="m") for _ in range(3))
        self.fc = layer.Linear(4, 3, step_mode="m")

    def forward(self, x):
        a = self.nodes[0](self.conv1(x))
        b = self.nodes[1](self.conv2(a)) + a
        c = self.nodes[2](self.conv3(b)) + b
        return self.fc(c.mean(dim=(-2, -1)))


class ByHand(nn.Module):
    """The library's functions for several time steps."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.lif, self.fc, self.out = neuron.LIFNode(), nn.Linear(144, 3), neuron.IFNode()

    def forward(self, x):
        x = functional.seq_to_ann_forward(x, [self.conv, self.bn])
        x = functional.multi_step_forward(x, [self.lif])
        return functional.multi_step_forward(x.flatten(2), (self.fc, self.out))


def contained():
    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 5)),
        layer.ThresholdDependentBatchNorm1d(1.0, 0.8, 5),
        layer.MultiStepContainer(
            neuron.LIFNode(), layer.Delay(2), nn.Linear(5, 4, bias=False), neuron.IFNode()
        ),
        layer.Linear(4, 3, step_mode="m"),
        neuron.CUBALIFNode(),
    )


def recurrent():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(128, 4),
        layer.LinearRecurrentContainer(neuron.LIFNode(v_reset=None), 4, 4),
        layer.ElementWiseRecurrentContainer(neuron.IFNode(), torch.add),
        nn.Linear(4, 3),
        neuron.IFNode(),
    )


def mixed():
    net = contained()
    net[4].step_mode = "m"
    return net


MODULES = {
    convolutional: "sm",
    Sew: "m",
    ByHand: "m",
    mixed: "m",
    recurrent: "s",
}
CASES = [(make, mode) for make, modes in MODULES.items() for mode in modes]


@pytest.mark.parametrize("make, mode", CASES)
def test_networks_spike_as_the_library(make, mode, golden):
    module, x = strong(make()), spikes(6, 12, 2, 8, 8)
    if len(MODULES[make]) > 1:
        functional.set_step_mode(module, mode)
    network = from_torch(module, x)
    golden(str(network))
    expected = native(module, x, mode)
    ours = network.run(x).spikes
    if network.population(network.output).neuron.spikes:
        np.testing.assert_array_equal(ours, expected)
    else:
        np.testing.assert_allclose(ours, expected, atol=1e-9)
    assert expected.any()
    assert str(from_torch(module, x, time="first" if mode == "m" else "step")) == str(network)


# What is refused, with the whole message.
def scaled(k, **options):
    """Return a KLIFNode whose factor is k."""
    module = neuron.KLIFNode(**options)
    torch.nn.init.constant_(module.k, k)
    return module


REFUSED = {
    "0: PSN is not known; it weighs all time steps and has no reset; use LIFNode or"
    " ParametricLIFNode": lambda: neuron.PSN(T=3),
    "0: GatedLIFNode is not known; its gates mix two resets and two leaks; use ParametricLIFNode": (
        lambda: neuron.GatedLIFNode(T=3)
    ),
    "0: SpikingSelfAttention is not known; it multiplies values of two layers; use a convolution or"
    " a linear layer in its place": lambda: layer.SpikingSelfAttention(4, 2),
    "0: KLIFNode with k=1 and v_reset=-1 is not known; both have to be 0 or more, k above 0": (
        lambda: neuron.KLIFNode(v_reset=-1.0)
    ),
    "0: KLIFNode with k=3 keeps 1.5 of its potential in a time step; use scale_reset=True, or a k"
    " of 1 / (1 - 1 / tau) or less": lambda: scaled(3.0),
    "0: KLIFNode with v_threshold / k=0.5 and v_reset=0.75 fires without input; use a v_threshold"
    " above k * v_reset": lambda: scaled(2.0, scale_reset=True, v_reset=0.75),
    "0: BatchNormThroughTime2d is not known; it differs between time steps; use BatchNorm2d": (
        lambda: layer.BatchNormThroughTime2d(3, 2)
    ),
    "0: IFNode with v_threshold=1 and v_reset=1.5 fires without input; use a v_threshold above"
    " v_reset": lambda: neuron.IFNode(v_reset=1.5),
    "0: the spike function gives 6.14417e-06 at threshold -3; only a step that is 1 at the"
    " threshold and above it and 0 below it is known, use spiking=True": (
        lambda: neuron.IFNode(surrogate_function=surrogate.Sigmoid(spiking=False))
    ),
    "0: CUBALIFNode keeps 1.25 of its potential and 0.5 of its current in a time step; use decays"
    " between 0 and 1": lambda: neuron.CUBALIFNode(v_decay=1.25),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refuses_by_name(message):
    with pytest.raises(UnsupportedError) as error:
        from_torch(nn.Sequential(REFUSED[message](), neuron.IFNode()), spikes(2, 3, 2, 4, 4))
    assert str(error.value) == message


# Random networks.
@st.composite
def nodes(draw):
    """Draw a neuron layer."""
    kind = draw(st.sampled_from(["IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode"]))
    options = {
        "v_threshold": draw(st.floats(0.375, 2.0, width=32)),
        "v_reset": draw(st.none() | st.floats(-1.0, 0.25, width=32)),
    }
    if kind in ("LIFNode", "ParametricLIFNode"):
        options["tau" if kind == "LIFNode" else "init_tau"] = draw(st.floats(1.125, 8, width=32))
        options["decay_input"] = draw(st.booleans())
    return getattr(neuron, kind)(**options)


class Random(nn.Module):
    """Blocks of linear layer, batch norm and neurons, with a skip, a sum or a concatenation."""

    def __init__(self, blocks, joins):
        super().__init__()
        self.blocks, self.joins = nn.ModuleList(blocks), joins

    def forward(self, x):
        for block, join in zip(self.blocks, self.joins, strict=True):
            out = block(x)
            if join == "add" and out.shape == x.shape:
                out = out + x
            x = torch.cat([x, out], dim=-1) if join == "cat" else out
        return x


@st.composite
def modules(draw):
    """Draw (module, size of its input); it ends with a linear layer and neurons."""
    first = size = draw(st.integers(1, 6))
    blocks, joins = [], []
    for last in (*[False] * draw(st.integers(0, 3)), True):
        target = draw(st.integers(1, 6))
        norm = [layer.BatchNorm1d(target)] if draw(st.booleans()) else []
        blocks.append(nn.Sequential(layer.Linear(size, target), *norm, draw(nodes())))
        joins.append("" if last else draw(st.sampled_from(["", "add", "cat"])))
        size = size + target if joins[-1] == "cat" else target
    return strong(Random(blocks, joins), draw(st.integers(0, 99))), first


@settings(max_examples=80)
@given(
    made=modules(), samples=st.integers(1, 4), steps=st.integers(1, 9), mode=st.sampled_from("sm")
)
def test_random_networks_spike_as_the_library(made, samples, steps, mode):
    module, size = made
    functional.set_step_mode(module, mode)
    x = spikes(samples, steps, size)
    network = from_torch(module, x)
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x, mode))


class Potentials(nn.Module):
    """Ends with neurons whose threshold is infinite; their potential is the result."""

    def __init__(self, result):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(layer.Linear(6, 8), neuron.IFNode(v_threshold=0.3))
        self.head = nn.Sequential(
            layer.Linear(8, 3), neuron.LIFNode(v_threshold=float("inf"), store_v_seq=True)
        )
        self.result = result
        functional.set_step_mode(self, "m")

    def forward(self, x):
        spikes = self.head(self.body(x))
        return self.result(spikes, self.head[1].v_seq)


@pytest.mark.parametrize(
    "result, kind",
    [
        (lambda spikes, v: v.mean(0), "mean"),
        (lambda spikes, v: v.sum(0), "sum"),
        (lambda spikes, v: v[-1], "last"),
        (lambda spikes, v: v, "sum"),
    ],
)
def test_potentials_below_an_infinite_threshold_are_a_readout(result, kind):
    module, x = Potentials(result), spikes(4, 7, 6)
    network = from_torch(module, x)
    assert (network.answer.kind, network.notes) == (kind, ())
    assert [type(p.neuron).__name__ for p in network.populations] == ["CubaLif", "Readout"]
    functional.reset_net(module)
    native = module(torch.tensor(x).float().transpose(0, 1)).detach().numpy()
    native = native.sum(0) if native.ndim == 3 else native
    assert np.abs(native - network.run(x).answer).max() < 1e-5


def test_spikes_below_an_infinite_threshold_are_refused():
    with pytest.raises(UnsupportedError) as error:
        from_torch(Potentials(lambda spikes, v: spikes), spikes(4, 7, 6))
    assert str(error.value) == (
        "head.1 never fires, its threshold is infinite; return its potential, in each time step or"
        " as a mean, sum or maximum over them, and nothing else of it"
    )


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("reset", [None, 0.0, 0.25])
@pytest.mark.parametrize("k, scale_reset", [(1.25, False), (0.75, False), (2.0, True), (0.5, True)])
def test_a_factor_before_the_threshold_acts_as_in_the_library(
    k, scale_reset, reset, decay_input, mode
):
    x = drive(20, 40, 4) * (4 if decay_input else 2)
    module = scaled(
        k, scale_reset=scale_reset, v_reset=reset, decay_input=decay_input, step_mode=mode, tau=3.0
    ).double()
    network = from_torch(module, x)
    wanted = native(module, x, mode)
    assert wanted.sum() > 20
    np.testing.assert_array_equal(network.run(x).spikes, wanted)
