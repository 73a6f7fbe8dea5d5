"""Wrappers are opened, ready-made networks are looked into; all obstacles are listed at once."""

from __future__ import annotations

import warnings

import pytest
import torch
from libraries import library, quiet
from spiking import leaky, linear, spikes
from torch import nn
from torch.nn.utils import parametrizations, prune

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import find_layout
from snncompile.frontends.torch.from_torch import from_torch

pytest.importorskip("snntorch")


def sequential(first=None):
    return nn.Sequential(first or linear(6, 5), leaky(), linear(5, 3, seed=2), leaky())


def compiled_inside():
    net = sequential()
    net[0] = torch.compile(net[0], backend="eager")
    return net


def compiled_in_place():
    net = sequential()
    net.compile(backend="eager")
    return net


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sequential(nn.utils.weight_norm(linear(6, 5)))


class Layers(torch.fx.Tracer):
    def is_leaf_module(self, module, name):
        return not isinstance(module, nn.Sequential)


def traced_by_fx():
    net = sequential()
    return torch.fx.GraphModule(net, Layers().trace(net))


WRAPPED = {
    "DataParallel": lambda: nn.DataParallel(sequential()),
    "compiled": lambda: torch.compile(sequential(), backend="eager"),
    "both": lambda: torch.compile(nn.DataParallel(sequential()), backend="eager"),
    "compiled inside": compiled_inside,
    "compiled in place": compiled_in_place,
    "weight norm": lambda: sequential(parametrizations.weight_norm(linear(6, 5))),
    "old weight norm": old_weight_norm,
    "fx": traced_by_fx,
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_are_opened(name):
    with quiet():
        module, x = WRAPPED[name](), spikes(4, 9, 6)
    assert str(from_torch(module, x)) == str(from_torch(sequential(), x))


SETTLED = {
    "spectral norm": parametrizations.spectral_norm,
    "old spectral norm": nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.parametrize("name", SETTLED)
def test_computed_weights_are_computed_once_and_the_module_stays(name):
    with quiet():
        module = sequential(SETTLED[name](linear(6, 5)))
    module.eval()
    x = torch.tensor(spikes(1, 1, 6)).float()[0]
    before = module[0](x)
    network = from_torch(module, spikes(4, 9, 6) * 4)
    assert torch.equal(module[0](x), before)
    weight = torch.tensor(network.projections[0].synapses.weight).float()
    assert torch.equal(module[0].weight, weight)


def test_a_network_made_by_sinabs_is_looked_into():
    pytest.importorskip("sinabs")
    made = library("sinabs.from_torch").from_model
    with quiet():
        ann = nn.Sequential(linear(6, 5), nn.ReLU(), linear(5, 3), nn.ReLU())
        module = made(ann, batch_size=1, input_shape=(6,))
    network = from_torch(module, spikes(4, 9, 6))
    assert [p.name for p in network.populations] == ["spiking_model_1", "spiking_model_3"]


def test_a_scripted_layer_has_its_remedy():
    with quiet():
        module = nn.Sequential(leaky(), torch.jit.script(nn.Linear(3, 3)))
    with pytest.raises(UnsupportedError) as error:
        from_torch(module, spikes(2, 3, 3))
    assert str(error.value) == (
        "1: RecursiveScriptModule is not known; a scripted module hides its layers; give the module"
        " from before torch.jit"
    )


def test_all_obstacles_are_listed_before_anything_is_traced(monkeypatch):
    monkeypatch.setattr(find_layout, "_trace", None)
    module = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1),
        leaky(graded_spikes_factor=2.0),
        nn.GELU(),
        nn.Flatten(),
        nn.LayerNorm(9),
        leaky(),
    )
    with pytest.raises(UnsupportedError) as error:
        from_torch(module, spikes(2, 3, 1, 3, 3))
    places = [obstacle.message.partition(":")[0] for obstacle in error.value.obstacles]
    assert str(error.value).startswith("3 things stand in the way:\n  2: GELU is not known; ")
    assert places == ["2", "4", "1"]
