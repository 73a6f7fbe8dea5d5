"""A core has few synapse formats: widen those that are nearest until few enough are left.

Source: nxsdk_modules_ncl/dnn/src/synapse_compression.py (github.com/intel-nrc-ecosystem/models).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Format = tuple[int, int, int, int, int]
"""(part, index bits, skip bits, weight bits, sign): what entries of one format have in common."""


def merged(formats: list[Any], limit: int) -> tuple[list[Format], list[int]]:
    """Return the formats that are left when there may be `limit`, and where each one went.

    The two that are nearest become one that holds both: of their bits (index, skip, weight) as
    vectors a, b the distance is |a - b|^2 / |a + b|^2, so that long ones are merged rather than
    short ones. Part and sign must be equal. Of equal distances the first is taken.

    Args:
        formats: different ones, sorted.
        limit: to get down to, if part and sign allow it.
    """
    left: list[Format] = list(formats)
    where = list(range(len(left)))
    while len(left) > limit:
        pairs = [(i, j) for i in range(len(left)) for j in range(i) if _alike(left[i], left[j])]
        if not pairs:
            break
        second, first = min(pairs, key=lambda pair: _distance(left[pair[0]], left[pair[1]]))
        wide = np.maximum(left[first], left[second])
        left[first] = tuple(map(int, wide))  # type: ignore[assignment]
        del left[second]
        where = [first if w == second else w - (w > second) for w in where]
    return left, where


def _alike(one: Format, other: Format) -> bool:
    return one[0] == other[0] and one[4] == other[4]


def _distance(one: Format, other: Format) -> float:
    pairs = list(zip(one[1:4], other[1:4], strict=True))
    return float(sum((a - b) ** 2 for a, b in pairs) / sum((a + b) ** 2 for a, b in pairs))
