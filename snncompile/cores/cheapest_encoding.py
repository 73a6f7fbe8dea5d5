"""How the rows of every slice are written and by which axons they are reached: what costs least.

While slices are cut only what is quick to know counts; once they are known, every encoding is tried
with the weights there are. Source neurons of one slice that send to no other core may share one
population axon: their rows then lie side by side and all are as large as the largest. Costs are
shares of what a core has: words, input axons and output entries together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores import axon_counts, resources
from snncompile.cores import synapses_of_slice as demand
from snncompile.cores.axon_counts import Listening
from snncompile.cores.memory_words import Memory
from snncompile.cores.row_encoding import Encoding, RowRules, Rows, encode, encodings, row_rules
from snncompile.cores.rows_of_slice import alike, column_rows, exact_rows
from snncompile.cores.synapses_of_slice import Part
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

FEWER_FORMATS = (3, 2)
"""Synapse formats that each block may use, tried in turn where all of the core's are too many."""
LEAST_FORMATS = 2
"""A core with fewer keeps the encodings that partition counted with."""


@dataclass(frozen=True)
class Group:
    """Neurons of one slice that send to one core only and share axons there."""

    slice: int
    """Place of the slice in the mapping."""
    neurons: int
    axons: int
    """One, or one for each column of a convolution."""


@dataclass(frozen=True)
class Axons:
    """Input axons of a core from one source."""

    heard: Listening
    groups: tuple[Group, ...] = ()

    @property
    def size(self) -> int:
        """Number of axons."""
        return self.heard.region.size - sum(group.neurons - group.axons for group in self.groups)


@dataclass(frozen=True)
class Chosen:
    """What one core holds."""

    memory: tuple[tuple[Part, Memory], ...]
    """In the order of its slices and of the projections."""
    axons: tuple[Axons, ...]

    @property
    def used(self) -> dict[str, int]:
        """What these take, by resource."""
        memory = [one for _, one in self.memory]
        return {
            "synapse_words": sum(one.words for one in memory),
            "row_words": max((one.longest for one in memory), default=0),
            "synapse_formats": _formats(memory),
            "axons_in": sum(one.size for one in self.axons),
        }


