"""Prove that a mapped network fits and is complete, from the finished tables alone.

Nothing of the mapper is used: what a core holds is computed from slices, blocks and routes, and
compared with what the network asks for and what the chip file allows. The first mistake is an
error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snncompile.checker import headed_rows
from snncompile.checker import wiring_reach as reach
from snncompile.checker.chip_rules import check_chip_rules, check_encoding
from snncompile.checker.core_limits import check_core_limits, count_route_entries
from snncompile.checker.learning import check_learning, count_entries
from snncompile.checker.memory_words import Stored, measure_block
from snncompile.checker.shared_axons import NOBODY, count_sharing, group_sources
from snncompile.checker.table_numbers import check_numbers
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock

Problems = Iterator[str]


def check(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> None:
    """Raise MappingError with the first thing that is wrong.

    Raises:
        MappingError: a neuron, synapse or spike is missing or there twice, a limit is exceeded, or
            the checker has no rules for the chip's encoding.
    """
    check_encoding(chip)
    for rule in RULES:
        for problem in rule(network, chip, mapping):
            raise MappingError(f"the mapping is wrong: {problem}")


def _check_neurons(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every neuron is in one slice."""
    for population in network.populations:
        times = np.zeros(population.size, np.int32)
        for s in mapping.slices:
            if s.population == population.name:
                times[s.neurons()] += 1
        for neuron in np.flatnonzero(times != 1)[:1].tolist():
            yield f"neuron {neuron} of {population.name} is on {times[neuron]} cores"


