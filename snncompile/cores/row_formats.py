"""Merge the nearest synapse formats until a core has few enough.

Source: nxsdk_modules_ncl/dnn/src/synapse_compression.py (github.com/intel-nrc-ecosystem/models).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Format = tuple[int, int, int, int, int]
"""(sublist, index bits, skip bits, weight bits, sign), equal in all entries of one format."""


def merge_formats(formats: list[Any], limit: int) -> tuple[list[Format], list[int]]:
    """Return at most `limit` formats, and the number of each old format's successor.

    The two nearest formats become one that holds both: of their bits (index, skip, weight) as
    vectors a, b the distance is |a - b|^2 / |a + b|^2, so that long ones are merged rather than
    short ones. Sublist and sign must be equal. Of equal distances the first is taken.

    Args:
        formats: different ones, sorted.
        limit: number of formats to reach, if sublists and signs allow it.
    """
    merged: list[Format] = list(formats)
    where = list(range(len(merged)))
    while len(merged) > limit:
        pairs = [
            (i, j) for i in range(len(merged)) for j in range(i) if _is_alike(merged[i], merged[j])
        ]
        if not pairs:
            break
        second, first = min(
            pairs, key=lambda pair: _measure_distance(merged[pair[0]], merged[pair[1]])
        )
        wide = np.maximum(merged[first], merged[second])
        merged[first] = tuple(map(int, wide))  # type: ignore[assignment]
        del merged[second]
        where = [first if w == second else w - (w > second) for w in where]
    return merged, where


def _is_alike(first: Format, second: Format) -> bool:
    return first[0] == second[0] and first[4] == second[4]


def _measure_distance(first: Format, second: Format) -> float:
    pairs = list(zip(first[1:4], second[1:4], strict=True))
    return float(sum((a - b) ** 2 for a, b in pairs) / sum((a + b) ** 2 for a, b in pairs))
