"""Choose the cheapest encoding and axon sharing of every slice.

While slices are cut, quick counts suffice; once they are known, every encoding is tried with their
weights. Source neurons of one slice that send to no other core may share one population axon: their
rows then lie side by side and all are as large as the largest. Costs are shares of a core's limits:
words, input axons and output entries together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores import axon_counts, resources
from snncompile.cores.axon_counts import InputAxons
from snncompile.cores.learning import find_row_learning, mark_formats
from snncompile.cores.memory_words import Memory, list_kinds
from snncompile.cores.row_encoding import (
    Encoding,
    RowRules,
    Rows,
    encode_rows,
    list_encodings,
    read_row_rules,
)
from snncompile.cores.rows_of_slice import build_column_rows, build_rows, identify_rows
from snncompile.cores.synapses_of_slice import Demand, list_demands
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

FEWER_FORMATS = (3, 2)
"""Synapse formats allowed to each block, tried in turn where the core's formats are exceeded."""
LEAST_FORMATS = 2
"""A core with fewer formats keeps the encodings that partition counted with."""


@dataclass(frozen=True)
class AxonGroup:
    """Neurons of one slice that send to one core only and share axons there."""

    slice: int
    """Number of the slice in the mapping."""
    neurons: int
    axons: int
    """One, or one for each column of a convolution."""


@dataclass(frozen=True)
class GroupedAxons:
    """Input axons of a core from one source."""

    input_axons: InputAxons
    groups: tuple[AxonGroup, ...] = ()

    @property
    def size(self) -> int:
        """Number of axons."""
        return self.input_axons.count - sum(group.neurons - group.axons for group in self.groups)


@dataclass(frozen=True)
class CoreContents:
    """Rows and input axons of one core."""

    memory: tuple[tuple[Demand, Memory], ...]
    """In the order of its slices and of the projections."""
    axons: tuple[GroupedAxons, ...]

    @property
    def used(self) -> dict[str, int]:
        """Amounts used, by resource."""
        memory = [stored for _, stored in self.memory]
        return {
            "synapse_words": sum(stored.words for stored in memory),
            "row_words": max((stored.longest for stored in memory), default=0),
            "synapse_formats": _count_formats(memory),
            "axons_in": sum(stored.size for stored in self.axons),
        }


def choose_contents(
    network: IntegerNetwork, chip: Chip, mapping: Mapping
) -> dict[int, CoreContents]:
    """Return the cheapest contents of every core, in order."""
    input_axons = {
        core: axon_counts.list_input_axons(network, chip, on)
        for core, on in mapping.by_core.items()
    }
    if chip.rows is None or chip.axon_entries is None:
        return {
            core: CoreContents(
                tuple((p, p.memory) for s in on for p in list_demands(chip, network, s)),
                tuple(map(GroupedAxons, input_axons[core])),
            )
            for core, on in mapping.by_core.items()
        }
    senders = _Senders(network, mapping, input_axons)
    return {
        core: _Choice(network, chip, on, input_axons[core], senders).choose()
        for core, on in mapping.by_core.items()
    }


class _Senders:
    """Neurons that send to one core only, the slice of each neuron, and choices made before."""

    def __init__(
        self, network: IntegerNetwork, mapping: Mapping, input_axons: dict[int, list[InputAxons]]
    ) -> None:
        cores = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
        for blocks in input_axons.values():
            for name in {block.source for block in blocks} & cores.keys():
                sending = np.zeros(len(cores[name]), np.bool_)
                for block in blocks:
                    if block.source == name:
                        sending[block.region.neurons()] = True
                cores[name] += sending
        self.alone = {name: count == 1 for name, count in cores.items()}
        self.slice = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
        for number, s in enumerate(mapping.slices):
            self.slice[s.population][s.neurons()] = number

        self.known: dict[tuple[Hashable, bool, int], Memory] = {}
        """Memory of equal rows (`identify_rows`), with delays or not, by limit of formats."""

    def find_groups(self, block: InputAxons) -> Ints:
        """Return the slice of each neuron of a block that sends to no other core; else -1."""
        neurons = block.region.neurons()
        if block.source not in self.alone:  # the host has discrete axons
            return np.full(len(neurons), -1)
        slices = np.where(self.alone[block.source][neurons], self.slice[block.source][neurons], -1)
        names, count = np.unique(slices, return_counts=True)
        return np.where(np.isin(slices, names[count > 1]), slices, -1)


