"""Sources whose weights are equal are added up before they are weighted: a pool before a layer.

    a (1280 x 7 x 7) -dense-> b (10)     ->     a -windows of 7 x 7-> b_sum (1280) -dense-> b

The sums are the same, bit for bit: w * x + w * y = w * (x + y).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.neurons.base import Interval
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.split_fan_in.large_neurons import bound_parts, shift_to_whole
from snncompile.synapses.base import IntegerSynapses, Shape
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.weight_formats import weight_step

Weights = NDArray[np.int16]
AT_ONCE = 1024
"""Sources whose weights are read at a time."""
LEAST = 2
"""Sources of a sum, on average, from which on relays are worth it."""


def add_equal_sources(
    synapses: IntegerSynapses, shape: Shape, payload: Interval
) -> tuple[IntegerSynapses, IntegerSynapses] | None:
    """Return the synapses into and out of relays that add up windows of sources of equal weights.

    None where there are no such windows, of sums of more than 24 bits, and of a wiring that is not
    dense.

    Args:
        synapses: from all sources.
        shape: of the source population.
        payload: of it.
    """
    if not isinstance(synapses.wiring, Dense) or len(shape) < 2:
        return None
    groups, first = _number_groups(synapses.weight, shape)
    if len(groups) < LEAST * len(first) or not _are_equal(synapses.weight, groups, first):
        return None
    wiring = _find_windows(groups, shape)
    if wiring is None:
        return None
    step = np.asarray(weight_step(synapses.bits))
    into = replace(
        shift_to_whole(synapses), wiring=wiring, weight=np.full(wiring.weight_shape, step)
    )
    sums = bound_parts(into, payload)
    if max(-sums.low, sums.high) >= STATE_LIMIT:
        return None
    targets = synapses.wiring.target
    out = replace(synapses, wiring=Dense(targets, len(first)), weight=synapses.weight[:, first])
    return into, out


def _number_groups(weight: Weights, shape: Shape) -> tuple[Ints, Ints]:
    """Return the group of each source, and the first source of each; groups keep to channels.

    Sources of a group have the same weighted sum of their weights, with factors drawn at random.

    Args:
        weight: shape (targets, sources).
        shape: of the sources.
    """
    factors = np.random.default_rng(0).integers(2**62, size=len(weight))
    sums = np.concatenate(
        [weight[:, i : i + AT_ONCE].T.astype(np.int64) @ factors for i in _list_starts(weight)]
    )
    channels = np.arange(len(sums)) // prod(shape[1:])
    _, first, groups = np.unique(
        np.column_stack([channels, sums]), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    rank = np.argsort(order)
    return rank[groups.reshape(-1)], first[order]


def _are_equal(weight: Weights, groups: Ints, first: Ints) -> bool:
    """Whether every source has the weights of the first one of its group."""
    return all(
        np.array_equal(weight[:, i : i + AT_ONCE], weight[:, first[groups[i : i + AT_ONCE]]])
        for i in _list_starts(weight)
    )


def _list_starts(weight: Weights) -> range:
    return range(0, weight.shape[1], AT_ONCE)


def _find_windows(groups: Ints, shape: Shape) -> Convolution | None:
    """Return the pool whose windows are the groups: equal, side by side, of whole channels."""
    grid = groups.reshape(shape)
    kernel = tuple(
        int((np.moveaxis(grid[0], axis, 0).reshape(n, -1)[:, 0] == grid.flat[0]).sum())
        for axis, n in enumerate(shape[1:])
    )
    if len(kernel) not in (1, 2) or any(n % k for n, k in zip(shape[1:], kernel, strict=True)):
        return None
    none, ones = (0,) * len(kernel), (1,) * len(kernel)
    pool = Convolution(shape, shape[0], kernel, kernel, none, ones, groups=shape[0])
    channel, *space = np.unravel_index(np.arange(len(groups)), shape)
    windows = (channel, *(i // k for i, k in zip(space, kernel, strict=True)))
    same = np.ravel_multi_index(windows, pool.target_shape) == groups
    return pool if same.all() else None
