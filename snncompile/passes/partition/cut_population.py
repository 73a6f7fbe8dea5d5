"""Cut one population into slices that each fit a core.

Boxes of a convolution's output (channel x height x width), ranges of a dense layer's targets; of
other wirings groups of neurons that share sources, or ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray

from snncompile.cores import axon_counts, compartments, resources, synapses_of_slice, usage
from snncompile.cores.memory_words import CUTS_KERNELS
from snncompile.cores.resources import ADDED, RESOURCES
from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Shape
from snncompile.ir.mapping import Slice
from snncompile.passes.partition import neuron_order
from snncompile.passes.partition.pixel_limits import PixelLimits
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import find_image

CHECKED = 8
"""Tiles that are checked slice by slice, best first, before smaller ones are tried."""
WASTE = 0.5
"""Share of the unused room of full cores that no other slice will fill."""

NEAR = 1.05
"""Cores as a multiple of the fewest, up to which tiles are as good where memory is no matter."""

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
    """Largest work of one slice, see `count_work`; for the objective `latency`."""
    blocks: Shape = ()
    """Least number of parts of the first axes of space; empty: as they fit best."""

    @cached_property
    def shape(self) -> Shape:
        """Axes along which to cut: channels and space of a convolution, else one axis."""
        for p in self.network.into(self.population.name):
            if isinstance(p.synapses.wiring.plain, Convolution):
                return p.synapses.wiring.plain.target_shape
        for p in self.network.out_of(self.population.name):
            image = find_image(p.synapses.wiring)
            if image and not self._has_dense:
                return image[0]
        return self.population.shape if self._has_taps else (self.population.size,)

    @cached_property
    def _has_dense(self) -> bool:
        into = self.network.into(self.population.name)
        return any(not isinstance(p.synapses.wiring, Scale) for p in into)

    @cached_property
    def _has_taps(self) -> bool:
        """Whether one-to-one projections are kernels of one tap, beside others, if boxes are cut.

        As lists of synapses they take an input axon for each of all their sources on Loihi 2.
        """
        if self.chip.encoding not in CUTS_KERNELS or len(self.population.shape) < 2:
            return False
        into = self.network.into(self.population.name)
        return self._has_dense and any(isinstance(p.synapses.wiring, Scale) for p in into)

    @property
    def regular(self) -> bool:
        """Whether to cut boxes: convolutions need them, even beside other projections."""
        wirings = [p.synapses.wiring.plain for p in self.network.into(self.population.name)]
        convolves = any(isinstance(wiring, Convolution) for wiring in wirings)
        return convolves or self._has_taps or all(wiring.regular for wiring in wirings)

    @cached_property
    def limits(self) -> dict[str, int]:
        """Known limits of a core, by resource."""
        return dict(resources.read_core_limits(self.chip))

    def cut(self) -> list[Slice]:
        """Return the slices in order, all on core 0 for the moment.

        Raises:
            FitError: a single neuron does not fit a core.
        """
        if not self.regular:
            return self._cut_groups()
        tiles = self._sort_tiles()
        if not tiles:
            raise self._explain_neuron(self._slice_middle((1,) * len(self.shape)))
        for tile in tiles[:CHECKED]:
            slices = self._cut_grid(tile)
            if all(self.fits(s) for s in slices):
                return slices
        return self._shrink(tiles[0])

    def fits(self, s: Slice) -> bool:
        """Whether a core can hold the slice."""
        return self._find_exceeded(s) is None

    def count_used(self, s: Slice) -> dict[str, int]:
        """Return the use of each resource by a slice on a core of its own."""
        return self._measure_use(s)[0]

    def _measure_use(self, s: Slice) -> tuple[dict[str, int], list[axon_counts.InputAxons]]:
        """Return the use of each resource by a slice alone, and its input axons."""
        heard = axon_counts.list_input_axons(self.network, self.chip, [s])
        axons = {self.population.name: self.axons}
        return usage.measure_core(self.network, self.chip, [s], heard, axons), heard

    def _find_exceeded(self, s: Slice) -> str | None:
        """Return the first resource whose limit a slice exceeds."""
        limits = self.limits
        if compartments.count_compartments(self.network, self.chip, s) > limits.get(
            "compartments", np.inf
        ):
            return "compartments"
        heard = axon_counts.list_input_axons(self.network, self.chip, [s])
        axons = {self.population.name: self.axons}
        for name, used in usage.count_resources(self.network, self.chip, [s], heard, axons):
            if used > limits.get(name, np.inf):
                return name
        if self.work is not None and s.size > 1 and count_work(self.network, s) > self.work:
            return "work"
        return None

    def _list_tiles(self) -> Iterator[tuple[Cost, Shape]]:
        """Yield tiles that fit in the middle of the population, with their cost."""
        too_large: list[Shape] = []
        parts = (*self.blocks, *(1,) * len(self.shape))
        lengths = zip(self.shape[1:], parts, strict=False)
        for space in product(*(_list_lengths(n, least) for n, least in lengths)):
            if any(all(a >= b for a, b in zip(space, no, strict=True)) for no in too_large):
                continue
            firsts = self._list_firsts(space)
            if not firsts:
                too_large.append(space)
            for first in firsts:
                yield self._estimate_cost((first, *space)), (first, *space)

    def _sort_tiles(self) -> list[Shape]:
        """Return tiles that fit in the middle, cheapest first.

        Of tiles that take nearly the fewest cores, where pieces of every size fit, those come first
        that copy few spikes.
        """
        costs = list(self._list_tiles())
        if self.chip.headed_rows is not None and self.objective != "traffic" and costs:
            near = NEAR * min(cost[0] for cost, _ in costs) or 1.0
            costs = [((cost[0] // near, *cost[1:]), tile) for cost, tile in costs]
        return [tile for _, tile in sorted(costs)]

    def _list_firsts(self, space: Shape) -> list[int]:
        """Return extents of the first axis to try: the widest that fits, and one of equal parts."""
        fitting = None if self.pixels is None else self.pixels.list_fitting(prod(space))
        widest = self._find_widest(space) if fitting is None else max(fitting, default=0)
        if not widest:
            return []
        even = ceil(self.shape[0] / ceil(self.shape[0] / widest))
        if fitting is not None:
            even = min(first for first in fitting if first >= even)
        return sorted({widest, even})

    @cached_property
    def pixels(self) -> PixelLimits | None:
        """Pixels that fit beside each number of channels, where a core cuts its channels."""
        wirings = [p.synapses.wiring.plain for p in self.network.into(self.population.name)]
        whole = all(isinstance(wiring, Convolution | Scale) for wiring in wirings)
        if self.chip.encoding not in CUTS_KERNELS or len(self.shape) < 2 or not whole:
            return None
        return PixelLimits.measure(self.shape, self._count_box, self.limits)

    def _count_box(self, extent: Shape) -> dict[str, int]:
        return self.count_used(self._make_slice((0,) * len(extent), extent))

    def _find_widest(self, space: Shape) -> int:
        """Return the largest extent of the first axis with which a tile fits; 0 for none."""
        low, high = 0, self.shape[0]
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.fits(self._slice_middle((middle, *space)))
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _slice_middle(self, tile: Shape) -> Slice:
        """Return a slice of this extent far from the border."""
        start = tuple(
            min(length // 2 // extent * extent, length - extent)
            for length, extent in zip(self.shape, tile, strict=True)
        )
        return self._make_slice(start, tuple(a + b for a, b in zip(start, tile, strict=True)))

    def _make_slice(self, start: Shape, stop: Shape) -> Slice:
        return Slice(self.population.name, self.shape, start, stop, 0)

    def _estimate_cost(self, tile: Shape) -> Cost:
        """Return the costs, most important first; cores count as shared by all that fits."""
        cores = copies = 0.0
        for count, s in self._list_kinds(tile):
            used, heard = self._measure_use(s)
            share = max((used[k] / self.limits[k] for k in ADDED if k in self.limits), default=0.0)
            copies += count * sum(block.region.size for block in heard)
            each = max(1, floor(1 / share)) if share else count
            if self.chip.headed_rows is None:
                cores += count * share
                cores += count // each * max(0.0, 1 - each * share) * WASTE
            else:
                cores += count / each
        tiles = prod(ceil(n / extent) for n, extent in zip(self.shape, tile, strict=True))
        if self.objective == "traffic":
            return (copies, cores, tiles)
        return (round(cores, 3), copies, tiles)

    def _list_kinds(self, tile: Shape) -> Iterator[tuple[int, Slice]]:
        """Yield the number of slices of each extent, and one such slice."""
        per_axis = []
        for length, extent in zip(self.shape, tile, strict=True):
            whole, rest = divmod(length, extent)
            first = length // 2 // extent * extent
            first = first if first + extent <= length else 0
            kinds = [(whole, first, first + extent)]
            per_axis.append(kinds + ([(1, length - rest, length)] if rest else []))
        for box in product(*per_axis):
            start, stop = tuple(k[1] for k in box), tuple(k[2] for k in box)
            yield prod(k[0] for k in box), self._make_slice(start, stop)

    def _cut_grid(self, tile: Shape) -> list[Slice]:
        """Return all slices; the first axis changes last."""
        edges = [
            _list_edges(length, extent, even=self.objective == "latency")
            for length, extent in zip(self.shape, tile, strict=True)
        ]
        boxes = product(*edges)
        return [self._make_slice(tuple(a for a, _ in b), tuple(z for _, z in b)) for b in boxes]

    def _shrink(self, tile: Shape) -> list[Slice]:
        """Return a grid of smaller tiles that all fit."""
        while True:
            largest = max(range(len(tile)), key=lambda axis: (tile[axis], -axis))
            if tile[largest] == 1:
                break
            smaller = max(1, tile[largest] * 3 // 4)
            tile = (*tile[:largest], smaller, *tile[largest + 1 :])
            slices = self._cut_grid(tile)
            if all(self.fits(s) for s in slices):
                return slices
        raise self._explain_neuron(next(s for s in self._cut_grid(tile) if not self.fits(s)))

    def _cut_groups(self) -> list[Slice]:
        """Return ranges, or groups of neurons that share sources if they take less."""
        ranges = self._cut_in_order(np.arange(self.population.size))
        touching = self.network.into(self.population.name)
        leaving = self.network.out_of(self.population.name)
        wirings = tuple(p.synapses.wiring for p in touching)
        # A convolution needs boxes.
        if len(ranges) < 2 or any(
            isinstance(p.synapses.wiring.plain, Convolution) for p in (*touching, *leaving)
        ):
            return ranges
        order = neuron_order.find_shared_order(wirings, len(ranges))
        if order is None:
            return ranges
        return min(ranges, self._cut_in_order(order), key=self._measure)

    def _measure(self, slices: list[Slice]) -> tuple[int, int]:
        """Return the slices and their input axons: fewer are better."""
        heard = (axon_counts.list_input_axons(self.network, self.chip, [s]) for s in slices)
        return len(slices), sum(block.region.size for blocks in heard for block in blocks)

    def _cut_in_order(self, order: NDArray[np.int64]) -> list[Slice]:
        """Return stretches of an order of the neurons, each as long as fits."""
        slices, start = [], 0
        longest = self.limits.get("compartments", len(order))
        while start < len(order):
            low, high = start, min(start + longest, len(order))
            while low < high:
                middle = (low + high + 1) // 2
                fits = self.fits(self._slice_neurons(order[start:middle]))
                low, high = (middle, high) if fits else (low, middle - 1)
            if low == start:
                raise self._explain_neuron(self._slice_neurons(order[start : start + 1]))
            slices.append(self._slice_neurons(order[start:low]))
            start = low
        return slices

    def _slice_neurons(self, neurons: NDArray[np.int64]) -> Slice:
        """Return these neurons as a range, or one by one."""
        first, last = int(neurons.min()), int(neurons.max())
        if last - first == len(neurons) - 1:
            return Slice.from_range(self.population, first, last + 1, 0)
        return Slice.from_neurons(self.population.name, tuple(np.sort(neurons).tolist()), 0)

    def _explain_neuron(self, s: Slice) -> FitError:
        resource = self._find_exceeded(s)
        assert resource in RESOURCES, (resource, s)
        return FitError(
            where=f"population {self.population.name}",
            resource=f"{RESOURCES[resource]} for one neuron",
            need=self.count_used(s)[resource],
            limit=self.limits[resource],
            hint=self._explain_relays(resource),
        )

    def _explain_relays(self, resource: str) -> str:
        """Return the hint that the chip lacks a neuron to split sources over cores, if it does."""
        if resource not in ("axons_in", "synapse_words") or "accumulate" in self.chip.neurons:
            return ""
        return (
            f"{self.chip.name} has no accumulating neuron, which would split its sources over cores"
        )


def count_work(network: IntegerNetwork, s: Slice) -> float:
    """Return the neurons plus synapses of a slice: its work in a time step with all spikes."""
    into = network.into(s.population)
    return s.size + float(sum(synapses_of_slice.count_synapses(p.synapses.wiring, s) for p in into))


def _list_lengths(length: int, least: int = 1) -> list[int]:
    """Return the lengths that cut an axis into equal parts, from long to short."""
    parts = range(min(least, length), length + 1)
    return sorted({ceil(length / count) for count in parts}, reverse=True)


def _list_edges(length: int, extent: int, even: bool) -> list[tuple[int, int]]:
    """Return [start, stop) of parts of a length: all but the last full, or all about equal."""
    count = ceil(length / extent)
    if even:
        ends = [length * i // count for i in range(count + 1)]
    else:
        ends = [*range(0, length, extent), length]
    return list(pairwise(ends))
