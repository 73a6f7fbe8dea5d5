"""Sources and targets that a wiring joins, computed from the definition of each wiring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Bools
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange

Targets = tuple[int, ...]
"""Targets of a row on its core, counted from its first target."""
Line = tuple[tuple[int, int], ...]
"""(target along an axis, way to it) of one source."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Sources as one list of coordinates per axis of `shape`: every combination of them."""

    shape: tuple[int, ...]
    lists: tuple[NDArray[np.int64], ...]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod([len(coordinates) for coordinates in self.lists]))

    def neurons(self) -> NDArray[np.int64]:
        """Return the flattened neurons in rising order."""
        flat = np.zeros(1, np.int64)
        for coordinates, length in zip(self.lists, self.shape, strict=True):
            flat = (flat[:, None] * length + coordinates[None, :]).reshape(-1)
        return flat


def find_sources(wiring: Wiring, s: Slice) -> Axes:
    """Return the sources that have a synapse into a slice."""
    if isinstance(wiring, SourceRange):
        return _shift_sources(wiring, find_sources(wiring.part, s))
    if isinstance(wiring, Dense):
        return Axes((wiring.source,), (np.arange(wiring.source),))
    if isinstance(wiring, Scale):
        return Axes((wiring.size,), (np.sort(s.neurons()),))
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        return Axes(wiring.source_shape, (_find_channels(wiring, s), *_find_space(wiring, s)))
    if isinstance(wiring, Convolution):
        return Axes((wiring.sources,), (_find_sources_by_channel(wiring, s.neurons()),))
    return Axes((wiring.sources,), (np.unique(wiring.pattern[s.neurons()].indices),))


