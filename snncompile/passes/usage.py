"""Analysis: what a slice takes of each resource of its core, and what the core has.

Every synapse is stored: a convolution takes the memory of its unrolled weights, on every chip. That
the cores of Loihi 1 and 2 can share kernels between neurons is not used yet.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.neurons.base import IntegerNeuron
from snncompile.passes.synapse_memory import words
from snncompile.synapses.base import IntegerSynapses

RESOURCES = {
    "compartments": "compartments",
    "synapse_words": "words of synaptic memory",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "compartment_profiles": "compartment profiles",
    "threshold_profiles": "threshold profiles",
}
"""Field of `CoreLimits` -> words for it."""


@dataclass(frozen=True)
class CoreUsage:
    """What one core holds of each resource."""

    core: int
    slice: Slice
    used: dict[str, int]
    """By field of `CoreLimits`."""


def usage(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> tuple[CoreUsage, ...]:
    """Return the usage of every core, in order."""
    slices = {p.name: mapping.of(p.name) for p in network.populations}
    axons = {p.name: destinations(network, p.name, slices) for p in network.populations}
    return tuple(
        CoreUsage(s.core, s, slice_usage(network, chip, s, axons[s.population]))
        for s in mapping.slices
    )


def reach(network: IntegerNetwork, source: str, s: Slice) -> NDArray[np.bool_]:
    """Return which neurons of a source have a synapse to a slice."""
    reached = np.zeros(network.end(source).size, np.bool_)
    for p in network.out_of(source):
        if p.target == s.population:
            reached |= p.synapses.wiring.fan_out(s.neurons()) > 0
    return reached


def destinations(
    network: IntegerNetwork, name: str, slices: Map[str, Sequence[Slice]]
) -> NDArray[np.int64]:
    """Return on how many cores each neuron of a population has synapses.

    Args:
        network: the integer network.
        name: the population.
        slices: the slices of each population, one per core.
    """
    count = np.zeros(network.population(name).size, np.int64)
    for target in dict.fromkeys(p.target for p in network.out_of(name)):
        for s in slices[target]:
            count += reach(network, name, s)
    return count


def slice_usage(
    network: IntegerNetwork, chip: Chip, s: Slice, axons: NDArray[np.int64]
) -> dict[str, int]:
    """Return what a slice takes on a core of its own.

    Args:
        network: the integer network.
        chip: whose encoding and compartments count.
        s: the slice.
        axons: output axons of each neuron of the population, one per core it has synapses on; see
            `destinations`.
    """
    population = network.population(s.population)
    memory = 0
    reached: dict[str, NDArray[np.int64]] = {}
    for p in network.into(s.population):
        assert isinstance(p.synapses, IntegerSynapses)
        fan_out = p.synapses.wiring.fan_out(s.neurons())
        memory += words(chip, fan_out, p.synapses.bits, p.delay > 1)
        reached[p.source] = reached.get(p.source, 0) + fan_out
    return {
        "compartments": s.size * compartments_per_neuron(chip, population),
        "synapse_words": memory,
        "axons_in": sum(int(np.count_nonzero(fan_out)) for fan_out in reached.values()),
        "axons_out": int(axons[s.neurons()].sum()),
        **_profiles(population, s),
    }


def limit(chip: Chip, resource: str) -> int | None:
    """Return what a core has of a resource; None if that is not known."""
    value: int | None = getattr(chip.core, resource).whole
    return value


def compartments_per_neuron(chip: Chip, population: Population) -> int:
    """Return how many compartments one neuron takes.

    Raises:
        UnsupportedError: the chip has no such neuron.
    """
    kind = population.neuron.kind
    if kind not in chip.neurons:
        known = ", ".join(sorted(chip.neurons))
        raise UnsupportedError(
            f"population {population.name}: {chip.name} has no neuron {kind}; it has {known}"
        )
    return chip.neurons[kind].whole or 1


def _profiles(population: Population, s: Slice) -> dict[str, int]:
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    counts = {}
    for table, value in neuron.profile().items():
        part = value if value.ndim == 0 else s.cut(value)
        counts[f"{table}_profiles"] = len(np.unique(part))
    return counts
