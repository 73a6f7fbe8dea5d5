"""Rows of synapses with their weights: for signs that are kept apart and rows in groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.checker.wiring_reach import (
    Line,
    Targets,
    has_one_weight,
    is_tile,
    list_axis_lines,
    list_first_targets,
    order_neurons,
)
from snncompile.errors import MappingError
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

SEVERAL = -1
"""Source of a row that several neurons share."""


class WeightedRow(NamedTuple):
    """Synapses of one source neuron, or of several that share them."""

    source: int
    """Neuron, column, or `SEVERAL`."""
    targets: Targets
    weights: tuple[int, ...]


def list_weighted_rows(
    synapses: IntegerSynapses, s: Slice, *, shared: bool
) -> Iterator[WeightedRow]:
    """Yield every row that is stored; targets are counted from the slice's first compartment.

    Targets of shared rows are counted from the row's own first target.
    """
    wiring, plain = synapses.wiring, synapses.wiring.plain
    if shared and is_tile(plain, s):
        assert isinstance(plain, Convolution)
        yield from _list_tile_rows(plain, synapses.weight, s)
        return
    columns = wiring.matrix(synapses.weight.astype(np.int64))[order_neurons(s)].tocsc()
    columns.sort_indices()
    for source in np.flatnonzero(np.diff(columns.indptr)).tolist():
        span = slice(columns.indptr[source], columns.indptr[source + 1])
        targets, weights = columns.indices[span].tolist(), columns.data[span].tolist()
        yield WeightedRow(source, tuple(targets), tuple(weights))
        if shared and has_one_weight(plain):
            return


def list_column_rows(synapses: IntegerSynapses, s: Slice) -> Iterator[WeightedRow]:
    """Yield every row of the columns that are stored, with the number of its column as source.

    Columns of a source channel are alike if their rows meet the targets alike along the other axes.
    """
    wiring = synapses.wiring
    if not isinstance(wiring, Convolution):
        raise MappingError(f"{wiring.kind} synapses into {s.where} have no columns to be stored")
    first, *others = list_axis_lines(wiring, s)
    lowest = list_first_targets(wiring, s)
    number = 0
    for way in product(*(dict.fromkeys(lines) for lines in others)):
        rows = [
            list(_list_way_rows(wiring, synapses.weight, s, (_shift_line(line, start), *way)))
            for line, start in zip(first, lowest, strict=True)
        ]
        for column in zip(*rows, strict=True):
            yield from (row._replace(source=number) for row in column)
            number += 1


def _shift_line(line: Line, start: int) -> Line:
    return tuple((offset + start, way) for offset, way in line)


def _list_tile_rows(
    wiring: Convolution, weight: NDArray[np.int16], s: Slice
) -> Iterator[WeightedRow]:
    for way in product(*(dict.fromkeys(lines) for lines in list_axis_lines(wiring, s))):
        yield from _list_way_rows(wiring, weight, s, way)


def _list_way_rows(
    wiring: Convolution, weight: NDArray[np.int16], s: Slice, way: tuple[Line, ...]
) -> Iterator[WeightedRow]:
    """Yield the row of every source channel that meets the targets this way."""
    per_group = wiring.channels // wiring.groups
    inner = wiring.source_shape[0] // wiring.groups
    taps = list(_list_taps(wiring, s, way))
    for source in range(wiring.source_shape[0]):
        first = source // inner * per_group
        channels = range(max(s.start[0], first), min(s.stop[0], first + per_group))
        pairs = [
            (position * s.extent[0] + c - channels.start, int(weight[c, source % inner, *tap]))
            for position, tap in taps
            for c in channels
        ]
        if pairs:
            targets, weights = zip(*pairs, strict=True)
            yield WeightedRow(SEVERAL, targets, weights)


def _list_taps(
    wiring: Convolution, s: Slice, way: tuple[Line, ...]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (position of a target in the slice's space, tap of the kernel that meets it)."""
    for along in product(*way):
        position = 0
        for (offset, _), length in zip(along, s.extent[1:], strict=True):
            position = position * length + offset
        taps = (step // d for (_, step), d in zip(along, wiring.dilation, strict=True))
        yield position, tuple(taps)
