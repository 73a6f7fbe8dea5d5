"""Boxes of a layer: cuts into equal tiles along height, width and channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from snncompile.arrays import Ints

Shape3 = tuple[int, int, int]
"""(height, width, channels)."""


@dataclass(frozen=True)
class Box:
    """The neurons of one core: a box of the layer, [start, stop) along each axis of (H, W, C)."""

    start: Shape3
    stop: Shape3

    @property
    def extent(self) -> Shape3:
        """Length along each axis."""
        height, width, channels = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return height, width, channels

    def neurons(self, shape: Shape3) -> Ints:
        """Return the neurons, flattened in our C order of (channels, height, width)."""
        height, width, channels = (
            np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True)
        )
        grid = np.ix_(channels, height, width)
        flat: Ints = np.ravel_multi_index(grid, (shape[2], shape[0], shape[1])).reshape(-1)
        return flat


def list_tilings(shape: Shape3, order: tuple[int, int, int], fewest: int) -> list[Shape3]:
    """Return the numbers of cores per axis worth trying, fewest cores first.

    Args:
        shape: of the layer.
        order: axes from the one that is split last to the one that is split first.
        fewest: cores that the layer needs at least.

    A number is worth trying if tiles of the rounded-up size need exactly that number.
    """
    axes = [[n for n in range(1, length + 1) if _is_exact(length, n)] for length in shape]
    tilings = []
    for counts in product(*(axes[axis] for axis in order)):
        if prod(counts) >= fewest:
            by_axis = dict(zip(order, counts, strict=True))
            tilings.append((by_axis[0], by_axis[1], by_axis[2]))
    return sorted(tilings, key=prod)


def _is_exact(length: int, count: int) -> bool:
    size = -(-length // count)
    return -(-length // size) == count


def cut_boxes(shape: Shape3, counts: Shape3) -> Iterator[Box]:
    """Yield the tiles of a layer; the channels run fastest."""
    size = [-(-length // count) for length, count in zip(shape, counts, strict=True)]
    for position in product(*(range(count) for count in counts)):
        start = tuple(i * s for i, s in zip(position, size, strict=True))
        stop = tuple(min(a + s, n) for a, s, n in zip(start, size, shape, strict=True))
        yield Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
