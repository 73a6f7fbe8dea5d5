"""The records that rules for kinds of chips return: networks on cores without synapse words.

Each kind is one file in this folder with a function `fill_cores(network, chip)`; the registry
finds it by the chip's encoding. It puts a network on the cores, or refuses it with the limit.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.errors import FitError
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.weight_formats import weight_step


@dataclass(frozen=True)
class FittedCore:
    """What one core holds, and has, of each resource."""

    slices: tuple[Slice, ...]
    used: Map[str, int]
    """By name of a resource in words (`axons`, `words of kernel memory`)."""
    available: Map[str, int | None]
    """Of this core; None where it is not known."""
    standard: Map[str, int]
    """The same by field of `CoreLimits`, as far as it has one; what the tables show."""
    place: int
    """Number of the core on its chip, where cores differ; else its place among those in use."""


@dataclass(frozen=True)
class Fitted:
    """A network on the cores of a chip, and what it takes of the chip as a whole."""

    cores: tuple[FittedCore, ...]
    used: Map[str, int]
    """Resources of the whole chip, by name in words."""
    available: Map[str, int | None]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices, in the order of the cores."""
        return tuple(s for core in self.cores for s in core.slices)


def require(where: str, resource: str, need: int, limit: int | None, hint: str) -> None:
    """Raise FitError if more is needed than there is; a limit of None is not known."""
    if limit is not None and need > limit:
        raise FitError(where=where, resource=resource, need=need, limit=limit, hint=hint)


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
    """Return how many sources have a synapse to the flattened neurons [start, stop)."""
    found: dict[str, NDArray[np.bool_]] = {}
    for p in network.into(population.name):
        here = p.synapses.wiring.fan_out(np.arange(start, stop)) > 0
        found[p.source] = here | found.get(p.source, np.zeros_like(here))
    return sum(int(np.count_nonzero(one)) for one in found.values())