@dataclass(frozen=True, eq=False)
class _Choice:
    """The choice for one core of a chip with rows in several encodings."""

    network: IntegerNetwork
    chip: Chip
    slices: Sequence[Slice]
    blocks: Sequence[InputAxons]
    senders: _Senders

    @cached_property
    def rules(self) -> RowRules:
        """Numbers of the row memory."""
        return read_row_rules(self.chip)

    @cached_property
    def demands(self) -> list[Demand]:
        """Demands in the order of the slices and of the projections."""
        return [p for s in self.slices for p in list_demands(self.chip, self.network, s)]

    def choose(self) -> CoreContents:
        """Return the cheapest contents."""
        axons = [GroupedAxons(block) for block in self.blocks]
        memory = self._choose_discrete()
        for number, block in enumerate(self.blocks):
            group = self.senders.find_groups(block)
            if block.slice is None and (group >= 0).any():
                self._share_rows(axons, memory, number, group)
            elif (group >= 0).any():
                self._share_columns(axons, memory, number, group)
        return CoreContents(tuple(zip(self.demands, memory, strict=True)), tuple(axons))

    def _choose_discrete(self) -> list[Memory]:
        """Return the memory of each demand if every source has an axon of its own."""
        formats = self.rules.formats
        tried = dict.fromkeys((formats, *FEWER_FORMATS))
        for limit in (n for n in tried if LEAST_FORMATS <= n <= formats):
            memory = [self._choose_memory(demand, None, limit) for demand in self.demands]
            if _count_formats(memory) <= formats:
                return memory
        return [demand.memory for demand in self.demands]

    def _share_rows(
        self, axons: list[GroupedAxons], memory: list[Memory], number: int, group: Ints
    ) -> None:
        """Let the sources of a block share population axons if that costs less."""
        block = self.blocks[number]
        names, count = np.unique(group[group >= 0], return_counts=True)
        pairs = zip(names.tolist(), count.tolist(), strict=True)
        shared = GroupedAxons(block, tuple(AxonGroup(name, size, 1) for name, size in pairs))
        changed = list(memory)
        for i, demand in enumerate(self.demands):
            if _reaches(self.network, block, demand):
                limit = len(memory[i].formats) or 1
                changed[i] = self._choose_memory(
                    demand, self._select_groups(demand, block, group), limit
                )
        self._share_if_cheaper(axons, memory, number, shared, changed)

    def _share_columns(
        self, axons: list[GroupedAxons], memory: list[Memory], number: int, group: Ints
    ) -> None:
        """Let columns of a convolution's sources share population axons if that costs less."""
        block = self.blocks[number]
        i = self._find_demand(block)
        synapses = self.demands[i].projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        if not isinstance(synapses.wiring, Convolution):
            return
        groups = _group_columns(block, group, synapses.wiring)
        shared = GroupedAxons(block, tuple(g for g in groups if g.neurons > 2 * g.axons))
        if not shared.groups:
            return
        rows = build_column_rows(synapses, self.demands[i].slice)
        rules = replace(self.rules, formats=len(memory[i].formats) or 1)
        cheapest = _choose_cheapest(rows, self._list_encodings(self.demands[i], rows), rules)
        changed = [*memory[:i], replace(cheapest, columns=True), *memory[i + 1 :]]
        self._share_if_cheaper(axons, memory, number, shared, changed)

    def _find_demand(self, block: InputAxons) -> int:
        """Return the number of the demand that axons of one slice reach."""
        assert block.slice is not None
        target = self.slices[block.slice]
        projection = self.network.projections[block.projections[0]]
        matches = (p.slice == target and p.projection is projection for p in self.demands)
        return list(matches).index(True)

    def _share_if_cheaper(
        self,
        axons: list[GroupedAxons],
        memory: list[Memory],
        number: int,
        shared: GroupedAxons,
        changed: list[Memory],
    ) -> None:
        """Take shared axons if their rows fit and take a smaller share of a core than they save."""
        words, before = (sum(m.words for m in stored) for stored in (changed, memory))
        core_limits = resources.read_core_limits(self.chip)
        entries = sum(
            axon_counts.count_saved_entries(self.chip, g.neurons, g.axons) for g in shared.groups
        )
        saved = entries / core_limits.get("axons_out", inf)
        saved += (shared.input_axons.region.size - shared.size) / core_limits.get("axons_in", inf)
        cheaper = (words - before) / core_limits.get("synapse_words", inf) < saved
        if cheaper and self._holds(changed, words, core_limits):
            axons[number], memory[:] = shared, changed

    def _holds(self, memory: list[Memory], words: int, core_limits: dict[str, int]) -> bool:
        longest = max((m.longest for m in memory), default=0)
        has_formats = _count_formats(memory) <= self.rules.formats
        available = core_limits.get("synapse_words", words)
        return has_formats and words <= available and longest <= self.rules.row_words

    def _select_groups(self, demand: Demand, block: InputAxons, group: Ints) -> Ints:
        """Return the groups of the sources of one demand, out of those of the whole block."""
        if demand.region.size == block.region.size:
            return group
        return group[np.searchsorted(block.region.neurons(), demand.region.neurons())]

    def _choose_memory(self, demand: Demand, group: Ints | None, limit: int) -> Memory:
        """Return the memory of a demand in its cheapest encoding with at most `limit` formats."""
        synapses = demand.projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        key = identify_rows(synapses, demand.slice) if group is None else None
        known = self.senders.known.get((key, demand.projection.delay > 1, limit))
        if known is not None:
            return known
        rows = build_rows(synapses, demand.slice, group)
        rules = replace(self.rules, formats=limit)
        memory = _choose_cheapest(rows, self._list_encodings(demand, rows), rules)
        memory = mark_formats(memory, demand.projection)
        if key is not None:
            self.senders.known[key, demand.projection.delay > 1, limit] = memory
        return memory

    def _list_encodings(self, demand: Demand, rows: Rows) -> tuple[Encoding, ...]:
        """Return every encoding of the chip that holds the weights of a demand."""
        delay = self.rules.delay_bits if demand.projection.delay > 1 else 0
        assert self.chip.rows is not None
        if (learning := find_row_learning(self.chip, demand.projection)) is not None:
            bits = learning.synapse_bits.whole or 0
            kinds = list_kinds(self.chip.rows, learning=True)
            return tuple(Encoding(kind, False, bits, delay) for kind in kinds)
        kinds = self.chip.rows.kinds
        encodings = list_encodings(rows.weight, delay_bits=delay, kinds=kinds, rules=self.rules)
        if any(not encoding.shared_sign for encoding in encodings):
            return encodings
        bits = demand.memory.weight_bits
        return (*encodings, *(Encoding(kind, False, bits, delay) for kind in kinds))


