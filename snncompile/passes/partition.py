"""Cut populations into slices that fit a core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes import remedies
from snncompile.passes.base import Pass
from snncompile.passes.synapse_memory import ROWS
from snncompile.passes.usage import RESOURCES, destinations, limit, slice_usage

Ints = NDArray[np.int64]

PER_NEURON = ("compartments", "synapse_words", "axons_in", "axons_out")
"""Resources of which a smaller slice takes no more; those of one neuron must fit in any case."""


@dataclass(frozen=True)
class Partition(Pass):
    """Give every population cores of its own, as few as hold it, its neurons spread evenly.

        population hidden 6, core of 4     ->      hidden[0:3] on core 0
                                                   hidden[3:6] on core 1

    A slice is a range of the flattened neurons, for convolutions too. A neuron needs one output
    axon per core that it has synapses on, so the number of cores is repeated from the output back
    to the input until it no longer grows. Every synapse is stored: memory that shares the kernels
    of a convolution, which Loihi 1 and 2 have, is not used yet.

    Requires: an integer network.
    Ensures: every neuron is in exactly one slice; no slice exceeds a known limit of the core.
    """

    name: ClassVar[str] = "partition"

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        try:
            slices = cut(network, chip)
        except FitError as error:
            raise remedies.explained(error, network, chip, cut) from None
        (largest, count), *_ = Counter(s.population for s in slices).most_common()
        what = f"{len(slices)} of {_cores(chip)} cores, most for {largest} ({count})"
        return self.done(design, what, mapping=Mapping(slices))


def cut(network: IntegerNetwork, chip: Chip) -> tuple[Slice, ...]:
    """Return the slices of a network.

    Raises:
        FitError: one neuron does not fit a core, a slice has too many different parameters, or
            there are too few cores.
        UnsupportedError: the chip lacks a neuron.
    """
    if chip.encoding not in ROWS:
        raise UnsupportedError(f"{chip.name} stores synapses as {chip.encoding}: no partition yet")
    cores = dict.fromkeys((p.name for p in network.populations), 1)
    while True:
        slices = {p.name: _even(p, cores[p.name], 0) for p in network.populations}
        axons = {p.name: destinations(network, p.name, slices) for p in network.populations}
        need = {
            p.name: _cores_for(network, chip, p, cores[p.name], axons[p.name])
            for p in network.populations
        }
        if sum(need.values()) > _cores(chip):
            raise _too_many(network, chip, need)
        if need == cores:
            break
        cores = need
    placed: list[Slice] = []
    for population in network.populations:
        placed += _even(population, cores[population.name], len(placed))
    for s in placed:
        _check(network, chip, s, axons[s.population])
    return tuple(placed)


def _cores(chip: Chip) -> int:
    return chip.mesh.cores.whole or 0


def _cores_for(
    network: IntegerNetwork, chip: Chip, population: Population, least: int, axons: Ints
) -> int:
    """Return the fewest cores, `least` or more, that hold a population in slices of one size.

    Beyond the cores of the chip, where it is only told, the number is an estimate.
    """

    def exceeded(s: Slice) -> str | None:
        return _exceeded(chip, slice_usage(network, chip, s, axons), PER_NEURON)

    low, high = 0, population.size
    while low < high:
        middle = (low + high + 1) // 2
        one = Slice.flat(population, 0, middle, 0)
        low, high = (low, middle - 1) if exceeded(one) else (middle, high)
    if low == 0:
        _check(network, chip, Slice.flat(population, 0, 1, 0), axons)
    count = max(population.size // (low + 1) + 1, least)  # the first slice fits
    # Slices differ in what reaches them and what they reach: the first one is no measure for all.
    while count < population.size and any(map(exceeded, _even(population, count, 0))):
        count += 1
        if count > _cores(chip):
            return max(count, -(-population.size // low))
    return count


def _exceeded(chip: Chip, used: Map[str, int], resources: tuple[str, ...]) -> str | None:
    """Return the first resource of which more is used than the core has."""
    for resource in resources:
        available = limit(chip, resource)
        if available is not None and used[resource] > available:
            return resource
    return None


def _even(population: Population, count: int, core: int) -> list[Slice]:
    """Return `count` slices whose sizes differ by at most one, on the cores from `core` on."""
    ends = [population.size * i // count for i in range(count + 1)]
    return [Slice.flat(population, ends[i], ends[i + 1], core + i) for i in range(count)]


def _check(network: IntegerNetwork, chip: Chip, s: Slice, axons: Ints) -> None:
    used = slice_usage(network, chip, s, axons)
    resource = _exceeded(chip, used, tuple(RESOURCES))
    if resource:
        raise _fit_error(chip, f"population {s.population}", resource, used)


def _fit_error(chip: Chip, where: str, resource: str, used: Map[str, int]) -> FitError:
    one = resource in PER_NEURON
    return FitError(
        where=where,
        resource=f"{RESOURCES[resource]} {'for one neuron' if one else 'on a core'}",
        need=used[resource],
        limit=limit(chip, resource) or 0,
        hint="",
    )


def _too_many(network: IntegerNetwork, chip: Chip, need: Map[str, int]) -> FitError:
    largest = max(need, key=need.__getitem__)
    parts = ", ".join(f"{name} {count}" for name, count in need.items())
    return FitError(
        where=f"network {network.title}, population {largest} above all",
        resource=f"cores ({parts})",
        need=sum(need.values()),
        limit=_cores(chip),
        hint="",
    )