def chosen(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> dict[int, Chosen]:
    """Return what every core holds, in order."""
    heard = {core: axon_counts.listening(network, chip, on) for core, on in mapping.by_core.items()}
    if chip.rows is None or chip.axon_entries is None:
        return {
            core: Chosen(
                tuple((p, p.memory) for s in on for p in demand.into(chip, network, s)),
                tuple(map(Axons, heard[core])),
            )
            for core, on in mapping.by_core.items()
        }
    senders = _Senders(network, mapping, heard)
    return {
        core: _Choice(network, chip, on, heard[core], senders).made()
        for core, on in mapping.by_core.items()
    }


class _Senders:
    """Which neurons send to one core only, the slice of each, and choices that were made."""

    def __init__(
        self, network: IntegerNetwork, mapping: Mapping, heard: dict[int, list[Listening]]
    ) -> None:
        cores = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
        for blocks in heard.values():
            for name in {block.source for block in blocks} & cores.keys():
                mine = np.zeros(len(cores[name]), np.bool_)
                for block in blocks:
                    if block.source == name:
                        mine[block.region.neurons()] = True
                cores[name] += mine
        self.alone = {name: count == 1 for name, count in cores.items()}
        self.slice = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
        for place, s in enumerate(mapping.slices):
            self.slice[s.population][s.neurons()] = place

        self.known: dict[tuple[Hashable, bool, int], Memory] = {}
        """Of rows that are alike (`exact_rows.alike`), with delays or not, by formats at most."""

    def groups(self, heard: Listening) -> Ints:
        """Return the slice of each neuron of a region that sends to no other core; else -1."""
        neurons = heard.region.neurons()
        if heard.source not in self.alone:  # the host has discrete axons
            return np.full(len(neurons), -1)
        found = np.where(self.alone[heard.source][neurons], self.slice[heard.source][neurons], -1)
        names, count = np.unique(found, return_counts=True)
        return np.where(np.isin(found, names[count > 1]), found, -1)


@dataclass(frozen=True, eq=False)
class _Choice:
    """The choice for one core of a chip with rows in several encodings."""

    network: IntegerNetwork
    chip: Chip
    slices: Sequence[Slice]
    heard: Sequence[Listening]
    senders: _Senders

    @cached_property
    def rules(self) -> RowRules:
        """Of the row memory."""
        return row_rules(self.chip)

    @cached_property
    def parts(self) -> list[Part]:
        """In the order of the slices and of the projections."""
        return [p for s in self.slices for p in demand.into(self.chip, self.network, s)]

    def made(self) -> Chosen:
        """Return what costs least."""
        axons = [Axons(block) for block in self.heard]
        memory = self._discrete()
        for place, block in enumerate(self.heard):
            group = self.senders.groups(block)
            if block.slice is None and (group >= 0).any():
                self._rows(axons, memory, place, group)
            elif (group >= 0).any():
                self._columns(axons, memory, place, group)
        return Chosen(tuple(zip(self.parts, memory, strict=True)), tuple(axons))

    def _discrete(self) -> list[Memory]:
        """Return the memory of each part if every source has an axon of its own."""
        most = self.rules.formats
        tried = dict.fromkeys((most, *FEWER_FORMATS))
        for limit in (n for n in tried if LEAST_FORMATS <= n <= most):
            found = [self._least(part, None, limit) for part in self.parts]
            if _formats(found) <= most:
                return found
        return [part.memory for part in self.parts]

    def _rows(self, axons: list[Axons], memory: list[Memory], place: int, group: Ints) -> None:
        """Let the sources of a block share population axons if that costs less."""
        block = self.heard[place]
        names, count = np.unique(group[group >= 0], return_counts=True)
        pairs = zip(names.tolist(), count.tolist(), strict=True)
        shared = Axons(block, tuple(Group(name, size, 1) for name, size in pairs))
        changed = list(memory)
        for i, part in enumerate(self.parts):
            if _reaches(self.network, block, part):
                limit = len(memory[i].formats) or 1
                changed[i] = self._least(part, self._of(part, block, group), limit)
        self._take(axons, memory, place, shared, changed)

    def _columns(self, axons: list[Axons], memory: list[Memory], place: int, group: Ints) -> None:
        """Let columns of a convolution's sources share population axons if that costs less."""
        block = self.heard[place]
        i = self._part(block)
        synapses = self.parts[i].projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        if not isinstance(synapses.wiring, Convolution):
            return
        found = _column_groups(block, group, synapses.wiring)
        shared = Axons(block, tuple(g for g in found if g.neurons > 2 * g.axons))
        if not shared.groups:
            return
        rows = column_rows(synapses, self.parts[i].slice)
        rules = replace(self.rules, formats=len(memory[i].formats) or 1)
        least = _cheapest(rows, self._encodings(self.parts[i], rows), rules)
        changed = [*memory[:i], replace(least, columns=True), *memory[i + 1 :]]
        self._take(axons, memory, place, shared, changed)

    def _part(self, block: Listening) -> int:
        """Return the part that axons which belong to one slice reach."""
        assert block.slice is not None
        target = self.slices[block.slice]
        projection = self.network.projections[block.projections[0]]
        mine = (p.slice == target and p.projection is projection for p in self.parts)
        return list(mine).index(True)

    def _take(
        self,
        axons: list[Axons],
        memory: list[Memory],
        place: int,
        shared: Axons,
        changed: list[Memory],
    ) -> None:
        """Take what is shared if it fits and its share of a core is smaller than what it saves."""
        words, before = (sum(m.words for m in some) for some in (changed, memory))
        limits = resources.limits(self.chip)
        entries = sum(
            axon_counts.entries_saved(self.chip, g.neurons, g.axons) for g in shared.groups
        )
        saved = entries / limits.get("axons_out", inf)
        saved += (shared.heard.region.size - shared.size) / limits.get("axons_in", inf)
        cheaper = (words - before) / limits.get("synapse_words", inf) < saved
        if cheaper and self._holds(changed, words, limits):
            axons[place], memory[:] = shared, changed

    def _holds(self, memory: list[Memory], words: int, limits: dict[str, int]) -> bool:
        longest = max((m.longest for m in memory), default=0)
        few = _formats(memory) <= self.rules.formats
        room = limits.get("synapse_words", words)
        return few and words <= room and longest <= self.rules.row_words

    def _of(self, part: Part, block: Listening, group: Ints) -> Ints:
        """Return the groups of the sources of one part, out of those of the whole block."""
        if part.region.size == block.region.size:
            return group
        return group[np.searchsorted(block.region.neurons(), part.region.neurons())]

    def _least(self, part: Part, group: Ints | None, limit: int) -> Memory:
        """Return the cheapest way to write a part in which it needs so many formats at most."""
        synapses = part.projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        key = alike(synapses, part.slice) if group is None else None
        known = self.senders.known.get((key, part.projection.delay > 1, limit))
        if known is not None:
            return known
        rows = exact_rows(synapses, part.slice, group)
        rules = replace(self.rules, formats=limit)
        found = _cheapest(rows, self._encodings(part, rows), rules)
        if key is not None:
            self.senders.known[key, part.projection.delay > 1, limit] = found
        return found

    def _encodings(self, part: Part, rows: Rows) -> tuple[Encoding, ...]:
        """Return every encoding of the chip that holds the weights of a part."""
        delay = self.rules.delay_bits if part.projection.delay > 1 else 0
        kinds = self.chip.rows.kinds if self.chip.rows is not None else ()
        found = encodings(rows.weight, delay_bits=delay, kinds=kinds, rules=self.rules)
        if any(not one.shared_sign for one in found):
            return found
        bits = part.memory.weight_bits
        return (*found, *(Encoding(kind, False, bits, delay) for kind in kinds))


def _column_groups(heard: Listening, group: Ints, wiring: Convolution) -> list[Group]:
    """Return the neurons of each slice that send to one core only, and their columns."""
    places = np.unravel_index(heard.region.neurons(), wiring.source_shape)
    column = np.ravel_multi_index(
        (places[0], *places[2:]), (wiring.source_shape[0], *wiring.source_shape[2:])
    )
    return [
        Group(int(name), int((group == name).sum()), len(np.unique(column[group == name])))
        for name in np.unique(group[group >= 0])
    ]


def _cheapest(rows: Rows, choices: tuple[Encoding, ...], rules: RowRules) -> Memory:
    """Return the rows in the encoding that takes the fewest words (then: fewest formats, first).

    Those that cannot be below the best one found are not tried.
    """
    least = [_at_least(rows, one, rules) for one in choices]
    best: tuple[tuple[bool, int, int, int], Memory] | None = None
    for place in np.argsort(least, kind="stable").tolist():
        if best is not None and least[place] > best[0][1] and not best[0][0]:
            break
        made = _written(rows, choices[place], rules)
        cost = (made.longest > rules.row_words, made.words, len(made.formats), place)
        if best is None or cost < best[0]:
            best = cost, made
    assert best is not None
    return best[1]


def _at_least(rows: Rows, encoding: Encoding, rules: RowRules) -> int:
    """Return words that rows cannot take less than: entries are full, indices and gaps small."""
    count = np.diff(rows.ends)
    extra = {"sparse": rules.index_bits[0], "run_length": rules.skip_bits[0]}
    each = encoding.weight_bits + encoding.delay_bits + extra.get(encoding.kind, 0)
    lists = np.maximum(1, -(-count // rules.entry_synapses))
    if encoding.shared_sign:
        negative = np.add.reduceat(rows.weight < 0, rows.ends[:-1]) if len(count) else count
        lists = np.maximum(lists, 1 + ((negative > 0) & (negative < count)))
    head = rules.head_bits + (encoding.kind != "sparse") * rules.index_bits[0]
    return int(-(-(count * each + lists * head) // rules.word_bits).sum())


def _written(rows: Rows, encoding: Encoding, rules: RowRules) -> Memory:
    done = encode(rows, encoding, rules)
    formats = frozenset((encoding.kind, encoding.delay_bits, *form) for form in done.formats)
    return Memory(
        done.words,
        encoding.kind,
        formats,
        done.longest,
        encoding.weight_bits,
        encoding.shared_sign,
    )


def _formats(memory: Sequence[Memory]) -> int:
    return len(frozenset().union(*(one.formats for one in memory)))


def _reaches(network: IntegerNetwork, block: Listening, part: Part) -> bool:
    """Whether the axons of a block reach the rows of a part."""
    numbers = {id(network.projections[i]) for i in block.projections}
    return id(part.projection) in numbers and not part.shared
