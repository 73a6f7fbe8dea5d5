"""Integrate-and-fire networks of the torch libraries on chips that have no other neuron."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from libraries import library as load
from torch import nn

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.hwmodels import chips
from snncompile.passes.equal_neurons import use_equal_neurons

X = (np.random.default_rng(0).random((4, 15, 16)) < 0.3).astype(np.uint8)
CHIPS = ("truenorth", "odin", "speck2", "paicore2")


def spikingjelly(reset):
    neuron = load("spikingjelly.activation_based.neuron")
    return lambda: neuron.IFNode(v_threshold=0.5, v_reset=0.0 if reset == "hard" else None)


def snntorch(reset):
    snntorch = load("snntorch")
    return lambda: snntorch.Leaky(1.0, threshold=0.5, init_hidden=True, reset_mechanism="zero")


def sinabs(reset):
    activation, layers = load("sinabs.activation"), load("sinabs.layers")
    fn = activation.MembraneReset() if reset == "hard" else activation.MembraneSubtract()
    return lambda: layers.IAF(spike_threshold=0.5, spike_fn=activation.SingleSpike, reset_fn=fn)


def norse(reset):
    norse = load("norse.torch")
    return lambda: norse.IAFCell(norse.IAFParameters(v_th=torch.as_tensor(0.5)))


NETWORKS = {
    "spikingjelly, hard": (spikingjelly, "hard"),
    "spikingjelly, soft": (spikingjelly, "soft"),
    "snntorch, hard": (snntorch, "hard"),
    "sinabs, hard": (sinabs, "hard"),
    "sinabs, soft": (sinabs, "soft"),
    "norse, hard": (norse, "hard"),
}


def imported(library, reset):
    torch.manual_seed(0)
    first, second = nn.Linear(16, 12, bias=False), nn.Linear(12, 4, bias=False)
    neuron = library(reset)
    layers = (first, neuron(), second, neuron())
    if library is norse:
        return snncompile.from_torch(load("norse.torch").SequentialState(*layers), X)
    return snncompile.from_torch(nn.Sequential(*layers), X)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_compiles_and_no_spike_of_the_source_changes(name):
    library, reset = NETWORKS[name]
    network = imported(library, reset)
    assert {p.neuron.kind for p in network.populations} == {f"cuba_lif/{reset}"}
    expected = network.run(X).spikes
    assert expected.any()
    for chip in (c for c in CHIPS if (c, reset) != ("odin", "soft")):
        equal = use_equal_neurons(network, chips.load_chip(chip))
        assert (equal.run(X).spikes == expected).all()
        program = snncompile.compile(network, chip=chip, calibration=X, bits=4)
        kinds = {p.neuron.kind for p in program.network.populations}
        assert kinds == {f"integrate_fire/{reset}"}


def test_snntorchs_subtract_is_another_neuron():
    """While a spike leaves the potential above the threshold, it stays silent."""
    neuron = load("snntorch").Leaky(1.0, threshold=0.5, init_hidden=True, reset_delay=False)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 4, bias=False), neuron)
    network = snncompile.from_torch(model, X)
    with pytest.raises(UnsupportedError, match="truenorth has no neuron cuba_lif/strict_soft"):
        snncompile.compile(network, chip="truenorth", calibration=X, bits=4)
