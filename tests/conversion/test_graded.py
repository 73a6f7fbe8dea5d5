"""Graded messages: k-bit networks, whose every output is that of a formula in plain numpy."""

from __future__ import annotations

import conversion_graded as plain
import numpy as np
import pytest
import torch
from conversion_models import MODELS, images, scaled_answer
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.scales import Percentile
from snncompile.errors import UnsupportedError
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches


def make_integers(network, x):
    """Return the network on Loihi 2's integers."""
    return Quantize()(Retime()(design(network, LOIHI2, network.input.present(x)))).network


def compute(model, x):
    """Return the answers of a model, in float64."""
    with torch.no_grad():
        return model.double()(torch.tensor(x)).numpy()


# Floats were measured 1.6 and 2.8 % off at most: half a unit of a layer is 0.2 and 1.6 % of its
# largest activation, and layers amplify. Integers round weights to 8 bits besides; 1 - correlation
# was 7e-5 and 6e-4.
@pytest.mark.parametrize("bits, allowed, apart", [(8, 0.02, 1e-4), (5, 0.035, 1e-3)])
@pytest.mark.parametrize("model", MODELS)
def test_the_answer_is_that_of_the_model(model, bits, allowed, apart):
    made, x = MODELS[model](), images(model)
    wanted = compute(made, x)
    network = snncompile.from_ann(made, x, GradedMessages(bits=bits, scales=Percentile(100)))
    found = scaled_answer(network, x, 1).reshape(wanted.shape)
    assert np.abs(found - wanted).max() < allowed * np.abs(wanted).max()
    integers = make_integers(network, x).run(network.input.present(x)).spikes.sum(axis=1)
    assert np.corrcoef(integers.ravel(), wanted.ravel())[0, 1] > 1 - apart


@pytest.mark.parametrize("model", MODELS)
def test_every_output_is_that_of_the_formula(model):
    made, x = MODELS[model](), images(model)
    network = make_integers(snncompile.from_ann(made, x, "graded"), x)
    differ, outputs = plain.count_differences(network, x)
    assert differ == 0
    assert outputs > 500


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_integers_of_random_networks_are_those_of_the_formula(seed, bits):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    size, gain = int(rng.integers(2, 90)), float(rng.choice([0.01, 1.0, 50.0]))
    model = nn.Sequential(nn.Linear(6, size), nn.ReLU(), nn.Linear(size, 9), nn.ReLU())
    model.append(nn.Linear(9, 3))
    with torch.no_grad():
        model[0].weight.mul_(gain)
    x = rng.normal(size=(9, 6)) * rng.choice([0.01, 1.0, 300.0])
    network = make_integers(snncompile.from_ann(model, x, GradedMessages(bits=bits)), x)
    assert plain.count_differences(network, x)[0] == 0
    assert all(bound.holds for bound in prove_bounds(network, LOIHI2, None))


def test_a_bias_larger_than_all_weights_stays_within_the_bounds():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight.mul_(1e-3)
        model[0].bias.fill_(100.0)
    x = np.random.default_rng(0).normal(size=(9, 6))
    network = make_integers(snncompile.from_ann(model, x, "graded"), x)
    assert all(bound.holds for bound in prove_bounds(network, LOIHI2, None))
    assert plain.count_differences(network, x)[0] == 0


ACTIVATIONS = [
    nn.Sigmoid(),
    nn.Tanh(),
    nn.LeakyReLU(0.1),
    nn.PReLU(),
    nn.PReLU(7, init=0.3),
    nn.ELU(),
    nn.SELU(),
    nn.SiLU(),
    nn.GELU(),
    nn.Mish(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Softplus(),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_an_activation_is_a_table(activation):
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 7), activation, nn.Linear(7, 6), activation)
    if activation.__class__ is nn.PReLU and activation.num_parameters > 1:
        with torch.no_grad():
            activation.weight.copy_(torch.linspace(-0.2, 0.5, 7))
        model = model[:2]
    model.append(nn.Linear(7 if len(model) == 2 else 6, 3))
    x = np.random.default_rng(1).normal(size=(200, 5))
    wanted = compute(model, x)
    network = snncompile.from_ann(model, x, "graded")
    found = scaled_answer(network, x, 1)
    # Sums and activations have 8 bits in both layers.
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
    tables = [p.neuron.table.size for p in network.populations[:-1]]
    per_channel = activation.__class__ is nn.PReLU and activation.num_parameters > 1
    assert tables == ([0, 0] if per_channel else [256, 256])
    assert plain.count_differences(make_integers(network, x[:50]), x[:50])[0] == 0


POOLS = {
    "behind": (nn.ReLU(), nn.MaxPool2d(2)),
    "overlapping, padded": (nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
    "before": (nn.MaxPool2d(2), nn.ReLU()),
    "of a table": (nn.GELU(), nn.MaxPool2d(2)),
    "twice": (nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)),
}


@pytest.mark.parametrize("pool", POOLS)
def test_a_maximum_of_messages_is_exact(pool):
    torch.manual_seed(5)
    layers = (nn.Conv2d(2, 3, 3, padding=1), *POOLS[pool], nn.Flatten())
    x = np.random.default_rng(2).normal(size=(10, 2, 8, 8))
    size = compute(nn.Sequential(*layers), x).shape[1]
    model = nn.Sequential(*layers, nn.Linear(size, 4)).float()
    converted = snncompile.from_ann(model, x, "graded")
    network = make_integers(converted, x)
    (trains,) = run_batches(network, check_spikes(network, network.input.present(x)))
    source = next(p for p in network.populations if p.shape == (3, 8, 8))
    wanted = trains[source.name][:, 0].float().reshape(10, 3, 8, 8)
    for module in POOLS[pool]:
        wanted = module(wanted) if isinstance(module, nn.MaxPool2d) else wanted
    maximum = network.into(network.output)[0].source
    assert (trains[maximum][:, 0].reshape(wanted.shape) == wanted).all()
    assert plain.count_differences(network, x)[0] == 0


def test_a_maximum_of_sums_that_no_rectifier_reads_is_of_their_messages():
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.SiLU(), nn.Flatten())
    model.append(nn.Linear(27, 4))
    x = np.random.default_rng(3).normal(size=(60, 1, 8, 8))
    network, wanted = snncompile.from_ann(model, x, "graded"), compute(model, x)
    found = scaled_answer(network, x, 1)
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


def test_refusals():
    x = np.random.default_rng(3).normal(size=(20, 4))
    curved = nn.Sequential(nn.Linear(4, 5), nn.PReLU(5), nn.Linear(5, 4), nn.ReLU())
    network = snncompile.from_ann(curved, x, "graded")
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip="loihi1")
    assert "loihi1 has no neuron graded/scaled; it has" in str(error.value)
    assert str(error.value).endswith(
        "; its messages are numbers; if it was converted, take method='balance'; or choose loihi2"
    )


@pytest.mark.parametrize("bits", [0, 9, "more"])
def test_messages_have_1_to_8_bits(bits):
    message = f"^bits must be between 1 and 8 or 'sums', got {bits!r}$"
    with pytest.raises(ValueError, match=message):
        GradedMessages(bits=bits)
