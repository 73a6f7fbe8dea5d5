"""Synapses whose weight is not zero, of each source in each part: what some chips count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints32
from snncompile.backends.energy import kernels
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.source_range import SourceRange

Weights = NDArray[Any]


def count(wiring: Wiring, weight: Weights, targets: Ints32, parts: int) -> Ints32:
    """Return the synapses of each source in each part without those of weight zero.

    Args:
        wiring: of the projection.
        weight: its weights.
        targets: part of each target neuron, shape (targets,).
        parts: number of parts.

    Returns:
        shape (sources, parts).
    """
    return COUNTERS.get(type(wiring), _count_sparse)(wiring, weight, targets, parts)


def _count_dense(wiring: Any, weight: Weights, targets: Ints32, parts: int) -> Ints32:
    counts = [np.count_nonzero(weight[targets == i], axis=0) for i in range(parts)]
    return np.stack(counts, axis=1).astype(np.int32)


def _count_convolution(wiring: Any, weight: Weights, targets: Ints32, parts: int) -> Ints32:
    """Add up channels first: positions whose channels lie on the same parts have equal sums."""
    line = (1,) * (2 - len(wiring.kernel))
    groups, sources = wiring.groups, wiring.source_shape[0] // wiring.groups
    own = targets.reshape(groups, -1, *line, *wiring.target_shape[1:])
    kernel = (*line, *wiring.kernel)
    used = (weight != 0).reshape(groups, own.shape[1], sources, -1)
    counts: Ints32 = np.zeros((groups, sources, *line, *wiring.source_shape[1:], parts), np.int32)
    for group in range(groups):
        columns = own[group].reshape(own.shape[1], -1).T
        layouts, which = np.unique(columns, axis=0, return_inverse=True)
        sums, held = _add_channels(layouts, used[group])
        kernels.count_nonzero_targets(
            which.reshape(own.shape[2:]),
            sums,
            held,
            counts[group],
            kernel,
            (*line, *wiring.stride),
            (*(0 for _ in line), *wiring.padding),
            (*line, *wiring.dilation),
        )
    return counts.reshape(wiring.sources, parts)


def _add_channels(layouts: Ints32, used: NDArray[np.bool_]) -> tuple[Ints32, Ints32]:
    """Return the weights that are not zero, by layout of the channels on parts.

    Args:
        layouts: part of each target channel, shape (layouts, channels).
        used: whether a weight is not zero, shape (channels, source channels, taps).

    Returns:
        the sums (layouts, most parts of one, source channels, taps), and the part of each, -1 for
        none: (layouts, most parts of one).
    """
    distinct = [np.unique(layout) for layout in layouts]
    width = max(map(len, distinct))
    sums = np.zeros((len(layouts), width, *used.shape[1:]), np.int32)
    held = np.full((len(layouts), width), -1, np.int32)
    for i, (layout, own) in enumerate(zip(layouts, distinct, strict=True)):
        held[i, : len(own)] = own
        for j, number in enumerate(own):
            sums[i, j] = used[layout == number].sum(axis=0)
    return sums, held


def _count_sparse(wiring: Wiring, weight: Weights, targets: Ints32, parts: int) -> Ints32:
    matrix = wiring.matrix(weight)
    matrix.eliminate_zeros()
    counts: Ints32 = np.zeros((wiring.sources, parts), np.int32)
    kernels.count_pattern_targets(matrix.indptr, matrix.indices, targets, counts)
    return counts


def _count_source_range(wiring: Any, weight: Weights, targets: Ints32, parts: int) -> Ints32:
    counts: Ints32 = np.zeros((wiring.sources, parts), np.int32)
    counts[wiring.first : wiring.stop] = count(wiring.part, weight, targets, parts)
    return counts


COUNTERS: dict[type, Callable[[Any, Weights, Ints32, int], Ints32]] = {
    Dense: _count_dense,
    Convolution: _count_convolution,
    SourceRange: _count_source_range,
}
"""Ways to count; other wirings are unrolled."""
