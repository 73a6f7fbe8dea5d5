"""Put slices on as few cores as hold them: several small slices share a core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.cores import axon_counts, resources, synapses_of_slice, usage
from snncompile.cores.learning import find_epochs
from snncompile.cores.resources import ADDED, DIFFERENT, Entries
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice


def pack(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    used: Sequence[dict[str, int]],
    *,
    share: bool = True,
) -> list[Slice]:
    """Return the slices with their cores: first fit, the most demanding slice first.

    The use of slices alone adds up to an upper bound of their use together. Cores are numbered in
    the order of their first slice; slices of a core that make up a larger box become one.

    Args:
        network: the integer network.
        chip: gives the limits.
        slices: to be packed.
        used: use of each slice on a core of its own.
        share: whether a core may hold slices of several populations.
    """
    return renumber(network, chip, slices, choose_cores(network, chip, slices, used, share=share))


def choose_cores(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    used: Sequence[dict[str, int]],
    *,
    share: bool = True,
) -> NDArray[np.int64]:
    """Return the core of each slice, numbered as they were begun; see `packed`."""
    limits = resources.read_core_limits(chip)
    capacity = np.array([limits.get(name, np.inf) for name in ADDED], np.float64)
    need = np.array([[each.get(name, 0) for name in ADDED] for each in used], np.float64)
    remaining = np.full(need.shape, -1.0)
    epochs = find_epochs(network, chip)
    cores = _Cores(capacity, need.min(axis=0, initial=np.inf), limits, share, remaining, epochs)
    order = np.lexsort((np.arange(len(slices)), -(need / capacity).max(axis=1)))
    core_of = np.zeros(len(slices), np.int64)
    for i in order.tolist():
        parts = synapses_of_slice.list_demands(chip, network, slices[i])
        entries = resources.list_entries(network, [slices[i]], parts)
        core_of[i] = cores.put(need[i], entries, slices[i].population)
    return core_of


def renumber(
    network: IntegerNetwork, chip: Chip, slices: Sequence[Slice], core_of: NDArray[np.int64]
) -> list[Slice]:
    """Return the slices with cores numbered anew; slices of a core that make up a box become one.

    Rows of a box may be longer and in other formats than those of its slices; where the core lacks
    room for them the slices stay as they are.
    """
    return _merge(network, chip, _number_cores(slices, core_of))


@dataclass
class _Cores:
    """Cores that are being filled: unused resources, and the entries of their tables."""

    capacity: Floats
    """Limits of a core, shape (resources,), infinite where there is none."""
    smallest: Floats
    """Smallest use of each resource by any slice: a core with less is full."""
    limits: dict[str, int]
    share: bool
    remaining: Floats
    """Shape (cores, resources), of all possible cores; -1 where a core is full or not begun."""
    epochs: dict[str, int]
    """Epochs of populations that share a core only with those of the same epoch."""
    entries: list[Entries] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    """Population of a core's first slice."""

    def put(self, need: Floats, entries: Entries, population: str) -> int:
        """Put a slice on the first core with room, or on a new one; return the core."""
        roomy = np.flatnonzero((self.remaining[: len(self.holds)] >= need).all(axis=1)).tolist()
        core = next((c for c in roomy if self._fits(c, entries, population)), len(self.holds))
        if core == len(self.holds):
            self.remaining[core] = self.capacity
            self.entries.append({})
            self.holds.append(population)
        self.remaining[core] -= need
        self.entries[core] = _unite(self.entries[core], entries)
        if (self.remaining[core] < self.smallest).any():
            self.remaining[core] = -1.0
        return core

    def _fits(self, core: int, entries: Entries, population: str) -> bool:
        first = self.holds[core]
        if not self.share and first != population:
            return False
        if self.epochs.get(first) != self.epochs.get(population):
            return False
        together = _unite(self.entries[core], entries)
        return all(len(together[k]) <= self.limits.get(k, np.inf) for k in DIFFERENT)


def _unite(first: Entries, second: Entries) -> Entries:
    return {k: first.get(k, frozenset()) | second.get(k, frozenset()) for k in DIFFERENT}


def _number_cores(slices: Sequence[Slice], core_of: NDArray[np.int64]) -> list[Slice]:
    """Return the slices with cores numbered in the order in which they first appear."""
    number: dict[int, int] = {}
    for core in core_of.tolist():
        number.setdefault(core, len(number))
    return [replace(s, core=number[core]) for s, core in zip(slices, core_of.tolist(), strict=True)]


def _merge(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> list[Slice]:
    """Return the slices; slices of one population and core that make up a larger box become one."""
    together: dict[tuple[str, int], list[Slice]] = {}
    on: dict[int, list[Slice]] = {}
    for s in slices:
        together.setdefault((s.population, s.core), []).append(s)
        on.setdefault(s.core, []).append(s)
    merged: list[Slice] = []
    for (_, core), group in together.items():
        boxes = _join(group)
        others = [s for s in on[core] if s not in group]
        if len(boxes) < len(group) and not _has_room(network, chip, [*boxes, *others]):
            boxes = group
        on[core] = [*boxes, *others]
        merged += boxes
    return merged


def _has_room(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> bool:
    """Whether a core has room for the words, rows and formats of these slices.

    A box may take more words than its slices: an index of a larger kernel has more bits.
    """
    limits = resources.read_core_limits(chip)
    demands = [d for s in slices for d in synapses_of_slice.list_demands(chip, network, s)]
    words = sum(demand.memory.words for demand in demands)
    if words > limits.get("synapse_words", words):
        return False
    if "total_words" in limits:
        input_axons = axon_counts.list_input_axons(network, chip, slices)
        used = usage.measure_core(network, chip, slices, input_axons, {})
        if used["total_words"] > limits["total_words"]:
            return False
    if chip.rows is None:
        return True
    formats = frozenset().union(*(demand.memory.formats for demand in demands))
    longest = max((demand.memory.longest for demand in demands), default=0)
    return longest <= limits["row_words"] and len(formats) <= limits["synapse_formats"]


def _join(group: list[Slice]) -> list[Slice]:
    joined: list[Slice] = []
    for s in group:
        box = s
        while (other := next((o for o in joined if _join_boxes(o, box)), None)) is not None:
            joined.remove(other)
            box = _join_boxes(other, box) or box
        joined.append(box)
    return joined


def _join_boxes(first: Slice, second: Slice) -> Slice | None:
    """Return the box that two boxes make up together, or None."""
    if first.members or second.members or first.shape != second.shape:
        return None
    spans = zip(first.start, first.stop, second.start, second.stop, strict=True)
    differ = [axis for axis, (a, b, c, d) in enumerate(spans) if (a, b) != (c, d)]
    if len(differ) != 1:
        return None
    axis = differ[0]
    if first.stop[axis] != second.start[axis] and second.stop[axis] != first.start[axis]:
        return None
    start = tuple(map(min, first.start, second.start))
    return replace(first, start=start, stop=tuple(map(max, first.stop, second.stop)))
