"""NIR files that snnTorch, SpikingJelly, norse and sinabs write, against their own runs."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from libraries import library, quiet
from torch import nn

from snncompile.frontends.nir.from_nir import from_nir

STEPS = 40


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(4)


def spikes(*shape):
    return (np.random.default_rng(5).random((4, STEPS, *shape)) < 0.3).astype(np.uint8)


def first_steps(x):
    return torch.tensor(x).float().transpose(0, 1)


def check(tmp_path, graph, x, native, origin, **options):
    """Compare the spikes of the file with those of the library; native: (samples, steps, ...)."""
    nir.write(tmp_path / "some.nir", graph, compression=None)  # nir packs no number without shape
    network = from_nir(tmp_path / "some.nir", **options)
    assert network.notes[0].startswith(f"NIR: read as written by {origin} (")
    got = network.run(x.reshape(*x.shape[:2], *network.input.shape)).spikes
    assert native.any()
    np.testing.assert_array_equal(got.reshape(native.shape), native)


def sequence(made, sizes=(12, 20, 5)):
    """Return Linear, neurons, Linear, neurons, ...; `made` are the neurons."""
    layers = []
    for source, target, neurons in zip(sizes, sizes[1:], made, strict=False):
        layers += [nn.Linear(source, target), neurons]
    return layers


def some(size, value):
    return torch.full((size,), value)


def leaky(snntorch):
    first = snntorch.Leaky(some(20, 0.9), threshold=some(20, 0.5), init_hidden=True)
    return [first, snntorch.Leaky(torch.rand(5), threshold=some(5, 0.3), init_hidden=True)]


def synaptic(snntorch):
    decays = some(20, 0.5), some(20, 0.75)
    return [snntorch.Synaptic(*decays, threshold=some(20, 0.5), init_hidden=True)]


def recurrent(snntorch):
    decay = torch.tensor(0.9)
    return [snntorch.RLeaky(decay, linear_features=20, threshold=0.5, init_hidden=True)]


def recurrent_synaptic(snntorch):
    decays = torch.tensor(0.5), torch.tensor(0.9)
    return [snntorch.RSynaptic(*decays, linear_features=20, threshold=0.5, init_hidden=True)]


@pytest.mark.parametrize("neurons", [leaky, synaptic, recurrent, recurrent_synaptic])
def test_snntorch(tmp_path, neurons):
    export = library("snntorch.export_nir").export_to_nir
    module, x = nn.Sequential(*sequence(neurons(library("snntorch")))), spikes(12)
    with quiet():
        graph = export(module, torch.tensor(x[:1, 0]).float(), ignore_dims=[0])
    for layer in module:
        for reset in ("reset_mem", "reset_hidden"):
            getattr(layer, reset, lambda: None)()
    with torch.no_grad():
        native = torch.stack([module(step) for step in first_steps(x)], 1).numpy()
    check(tmp_path, graph, x, native, "snntorch")


def test_float32_numbers_are_put_back(tmp_path):
    """With quarters every potential meets the threshold, so the last bit of a decay counts."""
    snntorch, export = library("snntorch"), library("snntorch.export_nir").export_to_nir
    layer = snntorch.Leaky(some(6, 0.75), threshold=some(6, 1.0), init_hidden=True)
    module, x = nn.Sequential(nn.Linear(12, 6, bias=False), layer), spikes(12)
    with torch.no_grad():
        module[0].weight.copy_(torch.randint(-2, 4, (6, 12)) / 4)
    with quiet():
        graph = export(module, torch.tensor(x[:1, 0]).float(), ignore_dims=[0])
    layer.reset_mem()
    with torch.no_grad():
        native = torch.stack([module(step) for step in first_steps(x)], 1).numpy()
    check(tmp_path, graph, x, native, "snntorch")
    network = from_nir(tmp_path / "some.nir")
    assert (network.populations[0].neuron.potential_decay == 0.25).all()
    assert (network.projections[0].synapses.weight * 4 % 1 == 0).all()


def integrate(sj):
    return sequence([sj.neuron.IFNode(0.5), sj.neuron.IFNode()])


def lif(sj):
    second = sj.neuron.LIFNode(3.0, False, 0.3)
    return sequence([sj.neuron.LIFNode(2.0, v_threshold=0.2), second])


def parametric(sj):
    return sequence([sj.neuron.ParametricLIFNode(2.0, False, v_threshold=0.3)])


def reset_elsewhere(sj):
    second = sj.neuron.LIFNode(4.0, False, v_threshold=0.2, v_reset=0.05)
    return sequence([sj.neuron.LIFNode(2.0, v_threshold=0.2, v_reset=-0.1), second])


def cuba(sj):
    return sequence([sj.neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75)])


def convolution(sj):
    first = [sj.layer.Conv2d(2, 4, 3, padding=1), sj.neuron.IFNode(0.5), sj.layer.AvgPool2d(2)]
    return [*first, sj.layer.Flatten(), nn.Linear(64, 10), sj.neuron.IFNode(0.5)]


# Layers, and whether the file of a time step other than 1e-4 s tells it.
JELLY = {
    integrate: True,
    lif: False,
    parametric: False,
    reset_elsewhere: False,
    cuba: True,
    convolution: True,
}


@pytest.mark.parametrize("dt", [1e-4, 2e-3])
@pytest.mark.parametrize("layers", JELLY)
def test_spikingjelly(tmp_path, layers, dt):
    sj = library("spikingjelly.activation_based")
    for part in ("layer", "neuron", "functional", "nir_exchange"):
        library(f"spikingjelly.activation_based.{part}")
    module = nn.Sequential(*layers(sj))
    sj.functional.set_step_mode(module, "m")
    x = spikes(2, 8, 8) if layers is convolution else spikes(12)
    with quiet():
        graph = sj.nir_exchange.export_to_nir(module, first_steps(x)[:, :1], dt=dt)
    sj.functional.reset_net(module)
    with torch.no_grad():
        native = module.double()(first_steps(x).double()).transpose(0, 1).numpy()
    given = {} if JELLY[layers] or dt == 1e-4 else {"dt": dt}
    check(tmp_path, graph, x, native, "spikingjelly", **given)


def box(norse):
    make = norse.LIFBoxParameters
    return [norse.LIFBoxCell(make(v_th=torch.tensor(th))) for th in (0.05, 0.02)]


def box_with_leak(norse):
    made = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor(250.0), v_leak=torch.tensor(0.05), v_th=torch.tensor(0.1)
    )
    return [norse.LIFBoxCell(made)]


def lif_of_norse(norse):
    return [norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1)))]


def integrate_of_norse(norse):
    return [norse.IAFCell(norse.IAFParameters(v_th=torch.tensor(0.5)))]


NORSE = [box, box_with_leak, lif_of_norse, integrate_of_norse]


@pytest.mark.parametrize("neurons", NORSE)
def test_norse(tmp_path, neurons):
    norse, export = library("norse.torch"), library("norse.torch.utils.export_nir")
    module, x = norse.SequentialState(*sequence(neurons(norse))), spikes(12)
    with quiet():
        graph = export.to_nir(module, first_steps(x)[0, :1])
    state, native = None, []
    with torch.no_grad():
        for step in first_steps(x):
            out, state = module(step, state)
            native.append(out)
    check(tmp_path, graph, x, torch.stack(native, 1).numpy(), "norse")


def integrate_of_sinabs(layers, **options):
    return [layers.IAF(spike_threshold=some(20, 0.25), **options)]


def lif_of_sinabs(layers, **options):
    return [layers.LIF(some(20, 5.0), spike_threshold=some(20, 0.1), **options)]


@pytest.mark.parametrize("spikes_per_step", ["one", "many"])
@pytest.mark.parametrize("neurons", [integrate_of_sinabs, lif_of_sinabs])
def test_sinabs(tmp_path, neurons, spikes_per_step):
    sinabs, export = library("sinabs"), library("sinabs.nir")
    single = {"spike_fn": library("sinabs.activation").SingleSpike}
    options = single if spikes_per_step == "one" else {}
    module = nn.Sequential(*sequence(neurons(library("sinabs.layers"), **options)))
    x = spikes(12)
    with quiet():
        graph = export.to_nir(module, torch.tensor(x[:1]).float())
    sinabs.reset_states(module)
    with torch.no_grad():
        native = module(torch.tensor(x).float()).numpy()
    assert (native.max() > 1) == (spikes_per_step == "many")
    given = {"spikes_per_step": "one"} if spikes_per_step == "one" else {}
    check(tmp_path, graph, x, native, "sinabs", **given)


# spyx and Rockpool, which are not installed: their exporters' numbers and their steps, rewritten
# from spyx 1.0.0 (nir.py, nn.py) and rockpool 3.1.0 (nir.py, lif_torch.py).

OTHERS_SHARES = np.array([0.8, 0.5, 0.9, 0.75, 0.6])


def graph_of(weights, neurons):
    ends = [("input", nir.Input(np.array([12]))), ("output", nir.Output(np.array([5])))]
    middle = [("l0", nir.Linear(weights[0])), ("n0", neurons[0]), ("l1", nir.Linear(weights[1]))]
    names = dict([ends[0], *middle, ("n1", neurons[1]), ends[1]])
    edges = list(zip(names, list(names)[1:], strict=False))
    return nir.NIRGraph(names, edges, type_check=False)


def two_weights():
    rng = np.random.default_rng(7)
    return rng.normal(0, 0.5, (5, 12)), rng.normal(0.2, 0.6, (5, 5))


def spyx_layer(kind, beta, x):
    """Run one layer of spyx: it fires on the potential of the step before."""
    alpha, v, i, out = 0.7, np.zeros((4, 5)), np.zeros((4, 5)), []
    for step in np.moveaxis(x, 1, 0):
        s = (v > 1) * 1.0
        out.append(s)
        if kind == "CubaLIF":
            i = alpha * i + step
            v = beta * (v - s) + i
        else:
            v = (1.0 if kind == "IF" else beta) * v + step - s
    return np.stack(out, 1)


@pytest.mark.parametrize("dt", [1.0, 0.01])
@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "IF"])
def test_spyx(tmp_path, kind, dt):
    beta, one, weights, x = OTHERS_SHARES, np.ones(5, np.float32), two_weights(), spikes(12)
    beta32 = beta.astype(np.float32)
    tau = {"v_leak": 0 * one, "v_threshold": one, "r": beta32}
    neurons = {
        "LIF": lambda: nir.LIF(tau=dt / (1 - beta32), **tau),
        "CubaLIF": lambda: nir.CubaLIF(
            tau_mem=dt / (1 - beta32), tau_syn=dt / (1 - 0.7 * one), **tau
        ),
        "IF": lambda: nir.IF(one, one),
    }[kind]
    graph = graph_of(weights, (neurons(), neurons()))
    names = {"l0": "layer_0", "n0": "layer_1", "l1": "layer_2", "n1": "layer_3"}
    graph.nodes = {names.get(name, name): node for name, node in graph.nodes.items()}
    graph.edges = [(names.get(a, a), names.get(b, b)) for a, b in graph.edges]
    nir.write(tmp_path / "some.nir", graph)
    network = from_nir(tmp_path / "some.nir")
    assert network.notes[0].startswith("NIR: read as written by spyx (")
    native = spyx_layer(kind, beta, spyx_layer(kind, beta, x @ weights[0].T) @ weights[1].T)
    assert native.any()
    np.testing.assert_array_equal(network.run(x).spikes[:, :-1], native[:, 1:])


def test_a_recurrent_layer_of_spyx(tmp_path):
    """The input is added beside the recurrence, though the exporter writes it in front of it."""
    beta, one = np.full(5, 0.75, np.float32), np.ones(5, np.float32)
    (w_in, w_rec), x = two_weights(), spikes(12)
    inner = nir.NIRGraph(
        {
            "layer_1.lif": nir.LIF(1 / (1 - beta), beta, 0 * one, one),
            "layer_1.w_rec": nir.Linear(w_rec),
            "layer_1.input": nir.Input(np.array([5])),
            "layer_1.output": nir.Output(np.array([5])),
        },
        [
            ("layer_1.input", "layer_1.w_rec"),
            ("layer_1.w_rec", "layer_1.lif"),
            ("layer_1.lif", "layer_1.w_rec"),
            ("layer_1.lif", "layer_1.output"),
        ],
        type_check=False,
    )
    nodes = {"input": nir.Input(np.array([12])), "layer_0": nir.Linear(w_in), "layer_1": inner}
    nodes["output"] = nir.Output(np.array([5]))
    edges = [("input", "layer_0"), ("layer_0", "layer_1"), ("layer_1", "output")]
    nir.write(tmp_path / "some.nir", nir.NIRGraph(nodes, edges, type_check=False))
    network = from_nir(tmp_path / "some.nir")
    v, native = np.zeros((4, 5)), []
    for step in np.moveaxis(x, 1, 0):
        s = (v > 1) * 1.0
        v = 0.75 * v + step @ w_in.T + s @ w_rec.T - s
        native.append(s)
    native = np.stack(native, 1)
    assert native.any()
    np.testing.assert_array_equal(network.run(x).spikes[:, :-1], native[:, 1:])


def rockpool_layer(x, alpha, beta):
    i, v, out = np.zeros((4, 5)), np.zeros((4, 5)), []
    for step in np.moveaxis(x, 1, 0):
        i = alpha * (i + step)
        v = beta * v + i
        s = np.clip(np.floor(v / 0.9), 0, None)
        v = v - s * 0.9
        out.append(s)
    return np.stack(out, 1)


@pytest.mark.parametrize("dt", [1e-3, 2e-4])
def test_rockpool(tmp_path, dt):
    tau_mem, one = np.array([5.0, 10, 15, 20, 25]) * dt, np.ones(5)
    tau_syn, weights, x = 2 * dt, two_weights(), spikes(12)
    r = tau_mem * np.exp(-dt / tau_mem) / dt
    neurons = [nir.CubaLIF(tau_syn * one, tau_mem, r, 0 * one, 0.9 * one) for _ in "ab"]
    nir.write(tmp_path / "some.nir", graph_of(weights, neurons))
    network = from_nir(tmp_path / "some.nir")
    assert network.notes[0].startswith("NIR: read as written by rockpool (")
    shares = np.exp(-dt / tau_syn), np.exp(-dt / tau_mem)
    native = rockpool_layer(rockpool_layer(x @ weights[0].T, *shares) @ weights[1].T, *shares)
    assert native.max() > 1
    np.testing.assert_array_equal(network.run(x).spikes, native)
