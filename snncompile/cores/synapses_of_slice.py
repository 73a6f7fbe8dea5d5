"""Analysis: sources, rows and words that the synapses of one projection into one slice need.

A convolution is never unrolled where its slice is a box of its output: the different rows and the
sources that reach the box follow from the geometry alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.cores import chip_rules
from snncompile.cores.convolution_reach import AxisReach, measure_axis_reach, measure_channel_reach
from snncompile.cores.headed_rows import KernelRows, find_stored_bits
from snncompile.cores.learning import find_row_learning, mark_formats
from snncompile.cores.memory_words import (
    CUTS_KERNELS,
    ENCODINGS,
    SHARES_KERNELS,
    SHARES_ROWS,
    ListedRows,
    Memory,
    RowKind,
    RowKinds,
    Runs,
    choose_memory,
)
from snncompile.cores.weight_bits import WeightBits, measure_weights
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Projection
from snncompile.ir.mapping import Slice
from snncompile.ir.region import Region
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange, find_image


@dataclass(frozen=True)
class _Reach:
    region: Region
    synapses: int
    rows: RowKinds | ListedRows | KernelRows
    shared: bool


@dataclass(frozen=True, eq=False)
class Demand:
    """Demand of a core's resources by the synapses of one projection into one slice."""

    chip: Chip
    projection: Projection
    slice: Slice
    reach: _Reach

    @property
    def region(self) -> Region:
        """Sources that have at least one of the synapses."""
        return self.reach.region

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.reach.synapses

    @property
    def shared(self) -> bool:
        """Whether several sources share a row, so that each has an axon for these alone."""
        return self.reach.shared

    @cached_property
    def memory(self) -> Memory:
        """Synaptic memory that the synapses take."""
        synapses = self.projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        if self.chip.encoding not in ENCODINGS:
            words = chip_rules.count_words(self.chip, self.projection, self.slice)
            return Memory(words, self.chip.encoding)
        known = WeightBits(synapses.bits)
        if (learns := find_row_learning(self.chip, self.projection)) is not None:
            known = WeightBits(learns.synapse_bits.whole or 0)
        elif self.chip.rows is not None:
            choices = self.chip.formats.weight_bits.values
            known = measure_weights(synapses, self.slice, choices)
        elif self.chip.headed_rows is not None:
            choices = self.chip.headed_rows.weight_bits.values
            known = WeightBits(find_stored_bits(synapses, choices))
        learning = self.projection.rule is not None
        delayed = self.projection.delay > 1
        rows = self.reach.rows
        memory = choose_memory(self.chip, rows, known, delayed, learning=learning)
        return mark_formats(memory, self.projection)


def measure_demand(chip: Chip, projection: Projection, s: Slice) -> Demand:
    """Return the demand of a projection's synapses into a slice of its target."""
    wiring = projection.synapses.wiring
    if chip.encoding in CUTS_KERNELS and _has_channel_weights(projection, s):
        wiring = Scale(wiring.sources)
    return Demand(chip, projection, s, _reach(chip, wiring, s))


def _has_channel_weights(projection: Projection, s: Slice) -> bool:
    """Whether a one-to-one projection has one weight per channel: a kernel of one tap."""
    synapses = projection.synapses
    wiring = synapses.wiring
    if not isinstance(wiring, Scale) or not wiring.per_neuron or len(s.shape) < 2:
        return False
    return is_constant_per_channel(synapses, s.shape[0])


@lru_cache(maxsize=4096)
def is_constant_per_channel(synapses: Any, channels: int) -> bool:
    """Return whether weights of single neurons are equal in each of so many channels."""
    weight = np.asarray(synapses.weight).reshape(channels, -1)
    return bool((weight == weight[:, :1]).all())


def list_demands(chip: Chip, network: Graph, s: Slice) -> list[Demand]:
    """Return the demand of each projection that has synapses into a slice."""
    demands = [measure_demand(chip, p, s) for p in network.into(s.population)]
    return [demand for demand in demands if demand.synapses]


def _reach(chip: Chip, wiring: Wiring, s: Slice) -> _Reach:
    measure = REACH.get(type(wiring))
    reach = measure(chip, wiring, s) if measure else None
    return reach or _reach_by_synapse(chip, wiring, s)


