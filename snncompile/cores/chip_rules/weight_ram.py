"""Chips whose neurons own lines of weight bits (PAICORE).

A line has a bit for each axon; a weight of w bits takes w of them. A neuron whose fan-in times its
weight bits is more than a line takes 2, 4, ... lines, so that a core has fewer neurons. All neurons
of a core share its axons.

Source: PAIBox (github.com/PAICookers/PAIBox).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from snncompile.cores.chip_rules.base import (
    Fitted,
    FittedCore,
    count_sources,
    get_synapses,
    require,
)
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.cores.equal_tiles import cut_boxes, list_tilings
from snncompile.errors import list_briefly
from snncompile.hwmodels.limits import WeightRam
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.ir.mapping import Slice
from snncompile.synapses.convolution import Convolution

LINES = "lines of weight memory"


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return the network on cores of one population each.

    Raises:
        UnsupportedError: the chip lacks a neuron.
        FitError: one neuron has too large a fan-in, or there are too few cores.
    """
    ram = chip.weight_ram
    assert ram is not None
    cores: list[FittedCore] = []
    for population in network.populations:
        count_compartments_per_neuron(chip, population)
        for s, fan_in in _cut_slices(network, ram, population, len(cores)):
            lines = _count_lines(ram, fan_in * _find_weight_bits(network, population))
            used = {LINES: s.size * lines, "axons": fan_in}
            room = (ram.line_bits.whole or 0) * lines // _find_weight_bits(network, population)
            available = {LINES: ram.lines.whole, "axons": room}
            standard = {
                "compartments": s.size,
                "synapse_words": s.size * lines,
                "axons_in": fan_in,
            }
            cores.append(FittedCore((s,), used, available, standard, len(cores)))
    names = [core.slices[0].population for core in cores]
    counts = list_briefly([f"{p.name} {names.count(p.name)}" for p in network.populations])
    available_cores = (chip.mesh.cores.whole or 0) * chip.chips
    hint = "use fewer neurons, a smaller fan-in or fewer weight bits"
    require(f"network {network.title}", f"cores ({counts})", len(cores), available_cores, hint)
    return Fitted(tuple(cores), {}, {})


def _cut_slices(
    network: IntegerNetwork, ram: WeightRam, population: Population, core: int
) -> Iterator[tuple[Slice, int]]:
    """Yield the slices of a population, from a core on, with their fan-in.

    A convolution is cut into the fewest boxes that fit; other populations into ranges.
    """
    into = network.into(population.name)
    wiring = get_synapses(into[0]).wiring if len(into) == 1 else None
    if isinstance(wiring, Convolution) and wiring.target_shape == population.shape:
        yield from _cut_convolution(network, ram, population, wiring, core)
        return
    start = 0
    while start < population.size:
        stop, fan_in = _find_largest(network, ram, population, start)
        yield Slice.from_range(population, start, stop, core), fan_in
        start, core = stop, core + 1


def _cut_convolution(
    network: IntegerNetwork, ram: WeightRam, population: Population, wiring: Convolution, core: int
) -> Iterator[tuple[Slice, int]]:
    channels, height, width = (*population.shape, 1)[:3]
    shape, bits = (height, width, channels), _find_weight_bits(network, population)
    room, extension = ram.lines.whole or 0, ram.extension.whole or 1
    for counts in list_tilings(shape, (2, 0, 1), -(-population.size // room)):
        tiles = list(cut_boxes(shape, counts))
        first = tiles[0].extent
        fan_in = _count_fan_in(wiring, first)
        lines = _count_lines(ram, fan_in * bits)
        if lines <= extension and prod(first) * lines <= room:
            axes = len(population.shape)
            for number, box in enumerate(tiles):
                start, stop = ((c, h, w)[:axes] for h, w, c in (box.start, box.stop))
                yield Slice(population.name, population.shape, start, stop, core + number), fan_in
            return
    _refuse(ram, population, bits, _count_fan_in(wiring, (1, 1, 1)))


def _count_fan_in(wiring: Convolution, tile: tuple[int, int, int]) -> int:
    """Return the largest number of sources of a tile of (height, width, channels)."""
    groups = min(wiring.groups, -(-tile[2] * wiring.groups // wiring.channels))
    seen = wiring.weight_shape[1] * groups
    for axis, length in enumerate(wiring.source_shape[1:]):
        reach = (wiring.kernel[axis] - 1) * wiring.dilation[axis] + 1
        seen *= min(length, (tile[axis] - 1) * wiring.stride[axis] + reach)
    return seen


def _find_largest(
    network: IntegerNetwork, ram: WeightRam, population: Population, start: int
) -> tuple[int, int]:
    """Return the end of the largest slice from a neuron on, and its fan-in."""
    bits, largest = _find_weight_bits(network, population), start
    lines, extension = 1, ram.extension.whole or 1
    while lines <= extension:
        room = (ram.line_bits.whole or 0) * lines // bits
        stop = _find_end(network, population, start, (ram.lines.whole or 0) // lines, room)
        largest, lines = max(largest, stop), lines * 2
    if largest == start:
        _refuse(ram, population, bits, count_sources(network, population, start, start + 1))
    return largest, count_sources(network, population, start, largest)


def _refuse(ram: WeightRam, population: Population, bits: int, fan_in: int) -> None:
    """Raise FitError for one neuron's fan-in."""
    limit = (ram.line_bits.whole or 0) * (ram.extension.whole or 1) // bits
    hint = "use fewer weight bits or split the layer before it"
    where, resource = f"population {population.name}", f"sources of {bits} bits for one neuron"
    require(where, resource, fan_in, limit, hint)


def _find_end(
    network: IntegerNetwork, population: Population, start: int, neurons: int, axons: int
) -> int:
    """Return the end of the largest slice within these numbers of neurons and axons."""
    low, high = 0, min(neurons, population.size - start)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count_sources(network, population, start, start + middle) <= axons
        low, high = (middle, high) if fits else (low, middle - 1)
    return start + low


def _count_lines(ram: WeightRam, bits: int) -> int:
    """Return the lines that a neuron takes, from its bits: 1, 2, 4, ..."""
    return 1 << (max(-(-bits // (ram.line_bits.whole or 1)), 1) - 1).bit_length()


def _find_weight_bits(network: IntegerNetwork, population: Population) -> int:
    """Return the weight bits of a population: the largest of its projections."""
    return max((get_synapses(p).bits for p in network.into(population.name)), default=1)
