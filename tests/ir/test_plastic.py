# ruff: noqa: E501 - whole messages
"""Networks with projections that learn: made, refused, written, saved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import snncompile
from snncompile.errors import InputError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.plastic import adopt_states, copy_bank, plastic
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.readout import Readout
from snncompile.reference.learning.integer import begin_state
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense, integer_dense

RULE = LearningRule(
    "2^-2*x1*y0 - 2^-3*y1*x0", x1_impulse=16, x1_tau=4, y1_impulse=16.5, y1_tau=8, epoch=2
)


def floats(rule: LearningRule | None = None) -> Network:
    """Return input 3 -> h 2."""
    h = Population("h", (2,), CubaLif(1.0, 0.0, 1.0))
    projection = Projection("input", "h", dense(np.full((2, 3), 0.5)), rule=rule)
    return Network(Input("input", (3,)), (h,), (projection,), "h")


def integers(rule: LearningRule | None = None) -> IntegerNetwork:
    """Return the same in integers, on the chip's time."""
    h = Population("h", (2,), IntegerCubaLif(4095, 0, 100), 1)
    projection = Projection("input", "h", integer_dense(np.full((2, 3), 64), 0, 8), 1, rule=rule)
    return IntegerNetwork(Input("input", (3,)), (h,), (projection,), "h")


def test_a_rule_is_added_and_taken_away():
    learns = plastic(floats(), "input", "h", RULE)
    assert [p.rule for p in learns.plastic] == [RULE]
    assert str(learns).splitlines()[2] == (
        "projection input -> h dense 2x3 weight=[0.5 .. 0.5] delay=0 learns"
        " dw='2^-2*y0*x1 - 2^-3*x0*y1' x1_impulse=16 x1_tau=4 y1_impulse=16.5 y1_tau=8 epoch=2"
    )
    assert not plastic(learns, "input", "h", None).plastic


@pytest.mark.parametrize("make", [floats, integers])
def test_a_network_that_learns_is_saved(make, tmp_path):
    network = make(RULE.change(dt="x0", seed=5))
    network.save(tmp_path / "net")
    again = snncompile.load(tmp_path / "net")
    assert str(again) == str(network)
    assert again.plastic[0].rule == network.plastic[0].rule


def test_a_state_is_saved(tmp_path):
    state = begin_state(np.full((2, 3), 65, np.int16), 3, 2)
    learned = adopt_states(integers(RULE), {0: replace(state, steps=7, waiting=np.array([0, 1]))})
    learned.save(tmp_path / "net")
    again = snncompile.load(tmp_path / "net").plastic[0].learned
    assert again.steps == 7
    assert again.waiting.tolist() == [0, 1]
    assert again.weight.tolist() == [[65] * 3] * 2


def test_a_state_of_other_weights_is_refused():
    network = integers(RULE)
    with pytest.raises(InputError) as error:
        adopt_states(network, {0: begin_state(np.zeros((2, 2), np.int16), 2, 2)})
    assert str(error.value) == (
        "projection input -> h: the result has weights of shape (2, 2), expected (2, 3)"
    )
    with pytest.raises(InputError, match="the result is of another network"):
        adopt_states(network, {})


def test_an_unknown_projection_is_refused():
    with pytest.raises(InputError) as error:
        plastic(floats(), "h", "input", RULE)
    assert str(error.value) == "no projection h -> input; there are input -> h"


def spoil(network: Network, **values: object) -> Network:
    """Return a network with another projection."""
    return replace(network, projections=(replace(network.projections[0], **values),))


def make_convolution() -> Network:
    wiring = Convolution((1, 1, 3), 2, (1, 2), (1, 1), (0, 0), (1, 1))
    synapses = Synapses(wiring, np.ones(wiring.weight_shape))
    h = Population("h", (2, 1, 2), CubaLif(1.0, 0.0, 1.0))
    return Network(
        Input("input", (1, 1, 3)), (h,), (Projection("input", "h", synapses, rule=RULE),), "h"
    )


def make_readout() -> Network:
    network = floats(RULE)
    return replace(network, populations=(Population("h", (2,), Readout(1.0, 0.0)),))


REFUSED = [
    (make_convolution, "projection input -> h: a convolution wiring cannot learn, only dense and sparse can; learn one patch with a dense bank and copy it with copy_bank"),
    (make_readout, "projection input -> h: h sends no spikes of 0 and 1, from which its synapses could learn"),
    (lambda: floats(LearningRule("x0*y1")), "projection input -> h: the rule reads y1, which stays 0; give it an impulse"),
    (lambda: floats(LearningRule("x0*t")), "projection input -> h: the rule reads the tag t, which stays 0; give it a dt"),
    (lambda: floats(LearningRule("x0*y2", third_factor={"y2": "r"})), "projection input -> h: third factor y2: there is no population 'r'"),
    (lambda: floats(LearningRule("x0*y3", third_factor={"y2": "h"})), "projection input -> h: the rule reads y3, which stays 0; give it third_factor"),
    (lambda: spoil(floats(), rule=RULE.change(sign="positive"), synapses=dense(-np.ones((2, 3)))), "projection input -> h: the rule keeps weights positive, but the smallest is -1"),
    (lambda: integers(LearningRule("2^-9*x0")), "projection input -> h: learning rule: 2^-9*x0: 2^-9 is outside 2^-7..2^8 of the chip; the nearest factor is 1*2^-7"),
    (lambda: integers(RULE.change(limit=1.0)), "projection input -> h: learning rule: limit 1 is of float weights; integer ones stop at 255"),
]  # fmt: skip


@pytest.mark.parametrize("make, message", REFUSED)
def test_what_cannot_learn_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_a_bank_becomes_kernels():
    bank = np.arange(2 * 4).reshape(2, 4)
    assert copy_bank(bank, (2, 2)).tolist() == [[[[0, 1], [2, 3]]], [[[4, 5], [6, 7]]]]
    with pytest.raises(InputError) as error:
        copy_bank(bank, (3, 3))
    assert str(error.value) == (
        "the bank has weights of shape (2, 4), a kernel (3, 3) of 1 channels needs (filters, 9)"
    )
