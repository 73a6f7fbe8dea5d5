"""What bounds report of a network: each population, its worst neuron, whether it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import (
    LOIHI2,
    TOY,
    alone,
    changed,
    integer_chain,
)

from snncompile.ir.reports import Bound
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import integer_dense


def test_report(golden):
    """Accumulator with a width (toy) and without a known one (loihi2); every way to say it."""
    network = integer_chain(3, 2, 1, neuron=IntegerCubaLif(4095, 0, 3), weight=-254)
    readout = changed(network, "b", neuron=IntegerReadout(0, 0))
    strong = changed(network, projection=0, synapses=integer_dense(np.full((2, 3), 254), 13, 8))
    lines = []
    for title, made_, chip, steps in (
        ("any number of steps", network, TOY, None),
        ("4 steps", network, TOY, 4),
        ("width not known", readout, LOIHI2, 10**6),
        ("too strong", strong, TOY, 1),
    ):
        lines += [title, *(f"  {b} | {b.neuron}" for b in prove_bounds(made_, chip, steps))]
    golden("\n".join(lines) + "\n")


def test_the_neuron_is_the_one_that_reaches_farthest():
    weight = np.array([[2, -4], [2, 2], [-8, 2]])
    network = alone(IntegerCubaLif(4095, 0, 1), 3, weight, sources=2)
    found = prove_bounds(network, TOY, 1)
    assert [(b.low, b.high, b.neuron) for b in found] == [
        (-8, 4, 2),
        (-512, 256, 2),
        (-512, 256, 2),
    ]


# Low, high, limit; whether it holds, its reach.
HOLDS = [
    (-5.0, 4.0, 5, True, 5.0),
    (-5.0, 6.0, 5, False, 6.0),
    (-5.0, 6.0, None, True, 6.0),
    (None, 6.0, 100, False, None),
    (0.0, None, 100, False, None),
    (None, None, None, True, None),
]


@pytest.mark.parametrize("low, high, limit, holds, reach", HOLDS)
def test_holds(low, high, limit, holds, reach):
    bound = Bound(population="a", quantity="u", low=low, high=high, limit=limit, neuron=0)
    assert (bound.holds, bound.reach) == (holds, reach)


# What happens beyond the width, in Programs of before and in those that name it.
EFFECTS = [
    ("u", {}, "wraps"),
    ("v", {}, "saturates"),
    ("real", {}, "saturates"),
    ("sigma", {}, "overflows"),
    ("accumulator", {}, "overflows"),
    ("tired", {"effect": "saturates"}, "saturates"),
    ("u", {"effect": "overflows"}, "overflows"),
]


@pytest.mark.parametrize("quantity, more, effect", EFFECTS)
def test_says_what_happens_beyond_the_width(quantity, more, effect):
    record = {"population": "a", "quantity": quantity, "low": 0, "high": 9, "limit": 5, "neuron": 2}
    assert str(Bound(**record, **more)) == (
        f"a: {quantity} can reach 9, the width holds 5: neuron 2 {effect} if all its sources of one"
        " sign spike in every step"
    )


def test_a_population_that_nothing_feeds_has_only_its_bias():
    network = changed(alone(IntegerIntegrateFire(9, -2, 1)), projections=())
    found = prove_bounds(network, TOY, 5)
    assert [(b.quantity, b.low, b.high) for b in found] == [
        ("accumulator", 0, 0),
        ("u", 0, 0),
        ("v", -20, 0),
    ]


def test_watch_sees_every_state_after_each_step():
    network = alone(IntegerCubaLif(2047, 0, 100), weight=[[4]])
    seen = []

    def watch(population: str, step: int, states: tuple[torch.Tensor, ...]) -> None:
        seen.append((population, step, *(s.tolist() for s in states)))

    list(run_batches(network, np.array([[[1], [0], [1]], [[0], [0], [0]]]), watch=watch))
    assert seen == [
        ("a", 0, [[256], [0]], [[256], [0]]),
        ("a", 1, [[128], [0]], [[384], [0]]),
        ("a", 2, [[320], [0]], [[704], [0]]),
    ]
