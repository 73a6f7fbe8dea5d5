"""Few threshold profiles: groups of neurons share threshold mantissas at the least loss."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Floats
from snncompile.passes.analysis import number_ranges
from snncompile.synapses.weight_formats import weight_step

BINS_PER_OCTAVE = 8
"""Mantissas that differ by less than 9 % are one: that costs at most an eighth of a bit."""
MOST_BINS = 160
"""Bins that are told apart; beyond, bins are wider."""
LARGEST_OVER_MEAN = 3.0
"""Largest weight of a neuron over the root mean square of its weights, as of a normal
distribution."""


def choose_mantissas(
    largest: Floats, limit: Floats, unit: Floats, bits: int, profiles: int
) -> Floats:
    """Return the scale of each group, such that there are at most `profiles` threshold mantissas.

    A group with a mantissa below its own loses bits of its weights; with one above, its largest
    weights are cut. The mantissas are those with the least sum of squared relative errors, each at
    most 1, so that a single group cannot take the bits of all others.

    Args:
        largest: scale of each group that uses all bits, shape (groups,).
        limit: largest scale of each group that its other numbers allow.
        unit: threshold mantissa of each group at scale 1.
        bits: of a weight.
        profiles: threshold profiles of a core.
    """
    own = np.maximum(np.where(np.isfinite(largest), largest, 1.0) * unit, 1.0)
    highest = np.maximum(np.where(np.isfinite(limit), limit, np.inf) * unit, 1.0)
    bins = _number_bins(own)
    values = np.array([np.floor(own[bins == b].min()) for b in np.unique(bins)])
    errors = _measure_errors(own, highest, values, bits)
    cost = np.zeros((len(values), len(values)))
    np.add.at(cost, np.searchsorted(np.unique(bins), bins), errors)
    centers = _choose_centers(cost, profiles)
    best = np.argmin(errors[:, centers], axis=1)
    return np.asarray(values[centers][best] / unit)


def _number_bins(own: Floats) -> Floats:
    """Return the bin of each mantissa, on a logarithmic axis."""
    octaves = np.log2(own)
    width = max(1 / BINS_PER_OCTAVE, (octaves.max() - octaves.min()) / MOST_BINS)
    return np.asarray(np.floor((octaves - octaves.min()) / width))


def _measure_errors(own: Floats, highest: Floats, values: Floats, bits: int) -> Floats:
    """Return the squared relative error of the weights, shape (groups, values).

    Rounding is off by a uniform error of one step; cutting by what is above the largest weight.
    """
    step = weight_step(bits) / number_ranges.find_top(bits)
    rounding = step**2 / 12 * LARGEST_OVER_MEAN**2
    ratio = own[:, None] / values
    error = rounding * np.maximum(ratio, 1) ** 2 + np.maximum(1 - ratio, 0) ** 2 / 2
    return np.asarray(np.where(values > highest[:, None], np.inf, np.minimum(error, 1.0)))


def _choose_centers(cost: Floats, count: int) -> list[int]:
    """Return the values that cost least, at most `count`: bins in a row share one.

    Args:
        cost: of the members of each bin with each value, shape (bins, values).
        count: most values.
    """
    bins = len(cost)
    impossible = np.isinf(cost)
    sums, counts = (
        np.vstack([np.zeros(bins), np.cumsum(each, axis=0)])
        for each in (np.where(impossible, 0.0, cost), impossible)
    )
    # Bins i to j - 1 share the value that costs them least.
    shared = sums[None] - sums[:, None]  # (i, j, value)
    shared[counts[None] - counts[:, None] > 0] = np.inf
    value, least = shared.argmin(axis=2), shared.min(axis=2)
    best = least[0].copy()
    best[0] = 0.0
    cuts: list[np.ndarray] = []
    for _ in range(min(count, bins) - 1):
        total = best[:, None] + np.where(np.tri(bins + 1, k=-1, dtype=bool), np.inf, least)
        cuts.append(total.argmin(axis=0))
        best = total.min(axis=0)
    centers, end = [], bins
    for cut in reversed(cuts):
        start = int(cut[end])
        if start < end:
            centers.append(int(value[start, end]))
        end = start
    if end:
        centers.append(int(value[0, end]))
    return sorted(set(centers))
