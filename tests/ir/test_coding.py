"""How values are shown: by hand, on average, and refused."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile
from snncompile.errors import InputError
from snncompile.ir.coding import Coding
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.dense import dense

BY_HAND = {
    "constant": ([3.0, -0.9, 9.0], 2.0, (-4, 4), [[2, 0, 4], [2, 0, 4], [2, 0, 4], [0, 0, 0]]),
    "rate": ([1.0, -2.0, 0.7], 2.0, (-1, 1), [[1, -1, 0], [0, -1, 1], [1, -1, 0], [0, 0, 0]]),
    "phase": ([1.0, -1.25, 9.0], 2.0, (-1, 1), [[1, -1, 1], [0, 0, 1], [0, -1, 1], [0, 0, 0]]),
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_by_hand(kind):
    values, unit, payload, wanted = BY_HAND[kind]
    x = Coding(kind, unit, 3, 4).present([values], Interval(*payload))
    assert x[0].tolist() == wanted


def test_poisson_is_right_on_average_and_repeats_itself():
    coding, values = Coding("poisson", 2.0, 4000, 4000), [[0.5, -1.0, 3.0]]
    x = coding.present(values, Interval(-1, 1))
    error = 0.5 / 4000**0.5  # the largest standard error of a share of 4,000 steps
    assert np.abs(x[0].mean(axis=0) - [0.25, -0.5, 1]).max() < 4 * error
    assert (x == coding.present(values, Interval(-1, 1))).all()
    assert (x != coding.present(values, Interval(-1, 1), seed=1)).any()


def network(coding) -> Network:
    return Network(
        Input("input", (2,), Interval(0, 9), coding),
        (Population("a", (1,), IntegrateFire(1.0)),),
        (Projection("input", "a", dense([[1.0, 1.0]])),),
        "a",
    )


def test_is_kept_and_shown(tmp_path):
    made = network(Coding("constant", 0.5, 2, 3))
    made.save(tmp_path / "net")
    again = snncompile.load(tmp_path / "net")
    assert again.input == made.input
    head = "input input 2 payload=0..9 coding=constant unit=0.5 shown=2 steps=3\n"
    assert str(again).startswith(head)
    assert again.input.present([[1.0, 2.0]]).tolist() == [[[2, 4], [2, 4], [0, 0]]]


RATE = Coding("rate", 1.0, 1, 1)
UNIT = "coding: unit {} must be positive, and shown {} between 1 and steps {}"
REFUSED = [
    (
        lambda: Coding("morse", 1.0, 1, 1),
        "no input coding 'morse'; known: constant, rate, poisson, phase, analog, biases",
    ),
    (lambda: Coding("rate", 0.0, 1, 1), UNIT.format(0, 1, 1)),
    (lambda: Coding("rate", 1.0, 3, 2), UNIT.format(1, 3, 2)),
    (
        lambda: network(None).input.present([[1, 2]]),
        "values have shape (1, 2), expected (samples, steps, 2)",
    ),
    (
        lambda: network(RATE).input.present([[1]]),
        "values have shape (1, 1), expected (samples, 2)",
    ),
    (
        lambda: network(RATE).input.present([[1, np.nan]]),
        "values to present must be finite numbers",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses(make, message):
    with pytest.raises((ValueError, InputError)) as error:
        make()
    assert str(error.value) == message
