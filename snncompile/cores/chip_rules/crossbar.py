"""Chips whose cores are crossbars: every axon meets every neuron (TrueNorth, ODIN).

Where a crossing is one bit, a weight of more bits is a sum: its source occupies an axon of another
type for each bit, and each neuron weighs the types 1, 2, 4 and (signed) -8. Where the sign belongs
to the source, a source of both signs occupies two axons.

A neuron drives one axon. A neuron that must drive more, because of its bits, its signs or because
its targets are on several cores, is built several times; the copies take rows of neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.chip_rules.base import (
    Fitted,
    FittedCore,
    divide_into_steps,
    get_synapses,
    require,
)
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import UnsupportedError, list_briefly
from snncompile.hwmodels.limits import Crossbar
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.synapses.dense import Dense

Mask = NDArray[np.uint8]
Masks = dict[str, Mask]
"""By source: the axons of each of its neurons on a core as bits, one per type."""
_COUNT = np.array([bin(mask).count("1") for mask in range(256)])
"""Bits that are set; a mask has one per type of axon."""
MOST = 1024
"""Cores after which no more are filled if the chips have fewer: to fill thousands takes minutes."""
FEWER = "use fewer sources per neuron or fewer weight bits"


@dataclass
class _Core:
    """A core while it is filled."""

    slices: list[tuple[str, int, int]] = field(default_factory=list)
    rows: int = 0
    """Rows of the crossbar taken by neurons and their copies."""
    masks: Masks = field(default_factory=dict)

    def add(self, population: str, start: int, stop: int, rows: int, masks: Masks) -> Masks:
        """Put a range of neurons on the core; return the axons that it had not."""
        new: Masks = {}
        for source, mask in masks.items():
            before = self.masks.get(source, np.zeros_like(mask))
            new[source], self.masks[source] = mask & ~before, mask | before
        self.slices.append((population, start, stop))
        self.rows += rows
        return new


class _Cores:
    """Cores while they are filled; arrays of what they hold find room among thousands at once."""

    def __init__(self, network: IntegerNetwork, crossbar: Crossbar) -> None:
        self.input, self.crossbar = network.input.name, crossbar
        self.cores: list[_Core] = []
        self.held = np.zeros((3, 16), np.int64)
        """Rows, axons, and those of the input of each core; columns beyond the cores are spare."""
        self.holders: dict[str, dict[int, list[int]]] = {}
        """By source, then by number of an axon: the cores that have it."""

    def put(self, population: str, start: int, stop: int, rows: int, masks: Masks) -> Masks:
        """Put a range on the first core with room, else on a new one; return its new axons."""
        number = self._find_room(rows, masks)
        if number == len(self.cores):
            self.cores.append(_Core())
        if number == self.held.shape[1]:
            self.held = np.pad(self.held, ((0, 0), (0, number)))
        new = self.cores[number].add(population, start, stop, rows, masks)
        self.held[:, number] += (rows, _count_axons(new), _count_of_input(new, self.input))
        for source, mask in new.items():
            holders = self.holders.setdefault(source, {})
            for axon in _number_axons(mask):
                holders.setdefault(axon, []).append(number)
        return new

    def _find_room(self, rows: int, masks: Masks) -> int:
        """Return the first core with room for a range; the number of cores if there is none."""
        taken, axons, inputs = self.held[:, : len(self.cores)].copy()
        for source, mask in masks.items():
            new = int(_COUNT[mask].sum()) - self._count_shared(source, mask)
            axons += new
            inputs += new * (source == self.input)
        taken += rows + inputs * self.crossbar.inputs_are_neurons
        room = taken <= (self.crossbar.neurons.whole or 0)
        room &= axons <= (self.crossbar.axons.whole or 0)
        return int(np.argmax(room)) if room.any() else len(self.cores)

    def _count_shared(self, source: str, mask: Mask) -> NDArray[np.int64]:
        """Return how many of a source's axons each core has already."""
        holders = self.holders.get(source, {})
        lists = (holders.get(axon, ()) for axon in _number_axons(mask))
        numbers = np.fromiter(chain.from_iterable(lists), np.int64)
        return np.bincount(numbers, minlength=len(self.cores))


