"""Networks of ReLUs become spiking ones that compute the same, as closely as their steps allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversion_models import MODELS, images, scaled_answer
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile import registry
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.scales import Percentile
from snncompile.conversion.signed import Signed
from snncompile.errors import ImportMismatchError, InputError, UnsupportedError
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime

ALL = Percentile(100)
# Method, steps, largest error of the answer as a share of the largest answer: a digit less, twice
# the error; rates of 64 steps round to 1/64 in each layer.
METHODS = {
    "phase": (BistablePhase(scales=ALL), 10, 0.02),
    "phase through relays": (BistablePhase(scales=ALL, relays=True), 10, 0.02),
    "signed": (Signed(scales=ALL), 128, 0.05),
    "balance": (Balance(scales=ALL), 256, 0.2),
    "balance, late readout": (Balance(scales=ALL, readout_delay=40), 256, 0.1),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_the_answer_is_that_of_the_model(model, method):
    made, x = MODELS[model](), images(model)
    how, steps, allowed = METHODS[method]
    wanted = made(torch.tensor(x)).detach().numpy()
    network = snncompile.from_ann(made, x, how, steps)
    found = scaled_answer(network, x, steps)
    assert np.abs(found - wanted).max() < allowed * np.abs(wanted).max()


@pytest.mark.parametrize("model", MODELS)
def test_integers_do_as_well(model):
    made, x = MODELS[model](), images(model)
    wanted = made(torch.tensor(x)).detach().numpy()
    network = snncompile.from_ann(made, x, BistablePhase(scales=ALL), 8)
    done = Quantize()(Retime()(design(network, LOIHI2, network.input.present(x))))
    answers = done.network.run(network.input.present(x)).spikes.sum(axis=1)
    found = answers / done.quantized[-1].scale / 2**8
    # Weights of 8 bits are off by up to 1/254 of the largest in each of up to five layers: 2.2 %
    # are the most here, and one bit less doubles that.
    assert np.abs(found.reshape(wanted.shape) - wanted).max() < 0.03 * np.abs(wanted).max()


def test_calibration_may_require_gradients():
    made, x = MODELS["chain"](), images("chain")
    gradients = torch.tensor(x, requires_grad=True)
    network = snncompile.from_ann(made, gradients, "signed", 8)
    assert str(network) == str(snncompile.from_ann(made, x, "signed", 8))
    assert (network.input.present(gradients) == network.input.present(x)).all()


def test_bistable_rates_are_rounded_activations():
    made, x = MODELS["chain"](), images("chain")
    network = snncompile.from_ann(made, x, "bistable_rate", 128)
    found = scaled_answer(network, x, 128)
    wanted = made(torch.tensor(x)).detach().numpy()
    # Two layers round to 1/128 of their largest output, half of it up or down.
    assert np.abs(found - wanted).max() < 2 * 0.5 / 128 * np.abs(wanted).max()


@pytest.mark.parametrize("coding", ["constant", "rate", "poisson"])
def test_input_codings(coding):
    made, x = MODELS["chain"](), images("chain")
    network = snncompile.from_ann(made, x, Signed(scales=ALL), 256, coding=coding)
    assert f"input is shown as {coding}" in network.notes[1]
    assert network.input.coding.kind == coding
    found, wanted = scaled_answer(network, x, 256), made(torch.tensor(x)).detach().numpy()
    # Two layers, each off by at most a spike of 256 steps; drawn input by its standard error, here
    # 2.4 % of the largest answer, four times that.
    allowed = 0.1 if coding == "poisson" else 2 / 256
    assert np.abs(found - wanted).max() < allowed * np.abs(wanted).max()


def test_phase_of_the_input():
    made, x = MODELS["chain"](), images("chain")
    network = snncompile.from_ann(made, x, BistablePhase(scales=ALL), 10, coding="phase")
    found, wanted = scaled_answer(network, x, 10), made(torch.tensor(x)).detach().numpy()
    # Two layers and the input round to 2^-10 of their largest value.
    assert np.abs(found - wanted).max() < 3 / 2**10 * np.abs(wanted).max()


def test_pixels_are_shown_as_they_are():
    made = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = np.random.default_rng(0).integers(0, 256, (20, 1, 2, 2))
    network = snncompile.from_ann(made, x, steps=4)
    assert tuple(network.input.payload) == (0, 255)
    assert (network.input.present(x)[:, 2] == x).all()


class Valued(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return self.inner(torch.relu(x) if x.sum() > 1 else torch.relu(2 * x))


def linear(*layers):
    return nn.Sequential(nn.Linear(3, 4), *layers)


GOOD = np.ones((2, 3))
REFUSED = {
    "no rectifier": (
        linear(),
        GOOD,
        UnsupportedError,
        "Sequential: has no activation between its layers, so it is a single linear layer; known"
        " are those of torch.nn, as layers and as functions, and RateNorm",
    ),
    "calibration of one sample without its axis": (
        linear(nn.ReLU()),
        np.ones(3),
        InputError,
        "calibration has shape (3,), expected numbers (samples, *shape)",
    ),
    "another shape": (
        linear(nn.ReLU()),
        np.ones((2, 5)),
        InputError,
        "Sequential does not run on samples (2, 5): RuntimeError: mat1 and mat2 shapes cannot be"
        " multiplied (2x5 and 3x4)",
    ),
    "decides by its values": (
        Valued(),
        np.array([[1.0, 1, 1], [1, 1, 1], [-8, 0, 1]]),
        ImportMismatchError,
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    model, x, kind, message = REFUSED[case]
    with pytest.raises(kind) as error:
        snncompile.from_ann(model, x)
    if message:
        assert str(error.value) == message
    else:
        assert str(error.value).endswith("does forward depend on its values?")


# Method, its steps, largest error as above: four times as few steps, four times the error.
DEFAULTS = {
    "bistable_phase": (8, 0.08),
    "signed": (32, 0.2),
    "bistable_rate": (32, 0.2),
    "balance": (32, 0.6),
    "graded": (1, 0.05),
    "sigma_delta": (1, 0.05),
}


@pytest.mark.parametrize("name", registry.list_names("conversions"))
def test_a_method_works_with_its_defaults(name):
    made, x = MODELS["chain"](), images("chain")
    steps, allowed = DEFAULTS[name]
    network = snncompile.from_ann(made, x, name, coding="constant")
    assert network.input.coding.shown == steps
    wanted = made(torch.tensor(x)).detach().numpy()
    found = scaled_answer(network, x, steps)
    assert np.abs(found - wanted).max() < allowed * np.abs(wanted).max()


def test_refuses_methods_and_steps():
    model = linear(nn.ReLU())
    for arguments, message in [
        (
            {"method": "magic"},
            "no conversion called 'magic'; known: balance, bistable_phase, bistable_rate,"
            " graded, sigma_delta, signed",
        ),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        (
            {"coding": "phase"},
            "signed cannot read 'phase' input; choose from constant, rate, poisson",
        ),
        ({"method": 3}, "method must be a name or a method, got int"),
        (
            {"method": "bistable_phase", "steps": 17},
            "bistable_phase sends a binary digit per step, at most 16 of them, got 17 steps; 8 are"
            " the default",
        ),
        (
            {"method": "graded", "steps": 4},
            "graded takes one step per layer, got 4; leave out steps",
        ),
        (
            {"method": "sigma_delta", "coding": "rate"},
            "sigma_delta cannot read 'rate' input; choose from analog, constant",
        ),
    ]:
        with pytest.raises(InputError) as error:
            snncompile.from_ann(model, GOOD, **arguments)
        assert str(error.value) == message
