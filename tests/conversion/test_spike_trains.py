"""Thresholds from real spike trains: the largest input of a time step is one threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversion_models import MODELS, images, scaled_answer
from torch import nn

import snncompile
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.convert import convert
from snncompile.conversion.spike_trains import SpikeTrains
from snncompile.errors import InputError
from snncompile.reference.simulate import run_batches

STEPS = 40


def inputs(network, x) -> dict[str, torch.Tensor]:
    """Return what arrives at each layer in each time step, over the threshold of 1."""
    shown = network.input.present(x)
    (spike_trains,) = run_batches(network, shown)
    spike_trains = {"input": torch.tensor(shown).double().flatten(2), **spike_trains}
    found = {}
    for p in network.populations[:-1]:
        found[p.name] = torch.tensor(p.neuron.bias) + sum(
            spike_trains[q.source].double()
            @ torch.tensor(q.synapses.wiring.matrix(q.synapses.weight).toarray()).T
            for q in network.into(p.name)
        )
    return found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_the_largest_input_is_one_threshold(model, per):
    made, x = MODELS[model](), images(model)
    network = convert(made, x, Balance(scales=SpikeTrains(per=per)), STEPS).network
    for name, found in inputs(network, x).items():
        channels = found.reshape(len(x), STEPS, network.population(name).shape[0], -1)
        largest = channels.amax(dim=(0, 1, 3)).clamp(min=0)
        if per == "layer":
            assert float(largest.max()) == pytest.approx(1, rel=1e-6)
        else:
            assert torch.allclose(largest[largest > 0], torch.ones(1).double(), rtol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_is_that_of_the_model(model):
    made, x = MODELS[model](), images(model)
    network = snncompile.from_ann(made, x, Balance(scales=SpikeTrains()), 512)
    wanted = made(torch.tensor(x)).detach().numpy()
    # A spike of 512 steps in each layer, which the next one amplifies: 2.1 % are the most here.
    assert np.abs(scaled_answer(network, x, 512) - wanted).max() < 0.03 * np.abs(wanted).max()


def test_percentiles_are_below_the_largest():
    made, x = MODELS["chain"](), images("chain")
    most = convert(made, x, Balance(scales=SpikeTrains()), STEPS).scales
    less = convert(made, x, Balance(scales=SpikeTrains(99)), STEPS).scales
    assert all(less[name].item() < most[name].item() for name in most)


def test_no_scale_exceeds_what_the_model_caps_at():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 8), nn.ReLU6(), nn.Linear(8, 8), nn.ReLU6(), nn.Linear(8, 3))
    x = 20 * np.abs(np.random.default_rng(0).normal(size=(12, 6)))
    found = convert(made, x, Balance(scales=SpikeTrains()), 256)
    assert max(scale.max() for scale in found.scales.values()) == 6
    wanted = made(torch.tensor(x).float()).detach().numpy()
    answer = scaled_answer(found.network, x, 256)
    # A spike of 256 steps in each of three layers, which the next one amplifies: 1.8 % here.
    assert np.abs(answer - wanted).max() < 0.03 * np.abs(wanted).max()


def test_layers_with_windows_of_their_own_cannot():
    made, x = MODELS["chain"](), images("chain")
    with pytest.raises(InputError) as error:
        snncompile.from_ann(made, x, BistablePhase(scales=SpikeTrains()), 4)
    assert str(error.value) == (
        "bistable_phase has a window per layer; spike trains balance layers that share one, as"
        " those of balance and signed do"
    )
