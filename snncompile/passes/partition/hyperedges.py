"""Group neurons that send their spikes to the same slices: the edges of a hypergraph.

A spike is copied once per destination core, not once per slice there: a slice costs no copy if
another slice of its core receives the same spikes. Moving slices changes the copies, not the
hyperedges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.cores.axon_counts import list_input_axons
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice
from snncompile.passes.analysis.traffic import Rates


@dataclass(frozen=True, eq=False)
class Hyperedges:
    """Groups of neurons of one slice whose spikes go to the same slices; slices by number."""

    spikes: Floats
    """Per time step, shape (hyperedges,)."""
    home: Ints
    """Slice of the neurons, shape (hyperedges,)."""
    ends: Ints
    """Slices that receive hyperedge i are receivers[ends[i]:ends[i + 1]]."""
    receivers: Ints

    @classmethod
    def of(
        cls, network: IntegerNetwork, chip: Chip, slices: Sequence[Slice], rate: Rates
    ) -> Hyperedges:
        """Return the hyperedges that spike, without spikes from the host."""
        receiving = _collect_receivers(network, chip, slices)
        columns = [
            _group_neurons(p.size, p.name, slices, receiving.get(p.name, []), rate[p.name])
            for p in network.populations
        ]
        spikes, home, count, receivers = (
            np.concatenate(column) for column in zip(*columns, strict=True)
        )
        return cls(spikes, home, np.concatenate([[0], np.cumsum(count)]), receivers)

    def list_touching(self, slices: int) -> tuple[Ints, Ints]:
        """Return (ends, edges): slice i holds or receives edges[ends[i]:ends[i + 1]]."""
        edge = np.arange(len(self.home))
        received = np.stack([self.receivers, np.repeat(edge, np.diff(self.ends))], axis=1)
        held = np.stack([self.home, edge], axis=1)
        pairs = np.unique(np.concatenate([received, held]), axis=0)
        ends = np.searchsorted(pairs[:, 0], np.arange(slices + 1))
        return ends.astype(np.int64), np.ascontiguousarray(pairs[:, 1])


Receivers = dict[str, list[tuple[int, Ints]]]
"""By population: slices that receive its spikes, each with the neurons they come from."""


def _collect_receivers(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> Receivers:
    receivers: Receivers = {}
    for number, s in enumerate(slices):
        regions: dict[str, list[Ints]] = {}
        for block in list_input_axons(network, chip, [s]):
            regions.setdefault(block.source, []).append(block.region.neurons())
        for source, neurons in regions.items():
            receivers.setdefault(source, []).append((number, np.unique(np.concatenate(neurons))))
    return receivers


def _group_neurons(
    size: int, name: str, slices: Sequence[Slice], receivers: list[tuple[int, Ints]], rate: Floats
) -> tuple[Floats, Ints, Ints, Ints]:
    """Return (spikes, home, number of receivers, receivers) of the edges of one population.

    Neurons with the same receivers get the same sum of random numbers, one per slice.
    """
    home, key = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    random = np.random.default_rng(0).integers(1, 2**63, (len(slices), 2), np.uint64)
    for number, s in enumerate(slices):
        if s.population == name:
            home[s.neurons()], key[s.neurons()] = number, random[number, 0]
    for number, neurons in receivers:
        key[neurons] += random[number, 1]
    _, first, member = np.unique(key, return_index=True, return_inverse=True)
    spikes: Floats = np.bincount(member, rate).astype(np.float64)
    pairs = _pair_receivers(size, first, receivers)
    count: Ints = np.bincount(pairs[:, 0], minlength=len(first)).astype(np.int64)
    used = (spikes > 0) & (count > 0)
    return spikes[used], home[first[used]], count[used], pairs[used[pairs[:, 0]], 1]


def _pair_receivers(size: int, first: Ints, receivers: list[tuple[int, Ints]]) -> Ints:
    """Return (hyperedge, receiving slice) in the order of the hyperedges, shape (pairs, 2)."""
    edge = np.full(size, -1)
    edge[first] = np.arange(len(first))
    pieces = [np.zeros((0, 2), np.int64)]
    for number, neurons in receivers:
        own = edge[neurons]
        own = own[own >= 0]
        pieces.append(np.stack([own, np.full(len(own), number)], axis=1))
    pairs = np.concatenate(pieces)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
