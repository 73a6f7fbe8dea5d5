"""Analysis: what a slice takes of each resource of its core, and what the core has."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

import numpy as np

from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerDense, IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.neurons.base import IntegerNeuron
from snncompile.passes.synapse_memory import words

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
    cores = {p.name: len({s.core for s in mapping.of(p.name)}) for p in network.populations}
    return tuple(
        CoreUsage(s.core, s, slice_usage(network, chip, s.population, s.start, s.stop, cores))
        for s in mapping.slices
    )


def slice_usage(
    network: IntegerNetwork, chip: Chip, name: str, start: int, stop: int, cores: Map[str, int]
) -> dict[str, int]:
    """Return what neurons [start, stop) of a population take on a core of their own.

    Args:
        network: the integer network.
        chip: whose encoding and compartments count.
        name: the population.
        start: first neuron.
        stop: one after the last neuron.
        cores: number of cores of each population; a spiking neuron sends to each core of a target.
    """
    population = network.population(name)
    size = stop - start
    into = [(p, network.end(p.source).size) for p in network.into(name)]
    destinations = sum(cores[target] for target in {p.target for p in network.out_of(name)})
    memory = 0
    for p, sources in into:
        assert isinstance(p.synapses, IntegerDense)
        memory += words(chip, sources, size, p.synapses.bits, p.delay > 1)
    return {
        "compartments": size * compartments_per_neuron(chip, population),
        "synapse_words": memory,
        "axons_in": sum({p.source: sources for p, sources in into}.values()),
        "axons_out": size * destinations,
        **_profiles(population, start, stop),
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


def _profiles(population: Population, start: int, stop: int) -> dict[str, int]:
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    counts = {}
    for table, value in neuron.profile().items():
        part = value if value.ndim == 0 else value[start:stop]
        counts[f"{table}_profiles"] = len(np.unique(part))
    return counts
