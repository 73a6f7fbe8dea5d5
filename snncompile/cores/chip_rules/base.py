"""The network on cores that a rule for one kind of chip returns, where synapses are no words.

Each kind is one file in this folder with a function `fill_cores(network, chip)`, a row of the
registry under the chip's encoding. It puts a network on the cores of the chip or names the limit
that the network exceeds.

Of another package it may have an attribute `count_words`, called as `count_words(projection,
slice, chip)`: the words that the synapses into a slice take on its core, for the tables.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.neurons.base import IntegerNeuron
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.weight_formats import weight_step


@dataclass(frozen=True)
class FittedCore:
    """Slices of one core, and its use and limit of each resource."""

    slices: tuple[Slice, ...]
    used: Map[str, int]
    """By name of a resource in words (`axons`, `words of kernel memory`)."""
    available: Map[str, int | None]
    """Of this core; None where it is not known."""
    standard: Map[str, int]
    """Use by field of `CoreLimits`, for resources that have one; shown by the tables."""
    number: int
    """Number of the core on its chip, where cores differ; else its number among those in use."""


@dataclass(frozen=True)
class Fitted:
    """A network on the cores of a chip, and its use of the chip as a whole."""

    cores: tuple[FittedCore, ...]
    used: Map[str, int]
    """Resources of the whole chip, by name in words."""
    available: Map[str, int | None]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices, in the order of the cores."""
        return tuple(s for core in self.cores for s in core.slices)


def require(where: str, resource: str, need: int, limit: int | None, hint: str) -> None:
    """Raise FitError if the need exceeds the limit; a limit of None is not known."""
    if limit is not None and need > limit:
        raise FitError(where=where, resource=resource, need=need, limit=limit, hint=hint)


def require_profiles(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> None:
    """Refuse neurons of a core that differ in more ways than it has profiles."""
    entries: dict[str, set[tuple[str, int]]] = {}
    for s in slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        for table, value in neuron.profile().items():
            own = np.unique(s.cut(value) if value.ndim else value).tolist()
            entries.setdefault(table, set()).update((neuron.kind, entry) for entry in own)
    where = " and ".join(f"population {s.population}" for s in slices[:2])
    hint = "give the neurons of a layer the same threshold, decays and bias"
    for table, different in entries.items():
        limit = getattr(chip.core, f"{table}_profiles").whole
        require(where, f"{table} profiles on a core", len(different), limit, hint)


def get_synapses(projection: Projection) -> IntegerSynapses:
    """Return the integer synapses of a projection."""
    assert isinstance(projection.synapses, IntegerSynapses)
    return projection.synapses


def divide_into_steps(weight: NDArray[np.int16], bits: int) -> Ints:
    """Return weights in steps of their number of bits: 8-bit weights are even, 4-bit ones of 32."""
    return weight.astype(np.int64) // weight_step(bits)


def cut_whole(population: Population, core: int) -> Slice:
    """Return all neurons of a population as one slice."""
    zeros = (0,) * len(population.shape)
    return Slice(population.name, population.shape, zeros, population.shape, core)


def count_sources(network: IntegerNetwork, population: Population, start: int, stop: int) -> int:
    """Return the number of sources with a synapse to the flattened neurons [start, stop)."""
    reached: dict[str, NDArray[np.bool_]] = {}
    for p in network.into(population.name):
        reached_here = p.synapses.wiring.fan_out(np.arange(start, stop)) > 0
        reached[p.source] = reached_here | reached.get(p.source, np.zeros_like(reached_here))
    return sum(int(np.count_nonzero(mask)) for mask in reached.values())
