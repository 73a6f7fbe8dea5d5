"""What every core holds, added up from the tables, against what it has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from snncompile.checker.shared_axons import shared_by
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.neurons.base import IntegerNeuron

Held = defaultdict[int, int]
"""By core."""


def limits(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Iterator[str]:
    """Yield what is exceeded."""
    for resource, held in held_by(network, chip, mapping).items():
        limit = getattr(chip.core, resource)
        most = None if limit is None else limit.whole
        for core, count in held.items():
            if most is not None and count > most:
                yield f"core {core} holds {count:,} {resource.replace('_', ' ')} of {most:,}"


def held_by(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> dict[str, Held]:
    """Return what each core holds of each resource: the end of the last entry in use."""
    found: dict[str, Held] = {
        name: defaultdict(int)
        for name in ("compartments", "synapse_words", "axons_in", "axons_out")
    }
    for s in mapping.slices:
        kind = network.population(s.population).neuron.kind
        if kind not in chip.neurons:
            raise MappingError(f"{s.population}: {chip.name} has no neuron {kind}")
        found["compartments"][s.core] += s.size * (chip.neurons[kind].whole or 1)
    for block in mapping.tables.memory:
        words = found["synapse_words"]
        words[block.core] = max(words[block.core], block.first + block.words)
    for axons in mapping.tables.axons:
        into = found["axons_in"]
        into[axons.core] = max(into[axons.core], axons.first + axons.count)
    size = route_entries(network, chip, mapping)
    for (place, _, _, first), taken in zip(mapping.tables.lines.tolist(), size, strict=True):
        core, out = mapping.slices[place].core, found["axons_out"]
        out[core] = max(out[core], first + taken)
    groups = {(s.core, s.population) for s in mapping.slices}
    found["neuron_groups"] = defaultdict(int, Counter(core for core, _ in groups))
    return found | _profiles(network, mapping)


def entries(chip: Chip, mapping: Mapping, source: int, target: int) -> int:
    """Return the output entries of one axon between two cores."""
    if chip.axon_entries is None:
        return 1
    chip_of = mapping.chip_of
    away = chip_of.get(source) != chip_of.get(target)
    each = chip.axon_entries.discrete.whole or 1
    return each + away * (chip.axon_entries.other_chip.whole or 0)


def route_entries(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> list[int]:
    """Return the output entries of each route: one axon per neuron, or one for all that share."""
    sharing = shared_by(network, mapping)
    found = []
    for place, number, count, _ in mapping.tables.lines.tolist():
        core, target = mapping.slices[place].core, mapping.tables.axons[number].core
        each = entries(chip, mapping, core, target)
        neurons, axons = sharing.get((number, place), (0, 0))
        more = each - (1 if chip.axon_entries is None else chip.axon_entries.discrete.whole or 1)
        group = 1 if chip.axon_entries is None else chip.axon_entries.population.whole or 1
        found.append((count - neurons) * each + axons * (group + more))
    return found


def _profiles(network: IntegerNetwork, mapping: Mapping) -> dict[str, Held]:
    """Return how many different table entries the neurons of each core need."""
    entries: dict[str, defaultdict[int, set[tuple[str, int]]]] = {}
    for s in mapping.slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        for table, values in neuron.profile().items():
            mine = np.atleast_1d(values) if values.ndim == 0 else values[s.neurons()]
            found = entries.setdefault(f"{table}_profiles", defaultdict(set))
            found[s.core] |= {(neuron.kind, int(value)) for value in np.unique(mine)}
    held: dict[str, Held] = {}
    for table, cores in entries.items():
        held[table] = defaultdict(int, {core: len(values) for core, values in cores.items()})
    return held
