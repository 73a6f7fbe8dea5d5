"""Write the tables that carry spikes from core to core and to their synapses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.axon_counts import count_entries_per_axon, count_saved_entries
from snncompile.cores.cheapest_encoding import (
    AxonGroup,
    CoreContents,
    GroupedAxons,
    choose_contents,
)
from snncompile.cores.port_entries import count_port_entries
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.tables import AxonBlock, MemoryBlock, Tables
from snncompile.passes.base import Pass
from snncompile.passes.contracts import require_integers, require_slices


@dataclass(frozen=True)
class Route(Pass):
    """Number the words, input axons and output axons of every core.

        a[0:4] on core 0, dense into       ->      core 1: words 0..3, input axons 0..3 for a[0:4]
        b[0:2] on core 1                           core 0: output axons 0..3 for a[0:4] to core 1

    Requires: slices, and a site for every core.
    Ensures: every synapse is in one block of memory; each of its sources reaches it by one axon,
    from the core of the source.
    """

    name: ClassVar[str] = "route"

    def requires(self, design: Design) -> str:
        """Ask for slices with a site for each core."""
        if lacks := require_integers(design) or require_slices(design):
            return lacks
        cores = {s.core for s in design.mapping.slices}
        placed = cores == {site.core for site in design.mapping.sites}
        return "" if placed else "a site for every core: run place before it"

    def ensures(self, before: Design, after: Design) -> str:
        """Promise tables whose numbers are of existing slices and blocks."""
        slices, tables = after.mapping.slices, after.mapping.tables
        astray = [b for b in tables.memory if slices[b.slice].core != b.core]
        if astray:
            return f"that synapses are on the core of their neurons: core {astray[0].core}"
        ends = len(slices), len(tables.axons)
        known = (tables.lines[:, :2] < ends).all()
        return "" if known else "that routes lead from existing slices to existing axons"

    def __call__(self, design: Design) -> Design:
        """Fill the tables of the mapping."""
        assert isinstance(design.network, IntegerNetwork)
        tables = write_tables(design.network, design.chip, design.mapping)
        mapping = replace(design.mapping, tables=tables)
        message = (
            f"{len(tables.memory)} blocks of synapses, {len(tables.axons)} of input axons,"
            f" {len(tables.lines)} routes"
        )
        return self.done(design, message, mapping=mapping)


def write_tables(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Tables:
    """Return the tables of a partitioned network."""
    slice_number = {s: i for i, s in enumerate(mapping.slices)}
    memory: list[MemoryBlock] = []
    axons: list[AxonBlock] = []
    groups: list[dict[int, AxonGroup]] = []
    for core, encoded in choose_contents(network, chip, mapping).items():
        slices = mapping.by_core[core]
        blocks = _number_memory(network, core, encoded, slice_number)
        numbers = {(b.projection, b.slice): len(memory) + i for i, b in enumerate(blocks)}
        memory += blocks
        first = 0
        for block in encoded.axons:
            axons.append(_number_axons(core, block, first, slices, slice_number, numbers))
            groups.append({group.slice: group for group in block.groups})
            first += block.size
    if chip.headed_rows is not None:
        ports = [memory[block.memory[0]].projection for block in axons]
        return Tables(tuple(memory), tuple(axons), _number_ports(network, mapping, axons, ports))
    routes = _number_routes(network, chip, mapping, axons, groups)
    return Tables(tuple(memory), tuple(axons), routes)


def _number_memory(
    network: IntegerNetwork, core: int, encoded: CoreContents, slice_number: dict[Slice, int]
) -> list[MemoryBlock]:
    blocks: list[MemoryBlock] = []
    first = 0
    for entry, memory in encoded.memory:
        block = MemoryBlock(
            core=core,
            projection=network.number(entry.projection),
            slice=slice_number[entry.slice],
            first=first,
            words=memory.words,
            format=memory.format,
            shared=entry.shared,
            delay=entry.projection.delay,
            weight_bits=memory.weight_bits,
            shared_sign=memory.shared_sign,
            columns=memory.columns,
        )
        blocks.append(block)
        first += block.words
    return blocks


def _number_axons(
    core: int,
    block: GroupedAxons,
    first: int,
    slices: tuple[Slice, ...],
    slice_number: dict[Slice, int],
    numbers: dict[tuple[int, int], int],
) -> AxonBlock:
    inputs = block.input_axons
    ends = slices if inputs.slice is None else (slices[inputs.slice],)
    reached = (numbers.get((p, slice_number[s])) for p in inputs.projections for s in ends)
    memory = tuple(sorted(number for number in reached if number is not None))
    grouped = tuple(group.slice for group in block.groups)
    size = block.size if grouped or inputs.entries else 0
    return AxonBlock(core, inputs.source, inputs.region, first, memory, grouped, size)


def _number_routes(
    network: IntegerNetwork,
    chip: Chip,
    mapping: Mapping,
    axons: list[AxonBlock],
    groups: list[dict[int, AxonGroup]],
) -> NDArray[np.int32]:
    """Return one line per slice and axon block with neurons that send to it."""
    table = _list_senders(network, mapping, axons)
    each = _count_entries(chip, mapping, table, axons)
    size = table[:, 2] * each - _count_saved(chip, table, groups, each)
    return np.column_stack([table, _number_first_entries(mapping, table[:, 0], size)]).astype(
        np.int32
    )


def _number_ports(
    network: IntegerNetwork, mapping: Mapping, axons: list[AxonBlock], ports: list[int]
) -> NDArray[np.int32]:
    """Return the lines of `_number_routes` where every destination of a port has its entries.

    Args:
        network: the integer network.
        mapping: slices on cores.
        axons: blocks of input axons.
        ports: number of the projection that each block belongs to.
    """
    table = _list_senders(network, mapping, axons)
    used: defaultdict[int, int] = defaultdict(int)
    begun: dict[tuple[int, int], int] = {}
    first = np.zeros(len(table), np.int64)
    for i, (number, block) in enumerate(table[:, :2].tolist()):
        s, port = mapping.slices[number], (number, ports[block])
        if port not in begun:
            begun[port] = used[s.core]
            used[s.core] += count_port_entries(network, network.projections[ports[block]], s)
        first[i] = begun[port]
    return np.column_stack([table, first]).astype(np.int32)


def _list_senders(
    network: IntegerNetwork, mapping: Mapping, axons: list[AxonBlock]
) -> NDArray[np.int64]:
    """Return (slice, axon block, neurons that send) of every route, shape (routes, 3)."""
    home = {p.name: _find_slices(p.size, mapping, p.name) for p in network.populations}
    lines: list[NDArray[np.int64]] = []
    for number, block in enumerate(axons):
        if block.source not in home:
            continue
        slices = block.region.cut(home[block.source]).reshape(-1)
        lowest = int(slices.min())
        count = np.bincount(slices - lowest)
        senders = np.flatnonzero(count)
        lines.append(
            np.stack([senders + lowest, np.full(len(senders), number), count[senders]], axis=1)
        )
    table = np.concatenate(lines) if lines else np.zeros((0, 3), np.int64)
    return table[np.lexsort((table[:, 1], table[:, 0]))]


def _find_slices(size: int, mapping: Mapping, name: str) -> NDArray[np.int32]:
    """Return the number of each neuron's slice in the mapping, shape (n,)."""
    numbers = np.zeros(size, np.int32)
    for number, s in enumerate(mapping.slices):
        if s.population == name:
            numbers[s.neurons()] = number
    return numbers


