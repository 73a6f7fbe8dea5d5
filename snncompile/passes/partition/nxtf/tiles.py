"""Layers as Intel's NxTF cuts them: tiles, interleaved destination groups, source columns.

A layer is H x W x C; the neurons of a core are numbered height fastest, then width, then channel.
The H sources of one input column (a position along the width, a channel) are one source group.

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
    """Columns of one input channel that reach a core, for one output channel of the core."""

    rows: Ints
    """Input rows with synapses."""
    columns: Ints
    """Input columns with synapses."""
    starts: Ints
    """First neuron of each interleaved destination group, and one past the last one's last."""
    different: tuple[Pattern, ...]
    """Different columns, once each; the others share the rows of one of these."""
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
    ahead: Ints
    """0 for neurons of the group open at the column, 1 for the next one."""
    index: Ints
    """Position of the target in its group."""
    tap: Ints
    """Flattened position in the kernel."""


def find_columns(wiring: Convolution, box: Box) -> Columns | None:
    """Return the columns that reach a core; None if the groups do not cover its neurons."""
    height, width, _ = box.extent
    row, y, tap_y = _list_axis_synapses(wiring, 0, box.start[0], box.stop[0])
    column, x, tap_x = _list_axis_synapses(wiring, 1, box.start[1], box.stop[1])
    positions = np.unique(column)
    if not len(row) or not len(positions):
        return None  # a tile that sees padding only
    first, last = (
        np.array([reduce(x[column == i]) for i in positions]) for reduce in (np.min, np.max)
    )
    ends = np.stack([first * height, (last + 1) * height], axis=1)
    starts, base = find_groups(ends, ends_at_border=positions[-1] == _find_extent(wiring, 1) - 1)
    if starts[-1] != width * height:
        return None
    rows = np.unique(row)
    patterns: dict[bytes, Pattern] = {}
    kinds = []
    for at, position in enumerate(positions):
        here = column == position
        pattern = _build_pattern(
            (np.searchsorted(rows, row), y, tap_y), (x[here], tap_x[here]), wiring, height
        )
        group = np.searchsorted(starts, pattern.index, side="right") - 1
        shifted = Pattern(pattern.row, group - base[at], pattern.index - starts[group], pattern.tap)
        key = np.stack([shifted.row, shifted.ahead, shifted.index, shifted.tap]).tobytes()
        patterns.setdefault(key, shifted)
        kinds.append(list(patterns).index(key))
    different = tuple(patterns.values())
    return Columns(rows, positions, starts, different, np.array(kinds), base)


def _find_extent(wiring: Convolution, axis: int) -> int:
    """Return the length of a space axis of the source; a second one of length 1 is added."""
    space = (*wiring.source_shape[1:], 1)
    return space[axis]


def _list_axis_synapses(
    wiring: Convolution, axis: int, start: int, stop: int
) -> tuple[Ints, Ints, Ints]:
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
    inside = (source >= 0) & (source < _find_extent(wiring, axis))
    return source[inside], target[inside] - start, tap[inside]


def find_groups(ends: Ints, ends_at_border: bool) -> tuple[Ints, Ints]:
    """Return where the destination groups start (and the last ends), and the base of each column.

    A column whose targets begin where the last group ended opens a group. Targets after the last
    column form a smaller group.

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


def _build_pattern(
    height: tuple[Ints, Ints, Ints], width: tuple[Ints, Ints], wiring: Convolution, length: int
) -> Pattern:
    """Return all synapses of a column, by row and then target; `ahead` is still empty."""
    (row, y, tap_y), (x, tap_x) = height, width
    across = len(x)
    rows, ys, taps = (np.repeat(values, across) for values in (row, y, tap_y))
    target = np.tile(x, len(row)) * length + ys
    tap = taps * (*wiring.kernel, 1)[1] + np.tile(tap_x, len(row))
    order = np.lexsort((target, rows))
    return Pattern(rows[order], np.zeros(0, np.int64), target[order], tap[order])