def _number_axons(mask: Mask) -> list[int]:
    """Return the numbers of the axons of a mask: neuron x 8 + type."""
    neurons = np.flatnonzero(mask)
    neuron, kind = np.nonzero(mask[neurons, None] >> np.arange(8, dtype=np.uint8) & 1)
    numbers: list[int] = (neurons[neuron] * 8 + kind).tolist()
    return numbers


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return the network on crossbars.

    Raises:
        UnsupportedError: the chip lacks a neuron, or the network has a loop.
        FitError: one neuron has too many sources or copies, or there are too few cores; where
            it takes more than `MOST`, only that is said.
    """
    crossbar = chip.crossbar
    assert crossbar is not None
    cores = _Cores(network, crossbar)
    driven = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    driven[network.input.name] = np.zeros(network.input.size, np.int64)
    available = (chip.mesh.cores.whole or 0) * chip.chips
    for population in _order_backwards(network):
        count_compartments_per_neuron(chip, population)
        for start, stop, masks in _cut_population(
            network, chip, population, driven[population.name]
        ):
            rows = int(np.maximum(driven[population.name][start:stop], 1).sum())
            new_axons = cores.put(population.name, start, stop, rows, masks)
            for source, new in new_axons.items():
                driven[source] += _COUNT[new]
            if len(cores.cores) > max(available, MOST):
                _require_cores(network, cores.cores, "cores or more", available)
    _require_cores(network, cores.cores, "cores", available)
    return _build_fitted(network, crossbar, cores.cores[::-1])


def _require_cores(
    network: IntegerNetwork, cores: list[_Core], resource: str, available: int
) -> None:
    """Refuse more cores than there are, with how many each population is on."""
    counts = [(p.name, _count_cores_of(cores, p.name)) for p in network.populations]
    listed = list_briefly([f"{name} {count}" for name, count in counts if count])
    hint = "use fewer neurons or weight bits: sources with many axons are built several times"
    require(f"network {network.title}", f"{resource} ({listed})", len(cores), available, hint)


def _order_backwards(network: IntegerNetwork) -> list[Population]:
    """Return the populations, each after all its targets."""
    ordered: list[Population] = []
    remaining = list(network.populations)
    while remaining:
        names = {p.name for p in remaining}
        ready = [p for p in remaining if not any(q.target in names for q in network.out_of(p.name))]
        if not ready:
            raise UnsupportedError(
                f"populations {list_briefly(sorted(names), 120)} are a loop; crossbars are filled"
                " from the output back to the input"
            )
        ordered += ready[::-1]
        remaining = [p for p in remaining if p not in ready]
    return ordered


def _cut_population(
    network: IntegerNetwork, chip: Chip, population: Population, driven: NDArray[np.int64]
) -> Iterator[tuple[int, int, Masks]]:
    """Yield the fewest ranges of a population's neurons that fit an empty core each."""
    crossbar = chip.crossbar
    assert crossbar is not None
    matrices = [_Matrix(crossbar, p) for p in network.into(population.name)]
    copies = np.maximum(driven, 1)
    start = 0
    while start < population.size:
        alone = _merge_masks(_collect_needs(matrices, start, start + 1), 1)
        _check_neuron(crossbar, network, population, alone, int(copies[start]))
        count, masks = _find_longest(network, crossbar, matrices, copies, start)
        yield start, start + count, masks
        start += count


def _find_longest(
    network: IntegerNetwork,
    crossbar: Crossbar,
    matrices: list[_Matrix],
    copies: NDArray[np.int64],
    start: int,
) -> tuple[int, Masks]:
    """Return the most neurons, from one that fits on, that fit a core, and their axons.

    Lengths are doubled first, so that of a neuron with many axons not a whole core's are looked at.
    """

    def fits(count: int) -> bool:
        rows = int(copies[start : start + count].sum())
        return _fits(crossbar, network, rows, _merge_masks(needs, count))

    longest = min(len(copies) - start, crossbar.neurons.whole or 0)
    low, high = 1, min(2, longest)
    needs = _collect_needs(matrices, start, start + high)
    while low < high and fits(high):
        low, high = high, min(2 * high, longest)
        needs = _collect_needs(matrices, start, start + high)
    high -= low < high  # which does not fit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low, _merge_masks(needs, low)