def _reach_dense(chip: Chip, wiring: Dense, s: Slice) -> _Reach:
    rows = (RowKind(((0, s.size),), wiring.source),)
    return _Reach(Region.from_size(wiring.source), wiring.source * s.size, rows, shared=False)


def _reach_scale(chip: Chip, wiring: Scale, s: Slice) -> _Reach:
    """One weight for all is one row, where rows can be shared."""
    shared = not wiring.per_neuron and chip.encoding in SHARES_ROWS + SHARES_KERNELS
    axes = tuple(range(a, b) for a, b in zip(s.start, s.stop, strict=True))
    region = Region(s.shape, axes, s.members)
    if not wiring.per_neuron and chip.encoding in CUTS_KERNELS:
        channels = s.extent[0] if len(s.extent) > 1 else 1
        return _Reach(region, s.size, KernelRows(channels, channels), shared=True)
    return _Reach(region, s.size, (RowKind(((0, 1),), 1 if shared else s.size),), shared)


def _reach_convolution(chip: Chip, wiring: Convolution, s: Slice) -> _Reach | None:
    if s.shape != wiring.target_shape:
        return None if chip.encoding in ENCODINGS else _reach_without_rows(wiring, s.neurons())
    return _reach_tile(
        chip.encoding in SHARES_ROWS,
        chip.encoding in SHARES_KERNELS,
        chip.encoding in CUTS_KERNELS,
        wiring,
        s.start,
        s.stop,
    )


def _reach_without_rows(wiring: Wiring, targets: NDArray[np.int64]) -> _Reach:
    """Return sources and synapses alone, for chips whose rules count no rows."""
    region = Region.from_neurons(np.flatnonzero(wiring.fan_out(targets)))
    return _Reach(region, int(wiring.fan_in[targets].sum()), (), shared=False)


@lru_cache(maxsize=100_000)
def _reach_tile(
    shares_rows: bool,
    shares_kernels: bool,
    cuts_kernels: bool,
    wiring: Convolution,
    start: tuple[int, ...],
    stop: tuple[int, ...],
) -> _Reach:
    channels = measure_channel_reach(
        wiring.source_shape[0], wiring.channels, wiring.groups, start[0], stop[0]
    )
    space = [
        measure_axis_reach(wiring, i, start[i + 1], stop[i + 1]) for i in range(len(start) - 1)
    ]
    coordinates = [
        np.array(axis, np.int64) for axis in (channels.sources, *(a.sources for a in space))
    ]
    region = Region.from_axes(wiring.source_shape, coordinates)
    pairs = sum(width * count for width, count in channels.rows)
    synapses = pairs * prod(axis.synapses for axis in space)
    if cuts_kernels:
        taps = len(channels.sources) * prod(wiring.kernel)
        return _Reach(region, synapses, KernelRows(stop[0] - start[0], taps), shared=True)
    if shares_kernels:
        taps = prod(axis.taps for axis in space)
        rows = [RowKind(((0, width),), count * taps) for width, count in channels.rows]
    else:
        extent = tuple(b - a for a, b in zip(start, stop, strict=True))
        rows = list(_list_rows(channels.rows, space, extent, alone=not shares_rows))
    return _Reach(region, synapses, tuple(rows), shares_rows or shares_kernels)


def _list_rows(
    channels: tuple[tuple[int, int], ...],
    space: list[AxisReach],
    extent: tuple[int, ...],
    alone: bool,
) -> Any:
    """Yield the rows of a tile whose compartments run through the channels first.

    Args:
        channels: (target channels, source channels) as in `ChannelReach`.
        space: sources that reach the tile along each axis of space.
        extent: of the tile, channels first.
        alone: whether every source has a row of its own, as without sharing.
    """
    for width, sources in channels:
        for patterns in product(*(axis.patterns for axis in space)):
            starts = [0]
            for (offsets, _), length in zip(patterns, extent[1:], strict=True):
                starts = [start * length + offset for start in starts for offset in offsets]
            count = sources * (prod(n for _, n in patterns) if alone else 1)
            yield RowKind(_join_runs([start * extent[0] for start in starts], width), count)


