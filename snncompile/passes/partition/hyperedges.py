"""Neurons that send their spikes to the same slices, counted together: the edges of a hypergraph.

A spike is copied once per destination core, not once per slice there: what a slice hears costs
nothing where another slice of its core hears it too. Moving slices changes the copies; the atoms
stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.cores.axon_counts import listening
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice
from snncompile.passes.analysis.traffic import Rates


@dataclass(frozen=True, eq=False)
class Atoms:
    """Groups of neurons of one slice that the same slices listen to."""

    spikes: Floats
    """Per time step, shape (atoms,)."""
    home: Ints
    """Slice of the neurons, by its place."""
    ends: Ints
    """Slices that listen to atom i are listeners[ends[i]:ends[i + 1]]."""
    listeners: Ints

    @classmethod
    def of(cls, network: IntegerNetwork, chip: Chip, slices: Sequence[Slice], rate: Rates) -> Atoms:
        """Return the atoms that spike at all; what comes from the host is left out."""
        heard = _heard(network, chip, slices)
        parts = [
            _population(p.size, p.name, slices, heard.get(p.name, []), rate[p.name])
            for p in network.populations
        ]
        spikes, home, count, listeners = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return cls(spikes, home, np.concatenate([[0], np.cumsum(count)]), listeners)

    def touching(self, slices: int) -> tuple[Ints, Ints]:
        """Return (ends, atoms): the atoms that slice i holds or listens to, as above."""
        atom = np.arange(len(self.home))
        hears = np.stack([self.listeners, np.repeat(atom, np.diff(self.ends))], axis=1)
        holds = np.stack([self.home, atom], axis=1)
        pairs = np.unique(np.concatenate([hears, holds]), axis=0)
        ends = np.searchsorted(pairs[:, 0], np.arange(slices + 1))
        return ends.astype(np.int64), np.ascontiguousarray(pairs[:, 1])


Heard = dict[str, list[tuple[int, Ints]]]
"""By population: slices that listen to it, and to which of its neurons."""


def _heard(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> Heard:
    found: Heard = {}
    for place, s in enumerate(slices):
        regions: dict[str, list[Ints]] = {}
        for block in listening(network, chip, [s]):
            regions.setdefault(block.source, []).append(block.region.neurons())
        for source, neurons in regions.items():
            found.setdefault(source, []).append((place, np.unique(np.concatenate(neurons))))
    return found


def _population(
    size: int, name: str, slices: Sequence[Slice], heard: list[tuple[int, Ints]], rate: Floats
) -> tuple[Floats, Ints, Ints, Ints]:
    """Return (spikes, home, number of listeners, listeners) of the atoms of one population.

    Neurons that the same slices listen to get the same sum of random numbers, one per slice.
    """
    home, key = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    number = np.random.default_rng(0).integers(1, 2**63, (len(slices), 2), np.uint64)
    for place, s in enumerate(slices):
        if s.population == name:
            home[s.neurons()], key[s.neurons()] = place, number[place, 0]
    for place, neurons in heard:
        key[neurons] += number[place, 1]
    _, first, member = np.unique(key, return_index=True, return_inverse=True)
    spikes: Floats = np.bincount(member, rate).astype(np.float64)
    pairs = _pairs(size, first, heard)
    count: Ints = np.bincount(pairs[:, 0], minlength=len(first)).astype(np.int64)
    kept = (spikes > 0) & (count > 0)
    return spikes[kept], home[first[kept]], count[kept], pairs[kept[pairs[:, 0]], 1]


def _pairs(size: int, first: Ints, heard: list[tuple[int, Ints]]) -> Ints:
    """Return (atom, slice that listens to it) in the order of the atoms, shape (pairs, 2)."""
    atom = np.full(size, -1)
    atom[first] = np.arange(len(first))
    found = [np.zeros((0, 2), np.int64)]
    for place, neurons in heard:
        mine = atom[neurons]
        mine = mine[mine >= 0]
        found.append(np.stack([mine, np.full(len(mine), place)], axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
