"""What every core holds, added up from the tables, against what the chip has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from snncompile.checker import headed_rows
from snncompile.checker.shared_axons import NOBODY, count_sharing
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.neurons.base import IntegerNeuron

Held = defaultdict[int, int]
"""By core."""
RESOURCES = {
    "axons_in": "input axons",
    "axons_out": "output axons",
    "axon_memory": "words of axon memory",
    "total_words": "words of all tables",
}
"""Words for fields of `CoreLimits` whose names are not the words themselves."""


def check_core_limits(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Iterator[str]:
    """Yield every limit of a core that is exceeded."""
    for resource, held in count_held(network, chip, mapping).items():
        available = _find_limit(chip, resource)
        for core, count in held.items():
            if available is not None and count > available:
                name = RESOURCES.get(resource, resource.replace("_", " "))
                yield f"core {core} holds {count:,} {name} of {available:,}"


def _find_limit(chip: Chip, resource: str) -> int | None:
    """Return a core's limit; None where none is known.

    Neurons that take several lines of weight memory hear the core's axons in as many turns (fan-in
    extension), so that a core has its axons once per line.
    """
    limit = getattr(chip.core, resource, None)
    available = None if limit is None else limit.whole
    if resource in ("axons_in", "axons_out") and chip.crossbar is not None:
        return None  # `check_crossbar` counts them, and copies, by weight: zeros take none
    if available is None or resource != "axons_in" or chip.weight_ram is None:
        return available
    return int(available * (chip.weight_ram.extension.whole or 1))


def count_held(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> dict[str, Held]:
    """Return what each core holds, by resource: the end of the last entry in use."""
    held = {
        "compartments": _count_compartments(network, chip, mapping),
        **_count_table_entries(network, chip, mapping),
        "neuron_groups": _count_populations(mapping),
        **_count_profiles(network, mapping),
    }
    if chip.headed_rows is None:
        return held
    held |= headed_rows.hold_words(network, chip, mapping)
    return held | {"total_words": headed_rows.add_up(held)}


def _count_compartments(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Held:
    held: Held = defaultdict(int)
    for s in mapping.slices:
        kind = network.population(s.population).neuron.kind
        if kind not in chip.neurons:
            raise MappingError(f"{s.population}: {chip.name} has no neuron {kind}")
        held[s.core] += s.size * (chip.neurons[kind].whole or 1)
    return held


def _count_table_entries(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> dict[str, Held]:
    words, axons_in, axons_out = (defaultdict[int, int](int) for _ in range(3))
    for block in mapping.tables.memory:
        words[block.core] = max(words[block.core], block.first + block.words)
    for axons in mapping.tables.axons:
        axons_in[axons.core] = max(axons_in[axons.core], axons.first + axons.count)
    counts = count_route_entries(network, chip, mapping)
    for (s, _, _, first), count in zip(mapping.tables.lines.tolist(), counts, strict=True):
        core = mapping.slices[s].core
        axons_out[core] = max(axons_out[core], first + count)
    return {"synapse_words": words, "axons_in": axons_in, "axons_out": axons_out}


def _count_populations(mapping: Mapping) -> Held:
    groups = {(s.core, s.population) for s in mapping.slices}
    return defaultdict(int, Counter(core for core, _ in groups))


def count_entries(chip: Chip, mapping: Mapping, source: int, target: int) -> int:
    """Return the output entries of one axon between two cores."""
    if chip.axon_entries is None:
        return 1
    chip_of = mapping.chip_of
    away = chip_of.get(source) != chip_of.get(target)
    each = chip.axon_entries.discrete.whole or 1
    return each + away * (chip.axon_entries.other_chip.whole or 0)


def count_route_entries(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> list[int]:
    """Return the output entries of each route: an axon per neuron, or one for all that share."""
    sharing = count_sharing(network, mapping)
    single = 1 if chip.axon_entries is None else chip.axon_entries.discrete.whole or 1
    group = 1 if chip.axon_entries is None else chip.axon_entries.population.whole or 1
    counts = []
    for s, block, neurons, _ in mapping.tables.lines.tolist():
        core, target = mapping.slices[s].core, mapping.tables.axons[block].core
        each = count_entries(chip, mapping, core, target)
        shared = sharing.get((block, s), NOBODY)
        alone = neurons - shared.neurons
        counts.append(alone * each + shared.axons * (group + each - single))
    return counts


def _count_profiles(network: IntegerNetwork, mapping: Mapping) -> dict[str, Held]:
    """Return the number of different table entries that the neurons of each core need."""
    entries: dict[str, defaultdict[int, set[tuple[str, int]]]] = {}
    for s in mapping.slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        for table, values in neuron.profile().items():
            used = np.atleast_1d(values) if values.ndim == 0 else values[s.neurons()]
            of_core = entries.setdefault(f"{table}_profiles", defaultdict(set))
            of_core[s.core] |= {(neuron.kind, int(value)) for value in np.unique(used)}
    held: dict[str, Held] = {}
    for table, cores in entries.items():
        held[table] = defaultdict(int, {core: len(values) for core, values in cores.items()})
    return held
