"""Input axons of a core and the output entries they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.cores import synapses_of_slice as demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region

Axons = dict[str, NDArray[np.int32]]
"""Output entries of each neuron's axons, by population, shape (n,)."""


@dataclass(frozen=True)
class Listening:
    """Input axons of a core from one source: one per neuron of the region."""

    source: str
    region: Region
    projections: tuple[int, ...]
    """Whose synapses the axons reach, by their place in the network."""
    slice: int | None
    """Which of the core's slices, where the rows are shared; None: all that the projections do."""


def listening(network: Graph, chip: Chip, slices: Sequence[Slice]) -> list[Listening]:
    """Return the input axons of a core, in the order of its slices and of the projections.

    A source's rows lie one after the other, so that one axon per neuron reaches them all. Only rows
    that several sources share have an axon for themselves.
    """
    found: list[Listening] = []
    together: dict[str, list[tuple[int, Region]]] = {}
    for place, s in enumerate(slices):
        for what in demand.into(chip, network, s):
            p = what.projection
            number = network.number(p)
            if what.shared:
                found.append(Listening(p.source, what.region, (number,), place))
            else:
                together.setdefault(p.source, []).append((number, what.region))
    for source, parts in together.items():
        region = _union([region for _, region in parts])
        found.append(Listening(source, region, tuple(dict.fromkeys(i for i, _ in parts)), None))
    return found


def _union(regions: list[Region]) -> Region:
    if all(region == regions[0] for region in regions):
        return regions[0]
    return Region.listed(np.unique(np.concatenate([region.neurons() for region in regions])))


def destinations(network: Graph, chip: Chip, heard: Iterable[Listening]) -> Axons:
    """Return the output entries of each neuron of each population, if all is on one chip."""
    axons = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    for block in heard:
        if block.source in axons:
            block.region.count_in(axons[block.source], entries_per_axon(chip))
    return axons


def _add_other_chips(
    network: Graph, chip: Chip, mapping: Mapping, heard: dict[int, list[Listening]], axons: Axons
) -> None:
    """Add the further entries of axons that lead to another chip."""
    more = entries_per_axon(chip, other_chip=True) - entries_per_axon(chip)
    chip_of = np.zeros(mapping.cores, np.int32)
    for site in mapping.sites:
        chip_of[site.core] = site.chip
    home = {p.name: chip_of[mapping.cores_of(p)] for p in network.populations}
    for core, blocks in heard.items():
        for block in blocks:
            if block.source in axons:
                neurons = block.region.neurons()
                away = home[block.source][neurons] != chip_of[core]
                axons[block.source][neurons[away]] += more


def reach(network: Graph, source: str, s: Slice) -> NDArray[np.bool_]:
    """Return which neurons of a source have a synapse into a slice."""
    reached = np.zeros(network.end(source).size, np.bool_)
    for p in network.out_of(source):
        if p.target == s.population:
            reached |= p.synapses.wiring.fan_out(s.neurons()) > 0
    return reached


def entries_per_axon(chip: Chip, *, other_chip: bool = False) -> int:
    """Return the output entries of an axon that serves one source neuron."""
    if chip.axon_entries is None:
        return 1
    more = chip.axon_entries.other_chip.whole or 0
    return (chip.axon_entries.discrete.whole or 1) + (more if other_chip else 0)


def entries_saved(chip: Chip, neurons: int, axons: int, *, other_chip: bool = False) -> int:
    """Return the output entries saved where so many neurons share so many population axons."""
    assert chip.axon_entries is not None
    each = entries_per_axon(chip, other_chip=other_chip)
    more = each - entries_per_axon(chip)
    return neurons * each - axons * ((chip.axon_entries.population.whole or 1) + more)
