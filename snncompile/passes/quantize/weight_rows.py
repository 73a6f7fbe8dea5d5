"""Weights by the neurons that share them: a row is one neuron, or one channel of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from snncompile.arrays import Floats, Ints
from snncompile.ir.graph import Network, Population, Projection
from snncompile.synapses.base import Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse, unroll


@dataclass(frozen=True, eq=False)
class WeightRows:
    """The weights of one projection, row after row."""

    values: Floats
    """All weights, shape (weights,)."""
    counts: Ints
    """Number of weights of each row, shape (rows,)."""
    neuron: Ints
    """First target neuron of each row, shape (rows,)."""
    power: Floats
    """Mean square of the output of each weight's source, shape (weights,); 1 if not known."""

    def sum(self, values: Floats) -> Floats:
        """Return the sum over each row of one number per weight, shape (rows,)."""
        return self._reduce(np.add, values)

    def find_peaks(self) -> Floats:
        """Return the largest magnitude of each row, shape (rows,); 0 of a row without weights."""
        return self._reduce(np.maximum, np.abs(self.values))

    def repeat(self, of_rows: Floats) -> Floats:
        """Return one number per weight from one per row."""
        return np.repeat(of_rows, self.counts)

    def thin_out(self, count: int) -> WeightRows:
        """Return at most twice `count` weights of each row, evenly taken."""
        if self.counts.max(initial=0) < 2 * count:
            return self
        starts = np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        position = np.arange(len(self.values)) - starts
        kept = position % np.repeat(np.maximum(self.counts // count, 1), self.counts) == 0
        rows = np.repeat(np.arange(len(self.counts)), self.counts)[kept]
        counts = np.bincount(rows, minlength=len(self.counts))
        return WeightRows(self.values[kept], counts, self.neuron, self.power[kept])

    def _reduce(self, function: np.ufunc, values: Floats) -> Floats:
        filled, starts = self._filled
        reduced = np.zeros(len(self.counts))
        if len(filled):
            reduced[filled] = function.reduceat(values, starts)
        return reduced

    @cached_property
    def _filled(self) -> tuple[Ints, Ints]:
        """Rows that have weights, and the first weight of each."""
        filled = np.flatnonzero(self.counts)
        return filled, (np.cumsum(self.counts) - self.counts)[filled]


def list_rows(projection: Projection, power: Floats | None = None) -> WeightRows:
    """Return the weights of a projection of floats by row.

    Args:
        projection: with float weights.
        power: mean square of the output of each source; None: not known.
    """
    synapses = projection.synapses
    assert isinstance(synapses, Synapses)
    wiring, weight = synapses.wiring.plain, synapses.weight
    power = _select_sources(synapses.wiring, power)
    if isinstance(wiring, Convolution):
        return _list_rows_of_convolution(wiring, weight, power)
    if isinstance(wiring, Dense):
        return _make_equal_rows(weight, power, wiring.targets)
    if isinstance(wiring, Scale):
        return _make_equal_rows(
            np.broadcast_to(weight, (wiring.size,)), power[:, None], wiring.size
        )
    each = unroll(wiring)  # by target
    counts = np.bincount(each.wiring.target, minlength=wiring.targets)
    of_sources = power[each.wiring.source]
    return WeightRows(each.weights(weight), counts, np.arange(wiring.targets), of_sources)


def _select_sources(wiring: Wiring, power: Floats | None) -> Floats:
    """Return the power of the sources that a range of them begins at."""
    if power is None:
        return np.ones(wiring.plain.sources)
    first = wiring.first if isinstance(wiring, SourceRange) else 0
    return power[first : first + wiring.plain.sources]


def _list_rows_of_convolution(wiring: Convolution, weight: Floats, power: Floats) -> WeightRows:
    """Return a row per channel; sources of a channel have the power of those that ever fire."""
    channels = power.reshape(wiring.source_shape[0], -1)
    firing = np.maximum((channels > 0).sum(axis=1), 1)
    of_channel = (channels.sum(axis=1) / firing).reshape(wiring.groups, 1, -1)
    each = np.repeat(of_channel, wiring.channels // wiring.groups, axis=1)
    wide = each.reshape(wiring.channels, -1, *(1 for _ in wiring.kernel))
    space = wiring.targets // wiring.channels
    return _make_equal_rows(weight, np.broadcast_to(wide, weight.shape), wiring.channels, space)


def _make_equal_rows(weight: Floats, power: Floats, rows: int, space: int = 1) -> WeightRows:
    """Return rows of equal lengths, each of `space` neurons; `power` broadcasts to the weights."""
    weight = weight.reshape(rows, -1)
    wide = np.broadcast_to(
        power.reshape(rows, -1) if power.size == weight.size else power, weight.shape
    )
    counts = np.full(rows, weight.shape[1])
    return WeightRows(weight.ravel(), counts, np.arange(rows) * space, wide.ravel())


def group_neurons(network: Network, population: Population) -> Ints:
    """Return the group of each neuron, shape (n,): neurons that share a weight are in one.

    Channels that are read one to one, each with one weight and one threshold, are a kernel of one
    tap and stay one. Groups are numbered 0, 1, ... in the order of their first neurons.
    """
    into = network.into(population.name)
    threshold = getattr(population.neuron, "threshold", 1.0)
    taps = bool(into) and all(_is_tap(p, population) for p in into)
    if taps and _is_one_per_channel(threshold, population):
        channels = population.shape[0]
        return np.repeat(np.arange(channels), population.size // channels)
    groups = np.arange(population.size)
    for projection in into:
        groups = _join(groups, _list_sharing(projection.synapses.wiring.plain))
    return groups


def _is_tap(projection: Projection, population: Population) -> bool:
    """Whether an image is read one to one, with one weight per channel."""
    synapses = projection.synapses
    if not isinstance(synapses.wiring, Scale) or len(population.shape) < 2:
        return False
    return _is_one_per_channel(synapses.weight, population)


def _is_one_per_channel(values: ArrayLike, population: Population) -> bool:
    each = np.broadcast_to(values, (population.size,)).reshape(population.shape[0], -1)
    return bool((each == each[:, :1]).all())


def _list_sharing(wiring: Wiring) -> Ints:
    """Return the group of each target of a wiring."""
    if isinstance(wiring, Dense | Sparse | Scale):
        return np.arange(wiring.targets)
    if isinstance(wiring, Convolution):
        return np.repeat(np.arange(wiring.channels), wiring.targets // wiring.channels)
    synapses = unroll(wiring)
    ends = (synapses.wiring.target, synapses.number + wiring.targets)
    nodes = wiring.targets + int(np.prod(wiring.weight_shape))
    links = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(nodes, nodes))
    return _number(connected_components(links, directed=False)[1][: wiring.targets])


def _join(left: Ints, right: Ints) -> Ints:
    """Return the finest groups that keep those of both sides together."""
    size = len(left)
    if left.max(initial=-1) == size - 1:  # a neuron each
        return right
    if right.max(initial=-1) == size - 1 or (left == right).all():
        return left
    ends = (left, right + size)
    links = coo_array((np.ones(size, np.int8), ends), shape=(2 * size, 2 * size))
    return _number(connected_components(links, directed=False)[1][left])


def _number(labels: Ints) -> Ints:
    """Return labels renumbered in the order of their first occurrence."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[inverse])
