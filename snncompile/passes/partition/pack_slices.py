"""Put slices on as few cores as hold them: several small ones share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.cores import resources
from snncompile.cores import synapses_of_slice as demand
from snncompile.cores.resources import ADDED, DIFFERENT, Entries
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice


def packed(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    used: Sequence[dict[str, int]],
    *,
    share: bool = True,
) -> list[Slice]:
    """Return the slices with their cores: first fit, the most demanding slice first.

    Sums of what slices take alone are an upper bound of what they take together. Cores are numbered
    in the order of their first slice; slices of a core that make up a larger box become one.

    Args:
        network: the integer network.
        chip: whose limits hold.
        slices: to be packed.
        used: what each takes on a core of its own.
        share: whether a core may hold slices of several populations.
    """
    return settled(network, chip, slices, packed_on(network, chip, slices, used, share=share))


def packed_on(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    used: Sequence[dict[str, int]],
    *,
    share: bool = True,
) -> NDArray[np.int64]:
    """Return the core of each slice, numbered as they were begun; see `packed`."""
    limits = resources.limits(chip)
    most = np.array([limits.get(name, np.inf) for name in ADDED], np.float64)
    need = np.array([[each[name] for name in ADDED] for each in used], np.float64)
    left = np.full(need.shape, -1.0)
    cores = _Cores(most, need.min(axis=0, initial=np.inf), limits, share, left)
    order = np.lexsort((np.arange(len(slices)), -(need / most).max(axis=1)))
    core_of = np.zeros(len(slices), np.int64)
    for i in order.tolist():
        parts = demand.into(chip, network, slices[i])
        entries = resources.entries(network, [slices[i]], parts)
        core_of[i] = cores.put(need[i], entries, slices[i].population)
    return core_of


def settled(
    network: IntegerNetwork, chip: Chip, slices: Sequence[Slice], core_of: NDArray[np.int64]
) -> list[Slice]:
    """Return the slices with cores counted anew; those of a core that make up a box become one.

    Rows of a box may be longer and in other formats than those of its slices; where its core has
    not enough for them the slices stay as they are.
    """
    return _merged(network, chip, _numbered(slices, core_of))


@dataclass
class _Cores:
    """Cores that are being filled: what is left of each resource, and what their tables hold."""

    most: Floats
    """What a core has, shape (resources,), infinite where there is no limit."""
    smallest: Floats
    """Least that any slice needs of each resource: a core with less is full."""
    limits: dict[str, int]
    share: bool
    left: Floats
    """Shape (cores, resources), of all cores there may be; -1 where a core is full or not begun."""
    entries: list[Entries] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    """Population of a core's first slice."""

    def put(self, need: Floats, entries: Entries, population: str) -> int:
        """Put a slice on the first core with room, or on a new one; return the core."""
        roomy = np.flatnonzero((self.left[: len(self.holds)] >= need).all(axis=1)).tolist()
        core = next((c for c in roomy if self._room(c, entries, population)), len(self.holds))
        if core == len(self.holds):
            self.left[core] = self.most
            self.entries.append({})
            self.holds.append(population)
        self.left[core] -= need
        self.entries[core] = _together(self.entries[core], entries)
        if (self.left[core] < self.smallest).any():
            self.left[core] = -1.0
        return core

    def _room(self, core: int, entries: Entries, population: str) -> bool:
        if not self.share and self.holds[core] != population:
            return False
        together = _together(self.entries[core], entries)
        return all(len(together[k]) <= self.limits.get(k, np.inf) for k in DIFFERENT)


def _together(one: Entries, other: Entries) -> Entries:
    return {k: one.get(k, frozenset()) | other.get(k, frozenset()) for k in DIFFERENT}


def _numbered(slices: Sequence[Slice], core_of: NDArray[np.int64]) -> list[Slice]:
    """Return the slices with cores counted in the order in which they first appear."""
    number: dict[int, int] = {}
    for core in core_of.tolist():
        number.setdefault(core, len(number))
    return [replace(s, core=number[core]) for s, core in zip(slices, core_of.tolist(), strict=True)]


def _merged(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> list[Slice]:
    """Return the slices, those of one population and core that make up a larger box as one."""
    together: dict[tuple[str, int], list[Slice]] = {}
    on: dict[int, list[Slice]] = {}
    for s in slices:
        together.setdefault((s.population, s.core), []).append(s)
        on.setdefault(s.core, []).append(s)
    found: list[Slice] = []
    for (_, core), group in together.items():
        boxes = _joined(group)
        if len(boxes) < len(group) and not _held(network, chip, boxes, on[core]):
            boxes = group
        found += boxes
    return found


def _held(
    network: IntegerNetwork, chip: Chip, boxes: Sequence[Slice], beside: Sequence[Slice]
) -> bool:
    """Whether a core has room for the rows and formats of boxes besides those of its slices."""
    if chip.rows is None:
        return True
    limits = resources.limits(chip)
    rows = [part.memory for s in boxes for part in demand.into(chip, network, s)]
    others = [part.memory for s in beside for part in demand.into(chip, network, s)]
    formats = frozenset().union(*(memory.formats for memory in (*rows, *others)))
    longest = max((memory.longest for memory in rows), default=0)
    return longest <= limits["row_words"] and len(formats) <= limits["synapse_formats"]


def _joined(group: list[Slice]) -> list[Slice]:
    found: list[Slice] = []
    for s in group:
        whole = s
        while (other := next((o for o in found if _box(o, whole)), None)) is not None:
            found.remove(other)
            whole = _box(other, whole) or whole
        found.append(whole)
    return found


def _box(one: Slice, other: Slice) -> Slice | None:
    """Return the box that two boxes make up together, or None."""
    if one.members or other.members or one.shape != other.shape:
        return None
    spans = zip(one.start, one.stop, other.start, other.stop, strict=True)
    differ = [axis for axis, (a, b, c, d) in enumerate(spans) if (a, b) != (c, d)]
    if len(differ) != 1:
        return None
    axis = differ[0]
    if one.stop[axis] != other.start[axis] and other.stop[axis] != one.start[axis]:
        return None
    start = tuple(map(min, one.start, other.start))
    return replace(one, start=start, stop=tuple(map(max, one.stop, other.stop)))
