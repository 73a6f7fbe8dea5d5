"""Maps between grids, recognized in listed synapses: padding, repeats, shuffles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.sparse import Sparse
from snncompile.synapses.transposed_convolution import TransposedConvolution

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GridMap:
    """A grid whose places are copies of a source's: place y of an axis is source place map[y]."""

    source_shape: Shape
    """(channels, *space)."""
    maps: tuple[Index, ...]
    """Per space axis, the source place of each place of the grid; -1: nothing arrives there."""


def read_grid_map(synapses: Synapses, shape: Shape) -> GridMap | None:
    """Return the map that synapses are, to a grid of this shape; None if they are no such map.

    Args:
        synapses: any.
        shape: (channels, *space), one or two space axes.
    """
    wiring = synapses.wiring
    if not isinstance(wiring, Sparse) or wiring.sources % shape[0] or len(shape) not in (2, 3):
        return None
    index = _list_copies(synapses)
    if index is None:
        return None
    planes, size = index.reshape(shape), wiring.sources // shape[0]
    offsets = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1)) * size
    if not np.array_equal(planes, np.where(planes[:1] >= 0, planes[:1] + offsets, -1)):
        return None
    maps = (planes[0],) if len(shape) == 2 else _separate(planes[0], size)
    if maps is None or max(int(m.max()) for m in maps) >= size:
        return None
    space = (
        (size,) if len(maps) == 1 else (size // (int(maps[1].max()) + 1), int(maps[1].max()) + 1)
    )
    return GridMap((shape[0], *space), maps)


def _list_copies(synapses: Synapses) -> Index | None:
    """Return the source of each target, -1 for none; None if a weight is not 1 or two meet."""
    wiring: Any = synapses.wiring
    if (synapses.weight != 1).any() or (wiring.fan_in > 1).any() or not len(wiring.source):
        return None
    index: Index = np.full(wiring.targets, -1)
    index[wiring.target] = wiring.source
    return index


def _separate(plane: Index, size: int) -> tuple[Index, Index] | None:
    """Return the maps of both axes of a plane, if it has them."""
    row = plane[(plane >= 0).any(axis=1)][0]
    row = row[row >= 0]
    width = int(row.max() - row.min()) + 1
    if size % width:
        return None
    both = np.where(plane >= 0, plane // width, -1), np.where(plane >= 0, plane % width, -1)
    down, across = both[0].max(axis=1), both[1].max(axis=0)
    known = (down[:, None] >= 0) & (across >= 0)
    whole = np.where(known, down[:, None] * width + across, -1)
    return (down, across) if np.array_equal(whole, plane) else None


def read_repeats(grid: GridMap) -> Synapses | None:
    """Return a map that repeats every value as often, on each axis, as synapses of kernels of 1."""
    repeats = tuple(len(m) // n for m, n in zip(grid.maps, grid.source_shape[1:], strict=True))
    axes = zip(grid.maps, grid.source_shape[1:], repeats, strict=True)
    if not all(r and np.array_equal(m, np.repeat(np.arange(n), r)) for m, n, r in axes):
        return None
    zeros, ones = (0,) * len(repeats), (1,) * len(repeats)
    channels, space = grid.source_shape[0], tuple(map(len, grid.maps))
    wiring = TransposedConvolution(
        grid.source_shape, channels, repeats, repeats, zeros, ones, space, channels
    )
    return Synapses(wiring, np.ones(wiring.weight_shape))


def find_source(grid: GridMap) -> Shape | None:
    """Return the place of a padded grid where its source begins; None if it is not in it whole."""
    starts = []
    for places, size in zip(grid.maps, grid.source_shape[1:], strict=True):
        first = [s for s in np.flatnonzero(places == 0) if _runs(places, int(s), size)]
        if not first:
            return None
        starts.append(int(first[-1] if len(first) == 1 else _choose_middle(first, places, size)))
    return tuple(starts)


def _runs(places: Index, start: int, size: int) -> bool:
    return np.array_equal(places[start : start + size], np.arange(size))


def _choose_middle(starts: list[Any], places: Index, size: int) -> int:
    """Return the start with the most equal padding at both ends."""
    return int(min(starts, key=lambda start: abs(2 * start + size - len(places))))


def pad_convolution(outer: Synapses, grid: GridMap, starts: Shape) -> Synapses | None:
    """Return a convolution of a padded grid as one of its source, with zeros for the padding.

    None: the padding differs at both ends, which no convolution has.
    """
    wiring: Any = outer.wiring
    padding = tuple(own + start for own, start in zip(wiring.padding, starts, strict=True))
    padded = replace(wiring, source_shape=grid.source_shape, padding=padding)
    return Synapses(padded, outer.weight) if padded.target_shape == wiring.target_shape else None


def list_border(synapses: Synapses, grid: GridMap, starts: Shape) -> Synapses:
    """Return those copies of a padded grid that are not its source."""
    wiring: Any = synapses.wiring
    shape = (grid.source_shape[0], *map(len, grid.maps))
    inside = np.ones(len(wiring.target), bool)
    for position, start, size in zip(
        np.unravel_index(wiring.target, shape)[1:], starts, grid.source_shape[1:], strict=True
    ):
        inside &= (position >= start) & (position < start + size)
    border = Sparse(wiring.target[~inside], wiring.source[~inside], wiring.targets, wiring.sources)
    return Synapses(border, synapses.weight[~inside])


def list_touched(wiring: Convolution, sources: NDArray[Any]) -> Index:
    """Return the targets of a convolution whose kernels may reach some sources, rising."""
    flat = replace(wiring, source_shape=(1, *wiring.source_shape[1:]), channels=1, groups=1)
    places = np.zeros(flat.sources)
    places[np.asarray(sources) % flat.sources] = 1
    touched = np.flatnonzero(flat.pattern.astype(np.float64) @ places)
    return (np.arange(wiring.channels)[:, None] * flat.targets + touched).reshape(-1)


def read_pixel_shuffle(outer: Synapses, inner: Synapses) -> Synapses | None:
    """Return a convolution of stride 1 and the shuffle of its pixels as a transposed convolution.

    The shuffle by r puts channel c * r^2 + a * r + b of place (y, x) to channel c of (y r + a,
    x r + b), as `torch.nn.PixelShuffle`; tap k of the kernel leads there from y + k - padding.
    """
    wiring: Any = inner.wiring
    if not isinstance(wiring, Convolution) or len(wiring.kernel) != 2 or wiring.groups != 1:
        return None
    if set(wiring.stride) != {1} or outer.wiring.sources != outer.wiring.targets:
        return None
    copies = _list_copies(outer) if isinstance(outer.wiring, Sparse) else None
    r = None if copies is None else _find_upscaling(copies, wiring.target_shape)
    if r is None:
        return None
    channels, (height, width) = wiring.channels // r**2, wiring.target_shape[1:]
    kernel = tuple(
        r * ((k - 1) * d + 1) for k, d in zip(wiring.kernel, wiring.dilation, strict=True)
    )
    ends = tuple((k - 1) * d for k, d in zip(wiring.kernel, wiring.dilation, strict=True))
    padding = tuple(r * (end - own) for end, own in zip(ends, wiring.padding, strict=True))
    turned = TransposedConvolution(
        wiring.source_shape, channels, kernel, (r, r), padding, (1, 1), (height * r, width * r)
    )
    weight = np.zeros(turned.weight_shape)
    by_phase = inner.weight.reshape(channels, r, r, *inner.weight.shape[1:])
    for a, b, i, j in np.ndindex(r, r, *wiring.kernel):
        y, x = (end - tap * d for end, tap, d in zip(ends, (i, j), wiring.dilation, strict=True))
        weight[:, :, y * r + a, x * r + b] = by_phase[:, a, b, :, i, j]
    return Synapses(turned, weight)


def _find_upscaling(copies: Index, shape: Shape) -> int | None:
    """Return the factor of a pixel shuffle of a grid of this shape, or None."""
    channels, height, width = shape
    for r in range(2, isqrt(channels) + 1):
        if channels % r**2:
            continue
        grid = np.arange(prod(shape)).reshape(channels // r**2, r, r, height, width)
        if np.array_equal(grid.transpose(0, 3, 1, 4, 2).reshape(-1), copies):
            return r
    return None
