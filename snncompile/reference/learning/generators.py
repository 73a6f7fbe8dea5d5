"""Random numbers of a learning projection, those that Lava's generators give."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Floats

WEIGHT_SEED = 2
"""Lava rounds the weights of every projection with `default_rng(2)`."""
TRACE_NUMBERS = 128
"""Impulses are rounded with a whole number below this."""
COLUMNS = 6
"""Numbers of a step: decay of x, impulse of x, decay of y, impulse of y at the end of the step,
impulse of y when its spikes come, rounding of weights."""


def draw_numbers(seed: int, first: int, count: int, epoch: int) -> Floats:
    """Return the random numbers of time steps first .. first + count - 1, counted from 1.

    Lava draws once before the first step and twice in each: after the spikes of the sources and
    after those of the targets; for weights once before and once per epoch.

    Returns:
        Shape (count, COLUMNS). The last column counts at the end of an epoch only.
    """
    last = first + count - 1
    numbers = np.zeros((count, COLUMNS))
    ends = slice(2 * first, 2 * last + 1, 2)
    for column, offset in ((0, 0), (2, 2)):
        numbers[:, column] = np.random.default_rng(seed + offset).random(2 * last + 1)[ends]
        impulses = np.random.default_rng(seed + offset + 1)
        drawn = impulses.integers(0, TRACE_NUMBERS, size=2 * last + 1, dtype=np.int64)
        numbers[:, column + 1] = drawn[ends]
        if column == 2:
            numbers[:, 4] = drawn[2 * first - 1 : 2 * last : 2]
    roundings = np.random.default_rng(WEIGHT_SEED).random(1 + last // epoch)
    numbers[:, 5] = roundings[np.arange(first, last + 1) // epoch]
    return numbers
