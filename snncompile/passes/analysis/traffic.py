"""Analysis: how many spikes travel from core to core, and over which links of the mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.cores.axon_counts import Listening, listening
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Site
from snncompile.ir.region import Region
from snncompile.reference.simulate import batches

Rates = dict[str, Floats]
Flow = tuple[Ints, Ints, Floats]
"""Cores that send, cores that they send to, spikes per time step."""
SAMPLES = 16
"""Calibration samples that are run to measure rates; placement needs no more."""


@dataclass(frozen=True, eq=False)
class Flows:
    """Spikes per time step from core to core, one copy per (source neuron, destination core)."""

    cores: int
    source: Ints
    target: Ints
    spikes: Floats

    @property
    def total(self) -> float:
        """Copies per time step."""
        return float(self.spikes.sum())

    def between(self) -> Flows:
        """Return flows between different cores only."""
        kept = self.source != self.target
        return Flows(self.cores, self.source[kept], self.target[kept], self.spikes[kept])


def rates(network: IntegerNetwork, calibration: NDArray[np.uint8] | None) -> Rates:
    """Return spikes per time step of each neuron, measured, or 1 where there is no data."""
    if calibration is None:
        return {p.name: np.ones(p.size) for p in network.populations}
    total = {p.name: np.zeros(p.size) for p in network.populations}
    samples = calibration[:SAMPLES]
    for spike_trains in batches(network, samples):
        for name in total:
            total[name] += (spike_trains[name] != 0).sum(dim=(0, 1)).numpy()
    count = samples.shape[0] * samples.shape[1]
    return {name: spikes / count for name, spikes in total.items()}


def flows(network: IntegerNetwork, chip: Chip, mapping: Mapping, rate: Rates) -> Flows:
    """Return the flows of a partitioned network; what comes from the host is left out."""
    home = {p.name: mapping.cores_of(p) for p in network.populations}
    parts: list[Flow] = []
    for core, slices in mapping.by_core.items():
        for source, regions in _by_source(listening(network, chip, slices)).items():
            if source in home:
                parts.append(_arriving(core, regions, home[source], rate[source]))
    if not parts:
        none = np.zeros(0, np.int64)
        return Flows(mapping.cores, none, none, np.zeros(0))
    sources, targets, spikes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Flows(mapping.cores, sources, targets, spikes)


def _by_source(heard: list[Listening]) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for block in heard:
        found.setdefault(block.source, []).append(block.region)
    return found


def _arriving(core: int, regions: list[Region], home: NDArray[np.int32], rate: Floats) -> Flow:
    """Return (source cores, this core, spikes) of what one population sends to a core."""
    if len(regions) == 1:
        cores, spikes = regions[0].cut(home).reshape(-1), regions[0].cut(rate).reshape(-1)
    else:
        neurons = np.unique(np.concatenate([region.neurons() for region in regions]))
        cores, spikes = home[neurons], rate[neurons]
    lowest = int(cores.min())
    copies = np.bincount(cores - lowest, weights=spikes)
    found: Ints = np.flatnonzero(np.bincount(cores - lowest)).astype(np.int64)
    return found + lowest, np.full(len(found), core), copies[found].astype(np.float64)


@dataclass(frozen=True)
class Load:
    """What placed flows do to the mesh, per time step."""

    hops: float
    """Spikes times links between tiles that they cross."""
    busiest_link: float
    """Spikes over the link that carries most of them."""
    between_chips: float
    """Spikes that leave their chip."""


def load(flow: Flows, sites: tuple[Site, ...]) -> Load:
    """Return the load of the mesh with XY routing: first along the row, then along the column."""
    place = np.array([(s.tile_x, s.tile_y, s.chip) for s in sites], np.int64)
    a, b = place[flow.source], place[flow.target]
    away = a[:, 2] != b[:, 2]
    distance = np.abs(a[:, :2] - b[:, :2]).sum(axis=1)
    near = ~away
    hops = float((distance * flow.spikes)[near].sum())
    shape = tuple(int(n) + 1 for n in place.max(axis=0))
    links = np.zeros((*shape, 4))
    _add_links(links, a[near], b[near], flow.spikes[near])
    return Load(hops, float(links.max()), float(flow.spikes[away].sum()))


@njit(cache=True)
def _add_links(links: Floats, a: Ints, b: Ints, spikes: Floats) -> None:
    """Add spikes to the links east, west, south and north of the tiles on their way."""
    for i in range(len(spikes)):
        x, y, chip = a[i]
        while x != b[i, 0]:
            step = 1 if b[i, 0] > x else -1
            links[x, y, chip, 0 if step > 0 else 1] += spikes[i]
            x += step
        while y != b[i, 1]:
            step = 1 if b[i, 1] > y else -1
            links[x, y, chip, 2 if step > 0 else 3] += spikes[i]
            y += step