def _check_sites(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every core has one site on a mesh, and no tile holds more cores than the mesh gives it."""
    if sorted(site.core for site in mapping.sites) != list(range(mapping.cores)):
        yield "not every core has one site"
    mesh = chip.mesh
    columns, rows = mesh.tile_columns.whole or 0, mesh.tile_rows.whole or 0
    tiles: defaultdict[tuple[int, ...], int] = defaultdict(int)
    chips: defaultdict[int, int] = defaultdict(int)
    for site in mapping.sites:
        if site.tile_x >= columns or site.tile_y >= rows:
            at = f"tile {site.tile_x},{site.tile_y}"
            yield f"core {site.core} is on {at} of a mesh of {columns} x {rows} tiles"
        tiles[site.chip, site.tile_x, site.tile_y] += 1
        chips[site.chip] += 1
    for tile, count in tiles.items():
        if count > (mesh.cores_per_tile.whole or 0):
            where = f"tile {tile[1]},{tile[2]} of chip {tile[0]}"
            yield f"{count} cores are on {where}, which has {mesh.cores_per_tile.whole}"
    for number, count in chips.items():
        if count > (mesh.cores.whole or 0):
            yield f"{count} cores are on chip {number}, which has {mesh.cores.whole}"


def _check_memory(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every projection into every slice is in one block, of the right size, core and delay."""
    memory = mapping.tables.memory
    blocks = {(b.projection, b.slice): b for b in memory}
    groups = group_sources(network, mapping)
    if len(blocks) != len(memory):
        yield "synapses are stored twice"
    for number, p in enumerate(network.projections):
        for position, s in enumerate(mapping.slices):
            if s.population != p.target:
                continue
            block = blocks.pop((number, position), None)
            if block is not None:
                sharing = groups.get((number, position), {})
                yield from _check_block(Stored(chip, p, s, block, sharing))
            elif need := reach.count_synapses(p.synapses.wiring, s):
                yield f"{need} synapses of {_name(p)} into {s.where} are not stored"
    for block in blocks.values():
        yield f"a block of core {block.core} belongs to nothing of the network"
    yield from _check_overlaps("words", [(b.core, b.first, b.words) for b in memory])


def _check_block(stored: Stored) -> Problems:
    s, p, block = stored.slice, stored.projection, stored.block
    where = f"{_name(p)} into {s.where}"
    if block.core != s.core:
        yield f"{where} is stored on core {block.core}"
    if block.delay != p.delay:
        yield f"{where} has delay {block.delay} instead of {p.delay}"
    size = measure_block(stored)
    if not size.matches:
        yield f"{where} on core {s.core} has {block.words} words, needs {size.fewest}"
    rows = stored.chip.rows
    available = None if rows is None else rows.row_words.whole
    if available is not None and size.longest > available:
        yield f"{where} has a row of {size.longest} words, at most {available} are possible"


def _check_formats(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """No core has more synapse formats than it can; formats of one width and rule count once."""
    available = None if chip.rows is None else chip.rows.formats.whole
    formats: defaultdict[int, set[tuple[object, ...]]] = defaultdict(set)
    delay_bits = None if chip.rows is None else chip.rows.delay_bits.whole
    for block in mapping.tables.memory:
        delayed = block.delay > 1 and delay_bits != 0
        rule = repr(network.projections[block.projection].rule)
        how = block.format, block.weight_bits, block.shared_sign, delayed, rule
        formats[block.core].add(how)
    for core, used in formats.items():
        if available is not None and len(used) > available:
            yield f"core {core} has {len(used)} synapse formats of {available}"


def _check_axons(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every source of a block of memory has one axon that reaches it; every axon reaches some."""
    tables = mapping.tables
    reached_by: defaultdict[int, list[AxonBlock]] = defaultdict(list)
    for axons in tables.axons:
        for number in axons.memory:
            reached_by[number].append(axons)
    for number, block in enumerate(tables.memory):
        p, s = network.projections[block.projection], mapping.slices[block.slice]
        fitting = [a for a in reached_by[number] if a.core == block.core and a.source == p.source]
        if len(fitting) != 1 or len(reached_by[number]) != 1:
            count = len(reached_by[number])
            yield f"{_name(p)} into {s.where} is reached by {count} blocks of axons"
        elif not _covers(fitting[0].region, reach.find_sources(p.synapses.wiring, s)):
            yield f"not every source of {_name(p)} into {s.where} has an axon"
        elif block.shared and len(fitting[0].memory) > 1:
            yield f"axons of {_name(p)} into {s.where} share rows and reach other blocks"
    for axons in tables.axons:
        yield from _check_region(network, mapping, axons)
    yield from _check_counts(network, chip, mapping)
    yield from _check_overlaps("input axons", [(a.core, a.first, a.count) for a in tables.axons])


def _check_counts(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every block of axons has as many as its neurons, or the pieces of its channels, take."""
    if chip.headed_rows is None:
        yield from _check_sharing(network, chip, mapping)
        return
    for axons in mapping.tables.axons:
        need = headed_rows.count_input_entries(network, mapping, axons)
        if axons.count != need or axons.grouped or len(axons.memory) != 1:
            yield f"core {axons.core} has {axons.count} axons from {axons.source}, needs {need}"


def _check_sharing(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Neurons that share an axon exist, have rows of their own, and are counted."""
    sharing, tables = count_sharing(network, mapping), mapping.tables
    for number, axons in enumerate(tables.axons):
        shared = [sharing.get((number, s), NOBODY) for s in axons.grouped]
        alone = axons.region.size - sum(group.neurons for group in shared)
        alone *= count_entries(network, chip, mapping, axons)
        if axons.count != alone + sum(group.axons for group in shared):
            yield f"core {axons.core} has {axons.count} axons from {axons.source}"
        blocks = [tables.memory[i] for i in axons.memory]
        rows_shared = any(block.shared > block.columns for block in blocks)
        if not all(group.neurons for group in shared) or (shared and rows_shared):
            yield f"axons of core {axons.core} from {axons.source} cannot be shared"


def _covers(region: Region, needed: reach.Axes) -> bool:
    if len(region.axes) == len(needed.lists) and region.shape[1:] == needed.shape[1:]:
        pairs = zip(region.axes, needed.lists, strict=True)
        return all(np.isin(want, np.array(axis)).all() for axis, want in pairs)
    return bool(np.isin(needed.neurons(), region.neurons()).all())


def _check_region(network: IntegerNetwork, mapping: Mapping, axons: AxonBlock) -> Problems:
    """Every neuron of a block of axons reaches a synapse."""
    needed = []
    for number in axons.memory:
        block = mapping.tables.memory[number]
        wiring = network.projections[block.projection].synapses.wiring
        needed.append(reach.find_sources(wiring, mapping.slices[block.slice]))
    if len(needed) == 1:
        size = needed[0].size
    else:
        neurons = [sources.neurons() for sources in needed]
        size = len(np.unique(np.concatenate(neurons))) if neurons else 0
    if size != axons.region.size:
        yield (
            f"core {axons.core} has {axons.region.size} axons from {axons.source},"
            f" {size} of them reach a synapse"
        )


def _check_routes(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every neuron with an axon on a core sends to it, once, from the core it is on."""
    lines = mapping.tables.lines
    slice_of = {p.name: np.full(p.size, -1, np.int32) for p in network.populations}
    for number, s in enumerate(mapping.slices):
        slice_of[s.population][s.neurons()] = number
    order = np.argsort(lines[:, 1], kind="stable")
    starts = np.searchsorted(lines[order, 1], np.arange(len(mapping.tables.axons) + 1))
    for number, axons in enumerate(mapping.tables.axons):
        routes = lines[order[starts[number] : starts[number + 1]]]
        wanted = _count_senders(slice_of.get(axons.source), axons.region)
        got = {int(line[0]): int(line[2]) for line in routes}
        if got != wanted or len(got) != len(routes):
            yield f"routes of {axons.source} differ from its input axons on core {axons.core}"
    yield from _check_output_axons(network, chip, mapping)


def _count_senders(slice_of: NDArray[np.int32] | None, region: Region) -> dict[int, int]:
    """Return the number of neurons of each slice in a region; none for neurons of the host."""
    if slice_of is None:
        return {}
    numbers, count = np.unique(slice_of[region.neurons()], return_counts=True)
    return dict(zip(numbers.tolist(), count.tolist(), strict=True))


def _check_output_axons(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Output axons of a core do not overlap."""
    if chip.headed_rows is not None:
        yield from headed_rows.check_ports(network, mapping)
        return
    lines = mapping.tables.lines
    counts = np.array(count_route_entries(network, chip, mapping), np.int64)
    cores = np.array([s.core for s in mapping.slices], np.int64)[lines[:, 0]]
    order = np.lexsort((lines[:, 3], cores))
    core, first, count = cores[order], lines[order, 3], counts[order]
    overlap = (core[1:] == core[:-1]) & (first[:-1] + count[:-1] > first[1:])
    for i in np.flatnonzero(overlap)[:1].tolist():
        yield f"output axons of core {core[i]} overlap"


def _check_overlaps(entries: str, blocks: Sequence[tuple[int, int, int]]) -> Problems:
    """Blocks of (core, first entry, entries) do not overlap."""
    by_core: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for core, first, size in blocks:
        by_core[core].append((first, first + size))
    for core, spans in by_core.items():
        for (_, stop), (start, _) in pairwise(sorted(spans)):
            if stop > start:
                yield f"{entries} of core {core} overlap"


def _name(p: Projection) -> str:
    return f"{p.source} -> {p.target}"


RULES: tuple[Callable[[IntegerNetwork, Chip, Mapping], Problems], ...] = (
    check_numbers,
    _check_neurons,
    _check_sites,
    _check_memory,
    _check_formats,
    _check_axons,
    _check_routes,
    check_learning,
    check_core_limits,
    check_chip_rules,
)