def _find_sources_by_channel(wiring: Convolution, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sources of any targets of a convolution: group by group, row by row."""
    channel, *at = np.unravel_index(targets, wiring.target_shape)
    group = channel // (wiring.channels // wiring.groups)
    inner = wiring.source_shape[0] // wiring.groups
    image = np.zeros((wiring.groups, *wiring.source_shape[1:]), np.bool_)
    for taps in product(*map(range, wiring.kernel)):
        numbers = zip(at, taps, wiring.stride, wiring.dilation, wiring.padding, strict=True)
        ends = [a * step + tap * wide - pad for a, tap, step, wide, pad in numbers]
        inside = np.logical_and.reduce(
            [(e >= 0) & (e < n) for e, n in zip(ends, wiring.source_shape[1:], strict=True)]
        )
        image[(group[inside], *(e[inside] for e in ends))] = True
    return np.flatnonzero(np.repeat(image, inner, axis=0))


def _shift_sources(wiring: SourceRange, inside: Axes) -> Axes:
    """Return sources of a range, counted from the first source of all."""
    before, rest = divmod(wiring.first, int(np.prod(inside.shape[1:])))
    whole, more = divmod(wiring.sources_in_all, int(np.prod(inside.shape[1:])))
    if rest or more:
        return Axes((wiring.sources_in_all,), (inside.neurons() + wiring.first,))
    return Axes((whole, *inside.shape[1:]), (inside.lists[0] + before, *inside.lists[1:]))


def is_tile(wiring: Wiring, s: Slice) -> bool:
    """Whether a slice is a box of a convolution's output."""
    return isinstance(wiring, Convolution) and s.shape == wiring.target_shape


def has_one_weight(wiring: Wiring) -> bool:
    """Whether all sources have one row with the same weight."""
    return isinstance(wiring, Scale) and not wiring.per_neuron


def _find_channels(wiring: Convolution, s: Slice) -> NDArray[np.int64]:
    targets = np.arange(s.start[0], s.stop[0]) // (wiring.channels // wiring.groups)
    groups = np.arange(wiring.source_shape[0]) // (wiring.source_shape[0] // wiring.groups)
    return np.flatnonzero(np.isin(groups, targets))


def _find_space(wiring: Convolution, s: Slice) -> list[NDArray[np.int64]]:
    return [
        np.flatnonzero(_find_meetings(wiring, s, axis).any(axis=0))
        for axis in _list_space_axes(wiring)
    ]


def _list_space_axes(wiring: Convolution) -> range:
    return range(len(wiring.kernel))


def _find_meetings(wiring: Convolution, s: Slice, axis: int) -> Bools:
    """Return whether target and source coordinates meet along an axis, (targets, sources)."""
    geometry = (wiring.source_shape[axis + 1], wiring.kernel[axis], wiring.stride[axis])
    more = (wiring.padding[axis], wiring.dilation[axis])
    return _compute_meetings(*geometry, *more, s.start[axis + 1], s.stop[axis + 1])


@lru_cache(maxsize=4096)
def _compute_meetings(
    length: int, kernel: int, stride: int, padding: int, dilation: int, start: int, stop: int
) -> Bools:
    target, source = np.arange(start, stop)[:, None], np.arange(length)[None, :]
    way = source + padding - target * stride
    tap, rest = np.divmod(way, dilation)
    meets: Bools = (rest == 0) & (tap >= 0) & (tap < kernel)
    return meets


def count_synapses(wiring: Wiring, s: Slice) -> int:
    """Return the number of synapses of a wiring into a slice."""
    wiring = wiring.plain
    if isinstance(wiring, Dense):
        return wiring.source * s.size
    if isinstance(wiring, Scale):
        return s.size
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        pairs = (s.stop[0] - s.start[0]) * (wiring.source_shape[0] // wiring.groups)
        return pairs * int(
            np.prod([_find_meetings(wiring, s, axis).sum() for axis in _list_space_axes(wiring)])
        )
    if isinstance(wiring, Convolution):
        return _count_synapses_by_neuron(wiring, s.neurons())
    return len(wiring.pattern[s.neurons()].indices)


def _count_synapses_by_neuron(wiring: Convolution, targets: NDArray[np.int64]) -> int:
    """Return the synapses of any targets of a convolution: axis by axis, none is unrolled."""
    count = np.full(len(targets), wiring.source_shape[0] // wiring.groups)
    for axis, at in enumerate(np.unravel_index(targets, wiring.target_shape)[1:]):
        geometry = (wiring.source_shape[axis + 1], wiring.kernel[axis], wiring.stride[axis])
        more = (wiring.padding[axis], wiring.dilation[axis])
        meets = _compute_meetings(*geometry, *more, 0, wiring.target_shape[axis + 1])
        count *= meets.sum(axis=1)[at]
    return int(count.sum())


def count_rows(wiring: Wiring, s: Slice, *, shared: bool) -> Counter[Targets]:
    """Return the rows of a wiring into a slice and the number of each.

    With `shared`, rows that read the same weights at the same distances count once.
    """
    wiring = wiring.plain
    if is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        return _count_tile_rows(wiring, s, shared)
    if isinstance(wiring, Dense):
        return Counter({tuple(range(s.size)): wiring.source})
    if isinstance(wiring, Scale):
        return Counter({(0,): 1 if shared and has_one_weight(wiring) else s.size})
    counts: Counter[Targets] = Counter()
    target, source = wiring.pattern[order_neurons(s)].nonzero()
    by_source = np.lexsort((target, source))
    ends = np.flatnonzero(np.diff(source[by_source])) + 1
    for targets in np.split(target[by_source], ends):
        if len(targets):
            counts[tuple((targets - targets[0]).tolist())] += 1
    return counts


def order_neurons(s: Slice) -> NDArray[np.int64]:
    """Return the neurons of a slice as its compartments hold them: the first axis runs first."""
    flat = s.neurons()
    return flat if len(s.start) < 2 else flat.reshape(s.extent[0], -1).T.reshape(-1)


def _count_tile_rows(wiring: Convolution, s: Slice, shared: bool) -> Counter[Targets]:
    depth = s.stop[0] - s.start[0]
    kinds = [Counter(_list_lines(wiring, s, axis)) for axis in _list_space_axes(wiring)]
    positions: Counter[tuple[int, ...]] = Counter({(0,): 1})
    for kind, length in zip(kinds, s.extent[1:], strict=True):
        wider: Counter[tuple[int, ...]] = Counter()
        for before, times in positions.items():
            for line, count in kind.items():
                offsets = [offset for offset, _ in line]
                after = tuple(a * length + b for a in before for b in offsets)
                wider[after] += times * (1 if shared else count)
        positions = wider
    counts: Counter[Targets] = Counter()
    per_group = wiring.source_shape[0] // wiring.groups
    for width in _measure_widths(wiring, s):
        for before, times in positions.items():
            row = tuple(p * depth + c for p in before for c in range(width))
            counts[row] += times * per_group
    return counts


def _measure_widths(wiring: Convolution, s: Slice) -> list[int]:
    """Return the number of target channels in the slice, by group."""
    groups = np.arange(s.start[0], s.stop[0]) // (wiring.channels // wiring.groups)
    widths: list[int] = np.unique(groups, return_counts=True)[1].tolist()
    return widths


def _list_lines(wiring: Convolution, s: Slice, axis: int) -> Iterator[Line]:
    """Yield the line of every source coordinate along an axis; targets count from its first."""
    meets = _find_meetings(wiring, s, axis)
    for source in np.flatnonzero(meets.any(axis=0)).tolist():
        targets = np.flatnonzero(meets[:, source])
        way = source + wiring.padding[axis] - (targets + s.start[axis + 1]) * wiring.stride[axis]
        yield tuple(zip((targets - targets[0]).tolist(), way.tolist(), strict=True))


def list_axis_lines(wiring: Convolution, s: Slice) -> list[list[Line]]:
    """Return the line of every source coordinate, by axis of space."""
    return [list(_list_lines(wiring, s, axis)) for axis in _list_space_axes(wiring)]


def list_first_targets(wiring: Convolution, s: Slice) -> list[int]:
    """Return the first target of every source coordinate along the first axis of space."""
    meets = _find_meetings(wiring, s, 0)
    return [int(np.argmax(meets[:, i])) for i in np.flatnonzero(meets.any(axis=0)).tolist()]


def count_kernels(wiring: Convolution, s: Slice) -> Counter[int]:
    """Return the pairs of a source channel and a used tap, counted by their target channels."""
    per_group = wiring.source_shape[0] // wiring.groups
    each = per_group * int(
        np.prod([_count_taps(wiring, s, axis) for axis in _list_space_axes(wiring)])
    )
    return Counter(
        {width: each * times for width, times in Counter(_measure_widths(wiring, s)).items()}
    )


def _count_taps(wiring: Convolution, s: Slice, axis: int) -> int:
    """Return the number of taps along an axis that meet a source."""
    target = np.arange(s.start[axis + 1], s.stop[axis + 1])[:, None]
    tap = np.arange(wiring.kernel[axis])[None, :]
    at = target * wiring.stride[axis] + tap * wiring.dilation[axis] - wiring.padding[axis]
    used = ((at >= 0) & (at < wiring.source_shape[axis + 1])).any(axis=0)
    return int(used.sum())
