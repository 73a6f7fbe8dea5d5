"""Integer networks that learn, on the chip's time."""

from __future__ import annotations

import numpy as np

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.sparse import Sparse

PAIRS = LearningRule(
    "2^-2*x1*y0 - 3*2^-3*y1*x0 + 2^-3*u1*(y2 - 4)",
    x1_impulse=16.25,
    x1_tau=4,
    y1_impulse=20,
    y1_tau=8,
    y2_impulse=5,
    y2_tau=3,
    epoch=2,
    seed=7,
)
THIRD = LearningRule(
    "2^-3*u0*t*y2",
    "y0*x1 - 2^-2*u0*t + 2^-2*x0",
    x1_impulse=30,
    x1_tau=5,
    third_factor={"y2": "reward"},
    epoch=3,
)


def layers(rng: np.random.Generator, bias: int = 0) -> IntegerNetwork:
    """Return input 6 -> h 5 -> o 4: both learn; h inhibits itself, o has a long delay.

    Args:
        rng: for weights.
        bias: of the hidden neurons, which then fire before their first sample.
    """
    wiring = Sparse([0, 1, 1, 2, 3, 3], [0, 1, 2, 3, 4, 0], 4, 5)
    inhibition = integer_dense(-64 * (1 - np.eye(5, dtype=np.int64)), 0, 8)
    first = integer_dense(2 * rng.integers(0, 60, (5, 6)), 0, 8)
    second = IntegerSynapses(wiring, 2 * rng.integers(20, 90, 6), 1, 8)
    neuron = IntegerCubaLif(2000, 400, 90, bias, 6)
    return IntegerNetwork(
        Input("input", (6,)),
        (
            Population("h", (5,), neuron, 1),
            Population("o", (4,), IntegerCubaLif(4095, 0, 120), 3),
        ),
        (
            Projection("input", "h", first, 1, rule=PAIRS),
            Projection("h", "h", inhibition, 1),
            Projection("h", "o", second, 2, rule=PAIRS.change(seed=9, epoch=3)),
        ),
        "o",
    )


def rewarded(rng: np.random.Generator) -> IntegerNetwork:
    """Return input 6 -> h 3, which learns with the spikes of `reward` as its third factor."""
    first = integer_dense(2 * rng.integers(10, 60, (3, 6)), 0, 8)
    return IntegerNetwork(
        Input("input", (6,)),
        (
            Population("reward", (3,), IntegerCubaLif(4095, 0, 50), 1),
            Population("h", (3,), IntegerCubaLif(4095, 300, 90), 1),
        ),
        (
            Projection("input", "reward", integer_dense(64 * np.eye(3, 6, dtype=int), 0, 8), 1),
            Projection("input", "h", first, 1, rule=THIRD),
        ),
        "h",
    )


def show(rng: np.random.Generator, network: IntegerNetwork, samples: int = 4, steps: int = 11):
    """Return random spikes."""
    shape = samples, steps, *network.input.shape
    return (rng.random(shape) < 0.4).astype(np.uint8)
