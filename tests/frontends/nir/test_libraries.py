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


@pytest.mark.parametrize("layers", [integrate, lif, parametric, reset_elsewhere, cuba, convolution])
def test_spikingjelly(tmp_path, layers):
    sj = library("spikingjelly.activation_based")
    for part in ("layer", "neuron", "functional", "nir_exchange"):
        library(f"spikingjelly.activation_based.{part}")
    module = nn.Sequential(*layers(sj))
    sj.functional.set_step_mode(module, "m")
    x = spikes(2, 8, 8) if layers is convolution else spikes(12)
    with quiet():
        graph = sj.nir_exchange.export_to_nir(module, first_steps(x)[:, :1])
    sj.functional.reset_net(module)
    with torch.no_grad():
        native = module.double()(first_steps(x).double()).transpose(0, 1).numpy()
    check(tmp_path, graph, x, native, "spikingjelly")


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
