"""The resources of a core by name, and their limits on a chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snncompile.cores.synapses_of_slice import Part
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
}
"""Resource -> words for it; the cheap ones to count first."""

ADDED = ("compartments", "axons_in", "synapse_words", "axons_out")
"""Resources of which several slices take the sum."""
DIFFERENT = ("compartment_profiles", "threshold_profiles", "synapse_formats", "neuron_groups")
"""Resources of which slices take what is not there yet."""

Entries = dict[str, frozenset[Any]]
"""By resource of which what is different counts."""


def limits(chip: Chip) -> dict[str, int]:
    """Return what a core has of each resource, as far as there is a limit that is known."""
    found = {name: getattr(chip.core, name, None) for name in RESOURCES}
    if chip.rows is not None:
        found |= {"synapse_formats": chip.rows.formats, "row_words": chip.rows.row_words}
    return {k: v.whole for k, v in found.items() if v is not None and v.whole is not None}


def entries(network: Graph, slices: Sequence[Slice], parts: Sequence[Part]) -> Entries:
    """Return the different entries of a core's tables, by resource."""
    found: dict[str, set[Any]] = {name: set() for name in DIFFERENT}
    for s in slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        found["neuron_groups"].add(s.population)
        for table, value in neuron.profile().items():
            part = value if value.ndim == 0 else s.cut(value)
            mine = {(neuron.kind, entry) for entry in np.unique(part).tolist()}
            found[f"{table}_profiles"] |= mine
    for what in parts:
        found["synapse_formats"] |= what.memory.formats
    return {name: frozenset(values) for name, values in found.items()}
