"""Rounding to few bits: by hand, and nearer on the data than the nearest weights are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.passes.quantize.adaptive_rounding import round_by_inputs, round_to_nearest
from snncompile.passes.quantize.quantize import Quantize
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale

PAIR = Convolution((2, 3), 1, (1,), (1,), (0,), (1,))


def test_what_the_first_weight_loses_the_second_makes_up_for():
    alike = torch.ones(4, 6)  # both channels always say the same
    found = round_by_inputs(PAIR, np.array([[[0.4], [0.4]]]), alike, 7)
    assert found.ravel().tolist() == [0, 1]
    assert round_to_nearest(np.array([0.4, 0.4]), 7).tolist() == [0, 0]


def test_inputs_that_have_nothing_in_common_are_rounded_alone():
    apart = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    weight = np.array([[[0.4], [3.6]]])
    assert round_by_inputs(PAIR, weight, apart, 7).ravel().tolist() == [0, 4]
    assert round_by_inputs(PAIR, weight, apart, 3).ravel().tolist() == [0, 3]


def test_silent_inputs_leave_the_nearest():
    found = round_by_inputs(PAIR, np.array([[[0.4], [1.6]]]), torch.zeros(2, 6), 7)
    assert found.ravel().tolist() == [0, 2]


WIRINGS = {
    "plane": Convolution((3, 8, 8), 4, (3, 3), (1, 1), (1, 1), (1, 1)),
    "strides and holes": Convolution((2, 9, 9), 4, (3, 3), (2, 2), (0, 0), (2, 2)),
    "groups": Convolution((4, 8, 8), 6, (3, 3), (1, 1), (1, 1), (1, 1), groups=2),
    "depthwise": Convolution((4, 8, 8), 4, (3, 3), (1, 1), (1, 1), (1, 1), groups=4),
    "one axis": Convolution((3, 20), 4, (5,), (1,), (2,), (1,)),
}


@pytest.mark.parametrize("name", WIRINGS)
def test_sums_are_nearer_than_those_of_the_nearest_weights(name):
    wiring, random = WIRINGS[name], np.random.default_rng(0)
    weight = random.normal(0, 2, wiring.weight_shape)
    smooth = random.random((40, 1)) * np.linspace(0.5, 1.5, wiring.sources)  # inputs go together
    rates = torch.tensor(smooth + 0.1 * random.random((40, wiring.sources)))
    errors = []
    for made in (round_to_nearest(weight, 7), round_by_inputs(wiring, weight, rates, 7)):
        assert np.abs(made).max() <= 7
        assert (made % 1 == 0).all()
        wrong = bind(Synapses(wiring, made - np.clip(weight, -7, 7)), (0, 1))(rates)
        errors.append(float(wrong.square().mean()))
    assert errors[1] < 0.5 * errors[0]


def block() -> Network:
    """Return a convolution with a one-to-one shortcut beside it, and a readout of its rates."""
    wiring = WIRINGS["depthwise"]
    weight = np.random.default_rng(0).normal(0, 0.2, wiring.weight_shape)
    shortcut = Synapses(Scale(256, per_neuron=True), np.repeat([0.31, 0.47, 0.21, 0.13], 64))
    return Network(
        Input("input", (4, 8, 8)),
        (Population("a", (4, 8, 8), IntegrateFire(1.0)),),
        (
            Projection("input", "a", Synapses(wiring, weight)),
            Projection("input", "a", shortcut),
        ),
        "a",
    )


def test_shortcuts_keep_their_bits():
    done = Quantize(bits=4)(design(block(), LOIHI2))
    assert [p.synapses.bits for p in done.network.projections] == [4, 8]
    assert "4-bit weights (more in one-to-one shortcuts)" in done.log[-1]
    done = Quantize(bits=8)(design(block(), LOIHI2))
    assert [p.synapses.bits for p in done.network.projections] == [8, 8]
    assert "8-bit weights, " in done.log[-1]


def test_calibrated_weights_make_fewer_spikes_wrong():
    x = (np.random.default_rng(1).random((24, 16, 4, 8, 8)) < 0.4).astype(np.uint8)
    x[:, :, 1:] = x[:, :, :1]  # channels go together: errors of one are made up for by others
    network = block()
    wanted = network.run(x).spikes.sum(axis=1)
    errors = []
    for calibration in (None, x[:12]):
        done = Quantize(bits=3)(design(network, LOIHI2, calibration))
        errors.append(np.abs(done.network.run(x).spikes.sum(axis=1) - wanted)[12:].mean())
    assert errors[1] < 0.8 * errors[0]


# Method -> steps of a layer.
FEW = {"graded": 1, "bistable_phase": 6}


@pytest.mark.parametrize("method", FEW)
def test_few_bits_of_messages_and_digits_are_rounded_by_what_arrives(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten())
    random = np.random.default_rng(0)
    alike = random.random((72, 1, 8, 8)) * random.uniform(0.9, 1.1, (72, 4, 1, 1))
    x = np.rint(230 * alike)  # channels go together: errors of one are made up for by others
    network = snncompile.from_ann(model, x[:24], method, FEW[method])
    shown, errors = network.input.present(x), []
    wanted = network.run(shown).answer
    for calibration in (None, shown[:24]):
        program = snncompile.compile(network, chip="loihi2", bits=3, calibration=calibration)
        answer = program.run(shown[24:]).answer.astype(np.float64)
        fitted = answer * (answer * wanted[24:]).sum() / np.square(answer).sum()
        errors.append(np.square(fitted - wanted[24:]).mean())
    assert errors[1] < 0.05 * errors[0]
