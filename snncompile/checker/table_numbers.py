"""Numbers of the tables of a mapping: each names a thing that exists, and none is out of range.

These rules come first, so that all others may look up what the tables name.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from snncompile.checker import wiring_reach as reach
from snncompile.checker.headed_rows import uses_kernels
from snncompile.checker.memory_words import WORDS
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock, MemoryBlock

Problems = Iterator[str]


def check_numbers(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield every number that is out of range or names nothing."""
    sizes = {p.name: p.size for p in network.populations}
    for s in mapping.slices:
        yield from _check_slice(s, sizes.get(s.population))
    cores = {s.core for s in mapping.slices}
    if cores != set(range(len(cores))):
        yield f"cores are not numbered from 0 to {len(cores) - 1}"
    for site in mapping.sites:
        if min(site.tile_x, site.tile_y) < 0:
            yield f"core {site.core} is beside the mesh"
        if not 0 <= site.chip < chip.chips:
            yield f"core {site.core} is on chip {site.chip}; there are {chip.chips}"
    for block in mapping.tables.memory:
        yield from _check_memory(network, chip, mapping, block)
    for axons in mapping.tables.axons:
        yield from _check_axons(network, chip, mapping, axons)
    yield from _check_routes(mapping)


def _check_slice(s: Slice, size: int | None) -> Problems:
    """A slice is a box inside its population, or neurons of it in rising order."""
    if size is None:
        yield f"there is a slice of {s.population}, which is no population"
    elif s.members:
        if s.shape or s.start or s.stop or not _is_rising(s.members, size):
            yield f"{s.where} names neurons that {s.population} has not, or one twice"
    else:
        lengths = len(s.shape) == len(s.start) == len(s.stop)
        if not (lengths and s.shape and prod(s.shape) == size and min(s.shape) > 0):
            yield f"{s.where} has other axes than the {size:,} neurons of {s.population}"
        elif not all(0 <= a < b <= n for a, b, n in zip(s.start, s.stop, s.shape, strict=True)):
            yield f"{s.where} is no box inside {s.population}"


def _check_memory(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, block: MemoryBlock
) -> Problems:
    """A block of memory names a projection, a slice and a core, and what the chip can store."""
    where = f"a block of words of core {block.core}"
    if not 0 <= block.core < mapping.cores:
        yield f"{where} is on a core that is not in use"
    if not 0 <= block.projection < len(network.projections):
        yield f"{where} belongs to projection {block.projection}, which there is not"
        return
    if not 0 <= block.slice < len(mapping.slices):
        yield f"{where} belongs to slice {block.slice}, which there is not"
        return
    if min(block.first, block.words, block.weight_bits) < 0 or block.delay < 1:
        yield f"{where} has a negative number, or a delay of less than one step"
    longest = chip.formats.delay.whole
    if longest is not None and block.delay > longest + 1:
        yield f"{where} has delay {block.delay}; the chip has {longest + 1} at most"
    yield from _check_rows(network, chip, mapping, block)


def _check_rows(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, block: MemoryBlock
) -> Problems:
    """Rows are in formats that the chip has, and shared only where they are alike."""
    where = f"a block of words of core {block.core}"
    if chip.rows is None and (block.weight_bits or block.shared_sign or block.columns):
        yield f"{where} is written in rows of several formats; the chip has none"
    projection, s = network.projections[block.projection], mapping.slices[block.slice]
    wiring = projection.synapses.wiring.plain
    alike = reach.is_tile(wiring, s) or reach.has_one_weight(wiring)
    alike = alike or (chip.headed_rows is not None and uses_kernels(projection, s))
    if block.shared and not (alike and chip.encoding in WORDS):
        yield f"{where} shares rows that differ"
    if block.columns and not block.shared:
        yield f"{where} has columns that share no rows"


def _check_axons(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, axons: AxonBlock
) -> Problems:
    """A block of axons names a source, neurons of it, a core, and blocks of memory."""
    where = f"a block of axons of core {axons.core}"
    if not 0 <= axons.core < mapping.cores:
        yield f"{where} is on a core that is not in use"
    if min(axons.first, axons.size) < 0:
        yield f"{where} has a negative number"
    sizes = {p.name: p.size for p in network.populations} | {network.input.name: network.input.size}
    if axons.source not in sizes:
        yield f"{where} is from {axons.source}, which is no population and no input"
    elif not _is_inside(axons.region, sizes[axons.source]):
        yield f"{where} is from neurons that {axons.source} has not"
    if not _is_rising(sorted(axons.memory), len(mapping.tables.memory)):
        yield f"{where} reaches a block of words that there is not, or one twice"
    if axons.grouped and chip.axon_entries is None:
        yield f"{where} has axons that several neurons share; the chip has none"
    if not _is_rising(sorted(axons.grouped), len(mapping.slices)):
        yield f"{where} is shared by a slice that there is not, or by one twice"


def _check_routes(mapping: Mapping) -> Problems:
    """A route names a slice and a block of axons, and counts neurons and output axons from 0."""
    lines = mapping.tables.lines
    if lines.ndim != 2 or lines.shape[1] != 4:
        yield f"routes have shape {lines.shape}, expected (routes, 4)"
        return
    ends = len(mapping.slices), len(mapping.tables.axons)
    for column, (name, count) in enumerate(zip(("slice", "block of axons"), ends, strict=True)):
        wrong = (lines[:, column] < 0) | (lines[:, column] >= count)
        for number in lines[wrong, column][:1].tolist():
            yield f"a route names {name} {number}, which there is not"
    if (lines[:, 2:] < 0).any():
        yield "a route has a negative number of neurons or output axon"


def _is_inside(region: Region, size: int) -> bool:
    """Whether a region holds neurons below a size, each once and in rising order."""
    if not region.axes:
        return not region.shape and _is_rising(region.members, size)
    if region.members or any(axis.step < 1 for axis in region.axes):
        return False
    counted = region.shape == (0,) and len(region.axes) == 1  # `Region.from_neurons` says no more
    lengths = (size,) if counted else region.shape
    whole = len(lengths) == len(region.axes) and prod(lengths) == size
    return whole and all(
        len(axis) == 0 or (axis[0] >= 0 and axis[-1] < length)
        for axis, length in zip(region.axes, lengths, strict=True)
    )


def _is_rising(numbers: tuple[int, ...] | list[int], count: int) -> bool:
    """Whether numbers rise and are below a count."""
    if not numbers:
        return True
    rising = bool((np.diff(numbers) > 0).all())
    return rising and numbers[0] >= 0 and numbers[-1] < count
