"""Axons of a program: the destination cores of each neuron, and the synapses read there.

Derived from the wirings and from the core of each neuron alone. The result lists, for each neuron,
its axons (one per core it has synapses on) and, for each axon, its entries (one per part and kind
of wiring) with their number of synapses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints, Ints32
from snncompile.backends.energy import kernels, nonzero
from snncompile.backends.energy.layout import Layout
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.source_range import SourceRange

KINDS = ("dense", "convolution", "sparse")
"""Kinds of wiring with a price of their own."""


@dataclass(frozen=True, eq=False)
class Routes:
    """All axons of a program, sorted by source neuron, then by destination core."""

    axon_start: Ints
    """Where the axons of each neuron begin, and the end; shape (neurons + 1,)."""
    axon_core: Ints32
    """Destination core, shape (axons,)."""
    axon_pair: Ints32
    """Row of `pair_part` and `pair_core`, shape (axons,)."""
    entry_start: Ints
    """Where the entries of each axon begin, and the end; shape (axons + 1,)."""
    entries: Ints32
    """Of each entry the row of its axon in `pair_part`, -1 if it is not the axon's first; the part
    of the targets; the index in `KINDS`; the number of synapses. Shape (entries, 4)."""
    pair_part: Ints32
    """Pairs of source part and destination core between which there are axons: the part."""
    pair_core: Ints32
    """The core."""

    @cached_property
    def neuron_entry(self) -> Ints:
        """Where the entries of each neuron begin, and the end; shape (neurons + 1,)."""
        return self.entry_start[self.axon_start]


def find_routes(network: IntegerNetwork, layout: Layout, skip_zeros: bool = False) -> Routes:
    """Return the axons of a network.

    Args:
        network: the network.
        layout: the core of each neuron.
        skip_zeros: count only synapses whose weight is not zero, now or learned, so every one
            that learns; axons stay.
    """
    tables = [_list_entries(layout, p, skip_zeros) for p in network.projections] or [
        (np.zeros(0, np.int64),) * 4
    ]
    source, target_part, kind, synapses = (
        np.concatenate(column) for column in zip(*tables, strict=True)
    )
    width = len(layout.parts) * len(KINDS)
    key = source.astype(np.int64) * width + target_part.astype(np.int64) * len(KINDS) + kind
    key, synapses = _sum_equal_keys(key, synapses)
    source, rest = np.divmod(key, width)
    target_part, kind = np.divmod(rest, len(KINDS))
    core = layout.part_core[target_part]
    leads = np.ones(len(key), np.bool_)
    leads[1:] = (source[1:] != source[:-1]) | (core[1:] != core[:-1])
    axon_source, axon_core = source[leads], core[leads]
    pair = layout.part_of[axon_source].astype(np.int64) * layout.cores + axon_core
    pairs, axon_pair = np.unique(pair, return_inverse=True)
    entries = np.stack([np.full(len(key), -1), target_part, kind, synapses], axis=1).astype(
        np.int32
    )
    entries[leads, 0] = axon_pair
    return Routes(
        axon_start=np.searchsorted(axon_source, np.arange(layout.size + 1)),
        axon_core=axon_core.astype(np.int32),
        axon_pair=axon_pair.astype(np.int32),
        entry_start=np.append(np.flatnonzero(leads), len(key)).astype(np.int64),
        entries=entries,
        pair_part=(pairs // layout.cores).astype(np.int32),
        pair_core=(pairs % layout.cores).astype(np.int32),
    )


def _sum_equal_keys(key: Ints, synapses: NDArray[Any]) -> tuple[Ints, NDArray[Any]]:
    """Return the keys sorted, each once, with the sums of their synapses."""
    order = np.argsort(key, kind="stable")
    key, synapses = key[order], synapses[order]
    firsts = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else order
    return key[firsts], np.add.reduceat(synapses, firsts) if len(key) else synapses


Table = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _list_entries(layout: Layout, p: Projection, skip_zeros: bool) -> Table:
    """Return (source neuron, part, kind, synapses) of a projection."""
    wiring = p.synapses.wiring
    parts, which = np.unique(layout.part_of[layout.find_neurons(p.target)], return_inverse=True)
    local: Ints32 = which.astype(np.int32)
    count = _count(wiring, local, len(parts))
    source, column = np.nonzero(count)
    if skip_zeros and p.rule is None and not np.all(p.synapses.weight):
        count = nonzero.count(wiring, p.synapses.weight, local, len(parts))
    return (
        layout.first[p.source] + source,
        parts[column],
        np.full(len(source), KINDS.index(kind_of(wiring))),
        count[source, column],
    )


def kind_of(wiring: Wiring) -> str:
    """Return as which of `KINDS` the synapses of a wiring are counted."""
    kind = wiring.plain.kind
    return kind if kind in KINDS else "sparse"


def _count_dense(wiring: Any, targets: Ints32, parts: int) -> Ints32:
    each = np.bincount(targets, minlength=parts).astype(np.int32)
    return np.broadcast_to(each, (wiring.sources, parts))


def _count_convolution(wiring: Any, targets: Ints32, parts: int) -> Ints32:
    """Count per group and position: all channels of a group have the same targets."""
    line = (1,) * (2 - len(wiring.kernel))
    positions: Ints32 = np.zeros((wiring.groups, *line, *wiring.source_shape[1:], parts), np.int32)
    kernels.count_convolution_targets(
        targets.reshape(wiring.groups, -1, *line, *wiring.target_shape[1:]),
        positions,
        (*line, *wiring.kernel),
        (*line, *wiring.stride),
        (*(0 for _ in line), *wiring.padding),
        (*line, *wiring.dilation),
    )
    channels = wiring.source_shape[0] // wiring.groups
    return np.repeat(positions, channels, axis=0).reshape(wiring.sources, parts)


def _count_sparse(wiring: Wiring, targets: Ints32, parts: int) -> Ints32:
    count: Ints32 = np.zeros((wiring.sources, parts), np.int32)
    kernels.count_pattern_targets(wiring.pattern.indptr, wiring.pattern.indices, targets, count)
    return count


def _count_source_range(wiring: SourceRange, targets: Ints32, parts: int) -> Ints32:
    count: Ints32 = np.zeros((wiring.sources, parts), np.int32)
    count[wiring.first : wiring.stop] = _count(wiring.part, targets, parts)
    return count


def _count(wiring: Wiring, targets: Ints32, parts: int) -> Ints32:
    return COUNTERS.get(type(wiring), _count_sparse)(wiring, targets, parts)


COUNTERS: dict[type, Callable[[Any, Ints32, int], Ints32]] = {
    Dense: _count_dense,
    Convolution: _count_convolution,
    SourceRange: _count_source_range,
}
"""Ways to count the synapses of each source in each part; other wirings are unrolled."""