def _count_entries(
    chip: Chip, mapping: Mapping, table: NDArray[np.int64], axons: list[AxonBlock]
) -> NDArray[np.int64]:
    """Return the output entries that each neuron of a route takes: more to another chip."""
    chip_of = np.zeros(mapping.cores, np.int64)
    for site in mapping.sites:
        chip_of[site.core] = site.chip
    sender = chip_of[[s.core for s in mapping.slices]][table[:, 0]]
    receiver = chip_of[[block.core for block in axons]][table[:, 1]] if axons else sender
    here, away = (count_entries_per_axon(chip, other_chip=other) for other in (False, True))
    size: NDArray[np.int64] = np.where(sender == receiver, here, away)
    return size


def _count_saved(
    chip: Chip,
    table: NDArray[np.int64],
    groups: list[dict[int, AxonGroup]],
    each: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the output entries that population axons save on each route.

    Args:
        chip: gives the entries of either kind of axon.
        table: of routes.
        groups: by block of axons and slice: the neurons that share axons.
        each: output entries of an axon of one neuron on each route.
    """
    saved = np.zeros_like(each)
    for i, (sender, number) in enumerate(table[:, :2].tolist()):
        if (group := groups[number].get(sender)) is not None:
            away = int(each[i]) > count_entries_per_axon(chip)
            saved[i] = count_saved_entries(chip, group.neurons, group.axons, other_chip=away)
    return saved


def _number_first_entries(
    mapping: Mapping, slices: NDArray[np.int64], size: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the first output entry of each route: a core counts over its slices in order."""
    core = np.array([s.core for s in mapping.slices], np.int64)[slices]
    used: defaultdict[int, int] = defaultdict(int)
    first = np.zeros(len(size), np.int64)
    for i, (at, count) in enumerate(zip(core.tolist(), size.tolist(), strict=True)):
        first[i] = used[at]
        used[at] += count
    return first
