"""Which sources of a convolution reach a box of targets, and which of their rows are alike.

One axis at a time: in a convolution the axes of space do not depend on each other, so all there is
to know about a tile is known from its extent along each axis. Nothing is unrolled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from snncompile.synapses.convolution import Convolution

Offsets = tuple[int, ...]


@dataclass(frozen=True)
class AxisReach:
    """Sources along one axis of space that reach the targets [start, stop) of it."""

    sources: tuple[int, ...]
    """Coordinates with at least one target."""
    patterns: tuple[tuple[Offsets, int], ...]
    """(targets counted from the first one, number of sources) of each different row: alike are
    those whose targets see them through the same taps of the kernel, at the same distances."""
    synapses: int
    """Pairs of a source and a target coordinate."""
    taps: int
    """Taps of the kernel that are used."""


def axis_reach(wiring: Convolution, axis: int, start: int, stop: int) -> AxisReach:
    """Return what reaches targets [start, stop) along an axis of space (0 is the first)."""
    geometry = (wiring.kernel, wiring.stride, wiring.padding, wiring.dilation)
    length = wiring.source_shape[1 + axis]
    return _axis_reach(length, *(values[axis] for values in geometry), start, stop)


@lru_cache(maxsize=100_000)
def _axis_reach(
    length: int, kernel: int, stride: int, padding: int, dilation: int, start: int, stop: int
) -> AxisReach:
    target, tap = (grid.reshape(-1) for grid in np.mgrid[start:stop, 0:kernel])
    source = target * stride + tap * dilation - padding
    inside = (source >= 0) & (source < length)
    target, tap, source = target[inside], tap[inside], source[inside]
    rows: dict[int, list[tuple[int, int]]] = {}
    for at, reached, through in zip(source.tolist(), target.tolist(), tap.tolist(), strict=True):
        rows.setdefault(at, []).append((reached, through))
    alike: Counter[tuple[tuple[int, int], ...]] = Counter()
    for row in rows.values():
        first = row[0][0]
        alike[tuple((reached - first, through) for reached, through in row)] += 1
    return AxisReach(
        sources=tuple(sorted(rows)),
        patterns=tuple((tuple(o for o, _ in row), count) for row, count in alike.items()),
        synapses=len(source),
        taps=len(np.unique(tap)),
    )


@dataclass(frozen=True)
class ChannelReach:
    """Source channels that reach the target channels [start, stop)."""

    sources: range
    rows: tuple[tuple[int, int], ...]
    """(target channels each of them reaches in the tile, number of such source channels)."""


@lru_cache(maxsize=100_000)
def channel_reach(sources: int, channels: int, groups: int, start: int, stop: int) -> ChannelReach:
    """Return what reaches target channels [start, stop) of a convolution in groups."""
    inner, outer = sources // groups, channels // groups
    first, last = start // outer, (stop - 1) // outer
    reached: Counter[int] = Counter()
    for group in range(first, last + 1):
        width = min(stop, (group + 1) * outer) - max(start, group * outer)
        reached[width] += inner
    return ChannelReach(range(first * inner, (last + 1) * inner), tuple(reached.items()))
