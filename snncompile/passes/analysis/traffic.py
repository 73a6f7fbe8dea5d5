"""Analysis: count the spikes from core to core, from the host to cores, and over the links.

The host joins the mesh at tile 0,0 of chip 0, as in `backends/energy/events.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.cores.axon_counts import InputAxons, list_input_axons
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Site
from snncompile.ir.plastic import freeze_learning
from snncompile.ir.region import Region
from snncompile.machine_code import compile_function
from snncompile.reference.simulate import run_batches

Rates = dict[str, Floats]
Flow = tuple[Ints, Ints, Floats]
"""Source cores, destination cores, spikes per time step."""
SAMPLES = 16
"""Calibration samples that are run to measure rates; placement needs no more."""


@dataclass(frozen=True, eq=False)
class Flows:
    """Spikes per time step to cores, one copy per (source neuron, destination core)."""

    cores: int
    source: Ints
    target: Ints
    spikes: Floats
    from_host: Floats
    """Spikes of the input to each core, shape (cores,)."""

    @property
    def total(self) -> float:
        """Copies per time step, the host's too."""
        return float(self.spikes.sum() + self.from_host.sum())

    def drop_local(self) -> Flows:
        """Return flows between different cores, and from the host."""
        away = self.source != self.target
        return replace(
            self, source=self.source[away], target=self.target[away], spikes=self.spikes[away]
        )

    def drop_host(self) -> Flows:
        """Return flows between cores only."""
        return replace(self, from_host=np.zeros(self.cores))


def measure_rates(network: IntegerNetwork, calibration: NDArray[np.uint8] | None) -> Rates:
    """Return spikes per time step of each neuron and input, or 1 without calibration data."""
    sizes = {p.name: p.size for p in network.populations}
    sizes[network.input.name] = network.input.size
    if calibration is None:
        return {name: np.ones(size) for name, size in sizes.items()}
    total = {name: np.zeros(size) for name, size in sizes.items()}
    samples = calibration[:SAMPLES]
    for spike_trains in run_batches(freeze_learning(network), samples):
        for name in total:
            total[name] += (spike_trains[name] != 0).sum(dim=(0, 1)).numpy()
    count = samples.shape[0] * samples.shape[1]
    return {name: spikes / count for name, spikes in total.items()}


def count_flows(network: IntegerNetwork, chip: Chip, mapping: Mapping, rate: Rates) -> Flows:
    """Return the flows of a partitioned network."""
    home = {p.name: mapping.cores_of(p) for p in network.populations}
    columns: list[Flow] = []
    from_host = np.zeros(mapping.cores)
    for core, slices in mapping.by_core.items():
        for source, regions in _group_by_source(list_input_axons(network, chip, slices)).items():
            if source in home:
                columns.append(_count_arriving(core, regions, home[source], rate[source]))
            else:
                from_host[core] = rate[source][_list_neurons(regions)].sum()
    if not columns:
        empty = np.zeros(0, np.int64)
        return Flows(mapping.cores, empty, empty, np.zeros(0), from_host)
    sources, targets, spikes = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Flows(mapping.cores, sources, targets, spikes, from_host)


def _group_by_source(blocks: list[InputAxons]) -> dict[str, list[Region]]:
    regions: dict[str, list[Region]] = {}
    for block in blocks:
        regions.setdefault(block.source, []).append(block.region)
    return regions


def _count_arriving(
    core: int, regions: list[Region], home: NDArray[np.int32], rate: Floats
) -> Flow:
    """Return (source cores, this core, spikes) of the spikes from one population to a core."""
    if len(regions) == 1:
        cores, spikes = regions[0].cut(home).reshape(-1), regions[0].cut(rate).reshape(-1)
    else:
        neurons = _list_neurons(regions)
        cores, spikes = home[neurons], rate[neurons]
    lowest = int(cores.min())
    copies = np.bincount(cores - lowest, weights=spikes)
    sources: Ints = np.flatnonzero(np.bincount(cores - lowest)).astype(np.int64)
    return sources + lowest, np.full(len(sources), core), copies[sources].astype(np.float64)


def _list_neurons(regions: list[Region]) -> NDArray[np.int64]:
    """Return the neurons of any of the regions, each once."""
    return np.unique(np.concatenate([region.neurons() for region in regions]))


@dataclass(frozen=True)
class Load:
    """Spikes on the links of the mesh, per time step."""

    hops: float
    """Spikes times crossed links between tiles."""
    busiest_link: float
    """Spikes over the link that carries the largest number."""
    between_chips: float
    """Spikes that leave their chip."""


def measure_load(flow: Flows, sites: tuple[Site, ...]) -> Load:
    """Return the load of the mesh with XY routing: first along the row, then along the column."""
    host = (0, 0, 0)
    position = np.array([*((s.tile_x, s.tile_y, s.chip) for s in sites), host], np.int64)
    cores = np.flatnonzero(flow.from_host)
    a = position[np.concatenate([flow.source, np.full(len(cores), flow.cores)])]
    b = position[np.concatenate([flow.target, cores])]
    spikes = np.concatenate([flow.spikes, flow.from_host[cores]])
    away = a[:, 2] != b[:, 2]
    distance = np.abs(a[:, :2] - b[:, :2]).sum(axis=1)
    near = ~away
    hops = float((distance * spikes)[near].sum())
    shape = tuple(int(n) + 1 for n in position.max(axis=0))
    links = np.zeros((*shape, 4))
    _add_links(links, a[near], b[near], spikes[near])
    return Load(hops, float(links.max()), float(spikes[away].sum()))


@compile_function
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
