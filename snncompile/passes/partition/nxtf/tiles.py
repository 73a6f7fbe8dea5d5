"""Layers as Intel's NxTF cuts them: tiles, interleaved destination groups, source columns.

A layer is H x W x C; the neurons of a core are numbered height fastest, then width, then channel.
The H sources of one input column (a place along the width, a channel) are one source group.

Source: nxsdk_modules_ncl/dnn/src/utils.py (github.com/intel-nrc-ecosystem/models).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores.equal_tiles import Box
from snncompile.synapses.convolution import Convolution


@dataclass(frozen=True, eq=False)
class Columns:
    """What reaches a core from the columns of one input channel, for one output channel of it."""

    rows: Ints
    """Input rows with synapses."""
    columns: Ints
    """Input columns with synapses."""
    starts: Ints
    """First neuron of each interleaved destination group, and one past the last one's last."""
    different: tuple[Pattern, ...]
    """Columns that are not alike, once each; the others share the rows of one of these."""
    kind: Ints
    """Which of `different` each of `columns` is."""
    base: Ints
    """Destination group open at each of `columns`: its targets are counted from there."""

    @property
    def groups(self) -> int:
        """Number of destination groups."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """Neurons of the largest group."""
        return int(np.diff(self.starts).max())


@dataclass(frozen=True, eq=False)
class Pattern:
    """Synapses of the sources of one column to one output channel, each of shape (synapses,)."""

    row: Ints
    """Position in `Columns.rows`."""
    part: Ints
    """0 for neurons of the group open at the column, 1 for the next one."""
    index: Ints
    """Place of the target in its group."""
    tap: Ints
    """Flattened position in the kernel."""


def columns(wiring: Convolution, box: Box) -> Columns | None:
    """Return what reaches a core; None where the groups do not cover its neurons."""
    height, width, _ = box.extent
    row, y, tap_y = _axis(wiring, 0, box.start[0], box.stop[0])
    column, x, tap_x = _axis(wiring, 1, box.start[1], box.stop[1])
    places = np.unique(column)
    if not len(row) or not len(places):
        return None  # a tile that sees padding only
    first, last = (
        np.array([reduce(x[column == i]) for i in places]) for reduce in (np.min, np.max)
    )
    ends = np.stack([first * height, (last + 1) * height], axis=1)
    starts, base = _groups(ends, ends_at_border=places[-1] == _extent(wiring, 1) - 1)
    if starts[-1] != width * height:
        return None
    rows = np.unique(row)
    patterns: dict[bytes, Pattern] = {}
    kinds = []
    for at, place in enumerate(places):
        here = column == place
        pattern = _pattern(
            (np.searchsorted(rows, row), y, tap_y), (x[here], tap_x[here]), wiring, height
        )
        group = np.searchsorted(starts, pattern.index, side="right") - 1
        moved = Pattern(pattern.row, group - base[at], pattern.index - starts[group], pattern.tap)
        key = np.stack([moved.row, moved.part, moved.index, moved.tap]).tobytes()
        patterns.setdefault(key, moved)
        kinds.append(list(patterns).index(key))
    different = tuple(patterns.values())
    return Columns(rows, places, starts, different, np.array(kinds), base)


def _extent(wiring: Convolution, axis: int) -> int:
    """Return the length of a space axis of the source; a second one of length 1 is added."""
    space = (*wiring.source_shape[1:], 1)
    return space[axis]


def _axis(wiring: Convolution, axis: int, start: int, stop: int) -> tuple[Ints, Ints, Ints]:
    """Return source, target (counted from `start`) and tap of every synapse along one axis."""
    kernel, stride, padding, dilation = (
        (*values, neutral)[axis]
        for values, neutral in (
            (wiring.kernel, 1),
            (wiring.stride, 1),
            (wiring.padding, 0),
            (wiring.dilation, 1),
        )
    )
    target, tap = (grid.reshape(-1) for grid in np.mgrid[start:stop, 0:kernel])
    source = target * stride + tap * dilation - padding
    inside = (source >= 0) & (source < _extent(wiring, axis))
    return source[inside], target[inside] - start, tap[inside]


def _groups(ends: Ints, ends_at_border: bool) -> tuple[Ints, Ints]:
    """Return where the destination groups start (and the last ends), and the base of each column.

    A column whose targets begin where the last group ended opens a group. What is left after the
    last column is a smaller group.

    Args:
        ends: first target and one past the last of each column.
        ends_at_border: whether the last column is the last of the input.
    """
    starts, base = [0], []
    for at, (first, stop) in enumerate(ends.tolist()):
        if first == starts[-1]:
            starts.append(stop)
            base.append(len(starts) - 2)
            continue
        base.append(len(starts) - 2)
        if at == len(ends) - 1 and ends_at_border and stop > starts[-1]:
            starts.append(stop)
    return np.array(starts), np.array(base)


def _pattern(
    height: tuple[Ints, Ints, Ints], width: tuple[Ints, Ints], wiring: Convolution, length: int
) -> Pattern:
    """Return all synapses of a column, by row and then target; `part` is still empty."""
    (row, y, tap_y), (x, tap_x) = height, width
    across = len(x)
    rows, ys, taps = (np.repeat(values, across) for values in (row, y, tap_y))
    target = np.tile(x, len(row)) * length + ys
    tap = taps * (*wiring.kernel, 1)[1] + np.tile(tap_x, len(row))
    order = np.lexsort((target, rows))
    return Pattern(rows[order], np.zeros(0, np.int64), target[order], tap[order])
