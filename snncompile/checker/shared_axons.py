"""Source neurons that share a population axon, found anew from the tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.synapses.convolution import Convolution

Shared = dict[tuple[int, int], tuple[int, int]]


def shared_by(network: IntegerNetwork, mapping: Mapping) -> Shared:
    """Return (neurons that share axons, those axons) by (block of axons, slice they are in)."""
    return {
        (number, place): (len(neurons), _axons(network, mapping, number, neurons))
        for number, place, neurons in _grouped(network, mapping)
    }


def _axons(network: IntegerNetwork, mapping: Mapping, number: int, neurons: Ints) -> int:
    """Return the axons that neurons of one slice share: one, or one for each column."""
    blocks = [mapping.tables.memory[i] for i in mapping.tables.axons[number].memory]
    if not any(block.columns for block in blocks):
        return 1
    wiring = network.projections[blocks[0].projection].synapses.wiring
    if not isinstance(wiring, Convolution):
        return 0
    _, length, *space = wiring.source_shape
    others = int(np.prod(space, dtype=np.int64))
    return len({(n // (length * others), n % others) for n in neurons.tolist()})


def groups_of(network: IntegerNetwork, mapping: Mapping) -> dict[tuple[int, int], dict[int, int]]:
    """Return, by (projection, slice) of a block of memory, the slice of each grouped source."""
    found: dict[tuple[int, int], dict[int, int]] = {}
    for number, place, neurons in _grouped(network, mapping):
        for reached in mapping.tables.axons[number].memory:
            block = mapping.tables.memory[reached]
            mine = found.setdefault((block.projection, block.slice), {})
            mine.update(dict.fromkeys(neurons.tolist(), place))
    return found


def _grouped(network: IntegerNetwork, mapping: Mapping) -> Iterator[tuple[int, int, Ints]]:
    """Yield (block of axons, slice, neurons in it that share axons)."""
    groups = [n for n, axons in enumerate(mapping.tables.axons) if axons.grouped]
    if not groups:
        return
    slice_of, alone = _slices(network, mapping), _alone(network, mapping)
    for number in groups:
        axons = mapping.tables.axons[number]
        if axons.source not in alone:
            continue
        neurons = axons.region.neurons()
        for place in axons.grouped:
            mine = (slice_of[axons.source][neurons] == place) & alone[axons.source][neurons]
            yield number, place, neurons[mine]


def _slices(network: IntegerNetwork, mapping: Mapping) -> dict[str, Ints]:
    """Return the place of the slice of each neuron, by population."""
    found = {p.name: np.full(p.size, -1) for p in network.populations}
    for place, s in enumerate(mapping.slices):
        found[s.population][s.neurons()] = place
    return found


def _alone(network: IntegerNetwork, mapping: Mapping) -> dict[str, NDArray[np.bool_]]:
    """Return which neurons are listened to by one core, by population."""
    listening: dict[tuple[str, int], list[Ints]] = {}
    for axons in mapping.tables.axons:
        listening.setdefault((axons.source, axons.core), []).append(axons.region.neurons())
    cores = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    for (source, _), neurons in listening.items():
        if source in cores:
            cores[source][np.unique(np.concatenate(neurons))] += 1
    return {name: count == 1 for name, count in cores.items()}
