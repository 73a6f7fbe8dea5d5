"""Inner loop of `encode`, compiled by numba; imported on first use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snncompile.arrays import Ints

SPARSE, RUN_LENGTH, DENSE1, DENSE2 = range(4)


def entries(
    ends: Ints,
    index: Ints,
    part: NDArray[np.int8],
    sign: NDArray[np.int8],
    kind: int,
    entry: int,
    gap: int,
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Cut rows into entries.

    Args:
        ends: of the rows, shape (rows + 1,).
        index: target of each synapse, rising in each row.
        part: list of the row that a synapse is in, 0 or more.
        sign: 1, 2 or 3; synapses of different signs are in different lists.
        kind: position in `encode.KINDS`.
        entry: synapses of an entry at most.
        gap: between neighbours, that a run-length entry cannot hold.

    Returns:
        Of each entry its row, part, sign, synapses, index (the largest if sparse, else the first)
        and largest gap.
    """
    lists = int(part.max(initial=0)) + 1
    size = _walk(ends, index, part, sign, lists, kind, entry, gap, np.empty((0, 6), np.int64))
    table = np.empty((size, 6), np.int64)
    _walk(ends, index, part, sign, lists, kind, entry, gap, table)
    return tuple(table.T)


def _compile(function: Any) -> Any:
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the code in: compile it once per process
        return njit(nogil=True)(function)


@_compile
def _walk(
    ends: Any,
    index: Any,
    part: Any,
    sign: Any,
    lists: int,
    kind: int,
    entry: int,
    gap: int,
    table: Any,
) -> int:
    """Return the number of entries; write them where the table has room for them."""
    size = 0
    for row in range(len(ends) - 1):
        for which in range(lists * 3):
            count, first, last, widest = 0, 0, 0, 0
            for i in range(ends[row], ends[row + 1]):
                if part[i] * 3 + sign[i] - 1 != which:
                    continue
                at = index[i]
                if count and _closed(kind, count, at - first, at - last, entry, gap):
                    size = _put(table, size, row, which, count, first, last, widest, kind)
                    count = 0
                if not count:
                    first, widest = at, 0
                else:
                    widest = max(widest, at - last)
                count, last = count + 1, at
            if count:
                size = _put(table, size, row, which, count, first, last, widest, kind)
    return size


@_compile
def _closed(kind: int, count: int, span: int, step: int, entry: int, gap: int) -> bool:
    """Return whether the next synapse starts a new entry."""
    if kind == DENSE2:
        return span >= entry
    if count == entry:
        return True
    return (kind == RUN_LENGTH and step >= gap) or (kind == DENSE1 and step > 1)


@_compile
def _put(
    table: Any,
    size: int,
    row: int,
    which: int,
    count: int,
    first: int,
    last: int,
    widest: int,
    kind: int,
) -> int:
    if size < len(table):
        table[size, 0], table[size, 1], table[size, 2] = row, which // 3, which % 3 + 1
        table[size, 3] = last - first + 1 if kind == DENSE2 else count
        table[size, 4] = last if kind == SPARSE else first
        table[size, 5] = widest
    return size + 1
