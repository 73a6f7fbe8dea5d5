"""Cut populations into slices that fit a core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import ClassVar

from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes import remedies
from snncompile.passes.base import Pass
from snncompile.passes.usage import RESOURCES, limit, slice_usage

PER_NEURON = ("compartments", "synapse_words", "axons_in", "axons_out")
"""Resources of which a smaller slice takes no more; those of one neuron must fit in any case."""


@dataclass(frozen=True)
class Partition(Pass):
    """Give every population cores of its own, as few as hold it, its neurons spread evenly.

        population hidden 6, core of 4     ->      hidden[0:3] on core 0
                                                   hidden[3:6] on core 1

    A neuron needs one output axon per core of its targets, so the number of cores is repeated from
    the output back to the input until it no longer grows.

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
    cores = dict.fromkeys((p.name for p in network.populations), 1)
    while True:
        need = {p.name: _cores_for(network, chip, p, cores) for p in network.populations}
        if sum(need.values()) > _cores(chip):
            raise _too_many(network, chip, need)
        if need == cores:
            break
        cores = {name: max(cores[name], need[name]) for name in cores}
    slices: list[Slice] = []
    for population in network.populations:
        slices += _even(population, cores[population.name], len(slices))
    for s in slices:
        _check(network, chip, s, cores)
    return tuple(slices)


def _cores(chip: Chip) -> int:
    return chip.mesh.cores.whole or 0


def _cores_for(
    network: IntegerNetwork, chip: Chip, population: Population, cores: Map[str, int]
) -> int:
    """Return the fewest cores that hold a population: those of the largest slice that fits."""

    def fits(size: int) -> str | None:
        used = slice_usage(network, chip, population.name, 0, size, cores)
        return _exceeded(chip, used, PER_NEURON)

    low, high = 0, population.size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if fits(middle) else (middle, high)
    if low == 0:
        used = slice_usage(network, chip, population.name, 0, 1, cores)
        raise _fit_error(chip, f"population {population.name}", fits(1) or "", used)
    return max(-(-population.size // low), cores[population.name])


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
    return [Slice(population.name, ends[i], ends[i + 1], core + i) for i in range(count)]


def _check(network: IntegerNetwork, chip: Chip, s: Slice, cores: Map[str, int]) -> None:
    used = slice_usage(network, chip, s.population, s.start, s.stop, cores)
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