def _join_runs(starts: list[int], width: int) -> Runs:
    """Return stretches of `width` at these starts; those that touch are one."""
    runs: list[tuple[int, int]] = []
    for start in starts:
        if runs and sum(runs[-1]) == start:
            runs[-1] = (runs[-1][0], runs[-1][1] + width)
        else:
            runs.append((start, width))
    return tuple(runs)


def _reach_source_range(chip: Chip, wiring: SourceRange, s: Slice) -> _Reach:
    """Return the rows of the range alone, with its sources counted from those of the projection."""
    reach = _reach(chip, wiring.part, s)
    region = reach.region
    if isinstance(wiring.part, Dense):
        sources = range(wiring.first, wiring.stop)
        return replace(reach, region=Region((wiring.sources,), (sources,)))
    image = find_image(wiring)
    if image and region.axes and len(region.axes) > 1:
        shape, first = image
        channels = range(region.axes[0].start + first, region.axes[0].stop + first)
        return replace(reach, region=Region(shape, (channels, *region.axes[1:])))
    return replace(reach, region=Region.from_neurons(region.neurons() + wiring.first))


def _reach_by_synapse(chip: Chip, wiring: Wiring, s: Slice) -> _Reach:
    """Return the rows synapse by synapse; without gaps where no encoding depends on them."""
    targets = order_compartments(s)
    if isinstance(wiring, Convolution):  # whose pattern is too large to be kept
        pattern = wiring.rows(np.ones(wiring.weight_shape, np.int8), targets)
        targets = np.arange(s.size)
    else:
        pattern = wiring.pattern
    heard, fan_in = _select_rows(pattern, targets)
    order = np.argsort(heard, kind="stable")
    compartments = np.repeat(np.arange(s.size), fan_in)[order]
    heard = heard[order]
    starts = np.flatnonzero(np.diff(heard, prepend=-1))  # np.unique takes longer
    sources = heard[starts].astype(np.int64)
    lengths = np.diff(starts, append=len(heard))
    rows: RowKinds | ListedRows
    if chip.encoding in SHARES_ROWS:
        ends = np.append(starts, len(heard))
        rows = ListedRows(ends, compartments - np.repeat(compartments[starts], lengths))
    else:
        kinds = zip(*(a.tolist() for a in np.unique(lengths, return_counts=True)), strict=True)
        rows = tuple(RowKind(((0, length),), count) for length, count in kinds)
    return _Reach(Region.from_neurons(sources), len(heard), rows, shared=False)


def _select_rows(
    matrix: csr_array, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the columns of some rows of a matrix, row after row, and their number in each row.

    scipy's own selection takes some ten times as long for the few rows of a slice.
    """
    first = matrix.indptr[rows]
    lengths = matrix.indptr[rows + 1] - first
    before = np.cumsum(lengths) - lengths
    entries = np.repeat(first - before, lengths) + np.arange(int(lengths.sum()))
    return matrix.indices[entries], lengths


def order_compartments(s: Slice) -> Any:
    """Return the flattened neurons of a slice in the order of its compartments, shape (size,).

    A box runs through its first axis first: the channels of a coordinate lie side by side, as the
    synapses of a convolution's row do.
    """
    if len(s.start) < 2:
        return s.neurons()
    return np.moveaxis(s.neurons().reshape(s.extent), 0, -1).reshape(-1)


_Measure = Callable[[Chip, Any, Slice], _Reach | None]
REACH: dict[type[Wiring], _Measure] = {
    Dense: _reach_dense,
    Scale: _reach_scale,
    Convolution: _reach_convolution,
    SourceRange: _reach_source_range,
}


def count_synapses(wiring: Wiring, s: Slice) -> int:
    """Return the synapses of a wiring into a slice of its target."""
    wiring = wiring.plain
    if isinstance(wiring, Convolution) and s.shape == wiring.target_shape:
        return _reach_tile(False, False, False, wiring, s.start, s.stop).synapses
    if isinstance(wiring, Dense):
        return wiring.source * s.size
    if isinstance(wiring, Scale):
        return s.size
    return int(wiring.fan_in[s.neurons()].sum())
