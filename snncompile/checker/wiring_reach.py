"""Which sources and targets a wiring joins, found anew: from the definition of each wiring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Bools
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange

Positions = tuple[int, ...]
"""Targets of a row on its core, counted from the first one."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Sources as one list of coordinates per axis of `shape`: every combination of them."""

    shape: tuple[int, ...]
    lists: tuple[NDArray[np.int64], ...]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod([len(one) for one in self.lists]))

    def neurons(self) -> NDArray[np.int64]:
        """Return the flattened neurons in rising order."""
        flat = np.zeros(1, np.int64)
        for one, length in zip(self.lists, self.shape, strict=True):
            flat = (flat[:, None] * length + one[None, :]).reshape(-1)
        return flat


def sources(wiring: Wiring, s: Slice) -> Axes:
    """Return the sources that have a synapse into a slice."""
    if isinstance(wiring, SourceRange):
        return _from_range(wiring, sources(wiring.part, s))
    if isinstance(wiring, Dense):
        return Axes((wiring.source,), (np.arange(wiring.source),))
    if isinstance(wiring, Scale):
        return Axes((wiring.size,), (np.sort(s.neurons()),))
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        return Axes(wiring.source_shape, (_channels(wiring, s), *_space(wiring, s)))
    return Axes((wiring.sources,), (np.unique(wiring.pattern[s.neurons()].indices),))


def _from_range(wiring: SourceRange, found: Axes) -> Axes:
    """Return sources of the range as such of all: the first axis goes on from where it begins."""
    before, rest = divmod(wiring.first, int(np.prod(found.shape[1:])))
    whole, more = divmod(wiring.sources_in_all, int(np.prod(found.shape[1:])))
    if rest or more:
        return Axes((wiring.sources_in_all,), (found.neurons() + wiring.first,))
    return Axes((whole, *found.shape[1:]), (found.lists[0] + before, *found.lists[1:]))


def is_tile(wiring: Wiring, s: Slice) -> bool:
    """Whether a slice is a box of a convolution's output."""
    return isinstance(wiring, Convolution) and s.shape == wiring.target_shape


def one_weight(wiring: Wiring) -> bool:
    """Whether all sources have one row with the same weight."""
    return isinstance(wiring, Scale) and not wiring.per_neuron


def _channels(wiring: Convolution, s: Slice) -> NDArray[np.int64]:
    targets = np.arange(s.start[0], s.stop[0]) // (wiring.channels // wiring.groups)
    groups = np.arange(wiring.source_shape[0]) // (wiring.source_shape[0] // wiring.groups)
    return np.flatnonzero(np.isin(groups, targets))


def _space(wiring: Convolution, s: Slice) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(_meets(wiring, s, axis).any(axis=0)) for axis in _axes(wiring)]


def _axes(wiring: Convolution) -> range:
    return range(len(wiring.kernel))


def _meets(wiring: Convolution, s: Slice, axis: int) -> Bools:
    """Return whether target and source coordinates meet along an axis, (targets, sources)."""
    geometry = (wiring.source_shape[axis + 1], wiring.kernel[axis], wiring.stride[axis])
    more = (wiring.padding[axis], wiring.dilation[axis])
    return _meeting(*geometry, *more, s.start[axis + 1], s.stop[axis + 1])


@lru_cache(maxsize=4096)
def _meeting(
    length: int, kernel: int, stride: int, padding: int, dilation: int, start: int, stop: int
) -> Bools:
    target, source = np.arange(start, stop)[:, None], np.arange(length)[None, :]
    way = source + padding - target * stride
    tap, rest = np.divmod(way, dilation)
    meets: Bools = (rest == 0) & (tap >= 0) & (tap < kernel)
    return meets


