"""The rows of one projection into one slice with their weights, each that is stored once.

Of a convolution those that differ: one per source channel and way to meet the slice's targets.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores.row_encoding import Rows
from snncompile.cores.synapses_of_slice import compartments
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

Line = tuple[tuple[int, ...], tuple[int, ...]]
"""Targets of a source along one axis, counted from the first one, and the taps they are met by."""


def exact_rows(synapses: IntegerSynapses, s: Slice, group: Ints | None = None) -> Rows:
    """Return the rows with their weights; targets are counted from the first of each.

    Args:
        synapses: of the projection.
        s: slice of its target.
        group: of each source neuron that has synapses there, as `Rows.group`, where they share
            population axons; -1: none. Targets of a group are counted from the slice's first.
    """
    wiring = synapses.wiring.plain  # of a range of the sources the rows are the same
    if group is None and isinstance(wiring, Convolution) and s.shape == wiring.target_shape:
        return _tile(wiring, synapses.weight, s)
    if isinstance(wiring, Scale) and not wiring.per_neuron:
        return Rows.make([0, 1], [0], synapses.weight.reshape(1))
    if isinstance(wiring, Dense):
        rows = Rows.matrix(synapses.weight[compartments(s)])
        return rows if group is None else _grouped(rows.ends, rows.index, rows.weight, group)
    columns = wiring.matrix(synapses.weight)[compartments(s)].tocsc()
    columns.sort_indices()
    ends = np.concatenate([[0], np.cumsum((lengths := np.diff(columns.indptr))[lengths > 0])])
    index = columns.indices.astype(np.int64)
    return _grouped(ends, index, columns.data, group)


def alike(synapses: IntegerSynapses, s: Slice) -> Hashable:
    """Return what the rows of a convolution's tile follow from: equal for equal rows; else None."""
    wiring = synapses.wiring
    if not isinstance(wiring, Convolution) or s.shape != wiring.target_shape:
        return None
    lines = tuple(_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_space(s)))
    return synapses, s.start[0], s.extent, lines


def _grouped(ends: Ints, index: Ints, weight: NDArray[Any], group: Ints | None) -> Rows:
    """Return rows counted from their first target where they are in no group."""
    alone = np.full(len(ends) - 1, -1) if group is None else group
    first = np.where(alone < 0, index[ends[:-1]], 0)
    names = np.where(alone < 0, np.arange(len(alone)), len(alone) + alone)
    return Rows.make(ends, index - np.repeat(first, np.diff(ends)), weight, group=names)


def column_rows(synapses: IntegerSynapses, s: Slice) -> Rows:
    """Return the rows of a tile whose columns are stored, each in a group of one size.

    A column is all sources of one channel and place along the later axes of space; those whose
    rows are alike share theirs. Targets are counted from the first place along the first axis.
    """
    wiring = synapses.wiring
    assert isinstance(wiring, Convolution)
    first = tuple(_placed(wiring, 0, *_space(s)[0]))
    others = [_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_space(s))][1:]
    parts = []
    for way in product(*others):
        parts += list(_channels(wiring, synapses.weight, s, [first, *((line,) for line in way)]))
    rows = _joined(parts)
    return Rows.make(rows.ends, rows.index, rows.weight, group=_columns(parts, len(first)))


def _columns(parts: list[tuple[Ints, NDArray[np.int16]]], length: int) -> Ints:
    """Return the group of each row: parts come by column, `length` of them for each."""
    groups, start = [], 0
    for first in range(0, len(parts), length):
        channels = len(parts[first][1])
        groups += [np.arange(start, start + channels)] * length
        start += channels
    return np.concatenate(groups)


def _tile(wiring: Convolution, weight: NDArray[np.int16], s: Slice) -> Rows:
    lines = [_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_space(s))]
    return _joined(list(_channels(wiring, weight, s, lines)))


def _joined(parts: list[tuple[Ints, NDArray[np.int16]]]) -> Rows:
    """Return rows in the order of their parts, of which each has one row per source channel."""
    lengths = np.concatenate([np.full(len(rows), rows.shape[1]) for _, rows in parts])
    index = np.concatenate([np.tile(places, len(rows)) for places, rows in parts])
    values = np.concatenate([rows.reshape(-1) for _, rows in parts])
    return Rows.make(np.concatenate([[0], np.cumsum(lengths)]), index, values)


def _channels(
    wiring: Convolution, weight: NDArray[np.int16], s: Slice, lines: Sequence[Sequence[Line]]
) -> Iterator[tuple[Ints, NDArray[np.int16]]]:
    """Yield (targets, weights of shape (source channels, targets)) of rows that are alike."""
    flat = weight.reshape(*weight.shape[:2], prod(wiring.kernel))
    depth, outer = s.extent[0], wiring.channels // wiring.groups
    for group in range(s.start[0] // outer, (s.stop[0] - 1) // outer + 1):
        low, high = max(s.start[0], group * outer), min(s.stop[0], (group + 1) * outer)
        for ways in product(*lines):
            places, taps = np.zeros(1, np.int64), np.zeros(1, np.int64)
            for (offsets, through), length, kernel in zip(
                ways, s.extent[1:], wiring.kernel, strict=True
            ):
                places = (places[:, None] * length + np.array(offsets)).reshape(-1)
                taps = (taps[:, None] * kernel + np.array(through)).reshape(-1)
            index = (places[:, None] * depth + np.arange(high - low)).reshape(-1)
            met = flat[low:high][:, :, taps].transpose(1, 2, 0)
            yield index, met.reshape(len(met), -1)


def _space(s: Slice) -> list[tuple[int, int]]:
    return list(zip(s.start[1:], s.stop[1:], strict=True))


@lru_cache(maxsize=10_000)
def _lines(wiring: Convolution, axis: int, start: int, stop: int) -> tuple[Line, ...]:
    """Return the different ways in which sources meet targets [start, stop) along an axis."""
    placed = _placed(wiring, axis, start, stop)
    return tuple(dict.fromkeys((tuple(t - row[0] for t in row), taps) for row, taps in placed))


def _placed(wiring: Convolution, axis: int, start: int, stop: int) -> Iterator[Line]:
    """Yield how each source meets targets along an axis, counted from `start`."""
    stride, padding, dilation = (
        values[axis] for values in (wiring.stride, wiring.padding, wiring.dilation)
    )
    met: dict[int, list[tuple[int, int]]] = {}
    for target, tap in product(range(start, stop), range(wiring.kernel[axis])):
        source = target * stride + tap * dilation - padding
        if 0 <= source < wiring.source_shape[axis + 1]:
            met.setdefault(source, []).append((target - start, tap))
    for row in met.values():
        yield tuple(target for target, _ in row), tuple(tap for _, tap in row)
