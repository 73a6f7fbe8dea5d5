"""Learned weights as fixed ones, and as the start of another Program that learns."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import snncompile
from snncompile.errors import QuantizeError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

RULE = snncompile.LearningRule(
    "2^-11*y0*x1 - 2^-6*x0", x1_impulse=16, x1_tau=4, limit=1.0
)  # of mixed signs in the end


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).random((3, 15, 12)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module", params=["loihi2", "loihi1"])
def learned(request, x):
    weight = np.random.default_rng(0).uniform(-0.2, 0.5, (6, 12))
    network = Network(
        Input("input", (12,)),
        (Population("h", (6,), CubaLif(1.0, 0.2, 1.0)),),
        (Projection("input", "h", dense(weight), rule=RULE),),
        "h",
    )
    program = snncompile.compile(network, chip=request.param, calibration=x)
    return program.learned(program.run(x))


def test_odd_weights_of_both_signs_are_learned_and_refused_as_fixed_ones(learned):
    weight = learned.network.projections[0].synapses.weight
    assert weight.min() < 0 < weight.max()
    assert (weight % 2).any()
    chip = learned.chip.name
    with pytest.raises(QuantizeError) as error:
        snncompile.compile(snncompile.freeze_learning(learned.network), chip=chip, steps=15)
    assert str(error.value) == (
        f"projection input -> h: weights of 8 bits must be multiples of 2 of {chip}"
    )


def test_rounded_they_are_fixed_weights(learned, x, caplog):
    before = learned.network.projections[0].synapses.weight.astype(int)
    with caplog.at_level(logging.WARNING):
        frozen = snncompile.freeze_learning(learned.network, round_weights=True)
    odd = int((before % 2).sum())
    assert caplog.messages == [
        f"projection input -> h: {odd} of 72 weights are rounded towards 0 to multiples of 2"
    ]
    after = frozen.projections[0].synapses.weight
    assert (after == before - np.sign(before) * (before % 2)).all()
    program = snncompile.compile(frozen, chip=learned.chip.name, steps=15)
    assert not program.network.plastic
    result = program.run(x)
    assert result.spikes.any()
    assert (result.spikes == frozen.run(x).spikes).all()


def test_floats_stay_as_they_are(caplog):
    network = Network(
        Input("input", (2,)),
        (Population("h", (2,), CubaLif(1.0, 0.2, 1.0)),),
        (Projection("input", "h", dense(np.full((2, 2), 0.3)), rule=RULE),),
        "h",
    )
    frozen = snncompile.freeze_learning(network, round_weights=True)
    assert (frozen.projections[0].synapses.weight == 0.3).all()
    assert not frozen.plastic
    assert not caplog.messages


def test_learned_weights_are_the_start_of_another_program(learned, x):
    again = learned.restart_learning()
    compiled = snncompile.compile(again.network, chip=learned.chip.name, steps=15)
    assert (compiled.run(x).spikes == again.run(x).spikes).all()
    assert (compiled.run(x).learned[0].weight == again.run(x).learned[0].weight).all()
