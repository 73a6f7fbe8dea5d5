"""Layers over their window: compiled steps are those of the neurons' records in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snncompile.conversion import layerwise
from snncompile.ir.graph import Population
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.neurons.window_readout import WindowReadout

RNG = np.random.default_rng(3)
NEURONS = {
    "soft": IntegrateFire(RNG.uniform(0.5, 2, 30), RNG.normal(0, 0.2, 30), initial=0.5),
    "soft, one of all": IntegrateFire(1.0, 0.1, initial=0.25),
    "signed": SignedIntegrateFire(RNG.uniform(0.5, 2, 30), -0.3, RNG.normal(0, 0.2, 30)),
    "signed, from a half": SignedIntegrateFire(1.0, 0.0, RNG.normal(0, 0.2, 30), initial=0.5),
}


TIES = {
    "soft": IntegrateFire(1.0, initial=0.5),
    "signed": SignedIntegrateFire(1.0, -0.5),
    "signed, at 0": SignedIntegrateFire(1.0),
}
"""Neurons of halves, whose potentials meet their thresholds exactly when the input is halves."""


def step_by_step(neuron, drive):
    bound = neuron.bind(lambda a: torch.tensor(a, dtype=torch.float32))
    state, outputs = bound.begin(torch.zeros_like(drive[:, 0])), []
    for x in drive.unbind(1):
        state, output = bound.step(state, x)
        outputs.append(output.to(torch.int8))
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("name", NEURONS)
def test_every_spike_is_that_of_the_record(name):
    drive = torch.tensor(RNG.normal(0.2, 1, (7, 40, 30)), dtype=torch.float32)
    population = Population("a", (30,), NEURONS[name])
    got = layerwise.run_population(population, [drive[:4], drive[4:]])
    assert layerwise._choose_kernel(population.neuron)
    assert got.dtype == torch.int8
    assert torch.equal(got, step_by_step(population.neuron, drive))
    assert {-1, 0, 1} >= set(got.unique().tolist()) >= {0, 1}
    assert ("signed" in name) == bool((got < 0).any())


@pytest.mark.parametrize("name", TIES)
def test_a_potential_at_the_threshold_does_not_fire(name):
    drive = torch.tensor(RNG.integers(-2, 4, (7, 40, 30)) / 2, dtype=torch.float32)
    population = Population("a", (30,), TIES[name])
    got = layerwise.run_population(population, [drive])
    assert torch.equal(got, step_by_step(population.neuron, drive))
    assert got.any()


@pytest.mark.parametrize("neuron", [IntegrateFire(1.0, reset="hard"), WindowReadout(4)])
def test_other_neurons_take_their_own_steps(neuron):
    assert layerwise._choose_kernel(neuron) is None
    drive = torch.tensor(RNG.normal(0.2, 1, (2, 4, 30)), dtype=torch.float32)
    got = layerwise.run_population(Population("a", (30,), neuron), [drive])
    if neuron.spikes:
        assert torch.equal(got, step_by_step(neuron, drive))
    else:
        assert got.dtype == torch.float32


def test_input_is_added_up_once_where_it_is_small(monkeypatch):
    into = [("in", lambda train: train.float() @ torch.eye(30))]
    trains = {"in": torch.ones(5, 6, 30, dtype=torch.int8)}
    population = Population("a", (30,), NEURONS["signed"])
    kept = layerwise.collect_drives(population, into, trains)
    assert torch.equal(torch.cat(kept), torch.ones(5, 6, 30))
    monkeypatch.setattr(layerwise, "KEPT_BYTES", 4 * 5 * 6 * 30)
    assert layerwise.collect_drives(population, into, trains)
    monkeypatch.setattr(layerwise, "KEPT_BYTES", 4 * 5 * 6 * 30 - 1)
    assert layerwise.collect_drives(population, into, trains) == []
