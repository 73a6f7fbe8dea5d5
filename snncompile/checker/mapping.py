"""Prove that a mapped network fits and is complete, from the finished tables alone.

Nothing of the mapper is used: what a core holds is found anew from slices, blocks and routes, and
compared with what the network asks for and what the chip has. The first mistake is an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snncompile.checker import wiring_reach as reach
from snncompile.checker.chip_rules import own_rules
from snncompile.checker.limits import limits, route_entries
from snncompile.checker.memory_words import words
from snncompile.checker.shared_axons import groups_of, shared_by
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock, MemoryBlock

Problems = Iterator[str]


def check(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> None:
    """Raise MappingError with the first thing that is wrong.

    Raises:
        MappingError: a neuron, synapse or spike is missing or there twice, or a limit is exceeded.
    """
    for rule in RULES:
        for problem in rule(network, chip, mapping):
            raise MappingError(f"the mapping is wrong: {problem}")


def _neurons(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every neuron is in one slice."""
    known = {p.name for p in network.populations}
    for name in {s.population for s in mapping.slices} - known:
        yield f"there is a slice of {name}, which is no population"
    for population in network.populations:
        times = np.zeros(population.size, np.int32)
        for s in mapping.slices:
            if s.population == population.name:
                times[s.neurons()] += 1
        for neuron in np.flatnonzero(times != 1)[:1].tolist():
            yield f"neuron {neuron} of {population.name} is on {times[neuron]} cores"


