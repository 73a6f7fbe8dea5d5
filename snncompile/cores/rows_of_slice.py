"""Build the rows of one projection into one slice with their weights, each stored row once.

A convolution stores different rows only: one per source channel and pattern of targets and taps.
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
from snncompile.cores.synapses_of_slice import order_compartments
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

Line = tuple[tuple[int, ...], tuple[int, ...]]
"""Targets of a source along one axis, counted from the first one, and the taps that reach them."""


def build_rows(synapses: IntegerSynapses, s: Slice, group: Ints | None = None) -> Rows:
    """Return the rows with their weights; targets are counted from the first of each.

    Args:
        synapses: of the projection.
        s: slice of its target.
        group: group of each source neuron with synapses into the slice, as `Rows.group`, where they
            share population axons; -1: none. Targets of a group are counted from the slice's first.
    """
    wiring = synapses.wiring.plain  # of a range of the sources the rows are the same
    if group is None and isinstance(wiring, Convolution) and s.shape == wiring.target_shape:
        return _build_tile(wiring, synapses.weight, s)
    if isinstance(wiring, Scale) and not wiring.per_neuron:
        return Rows.make([0, 1], [0], synapses.weight.reshape(1))
    if isinstance(wiring, Dense):
        rows = Rows.matrix(synapses.weight[order_compartments(s)])
        return rows if group is None else _group_rows(rows.ends, rows.index, rows.weight, group)
    columns = wiring.matrix(synapses.weight)[order_compartments(s)].tocsc()
    columns.sort_indices()
    ends = np.concatenate([[0], np.cumsum((lengths := np.diff(columns.indptr))[lengths > 0])])
    index = columns.indices.astype(np.int64)
    return _group_rows(ends, index, columns.data, group)


def identify_rows(synapses: IntegerSynapses, s: Slice) -> Hashable:
    """Return a key of the rows of a convolution's tile, equal for equal rows; else None."""
    wiring = synapses.wiring
    if not isinstance(wiring, Convolution) or s.shape != wiring.target_shape:
        return None
    lines = tuple(_list_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_list_extents(s)))
    return synapses, s.start[0], s.extent, lines


def _group_rows(ends: Ints, index: Ints, weight: NDArray[Any], group: Ints | None) -> Rows:
    """Return rows counted from their first target where they are in no group."""
    alone = np.full(len(ends) - 1, -1) if group is None else group
    first = np.where(alone < 0, index[ends[:-1]], 0)
    names = np.where(alone < 0, np.arange(len(alone)), len(alone) + alone)
    return Rows.make(ends, index - np.repeat(first, np.diff(ends)), weight, group=names)


def build_column_rows(synapses: IntegerSynapses, s: Slice) -> Rows:
    """Return the rows of a tile stored column by column, each in a group of one size.

    A column is all sources of one channel and coordinate along the later axes of space; columns of
    equal rows share them. Targets are counted from the first coordinate along the first axis.
    """
    wiring = synapses.wiring
    assert isinstance(wiring, Convolution)
    first = tuple(_trace_axis(wiring, 0, *_list_extents(s)[0]))
    others = [_list_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_list_extents(s))][1:]
    blocks = []
    for lines in product(*others):
        blocks += list(
            _list_channels(wiring, synapses.weight, s, [first, *((line,) for line in lines)])
        )
    rows = _join_rows(blocks)
    return Rows.make(rows.ends, rows.index, rows.weight, group=_group_columns(blocks, len(first)))


def _group_columns(blocks: list[tuple[Ints, NDArray[np.int16]]], length: int) -> Ints:
    """Return the group of each row: blocks come by column, `length` of them for each."""
    groups, start = [], 0
    for first in range(0, len(blocks), length):
        channels = len(blocks[first][1])
        groups += [np.arange(start, start + channels)] * length
        start += channels
    return np.concatenate(groups)


def _build_tile(wiring: Convolution, weight: NDArray[np.int16], s: Slice) -> Rows:
    lines = [_list_lines(wiring, axis, a, b) for axis, (a, b) in enumerate(_list_extents(s))]
    return _join_rows(list(_list_channels(wiring, weight, s, lines)))


def _join_rows(blocks: list[tuple[Ints, NDArray[np.int16]]]) -> Rows:
    """Return rows in the order of their blocks; each block has one row per source channel."""
    lengths = np.concatenate([np.full(len(rows), rows.shape[1]) for _, rows in blocks])
    index = np.concatenate([np.tile(places, len(rows)) for places, rows in blocks])
    values = np.concatenate([rows.reshape(-1) for _, rows in blocks])
    return Rows.make(np.concatenate([[0], np.cumsum(lengths)]), index, values)


def _list_channels(
    wiring: Convolution, weight: NDArray[np.int16], s: Slice, lines: Sequence[Sequence[Line]]
) -> Iterator[tuple[Ints, NDArray[np.int16]]]:
    """Yield (targets, weights of shape (source channels, targets)) of rows with equal targets."""
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


def _list_extents(s: Slice) -> list[tuple[int, int]]:
    return list(zip(s.start[1:], s.stop[1:], strict=True))


@lru_cache(maxsize=10_000)
def _list_lines(wiring: Convolution, axis: int, start: int, stop: int) -> tuple[Line, ...]:
    """Return the different lines of sources to targets [start, stop) along an axis."""
    placed = _trace_axis(wiring, axis, start, stop)
    return tuple(dict.fromkeys((tuple(t - row[0] for t in row), taps) for row, taps in placed))


def _trace_axis(wiring: Convolution, axis: int, start: int, stop: int) -> Iterator[Line]:
    """Yield the targets, counted from `start`, and taps of each source along an axis."""
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
