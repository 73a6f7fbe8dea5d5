"""Source neurons that share a population axon, computed from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.synapses.convolution import Convolution


class Sharing(NamedTuple):
    """Neurons of one slice that share input axons of a block."""

    neurons: int
    axons: int


NOBODY = Sharing(0, 0)


def count_sharing(network: IntegerNetwork, mapping: Mapping) -> dict[tuple[int, int], Sharing]:
    """Return the neurons that share axons, by (number of the block of axons, of their slice)."""
    return {
        (block, s): Sharing(len(neurons), _count_axons(network, mapping, block, neurons))
        for block, s, neurons in _list_sharing(network, mapping)
    }


def _count_axons(network: IntegerNetwork, mapping: Mapping, block: int, neurons: Ints) -> int:
    """Return the axons that neurons of one slice share: one, or one for each column."""
    memory = [mapping.tables.memory[i] for i in mapping.tables.axons[block].memory]
    columns = [stored.projection for stored in memory if stored.columns]
    if not columns:
        return 1
    wiring = network.projections[columns[0]].synapses.wiring
    assert isinstance(wiring, Convolution)  # `list_column_rows` has refused others
    _, length, *space = wiring.source_shape
    others = int(np.prod(space, dtype=np.int64))
    return len({(n // (length * others), n % others) for n in neurons.tolist()})


def group_sources(
    network: IntegerNetwork, mapping: Mapping
) -> dict[tuple[int, int], dict[int, int]]:
    """Return the slice of each source that shares an axon, by (projection, slice) that it reaches.

    Both slices are numbers in the mapping.
    """
    groups: dict[tuple[int, int], dict[int, int]] = {}
    for block, s, neurons in _list_sharing(network, mapping):
        for number in mapping.tables.axons[block].memory:
            stored = mapping.tables.memory[number]
            slice_of = groups.setdefault((stored.projection, stored.slice), {})
            slice_of.update(dict.fromkeys(neurons.tolist(), s))
    return groups


def _list_sharing(network: IntegerNetwork, mapping: Mapping) -> Iterator[tuple[int, int, Ints]]:
    """Yield (block of axons, slice, neurons in it that share axons)."""
    blocks = [n for n, axons in enumerate(mapping.tables.axons) if axons.grouped]
    if not blocks:
        return
    slice_of, alone = _number_slices(network, mapping), _find_single_targets(network, mapping)
    for block in blocks:
        axons = mapping.tables.axons[block]
        if axons.source not in alone:
            continue
        neurons = axons.region.neurons()
        for s in axons.grouped:
            sharing = (slice_of[axons.source][neurons] == s) & alone[axons.source][neurons]
            yield block, s, neurons[sharing]


def _number_slices(network: IntegerNetwork, mapping: Mapping) -> dict[str, Ints]:
    """Return the number of the slice of each neuron, by population."""
    slice_of = {p.name: np.full(p.size, -1) for p in network.populations}
    for number, s in enumerate(mapping.slices):
        slice_of[s.population][s.neurons()] = number
    return slice_of


def _find_single_targets(network: IntegerNetwork, mapping: Mapping) -> dict[str, NDArray[np.bool_]]:
    """Return whether each neuron has input axons on exactly one core, by population."""
    regions: dict[tuple[str, int], list[Ints]] = {}
    for axons in mapping.tables.axons:
        regions.setdefault((axons.source, axons.core), []).append(axons.region.neurons())
    cores = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    for (source, _), neurons in regions.items():
        if source in cores:
            cores[source][np.unique(np.concatenate(neurons))] += 1
    return {name: count == 1 for name, count in cores.items()}