def _sites(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every core has one site on a mesh, and no tile more cores than there are."""
    cores = sorted(site.core for site in mapping.sites)
    if cores != sorted({s.core for s in mapping.slices}):
        yield "not every core has one site"
    mesh = chip.mesh
    columns, rows = mesh.tile_columns.whole or 0, mesh.tile_rows.whole or 0
    tiles: defaultdict[tuple[int, ...], int] = defaultdict(int)
    chips: defaultdict[int, int] = defaultdict(int)
    for site in mapping.sites:
        if site.tile_x >= columns or site.tile_y >= rows:
            yield f"core {site.core} is beside the mesh"
        tiles[site.chip, site.tile_x, site.tile_y] += 1
        chips[site.chip] += 1
    for tile, count in tiles.items():
        if count > (mesh.cores_per_tile.whole or 0):
            yield f"{count} cores are on tile {tile[1]},{tile[2]} of chip {tile[0]}"
    for number, count in chips.items():
        if count > (mesh.cores.whole or 0):
            yield f"{count} cores are on chip {number}, which has {mesh.cores.whole}"


def _memory(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every projection into every slice is in one block, of the right size, core and delay."""
    there = {(b.projection, b.slice): b for b in mapping.tables.memory}
    groups = groups_of(network, mapping)
    if len(there) != len(mapping.tables.memory):
        yield "synapses are stored twice"
    for number, p in enumerate(network.projections):
        for place, s in enumerate(mapping.slices):
            if s.population != p.target:
                continue
            block = there.pop((number, place), None)
            need = reach.synapses(p.synapses.wiring, s)
            if block is None and need:
                yield f"{need} synapses of {_name(p)} into {s.where} are not stored"
            if block is not None:
                yield from _block(chip, p, mapping, block, groups.get((number, place), {}))
    for block in there.values():
        yield f"a block of core {block.core} belongs to nothing of the network"
    yield from _overlaps("words", mapping.tables.memory, lambda b: b.words)


def _block(
    chip: Chip, p: Projection, mapping: Mapping, block: MemoryBlock, groups: dict[int, int]
) -> Problems:
    s = mapping.slices[block.slice]
    where = f"{_name(p)} into {s.where}"
    if block.core != s.core:
        yield f"{where} is stored on core {block.core}"
    if block.delay != p.delay:
        yield f"{where} has delay {block.delay} instead of {p.delay}"
    size = words(chip, p, s, block, groups)
    if not size.least <= block.words <= size.most:
        yield f"{where} has {block.words} words, needs {size.least}"
    longest = None if chip.rows is None else chip.rows.row_words.whole
    if longest is not None and size.longest > longest:
        yield f"{where} has a row of {size.longest} words, at most {longest} are possible"


def _formats(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """No core has more synapse formats than it can: those counted that no width can make one."""
    most = None if chip.rows is None else chip.rows.formats.whole
    formats: defaultdict[int, set[tuple[object, ...]]] = defaultdict(set)
    for block in mapping.tables.memory:
        delayed = block.delay > 1
        formats[block.core].add((block.format, block.weight_bits, block.shared_sign, delayed))
    for core, found in formats.items():
        if most is not None and len(found) > most:
            yield f"core {core} has {len(found)} synapse formats of {most}"


def _axons(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every source of a block of memory has one axon that reaches it, and no axon reaches none."""
    tables = mapping.tables
    reached_by: defaultdict[int, list[AxonBlock]] = defaultdict(list)
    for axons in tables.axons:
        for number in axons.memory:
            reached_by[number].append(axons)
    for number, block in enumerate(tables.memory):
        p, s = network.projections[block.projection], mapping.slices[block.slice]
        found = [a for a in reached_by[number] if a.core == block.core and a.source == p.source]
        if len(found) != 1 or len(reached_by[number]) != 1:
            count = len(reached_by[number])
            yield f"{_name(p)} into {s.where} is reached by {count} blocks of axons"
        elif not _covers(found[0].region, reach.sources(p.synapses.wiring, s)):
            yield f"not every source of {_name(p)} into {s.where} has an axon"
        elif block.shared and len(found[0].memory) > 1:
            yield f"axons of {_name(p)} into {s.where} share rows and reach other blocks"
    for axons in tables.axons:
        yield from _needed(network, mapping, axons)
    yield from _shared(network, mapping)
    yield from _overlaps("input axons", tables.axons, lambda a: a.count)


def _shared(network: IntegerNetwork, mapping: Mapping) -> Problems:
    """Neurons that share an axon are there, have rows of their own, and are counted."""
    sharing, tables = shared_by(network, mapping), mapping.tables
    for number, axons in enumerate(tables.axons):
        found = [sharing.get((number, place), (0, 0)) for place in axons.grouped]
        if axons.count != axons.region.size - sum(n for n, _ in found) + sum(a for _, a in found):
            yield f"core {axons.core} has {axons.count} axons from {axons.source}"
        blocks = [tables.memory[i] for i in axons.memory]
        if not all(n for n, _ in found) or (found and any(b.shared > b.columns for b in blocks)):
            yield f"axons of core {axons.core} from {axons.source} cannot be shared"


def _covers(region: Region, needed: reach.Axes) -> bool:
    if len(region.axes) == len(needed.lists) and region.shape[1:] == needed.shape[1:]:
        pairs = zip(region.axes, needed.lists, strict=True)
        return all(np.isin(want, np.array(axis)).all() for axis, want in pairs)
    return bool(np.isin(needed.neurons(), region.neurons()).all())


def _needed(network: IntegerNetwork, mapping: Mapping, axons: AxonBlock) -> Problems:
    parts = []
    for number in axons.memory:
        block = mapping.tables.memory[number]
        wiring = network.projections[block.projection].synapses.wiring
        parts.append(reach.sources(wiring, mapping.slices[block.slice]))
    if len(parts) == 1:
        size = parts[0].size
    else:
        size = len(np.unique(np.concatenate([part.neurons() for part in parts]))) if parts else 0
    if size != axons.region.size:
        yield (
            f"core {axons.core} has {axons.region.size} axons from {axons.source},"
            f" {size} of them reach a synapse"
        )


def _routes(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Every neuron with an axon on a core sends to it, once, from the core it is on."""
    lines = mapping.tables.lines
    slice_of = {p.name: np.full(p.size, -1, np.int32) for p in network.populations}
    for place, s in enumerate(mapping.slices):
        slice_of[s.population][s.neurons()] = place
    order = np.argsort(lines[:, 1], kind="stable")
    starts = np.searchsorted(lines[order, 1], np.arange(len(mapping.tables.axons) + 1))
    for number, axons in enumerate(mapping.tables.axons):
        mine = lines[order[starts[number] : starts[number + 1]]]
        wanted = _senders(slice_of.get(axons.source), axons.region)
        got = {int(line[0]): int(line[2]) for line in mine}
        if got != wanted or len(got) != len(mine):
            yield f"core {axons.core} listens to neurons of {axons.source} that do not send to it"
    if len(lines) != starts[-1] or (len(lines) and lines[:, 1].min() < 0):
        yield "a route leads to no axon"
    yield from _entries(network, chip, mapping, lines)


def _senders(slice_of: NDArray[np.int32] | None, region: Region) -> dict[int, int]:
    """Return how many neurons of each slice are in a region; none of those of the host."""
    if slice_of is None:
        return {}
    places, count = np.unique(slice_of[region.neurons()], return_counts=True)
    return dict(zip(places.tolist(), count.tolist(), strict=True))


def _entries(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, lines: NDArray[np.int32]
) -> Problems:
    """Output axons of a core do not overlap."""
    taken = np.array(route_entries(network, chip, mapping), np.int64)
    cores = np.array([s.core for s in mapping.slices], np.int64)[lines[:, 0]]
    order = np.lexsort((lines[:, 3], cores))
    core, first, count = cores[order], lines[order, 3], taken[order]
    overlap = (core[1:] == core[:-1]) & (first[:-1] + count[:-1] > first[1:])
    for i in np.flatnonzero(overlap)[:1].tolist():
        yield f"output axons of core {core[i]} overlap"


def _overlaps(what: str, blocks, size) -> Problems:  # type: ignore[no-untyped-def]
    by_core: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for block in blocks:
        by_core[block.core].append((block.first, block.first + size(block)))
    for core, spans in by_core.items():
        for (_, stop), (start, _) in pairwise(sorted(spans)):
            if stop > start:
                yield f"{what} of core {core} overlap"


def _name(p: Projection) -> str:
    return f"{p.source} -> {p.target}"


RULES = (_neurons, _sites, _memory, _formats, _axons, _routes, limits, own_rules)
