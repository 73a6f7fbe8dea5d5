"""Input axons of a core and the output entries that they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.learning import find_row_learning
from snncompile.cores.port_entries import count_input_entries
from snncompile.cores.synapses_of_slice import list_demands
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region

OutputEntries = dict[str, NDArray[np.int32]]
"""Output entries of each neuron's axons, by population, shape (n,)."""


@dataclass(frozen=True)
class InputAxons:
    """Input axons of a core from one source: one per neuron of the region."""

    source: str
    region: Region
    projections: tuple[int, ...]
    """Projections whose synapses the axons reach, by number in the network."""
    slice: int | None
    """Number of the core's slice where rows are shared or learn; None: all of the projections."""
    entries: int = 0
    """Entries that they take on chips that count them otherwise; 0: one per neuron."""

    @property
    def count(self) -> int:
        """Number of entries."""
        return self.entries or self.region.size


def list_input_axons(network: Graph, chip: Chip, slices: Sequence[Slice]) -> list[InputAxons]:
    """Return the input axons of a core, in the order of its slices and of the projections.

    A source's rows lie one after the other, so that one axon per neuron reaches them all. Rows that
    several sources share have axons of their own, and so have learning rows. On chips with headed
    rows every projection into every slice has.
    """
    if chip.headed_rows is not None:
        return [
            InputAxons(p.projection.source, p.region, (network.number(p.projection),), i, entries)
            for i, s in enumerate(slices)
            for p in list_demands(chip, network, s)
            for entries in (count_input_entries(p),)
        ]
    blocks: list[InputAxons] = []
    regions: dict[str, list[tuple[int, Region]]] = {}
    for number_of_slice, s in enumerate(slices):
        for demand in list_demands(chip, network, s):
            p = demand.projection
            index = network.number(p)
            if (learning := find_row_learning(chip, p)) is not None:
                entries = demand.region.size * (learning.axon_entries.whole or 1)
                blocks.append(
                    InputAxons(p.source, demand.region, (index,), number_of_slice, entries)
                )
            elif demand.shared:
                blocks.append(InputAxons(p.source, demand.region, (index,), number_of_slice))
            else:
                regions.setdefault(p.source, []).append((index, demand.region))
    for source, pairs in regions.items():
        region = _unite([region for _, region in pairs])
        blocks.append(InputAxons(source, region, tuple(dict.fromkeys(i for i, _ in pairs)), None))
    return blocks


def _unite(regions: list[Region]) -> Region:
    if all(region == regions[0] for region in regions):
        return regions[0]
    return Region.from_neurons(np.unique(np.concatenate([region.neurons() for region in regions])))


def count_output_entries(network: Graph, chip: Chip, blocks: Iterable[InputAxons]) -> OutputEntries:
    """Return the output entries of each neuron of each population, all cores on one chip."""
    axons = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    if chip.headed_rows is not None:
        return axons  # they belong to slices, not to neurons
    for block in blocks:
        if block.source in axons:
            block.region.count_in(axons[block.source], count_entries_per_axon(chip))
    return axons


def add_entries_to_other_chips(
    network: Graph,
    chip: Chip,
    mapping: Mapping,
    input_axons: dict[int, list[InputAxons]],
    axons: OutputEntries,
) -> None:
    """Add the further entries of axons that lead to another chip."""
    if chip.headed_rows is not None:
        return
    extra = count_entries_per_axon(chip, other_chip=True) - count_entries_per_axon(chip)
    chip_of = np.zeros(mapping.cores, np.int32)
    for site in mapping.sites:
        chip_of[site.core] = site.chip
    home = {p.name: chip_of[mapping.cores_of(p)] for p in network.populations}
    for core, blocks in input_axons.items():
        for block in blocks:
            if block.source in axons:
                neurons = block.region.neurons()
                away = home[block.source][neurons] != chip_of[core]
                axons[block.source][neurons[away]] += extra


def mark_sources(network: Graph, source: str, s: Slice) -> NDArray[np.bool_]:
    """Return whether each neuron of a source has a synapse into a slice, shape (size,)."""
    mask = np.zeros(network.end(source).size, np.bool_)
    for p in network.out_of(source):
        if p.target == s.population:
            mask |= p.synapses.wiring.fan_out(s.neurons()) > 0
    return mask


def count_entries_per_axon(chip: Chip, *, other_chip: bool = False) -> int:
    """Return the output entries of an axon that serves one source neuron."""
    if chip.axon_entries is None:
        return 1
    further = chip.axon_entries.other_chip.whole or 0
    return (chip.axon_entries.discrete.whole or 1) + (further if other_chip else 0)


def count_saved_entries(chip: Chip, neurons: int, axons: int, *, other_chip: bool = False) -> int:
    """Return the output entries that neurons save by sharing population axons."""
    assert chip.axon_entries is not None
    each = count_entries_per_axon(chip, other_chip=other_chip)
    extra = each - count_entries_per_axon(chip)
    return neurons * each - axons * ((chip.axon_entries.population.whole or 1) + extra)