def _check_neuron(
    crossbar: Crossbar,
    network: IntegerNetwork,
    population: Population,
    masks: Masks,
    copies: int,
) -> None:
    """Refuse a neuron that does not fit an empty core."""
    where = f"population {population.name}"
    axons = _count_axons(masks)
    require(where, "axons for one neuron", axons, crossbar.axons.whole, FEWER)
    hint = "its targets need that many axons, one copy of the neuron each; use fewer weight bits"
    require(where, "copies of one neuron", copies, crossbar.neurons.whole, hint)
    taken = copies + _count_inputs(crossbar, network, masks)
    require(where, "rows for one neuron and its input lines", taken, crossbar.neurons.whole, FEWER)


def _fits(crossbar: Crossbar, network: IntegerNetwork, rows: int, masks: Masks) -> bool:
    taken = rows + _count_inputs(crossbar, network, masks)
    return taken <= (crossbar.neurons.whole or 0) and _count_axons(masks) <= (
        crossbar.axons.whole or 0
    )


class _Matrix:
    """The synapses of a projection as rows of a matrix, unrolled for some targets at a time."""

    def __init__(self, crossbar: Crossbar, projection: Projection) -> None:
        synapses = get_synapses(projection)
        self.source, self.bits = projection.source, synapses.bits
        where = f"projection {projection.source} -> {projection.target}"
        values = divide_into_steps(synapses.weight, synapses.bits)
        self.by_source = crossbar.sign == "source"
        if self.by_source:
            bits = int(np.abs(values).max(initial=0)).bit_length()
            hint = "quantize to fewer bits"
            require(where, "bits of magnitude", bits, crossbar.synapse_bits.whole, hint)
        else:
            signed = bool((values < 0).any())
            bits = int(np.where(values < 0, ~values, values).max(initial=0)).bit_length() + signed
            hint = "quantize to fewer bits; a weight takes an axon of another type for each bit"
            require(where, "axon types", bits, crossbar.axon_types.whole, hint)
        self.mask = (1 << bits) - 1
        self.synapses = synapses

    def find_needs(self, start: int, stop: int) -> Mask:
        """Return the axons that targets need of each source, as bits, (targets, sources)."""
        wiring, weight = self.synapses.wiring, self.synapses.weight
        if isinstance(wiring, Dense):
            rows = weight[start:stop]
        else:
            rows = wiring.rows(weight, np.arange(start, stop)).toarray()
        values = divide_into_steps(rows, self.bits)
        if self.by_source:
            return (values > 0) + 2 * (values < 0).astype(np.uint8)
        return (values & self.mask).astype(np.uint8)


def _collect_needs(matrices: list[_Matrix], start: int, stop: int) -> Masks:
    """Return the axons that targets need of each source, as bits, by source."""
    merged: Masks = {}
    for matrix in matrices:
        mask = matrix.find_needs(start, stop)
        merged[matrix.source] = mask | merged.get(matrix.source, np.zeros_like(mask))
    return merged


def _merge_masks(needs: Masks, count: int) -> Masks:
    """Return the axons of each source to the first targets, as bits, (sources,)."""
    return {s: np.bitwise_or.reduce(mask[:count], axis=0) for s, mask in needs.items()}


def _count_axons(masks: Masks) -> int:
    return sum(int(_COUNT[mask].sum()) for mask in masks.values())


def _count_inputs(crossbar: Crossbar, network: IntegerNetwork, masks: Masks) -> int:
    """Return the rows of neurons that input lines take."""
    return crossbar.inputs_are_neurons * _count_of_input(masks, network.input.name)


def _count_of_input(masks: Masks, name: str) -> int:
    return int(_COUNT[masks[name]].sum()) if name in masks else 0


def _count_cores_of(cores: list[_Core], name: str) -> int:
    return sum(any(s[0] == name for s in core.slices) for core in cores)


def _build_fitted(network: IntegerNetwork, crossbar: Crossbar, cores: list[_Core]) -> Fitted:
    filled = []
    for number, core in enumerate(cores):
        slices = tuple(
            Slice.from_range(network.population(name), start, stop, number)
            for name, start, stop in core.slices[::-1]
        )
        inputs = _count_inputs(crossbar, network, core.masks)
        rows, axons = core.rows + inputs, _count_axons(core.masks)
        used = {"neurons and their copies": rows, "axons": axons}
        available = {
            "neurons and their copies": crossbar.neurons.whole,
            "axons": crossbar.axons.whole,
        }
        filled.append(
            FittedCore(slices, used, available, {"compartments": rows, "axons_in": axons}, number)
        )
    return Fitted(tuple(filled), {}, {})
