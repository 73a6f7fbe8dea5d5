"""Rows of synapses with their weights, found anew: for signs that are shared and rows in groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from snncompile.checker.wiring_reach import (
    Positions,
    axis_lines,
    first_targets,
    is_tile,
    one_weight,
    order,
)
from snncompile.errors import MappingError
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

Line = tuple[tuple[int, int], ...]
"""(target along an axis, way to it) of one source."""
Row = tuple[int, Positions, tuple[int, ...]]
"""(source neuron, or -1 where several share the row; targets; weights)."""


def weighted_rows(synapses: IntegerSynapses, s: Slice, *, shared: bool) -> Iterator[Row]:
    """Yield every row that is stored; targets are counted from the slice's first compartment.

    Those of shared rows are counted from the row's own first target.
    """
    wiring, plain = synapses.wiring, synapses.wiring.plain
    if shared and is_tile(plain, s):
        assert isinstance(plain, Convolution)
        yield from _tile(plain, synapses.weight, s)
        return
    columns = wiring.matrix(synapses.weight.astype(np.int64))[order(s)].tocsc()
    columns.sort_indices()
    for source in np.flatnonzero(np.diff(columns.indptr)).tolist():
        part = slice(columns.indptr[source], columns.indptr[source + 1])
        yield source, tuple(columns.indices[part].tolist()), tuple(columns.data[part].tolist())
        if shared and one_weight(plain):
            return


def column_rows(synapses: IntegerSynapses, s: Slice) -> Iterator[Row]:
    """Yield every row of the columns that are stored, with a number of its column as source.

    Columns of a source channel are alike if their rows meet the targets alike along the other axes.
    """
    wiring = synapses.wiring
    if not isinstance(wiring, Convolution):
        raise MappingError(f"{wiring.kind} synapses into {s.where} have no columns to be stored")
    first, *others = axis_lines(wiring, s)
    lowest = first_targets(wiring, s)
    number = 0
    for way in product(*(dict.fromkeys(lines) for lines in others)):
        rows = [
            list(_rows(wiring, synapses.weight, s, (_from(line, start), *way)))
            for line, start in zip(first, lowest, strict=True)
        ]
        for column in zip(*rows, strict=True):
            for _, row, weight in column:
                yield number, row, weight
            number += 1


def _from(line: Line, start: int) -> Line:
    return tuple((offset + start, way) for offset, way in line)


def _tile(wiring: Convolution, weight: NDArray[np.int16], s: Slice) -> Iterator[Row]:
    for way in product(*(dict.fromkeys(lines) for lines in axis_lines(wiring, s))):
        yield from _rows(wiring, weight, s, way)


def _rows(
    wiring: Convolution, weight: NDArray[np.int16], s: Slice, way: tuple[Line, ...]
) -> Iterator[Row]:
    """Yield the row of every source channel that meets the targets this way."""
    per_group = wiring.channels // wiring.groups
    inner = wiring.source_shape[0] // wiring.groups
    spots = list(_spots(wiring, s, way))
    for source in range(wiring.source_shape[0]):
        first = source // inner * per_group
        reached = range(max(s.start[0], first), min(s.stop[0], first + per_group))
        pairs = [
            (place * s.extent[0] + c - reached.start, int(weight[c, source % inner, *tap]))
            for place, tap in spots
            for c in reached
        ]
        if pairs:
            yield -1, tuple(p for p, _ in pairs), tuple(w for _, w in pairs)


def _spots(
    wiring: Convolution, s: Slice, way: tuple[Line, ...]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (place of a target, tap of the kernel that meets it)."""
    for along in product(*way):
        place = 0
        for (offset, _), length in zip(along, s.extent[1:], strict=True):
            place = place * length + offset
        taps = (step // d for (_, step), d in zip(along, wiring.dilation, strict=True))
        yield place, tuple(taps)
