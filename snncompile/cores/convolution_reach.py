"""Find the sources of a convolution that reach a box of targets, and their equal rows.

The axes of space are independent in a convolution: a tile follows from its extent along each axis.
Nothing is unrolled.
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
    """(targets counted from the first one, number of sources) of each different row. Rows are equal
    if they reach targets at the same distances through the same taps of the kernel."""
    synapses: int
    """Pairs of a source and a target coordinate."""
    taps: int
    """Taps of the kernel in use."""


def measure_axis_reach(wiring: Convolution, axis: int, start: int, stop: int) -> AxisReach:
    """Return the sources of targets [start, stop) along an axis of space (0 is the first)."""
    geometry = (wiring.kernel, wiring.stride, wiring.padding, wiring.dilation)
    length = wiring.source_shape[1 + axis]
    return _trace_axis(length, *(values[axis] for values in geometry), start, stop)


@lru_cache(maxsize=100_000)
def _trace_axis(
    length: int, kernel: int, stride: int, padding: int, dilation: int, start: int, stop: int
) -> AxisReach:
    target, tap = (grid.reshape(-1) for grid in np.mgrid[start:stop, 0:kernel])
    source = target * stride + tap * dilation - padding
    inside = (source >= 0) & (source < length)
    target, tap, source = target[inside], tap[inside], source[inside]
    rows: dict[int, list[tuple[int, int]]] = {}
    for source_at, target_at, tap_at in zip(
        source.tolist(), target.tolist(), tap.tolist(), strict=True
    ):
        rows.setdefault(source_at, []).append((target_at, tap_at))
    patterns: Counter[tuple[tuple[int, int], ...]] = Counter()
    for row in rows.values():
        first = row[0][0]
        patterns[tuple((target_at - first, tap_at) for target_at, tap_at in row)] += 1
    return AxisReach(
        sources=tuple(sorted(rows)),
        patterns=tuple((tuple(o for o, _ in row), count) for row, count in patterns.items()),
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
def measure_channel_reach(
    sources: int, channels: int, groups: int, start: int, stop: int
) -> ChannelReach:
    """Return the source channels of target channels [start, stop) of a convolution in groups."""
    inner, outer = sources // groups, channels // groups
    first, last = start // outer, (stop - 1) // outer
    widths: Counter[int] = Counter()
    for group in range(first, last + 1):
        width = min(stop, (group + 1) * outer) - max(start, group * outer)
        widths[width] += inner
    return ChannelReach(range(first * inner, (last + 1) * inner), tuple(widths.items()))
