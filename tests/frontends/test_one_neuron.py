"""A layer of one neuron is a layer: at the end, between others and alone, in every library."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from libraries import library
from networks import chain
from priced import wide_chip
from torch import nn

import snncompile
from snncompile.training import IntegrateFire, Lif

snntorch, norse = library("snntorch"), library("norse.torch")
sinabs = library("sinabs.layers")
spikingjelly = library("spikingjelly.activation_based.neuron")
X = (np.random.default_rng(0).random((4, 12, 6)) < 0.5).astype(np.uint8)

NEURONS: dict[str, Callable[[], nn.Module]] = {
    "Leaky": lambda: snntorch.Leaky(0.9, init_hidden=True),
    "Synaptic": lambda: snntorch.Synaptic(0.5, 0.8, init_hidden=True),
    "RLeaky": lambda: snntorch.RLeaky(0.9, linear_features=1, init_hidden=True),
    "RLeaky, one to one": lambda: snntorch.RLeaky(0.9, all_to_all=False, V=0.5, init_hidden=True),
    "IFNode": lambda: spikingjelly.IFNode(),
    "LIFNode": lambda: spikingjelly.LIFNode(),
    "LIFNode, all steps": lambda: spikingjelly.LIFNode(step_mode="m"),
    "sinabs LIF": lambda: sinabs.LIF(tau_mem=5.0, norm_input=False),
    "sinabs LIF with a current": lambda: sinabs.LIF(tau_mem=5.0, tau_syn=2.0, norm_input=False),
    "sinabs IAF": lambda: sinabs.IAF(),
    "norse LIFBoxCell": lambda: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=700.0)),
    "norse IAFCell": lambda: norse.IAFCell(),
    "own Lif": lambda: Lif(),
    "own IntegrateFire": lambda: IntegrateFire(),
}
PLACES: dict[str, tuple[int, ...]] = {"last": (6, 1), "in between": (6, 1, 3), "alone": (1, 1, 1)}


def stack(name: str, sizes: tuple[int, ...]) -> nn.Module:
    """Return layers that are fed well, of one library."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for sources, targets in pairwise(sizes):
        linear = nn.Linear(sources, targets)
        nn.init.constant_(linear.weight, 3.0 if sources == 1 else 0.8)
        layers += [linear, NEURONS["Leaky" if targets > 1 and name[:2] == "RL" else name]()]
    kind = norse.SequentialState if name.startswith("norse") else nn.Sequential
    return kind(*layers).eval()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NEURONS)
def test_one_neuron_is_a_layer(name, place, caplog):
    """The import compares every spike with the module's; here all layers have some."""
    x = X[:, :, : PLACES[place][0]]
    network = snncompile.from_torch(stack(name, PLACES[place]), x)
    assert "nothing was verified" not in caplog.text
    assert network.populations[-1].shape == PLACES[place][-1:]
    spikes = network.run(x).spikes
    assert spikes.shape == (4, 12, PLACES[place][-1])
    assert spikes.mean() > 0


def test_a_readout_of_one_neuron_has_its_bias_once():
    model = norse.SequentialState(nn.Linear(6, 1), norse.LIBoxCell()).double()
    with torch.no_grad():
        first_step, _ = model(torch.tensor(X[:, 0]).double())
    found = snncompile.from_torch(model, X).run(X).spikes[:, 0]
    assert np.allclose(found, first_step.numpy(), rtol=1e-12)


READERS = {"nir": snncompile.from_nir, "netx": snncompile.from_netx}


@pytest.mark.parametrize("sizes", [(3, 1), (3, 1, 2), (1, 1, 1)])
@pytest.mark.parametrize("format", READERS)
def test_one_neuron_goes_through_files(format, sizes, tmp_path):
    chip = wide_chip(4)
    program = snncompile.compile(chain(*sizes), chip=chip, prune=False, formats="netx")
    program.emit(tmp_path / "one", format)
    again = snncompile.compile(READERS[format](tmp_path / "one"), chip=chip, prune=False)
    assert [p.size for p in again.network.populations] == list(sizes[1:])
    x = (np.random.default_rng(0).random((4, 12, sizes[0])) < 0.7).astype(np.uint8)
    spikes = program.run(x).spikes
    assert spikes.any()
    assert np.array_equal(again.run(x).spikes, spikes)
