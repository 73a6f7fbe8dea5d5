"""The resources of a core by name, and their limits on a chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snncompile.cores.synapses_of_slice import Demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph
from snncompile.ir.mapping import Slice
from snncompile.neurons.base import IntegerNeuron

RESOURCES = {
    "compartments": "compartments",
    "axons_in": "input axons",
    "synapse_words": "words of synaptic memory",
    "axons_out": "output axons",
    "row_words": "words of synaptic memory for one source",
    "compartment_profiles": "compartment profiles",
    "threshold_profiles": "threshold profiles",
    "synapse_formats": "synapse formats",
    "neuron_groups": "neuron groups",
    "axon_memory": "words of axon memory",
    "total_words": "words of all tables",
}
"""Resource -> words for it; the cheap ones to count first."""

ADDED = (
    "compartments",
    "axons_in",
    "synapse_words",
    "axons_out",
    "axon_memory",
    "total_words",
)
"""Resources whose use adds up over the slices of a core."""
OF_SOME_CHIPS = ("axon_memory", "total_words")
"""Resources that are counted only on chips with headed rows."""
SUMMED = ("compartments", "axons_in", "synapse_words", "axons_out", "axon_memory", "neuron_groups")
"""Resources that are summed up in `total_words`, where a chip limits that."""
DIFFERENT = ("compartment_profiles", "threshold_profiles", "synapse_formats", "neuron_groups")
"""Resources whose use is the number of different entries on a core."""

Entries = dict[str, frozenset[Any]]
"""Different entries, by resource of `DIFFERENT`."""


def read_core_limits(chip: Chip) -> dict[str, int]:
    """Return a core's limit of each resource that has a known one."""
    limits = {name: getattr(chip.core, name, None) for name in RESOURCES}
    if chip.rows is not None:
        limits |= {"synapse_formats": chip.rows.formats, "row_words": chip.rows.row_words}
    known = {k: v.whole for k, v in limits.items() if v is not None and v.whole is not None}
    if chip.weight_ram is not None and "axons_in" in known:
        # A neuron of several lines hears the axons in as many turns: fan-in extension.
        known["axons_in"] *= chip.weight_ram.extension.whole or 1
    return known


def list_entries(network: Graph, slices: Sequence[Slice], demands: Sequence[Demand]) -> Entries:
    """Return the different entries of a core's tables, by resource."""
    entries: dict[str, set[Any]] = {name: set() for name in DIFFERENT}
    for s in slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        entries["neuron_groups"].add(s.population)
        for table, value in neuron.profile().items():
            values_of_slice = value if value.ndim == 0 else s.cut(value)
            own = {(neuron.kind, entry) for entry in np.unique(values_of_slice).tolist()}
            entries[f"{table}_profiles"] |= own
    for demand in demands:
        entries["synapse_formats"] |= demand.memory.formats
    return {name: frozenset(values) for name, values in entries.items()}
