"""Interleaved destination groups of Intel's NxTF: where they open, column by column."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.passes.partition.nxtf.tiles import find_groups

# Targets [first, stop) of each column of the input, whether the last one is at its border; where
# the groups start and the last one ends, and the group open at each column.
OPEN = {
    "one column": ([(0, 2)], True, [0, 2], [0]),
    "a column that starts where the group ends opens one": (
        [(0, 2), (2, 4)],
        False,
        [0, 2, 4],
        [0, 1],
    ),
    "3 taps, stride 1: 3 columns share a group, the fourth opens the next": (
        [(0, 2), (0, 3), (1, 4), (2, 5), (3, 6), (4, 6)],
        False,
        [0, 2, 5],
        [0, 0, 0, 1, 1, 1],
    ),
    "what is left after the border is a smaller group": (
        [(0, 2), (0, 3), (1, 4), (2, 5), (3, 6), (4, 6)],
        True,
        [0, 2, 5, 6],
        [0, 0, 0, 1, 1, 1],
    ),
    "nothing is left after the border": (
        [(0, 2), (0, 3), (1, 4), (2, 5), (3, 5)],
        True,
        [0, 2, 5],
        [0, 0, 0, 1, 1],
    ),
    "only the last column closes what is left": (
        [(0, 2), (1, 3), (1, 3)],
        True,
        [0, 2, 3],
        [0, 0, 0],
    ),
    "the last column itself opens a group": (
        [(0, 2), (1, 2), (2, 5)],
        True,
        [0, 2, 5],
        [0, 0, 1],
    ),
    "none opens behind a target that nothing reaches": (
        [(0, 1), (2, 3)],
        False,
        [0, 1],
        [0, 0],
    ),
    "columns that reach less than the group": ([(0, 3), (1, 2), (1, 3)], True, [0, 3], [0, 0, 0]),
}


@pytest.mark.parametrize("case", OPEN)
def test_where_groups_open(case):
    ends, at_border, starts, base = OPEN[case]
    found = find_groups(np.array(ends), at_border)
    assert [part.tolist() for part in found] == [starts, base]
