"""Rows of synapses with their weights, found anew: for signs that are shared and rows in groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from snncompile.checker.reach import Positions, axis_lines, is_tile, order
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

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
        if shared:
            return  # one weight for all


def _tile(wiring: Convolution, weight: NDArray[np.int16], s: Slice) -> Iterator[Row]:
    per_group = wiring.channels // wiring.groups
    inner = wiring.source_shape[0] // wiring.groups
    for way in product(*(dict.fromkeys(lines) for lines in axis_lines(wiring, s))):
        spots = []
        for along in product(*way):
            place = 0
            for (offset, _), length in zip(along, s.extent[1:], strict=True):
                place = place * length + offset
            taps = (way // d for (_, way), d in zip(along, wiring.dilation, strict=True))
            spots.append((place, tuple(taps)))
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
