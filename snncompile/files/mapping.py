"""Mappings as JSON values and one array; read without trust."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from snncompile.errors import InputError
from snncompile.files.network import Arrays, Record
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock, MemoryBlock, Tables

ROUTES = "mapping.routes"
"""Name of the array of routes."""

Index = Annotated[int, Field(ge=0, le=2**31)]
Indices = tuple[Index, ...]


class _Slice(Record):
    population: str
    shape: Indices
    start: Indices
    stop: Indices
    core: Index
    members: Indices


class _Site(Record):
    core: Index
    tile_x: Index
    tile_y: Index
    chip: Index


class _Memory(Record):
    core: Index
    projection: Index
    slice: Index
    first: Index
    words: Index
    format: str
    shared: bool
    delay: Index
    weight_bits: Index
    shared_sign: bool
    columns: bool


class _Axis(Record):
    start: Index
    stop: Index
    step: Annotated[int, Field(ge=1, le=2**31)]


class _Region(Record):
    shape: Indices
    axes: tuple[_Axis, ...]
    members: Indices


class _Axons(Record):
    core: Index
    source: str
    region: _Region
    first: Index
    memory: Indices
    grouped: Indices
    size: Index


class MappingRecord(Record):
    """Content of the key `mapping` of `program.json`."""

    slices: tuple[_Slice, ...]
    sites: tuple[_Site, ...]
    memory: tuple[_Memory, ...]
    axons: tuple[_Axons, ...]


def to_record(mapping: Mapping) -> tuple[dict[str, Any], Arrays]:
    """Return a mapping as JSON values and arrays."""
    record = {
        "slices": [asdict(s) for s in mapping.slices],
        "sites": [asdict(s) for s in mapping.sites],
        "memory": [asdict(block) for block in mapping.tables.memory],
        "axons": [_record_axons(block) for block in mapping.tables.axons],
    }
    return record, {ROUTES: mapping.tables.lines}


def _record_axons(block: AxonBlock) -> dict[str, Any]:
    region = block.region
    axes = [{"start": a.start, "stop": a.stop, "step": a.step} for a in region.axes]
    return {
        "core": block.core,
        "source": block.source,
        "region": {"shape": region.shape, "axes": axes, "members": region.members},
        "first": block.first,
        "memory": block.memory,
        "grouped": block.grouped,
        "size": block.size,
    }


def from_record(
    record: MappingRecord, arrays: Arrays, network: IntegerNetwork, chip: Chip, path: Path
) -> Mapping:
    """Return the mapping of a record, whose array is taken out of `arrays`.

    Raises:
        InputError: it names a population or neuron that does not exist, does not hold every neuron
            once, or has a core without a site.
    """
    routes = arrays.pop(ROUTES, None)
    if routes is None or routes.dtype != np.int32 or routes.ndim != 2 or routes.shape[1] != 4:
        raise InputError(f"{path}: arrays.npz has no table {ROUTES} of four columns")
    tables = Tables(
        tuple(MemoryBlock(**block.model_dump()) for block in record.memory),
        tuple(_read_axons(block) for block in record.axons),
        routes,
    )
    mapping = Mapping(
        tuple(Slice(**s.model_dump()) for s in record.slices),
        tuple(Site(**s.model_dump()) for s in record.sites),
        tables,
    )
    _check_slices(path, network, mapping)
    _check_sites(path, mapping, chip)
    _check_tables(path, network, mapping)
    return mapping


def _read_axons(record: _Axons) -> AxonBlock:
    region = record.region
    axes = tuple(range(a.start, a.stop, a.step) for a in region.axes)
    return AxonBlock(
        record.core,
        record.source,
        Region(region.shape, axes, region.members),
        record.first,
        record.memory,
        record.grouped,
        record.size,
    )


def _check_slices(path: Path, network: IntegerNetwork, mapping: Mapping) -> None:
    """Refuse slices that do not hold every neuron exactly once."""
    names = {p.name for p in network.populations}
    for s in mapping.slices:
        if s.population not in names:
            raise InputError(f"{path}: a slice is of a population {s.population[:40]!r} not there")
    for population in network.populations:
        count = np.zeros(population.size, np.int32)
        for s in mapping.of(population.name):
            if not _is_slice_of(s, population.size):
                raise InputError(f"{path}: {s.where} is no part of {population.name}")
            count[s.neurons()] += 1
        if (count != 1).any():
            raise InputError(
                f"{path}: the slices of {population.name} do not hold each neuron once"
            )


def _is_slice_of(s: Slice, size: int) -> bool:
    """Whether a slice is a box within a shape of `size` neurons, or a sorted list of some."""
    if s.members:
        ordered = all(a < b for a, b in pairwise(s.members))
        return ordered and s.members[-1] < size and not (s.shape or s.start or s.stop)
    if not len(s.shape) == len(s.start) == len(s.stop) or prod(s.shape) != size or not s.shape:
        return False
    axes = zip(s.start, s.stop, s.shape, strict=True)
    return all(start < stop <= length for start, stop, length in axes)


def _check_sites(path: Path, mapping: Mapping, chip: Chip) -> None:
    """Refuse cores that are not counted from 0, or without exactly one site on the mesh."""
    cores = list(range(mapping.cores))
    if sorted({s.core for s in mapping.slices}) != cores:
        raise InputError(f"{path}: the cores are not counted from 0 without gaps")
    if sorted(s.core for s in mapping.sites) != cores:
        raise InputError(f"{path}: not every core has one site on the mesh")
    columns, rows = chip.mesh.tile_columns.whole or 0, chip.mesh.tile_rows.whole or 0
    for s in mapping.sites:
        if s.tile_x >= columns or s.tile_y >= rows:
            raise InputError(
                f"{path}: core {s.core} is at tile {s.tile_x},{s.tile_y},"
                f" the mesh has {columns} x {rows} tiles"
            )


def _check_tables(path: Path, network: IntegerNetwork, mapping: Mapping) -> None:
    """Refuse tables with a number of nothing; the checker says whether they are right."""
    tables, slices = mapping.tables, len(mapping.slices)
    for block in tables.memory:
        if block.projection >= len(network.projections) or block.slice >= slices:
            raise InputError(f"{path}: a block of core {block.core} is of synapses not there")
    sizes = {p.name: p.size for p in network.populations} | {network.input.name: network.input.size}
    for axons in tables.axons:
        known = axons.source in sizes and _is_region(axons.region, sizes[axons.source])
        if (
            not known
            or any(number >= len(tables.memory) for number in axons.memory)
            or any(number >= slices for number in axons.grouped)
        ):
            raise InputError(f"{path}: axons of core {axons.core} are of neurons not there")
    lines: NDArray[np.int32] = tables.lines
    if (lines < 0).any() or (lines[:, :2] >= (max(slices, 1), max(len(tables.axons), 1))).any():
        raise InputError(f"{path}: a route is of a slice or axons not there")


def _is_region(region: Region, size: int) -> bool:
    if not region.axes:
        ordered = all(a < b for a, b in pairwise(region.members))
        return ordered and (not region.members or region.members[-1] < size)
    if len(region.axes) == 1:
        return len(region.axes[0]) > 0 and region.axes[0][-1] < size
    if prod(region.shape) != size or len(region.shape) != len(region.axes) or region.members:
        return False
    axes = zip(region.axes, region.shape, strict=True)
    return all(len(axis) > 0 and axis[-1] < length for axis, length in axes)
