"""Cut one population into slices that each fit a core.

Boxes of a convolution's output (channel x height x width), ranges of a dense layer's targets, and
of whatever else there is neurons that listen to the same sources, or ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray

from snncompile.cores import axon_counts, compartments, resources, usage
from snncompile.cores.resources import ADDED, RESOURCES
from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Shape
from snncompile.ir.mapping import Slice
from snncompile.passes.partition import neuron_order as grouping
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import image_of

CHECKED = 8
"""Tiles that are looked at slice by slice, best first, before smaller ones are taken."""
WASTE = 0.5
"""Share of the room left on full cores that no other slice will fill."""

Cost = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Cutter:
    """Cuts one population for one chip."""

    network: IntegerNetwork
    chip: Chip
    population: Population
    axons: NDArray[np.int32]
    """Output axons of each neuron, shape (n,)."""
    objective: str = "cores"
    work: float | None = None
    """Most work of one slice, see `work_of`; for the objective `latency`."""
    blocks: Shape = ()
    """Parts into which the first axes of space are cut at least; none: as they fit best."""

    @cached_property
    def shape(self) -> Shape:
        """Axes along which to cut: channels and space of a convolution, else one axis."""
        for p in self.network.into(self.population.name):
            if isinstance(p.synapses.wiring.plain, Convolution):
                return p.synapses.wiring.plain.target_shape
        for p in self.network.out_of(self.population.name):
            image = image_of(p.synapses.wiring)
            if image and not self._has_dense:
                return image[0]
        return (self.population.size,)

    @cached_property
    def _has_dense(self) -> bool:
        into = self.network.into(self.population.name)
        return any(not isinstance(p.synapses.wiring, Scale) for p in into)

    @property
    def regular(self) -> bool:
        """Whether to cut boxes: convolutions want them, whatever else leads to their targets."""
        wirings = [p.synapses.wiring.plain for p in self.network.into(self.population.name)]
        return any(isinstance(w, Convolution) for w in wirings) or all(w.regular for w in wirings)

    @cached_property
    def limits(self) -> dict[str, int]:
        """What a core has, by resource, as far as it is known."""
        return dict(resources.limits(self.chip))

    def cut(self) -> list[Slice]:
        """Return the slices in order, all on core 0 for the moment.

        Raises:
            FitError: a single neuron does not fit a core.
        """
        if not self.regular:
            return self._grouped()
        tiles = [tile for _, tile in sorted(self._candidates())]
        if not tiles:
            raise self._one_neuron(self._middle((1,) * len(self.shape)))
        for tile in tiles[:CHECKED]:
            slices = self._grid(tile)
            if all(self.fits(s) for s in slices):
                return slices
        return self._shrunk(tiles[0])

    def fits(self, s: Slice) -> bool:
        """Whether a core can hold the slice."""
        return self._exceeded(s) is None

    def used(self, s: Slice) -> dict[str, int]:
        """Return what a slice takes on a core of its own."""
        heard = axon_counts.listening(self.network, self.chip, [s])
        axons = {self.population.name: self.axons}
        return usage.core_usage(self.network, self.chip, [s], heard, axons)

    def _exceeded(self, s: Slice) -> str | None:
        """Return the first resource of which a slice needs more than a core has."""
        most = self.limits
        if compartments.compartments(self.network, self.chip, s) > most.get("compartments", np.inf):
            return "compartments"
        heard = axon_counts.listening(self.network, self.chip, [s])
        axons = {self.population.name: self.axons}
        for name, used in usage.counted(self.network, self.chip, [s], heard, axons):
            if used > most.get(name, np.inf):
                return name
        if self.work is not None and s.size > 1 and work_of(self.network, s) > self.work:
            return "work"
        return None

    def _candidates(self) -> Iterator[tuple[Cost, Shape]]:
        """Yield tiles that fit in the middle of the population, with their cost."""
        too_large: list[Shape] = []
        parts = (*self.blocks, *(1,) * len(self.shape))
        lengths = zip(self.shape[1:], parts, strict=False)
        for space in product(*(_lengths(n, least) for n, least in lengths)):
            if any(all(a >= b for a, b in zip(space, no, strict=True)) for no in too_large):
                continue
            widest = self._widest(space)
            if not widest:
                too_large.append(space)
                continue
            even = ceil(self.shape[0] / ceil(self.shape[0] / widest))
            for first in sorted({widest, even}):
                yield self._cost((first, *space)), (first, *space)

    def _widest(self, space: Shape) -> int:
        """Return the largest extent of the first axis with which a tile fits; 0 for none."""
        low, high = 0, self.shape[0]
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.fits(self._middle((middle, *space)))
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _middle(self, tile: Shape) -> Slice:
        """Return a slice of this extent far from the border."""
        start = tuple(
            min(length // 2 // part * part, length - part)
            for length, part in zip(self.shape, tile, strict=True)
        )
        return self._slice(start, tuple(a + b for a, b in zip(start, tile, strict=True)))

    def _slice(self, start: Shape, stop: Shape) -> Slice:
        return Slice(self.population.name, self.shape, start, stop, 0)

    def _cost(self, tile: Shape) -> Cost:
        """Return what is to be small, most important first; cores count as shared by what fits."""
        cores = copies = 0.0
        for count, s in self._kinds(tile):
            used = self.used(s)
            share = max((used[k] / self.limits[k] for k in ADDED if k in self.limits), default=0.0)
            copies += count * used["axons_in"]
            cores += count * share
            each = max(1, floor(1 / share)) if share else count
            cores += count // each * max(0.0, 1 - each * share) * WASTE
        tiles = prod(ceil(n / part) for n, part in zip(self.shape, tile, strict=True))
        if self.objective == "traffic":
            return (copies, cores, tiles)
        return (round(cores, 3), copies, tiles)

    def _kinds(self, tile: Shape) -> Iterator[tuple[int, Slice]]:
        """Yield how many slices of each extent there are, and one of them."""
        per_axis = []
        for length, part in zip(self.shape, tile, strict=True):
            whole, rest = divmod(length, part)
            first = length // 2 // part * part
            first = first if first + part <= length else 0
            kinds = [(whole, first, first + part)]
            per_axis.append(kinds + ([(1, length - rest, length)] if rest else []))
        for box in product(*per_axis):
            start, stop = tuple(k[1] for k in box), tuple(k[2] for k in box)
            yield prod(k[0] for k in box), self._slice(start, stop)

    def _grid(self, tile: Shape) -> list[Slice]:
        """Return all slices, those along the first axis last to change."""
        edges = [
            _edges(length, part, even=self.objective == "latency")
            for length, part in zip(self.shape, tile, strict=True)
        ]
        boxes = product(*edges)
        return [self._slice(tuple(a for a, _ in b), tuple(z for _, z in b)) for b in boxes]

    def _shrunk(self, tile: Shape) -> list[Slice]:
        """Return a grid of smaller tiles that all fit."""
        while True:
            largest = max(range(len(tile)), key=lambda axis: (tile[axis], -axis))
            if tile[largest] == 1:
                break
            smaller = max(1, tile[largest] * 3 // 4)
            tile = (*tile[:largest], smaller, *tile[largest + 1 :])
            slices = self._grid(tile)
            if all(self.fits(s) for s in slices):
                return slices
        raise self._one_neuron(next(s for s in self._grid(tile) if not self.fits(s)))

    def _grouped(self) -> list[Slice]:
        """Return ranges, or groups of neurons that share sources where those take less."""
        ranges = self._in_order(np.arange(self.population.size))
        touching = self.network.into(self.population.name)
        leaving = self.network.out_of(self.population.name)
        wirings = tuple(p.synapses.wiring for p in touching)
        # A convolution wants boxes.
        if len(ranges) < 2 or any(
            isinstance(p.synapses.wiring.plain, Convolution) for p in (*touching, *leaving)
        ):
            return ranges
        order = grouping.shared_order(wirings, len(ranges))
        if order is None:
            return ranges
        return min(ranges, self._in_order(order), key=self._price)

    def _price(self, slices: list[Slice]) -> tuple[int, int]:
        """Return the slices and their input axons: fewer are better."""
        heard = (axon_counts.listening(self.network, self.chip, [s]) for s in slices)
        return len(slices), sum(block.region.size for blocks in heard for block in blocks)

    def _in_order(self, order: NDArray[np.int64]) -> list[Slice]:
        """Return stretches of an order of the neurons, each as long as fits."""
        found, start = [], 0
        most = self.limits.get("compartments", len(order))
        while start < len(order):
            low, high = start, min(start + most, len(order))
            while low < high:
                middle = (low + high + 1) // 2
                fits = self.fits(self._some(order[start:middle]))
                low, high = (middle, high) if fits else (low, middle - 1)
            if low == start:
                raise self._one_neuron(self._some(order[start : start + 1]))
            found.append(self._some(order[start:low]))
            start = low
        return found

    def _some(self, neurons: NDArray[np.int64]) -> Slice:
        """Return these neurons as a range, or one by one."""
        first, last = int(neurons.min()), int(neurons.max())
        if last - first == len(neurons) - 1:
            return Slice.flat(self.population, first, last + 1, 0)
        return Slice.listed(self.population.name, tuple(np.sort(neurons).tolist()), 0)

    def _one_neuron(self, s: Slice) -> FitError:
        resource = self._exceeded(s)
        assert resource in RESOURCES, (resource, s)
        return FitError(
            where=f"population {self.population.name}",
            resource=f"{RESOURCES[resource]} for one neuron",
            need=self.used(s)[resource],
            limit=self.limits[resource],
            hint=self._no_relays(resource),
        )

    def _no_relays(self, resource: str) -> str:
        """Return what the chip lacks that would split the sources of a neuron over cores."""
        if resource not in ("axons_in", "synapse_words") or "accumulate" in self.chip.neurons:
            return ""
        return (
            f"{self.chip.name} has no accumulating neuron, which would split its sources over cores"
        )


def work_of(network: IntegerNetwork, s: Slice) -> float:
    """Return what a slice does in a time step in which everything spikes: neurons and synapses."""
    from snncompile.cores import synapses_of_slice as demand

    chip_free = (demand.synapses(p.synapses.wiring, s) for p in network.into(s.population))
    return s.size + float(sum(chip_free))


def _lengths(length: int, least: int = 1) -> list[int]:
    """Return the lengths that cut an axis into equal parts, from long to short."""
    parts = range(min(least, length), length + 1)
    return sorted({ceil(length / count) for count in parts}, reverse=True)


def _edges(length: int, part: int, even: bool) -> list[tuple[int, int]]:
    """Return [start, stop) of parts of a length: all but the last full, or all about equal."""
    count = ceil(length / part)
    if even:
        ends = [length * i // count for i in range(count + 1)]
    else:
        ends = [*range(0, length, part), length]
    return list(pairwise(ends))
