"""Inner loop of `encode_rows`, compiled by numba; imported on first use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.machine_code import compile_function

SPARSE, RUN_LENGTH, DENSE1, DENSE2 = range(4)


def cut_entries(
    ends: Ints,
    index: Ints,
    sublist: NDArray[np.int8],
    sign: NDArray[np.int8],
    kind: int,
    entry: int,
    gap: int,
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Cut rows into entries.

    Args:
        ends: of the rows, shape (rows + 1,).
        index: target of each synapse, rising in each row.
        sublist: list of the row that a synapse is in, 0 or more.
        sign: 1, 2 or 3; synapses of different signs are in different lists.
        kind: position in `row_encoding.KINDS`.
        entry: synapses of an entry at most.
        gap: smallest gap between neighbours that a run-length entry cannot hold.

    Returns:
        Of each entry its row, sublist, sign, synapses, index (the largest if sparse, else the
        first) and largest gap.
    """
    lists = int(sublist.max(initial=0)) + 1
    size = _walk(ends, index, sublist, sign, lists, kind, entry, gap, np.empty((0, 6), np.int64))
    table = np.empty((size, 6), np.int64)
    _walk(ends, index, sublist, sign, lists, kind, entry, gap, table)
    row, sublists, signs, count, last, widest = table.T
    return row, sublists, signs, count, last, widest


@compile_function
def _walk(
    ends: Any,
    index: Any,
    sublist: Any,
    sign: Any,
    lists: int,
    kind: int,
    entry: int,
    gap: int,
    table: Any,
) -> int:
    """Return the number of entries; write them while the table has room."""
    size = 0
    for row in range(len(ends) - 1):
        for number in range(lists * 3):
            count, first, last, widest = 0, 0, 0, 0
            for i in range(ends[row], ends[row + 1]):
                if sublist[i] * 3 + sign[i] - 1 != number:
                    continue
                at = index[i]
                if count and _ends_entry(kind, count, at - first, at - last, entry, gap):
                    size = _put(table, size, row, number, count, first, last, widest, kind)
                    count = 0
                if not count:
                    first, widest = at, 0
                else:
                    widest = max(widest, at - last)
                count, last = count + 1, at
            if count:
                size = _put(table, size, row, number, count, first, last, widest, kind)
    return size


@compile_function
def _ends_entry(kind: int, count: int, span: int, step: int, entry: int, gap: int) -> bool:
    """Return whether the next synapse starts a new entry."""
    if kind == DENSE2:
        return span >= entry
    if count == entry:
        return True
    return (kind == RUN_LENGTH and step >= gap) or (kind == DENSE1 and step > 1)


@compile_function
def _put(
    table: Any,
    size: int,
    row: int,
    number: int,
    count: int,
    first: int,
    last: int,
    widest: int,
    kind: int,
) -> int:
    if size < len(table):
        table[size, 0], table[size, 1], table[size, 2] = row, number // 3, number % 3 + 1
        table[size, 3] = last - first + 1 if kind == DENSE2 else count
        table[size, 4] = last if kind == SPARSE else first
        table[size, 5] = widest
    return size + 1
