"""Cut a network as Intel's compiler for Loihi 2 does, as far as its recorded core tables show it.

It serves to compare. Every layer has cores of its own, one slice each.

    images         strips along x, as wide as the largest power of two that the neuron slots hold;
                   where not even one pixel fits also cut along y and the channels, likewise
    other layers   one core for all; while a budget is exceeded n becomes n / ceil(need / limit),
                   rounded down, plus 1 in the releases of 2022; in later ones a core takes half of
                   its slots, half of that and so on, rounded down, and fills no budget to the end

The second line follows PilotNet (100 neurons: 17, then 9), the third the networks on later releases
(127 + 127 + 2 of 256 neurons, 2047 of 8192). Recorded cuts that neither explains: 50 + 50 + 28 of
128 neurons, 20 x 48 + 40 of 1000, 63 + 63 + 2 of 128 behind 8192 sources.

Source: core tables of Intel's compiler, see `tables` in `hwmodels/loihi2.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod
from typing import ClassVar

from snncompile.cores import axon_counts, compartments, resources, usage
from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Population, Shape
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.partition.base import CuttingPass
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.source_range import find_image

RATIO_RELEASES = ("2022-08", "2022-09")
"""Variants of the chip whose compiler cuts by the ratio of need and limit."""


@dataclass(frozen=True)
class PartitionIntel(CuttingPass):
    """Give every layer cores of its own, as Intel's compiler for Loihi 2 does.

    Requires: an integer network, retimed.
    Ensures: every neuron is in exactly one slice, alone on its core; no core exceeds a known limit.
    """

    name: ClassVar[str] = "partition_intel"

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        layers = cut_layers(network, chip)
        slices = [s for cut in layers.values() for s in cut]
        placed = tuple(replace(s, core=core) for core, s in enumerate(slices))
        counts = "/".join(str(len(cut)) for cut in layers.values())
        message = (
            f"as Intel's compiler: {len(placed)} cores ({counts}),"
            f" {count_input_cores(network, chip)} more where the input's neurons take cores"
        )
        return self.done(design, message, mapping=Mapping(placed))


def cut_layers(network: IntegerNetwork, chip: Chip) -> dict[str, list[Slice]]:
    """Return the slices of every population, all on core 0 for the moment.

    Raises:
        UnsupportedError: the chip counts its tables otherwise.
        FitError: a neuron does not fit a core, or there are too few cores.
    """
    if chip.headed_rows is None:
        raise UnsupportedError(f"partitioner intel is for Loihi 2; {chip.name} has other tables")
    layers = {p.name: _Layer(network, chip, p).cut() for p in network.populations}
    total, available = sum(map(len, layers.values())), (chip.mesh.cores.whole or 0) * chip.chips
    if total > available:
        parts = ", ".join(f"{name} {len(cut)}" for name, cut in layers.items())
        raise FitError(
            where=f"network {network.title}",
            resource=f"cores ({parts})",
            need=total,
            limit=available,
            hint="partitioner intel gives every layer cores of its own; free shares them",
        )
    return layers


def count_input_cores(network: IntegerNetwork, chip: Chip) -> int:
    """Return the cores of the input where its neurons take some: only their slots count.

    0 where nothing hears it, as behind biased neurons that stand for it.
    """
    if not network.out_of(network.input.name):
        return 0
    slots = chip.core.compartments.whole or network.input.size
    shape = _find_shape(network, network.input)
    tile = _list_tile(shape, slots)
    return prod(ceil(n / extent) for n, extent in zip(shape, tile, strict=True))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A population and the chip that it is cut for."""

    network: IntegerNetwork
    chip: Chip
    population: Population

    def cut(self) -> list[Slice]:
        """Return the slices."""
        shape = _find_shape(self.network, self.population)
        if len(shape) > 1:
            return self._cut_image(shape)
        return list(self._cut_range(self._choose_length()))

    def _cut_image(self, shape: Shape) -> list[Slice]:
        """Return strips along x; smaller ones, then fewer channels, while a budget is exceeded."""
        tile = _list_tile(shape, self._count_slots())
        while True:
            slices = [
                Slice(self.population.name, shape, *box, 0) for box in _list_boxes(shape, tile)
            ]
            resource = self._find_exceeded(slices[0])
            if resource is None:
                return slices
            axis = 0 if resource == "synapse_words" else len(shape) - 1
            if tile[axis] == 1:
                raise self._explain(slices[0], resource)
            tile = (*tile[:axis], _halve(tile[axis]), *tile[axis + 1 :])

    def _choose_length(self) -> int:
        """Return the neurons of a core."""
        if self.chip.variant in RATIO_RELEASES:
            return self._divide_length()
        length = self._count_slots()
        while length > 1 and not self._leaves_room(length):
            length //= 2
        self._check_neuron(length)
        return min(length, self.population.size)

    def _divide_length(self) -> int:
        """Return the neurons of a core after dividing by the ratio of need and limit."""
        length = self.population.size
        while length > 1 and (ratio := self._measure_ratio(length)) > 1:
            length = min(length // ceil(ratio) + 1, length - 1)
        self._check_neuron(length)
        return length

    def _check_neuron(self, length: int) -> None:
        s = next(self._cut_range(length))
        if (resource := self._find_exceeded(s)) is not None:
            raise self._explain(s, resource)

    def _leaves_room(self, length: int) -> bool:
        """Whether so many neurons are within the limits, and fill no memory to the end."""
        used = self._count_used(next(self._cut_range(length)))
        full = used["synapse_words"] == self._limits["synapse_words"]
        return not full and all(used[name] <= limit for name, limit in self._limits.items())

    def _measure_ratio(self, length: int) -> float:
        used = self._count_used(next(self._cut_range(length)))
        return max(used[name] / limit for name, limit in self._limits.items())

    def _cut_range(self, length: int) -> Iterator[Slice]:
        size = self.population.size
        for start in range(0, size, length):
            yield Slice.from_range(self.population, start, min(start + length, size), 0)

    @property
    def _limits(self) -> dict[str, int]:
        return resources.read_core_limits(self.chip)

    def _count_slots(self) -> int:
        """Return the neurons whose slots a core has."""
        each = compartments.count_compartments_per_neuron(self.chip, self.population)
        return max(1, self._limits.get("compartments", self.population.size * each) // each)

    def _count_used(self, s: Slice) -> dict[str, int]:
        heard = axon_counts.list_input_axons(self.network, self.chip, [s])
        return usage.measure_core(self.network, self.chip, [s], heard, {})

    def _find_exceeded(self, s: Slice) -> str | None:
        used = self._count_used(s)
        return next((name for name, limit in self._limits.items() if used[name] > limit), None)

    def _explain(self, s: Slice, resource: str) -> FitError:
        return FitError(
            where=f"population {self.population.name}",
            resource=f"{resources.RESOURCES[resource]} for one neuron",
            need=self._count_used(s)[resource],
            limit=self._limits[resource],
            hint="partitioner intel cuts no further",
        )


def _find_shape(network: IntegerNetwork, end: Input | Population) -> Shape:
    """Return channels and space of a convolution's layer, or of an input to one; (size,) of others.

    Neurons that nothing feeds are an input: biases make their spikes.
    """
    arriving = network.into(end.name)
    for p in arriving:
        if isinstance(p.synapses.wiring.plain, Convolution):
            return p.synapses.wiring.plain.target_shape
    images = (find_image(p.synapses.wiring) for p in network.out_of(end.name))
    if not arriving:
        return next((image[0] for image in images if image), (end.size,))
    return (end.size,)


def _list_tile(shape: Shape, slots: int) -> Shape:
    """Return the largest tile of powers of two: whole channels and y if a strip along x fits.

    A power of two beyond the end of the axis counts in full: 20 x 2 x 64 neurons are cut, as 32
    pixels along x are too many.
    """
    if len(shape) == 1:
        return (min(shape[0], slots),)
    tile = list(shape)
    for axis in reversed(range(len(shape))):
        extent = _round_down(slots // prod(tile[:axis] + tile[axis + 1 :]))
        tile[axis] = min(max(1, extent), shape[axis])
        if extent:
            break
    return tuple(tile)


def _round_down(number: int) -> int:
    """Return the largest power of two that is not above a number; 0 for 0."""
    return 1 << number.bit_length() - 1 if number else 0


def _halve(extent: int) -> int:
    """Return the next smaller power of two."""
    return _round_down(extent - 1)


def _list_boxes(shape: Shape, tile: Shape) -> Iterator[tuple[Shape, Shape]]:
    """Yield (start, stop) of every tile; the last axis changes first."""
    edges = [
        [(a, min(a + extent, length)) for a in range(0, length, extent)]
        for length, extent in zip(shape, tile, strict=True)
    ]
    for box in product(*edges):
        yield tuple(a for a, _ in box), tuple(b for _, b in box)