def _group_columns(block: InputAxons, group: Ints, wiring: Convolution) -> list[AxonGroup]:
    """Return the neurons of each slice that send to one core only, and their columns."""
    coordinates = np.unravel_index(block.region.neurons(), wiring.source_shape)
    column = np.ravel_multi_index(
        (coordinates[0], *coordinates[2:]), (wiring.source_shape[0], *wiring.source_shape[2:])
    )
    return [
        AxonGroup(int(name), int((group == name).sum()), len(np.unique(column[group == name])))
        for name in np.unique(group[group >= 0])
    ]


def _choose_cheapest(rows: Rows, choices: tuple[Encoding, ...], rules: RowRules) -> Memory:
    """Return the rows in the encoding that takes the fewest words (then: fewest formats, first).

    Encodings whose lower bound exceeds the best one so far are not tried.
    """
    bounds = [_bound_words(rows, encoding, rules) for encoding in choices]
    best: tuple[tuple[bool, int, int, int], Memory] | None = None
    for number in np.argsort(bounds, kind="stable").tolist():
        if best is not None and bounds[number] > best[0][1] and not best[0][0]:
            break
        memory = _measure_memory(rows, choices[number], rules)
        cost = (memory.longest > rules.row_words, memory.words, len(memory.formats), number)
        if best is None or cost < best[0]:
            best = cost, memory
    assert best is not None
    return best[1]


def _bound_words(rows: Rows, encoding: Encoding, rules: RowRules) -> int:
    """Return a lower bound of the words of rows: entries are full, indices and gaps small."""
    count = np.diff(rows.ends)
    extra = {"sparse": rules.index_bits[0], "run_length": rules.skip_bits[0]}
    each = encoding.weight_bits + encoding.delay_bits + extra.get(encoding.kind, 0)
    lists = np.maximum(1, -(-count // rules.entry_synapses))
    if encoding.shared_sign:
        negative = np.add.reduceat(rows.weight < 0, rows.ends[:-1]) if len(count) else count
        lists = np.maximum(lists, 1 + ((negative > 0) & (negative < count)))
    head = rules.head_bits + (encoding.kind != "sparse") * rules.index_bits[0]
    return int(-(-(count * each + lists * head) // rules.word_bits).sum())


def _measure_memory(rows: Rows, encoding: Encoding, rules: RowRules) -> Memory:
    encoded = encode_rows(rows, encoding, rules)
    formats = frozenset((encoding.kind, encoding.delay_bits, *form) for form in encoded.formats)
    return Memory(
        encoded.words,
        encoding.kind,
        formats,
        encoded.longest,
        encoding.weight_bits,
        encoding.shared_sign,
    )


def _count_formats(memory: Sequence[Memory]) -> int:
    return len(frozenset().union(*(stored.formats for stored in memory)))


def _reaches(network: IntegerNetwork, block: InputAxons, demand: Demand) -> bool:
    """Return whether the axons of a block reach the rows of a demand."""
    numbers = {id(network.projections[i]) for i in block.projections}
    return id(demand.projection) in numbers and not demand.shared