def synapses(wiring: Wiring, s: Slice) -> int:
    """Return how many synapses a wiring has into a slice."""
    wiring = wiring.plain
    if isinstance(wiring, Dense):
        return wiring.source * s.size
    if isinstance(wiring, Scale):
        return s.size
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        pairs = (s.stop[0] - s.start[0]) * (wiring.source_shape[0] // wiring.groups)
        return pairs * int(np.prod([_meets(wiring, s, axis).sum() for axis in _axes(wiring)]))
    return len(wiring.pattern[s.neurons()].indices)


def rows(wiring: Wiring, s: Slice, *, shared: bool) -> Counter[Positions]:
    """Return the rows of a wiring into a slice, and how many there are of each.

    With `shared`, rows that read the same weights at the same distances count once.
    """
    wiring = wiring.plain
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        return _tile_rows(wiring, s, shared)
    if isinstance(wiring, Dense):
        return Counter({tuple(range(s.size)): wiring.source})
    if isinstance(wiring, Scale):
        return Counter({(0,): 1 if shared and one_weight(wiring) else s.size})
    found: Counter[Positions] = Counter()
    target, source = wiring.pattern[order(s)].nonzero()
    by_source = np.lexsort((target, source))
    ends = np.flatnonzero(np.diff(source[by_source])) + 1
    for places in np.split(target[by_source], ends):
        if len(places):
            found[tuple((places - places[0]).tolist())] += 1
    return found


def order(s: Slice) -> NDArray[np.int64]:
    """Return the neurons of a slice as its compartments hold them: the first axis runs first."""
    flat = s.neurons()
    return flat if len(s.start) < 2 else flat.reshape(s.extent[0], -1).T.reshape(-1)


def _tile_rows(wiring: Convolution, s: Slice, shared: bool) -> Counter[Positions]:
    depth = s.stop[0] - s.start[0]
    kinds = [Counter(_lines(wiring, s, axis)) for axis in _axes(wiring)]
    places: Counter[tuple[int, ...]] = Counter({(0,): 1})
    for kind, length in zip(kinds, s.extent[1:], strict=True):
        wider: Counter[tuple[int, ...]] = Counter()
        for before, times in places.items():
            for line, count in kind.items():
                offsets = [offset for offset, _ in line]
                after = tuple(a * length + b for a in before for b in offsets)
                wider[after] += times * (1 if shared else count)
        places = wider
    found: Counter[Positions] = Counter()
    per_group = wiring.source_shape[0] // wiring.groups
    for width in _widths(wiring, s):
        for before, times in places.items():
            row = tuple(p * depth + c for p in before for c in range(width))
            found[row] += times * per_group
    return found


def _widths(wiring: Convolution, s: Slice) -> list[int]:
    """Return how many target channels of each group are in the slice."""
    groups = np.arange(s.start[0], s.stop[0]) // (wiring.channels // wiring.groups)
    widths: list[int] = np.unique(groups, return_counts=True)[1].tolist()
    return widths


def _lines(wiring: Convolution, s: Slice, axis: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield, per source coordinate along an axis, its (target from the first, way to it)."""
    meets = _meets(wiring, s, axis)
    for source in np.flatnonzero(meets.any(axis=0)).tolist():
        targets = np.flatnonzero(meets[:, source])
        way = source + wiring.padding[axis] - (targets + s.start[axis + 1]) * wiring.stride[axis]
        yield tuple(zip((targets - targets[0]).tolist(), way.tolist(), strict=True))


def axis_lines(wiring: Convolution, s: Slice) -> list[list[tuple[tuple[int, int], ...]]]:
    """Return, per axis of space, (target from the first, way to it) of every source coordinate."""
    return [list(_lines(wiring, s, axis)) for axis in _axes(wiring)]


def first_targets(wiring: Convolution, s: Slice) -> list[int]:
    """Return the first target of every source coordinate along the first axis of space."""
    meets = _meets(wiring, s, 0)
    return [int(np.argmax(meets[:, i])) for i in np.flatnonzero(meets.any(axis=0)).tolist()]


def kernels(wiring: Convolution, s: Slice) -> Counter[int]:
    """Return how many pairs of a source channel and a used tap have so many target channels."""
    per_group = wiring.source_shape[0] // wiring.groups
    each = per_group * int(np.prod([_taps(wiring, s, axis) for axis in _axes(wiring)]))
    return Counter({width: each * times for width, times in Counter(_widths(wiring, s)).items()})


def _taps(wiring: Convolution, s: Slice, axis: int) -> int:
    """Return how many taps along an axis meet a source that there is."""
    target = np.arange(s.start[axis + 1], s.stop[axis + 1])[:, None]
    tap = np.arange(wiring.kernel[axis])[None, :]
    at = target * wiring.stride[axis] + tap * wiring.dilation[axis] - wiring.padding[axis]
    used = ((at >= 0) & (at < wiring.source_shape[axis + 1])).any(axis=0)
    return int(used.sum())
