"""Choose slices, their cores and where those are all at once, so that spikes travel little.

Several cuts of the network are tried: some along the blocks of the image, so that a block's slices
of all layers can be near each other. The slices of each are packed, then moved from core to core,
and the cut whose spikes travel least is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores import resources, usage
from snncompile.cores.resources import ADDED, DIFFERENT
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.passes.analysis.traffic import Rates, count_flows, measure_load
from snncompile.passes.partition.anneal_slices import Task, hops, moved, task_of
from snncompile.passes.partition.hyperedges import Atoms
from snncompile.passes.partition.pack_slices import packed_on, settled
from snncompile.passes.place.place import sites
from snncompile.passes.place.placements import Slots

Cut = tuple[Sequence[Slice], Sequence[dict[str, int]]]
"""Slices, and what each takes on a core of its own."""
MOST_MOVES = 1_000_000
SCREENED, IN_EARNEST = 1_000, 10_000
"""Moves per slice to see which cuts are promising, and for those."""
PROMISING = 3
STARTS = 3
"""Times the moving is begun anew in earnest, each with a seed of its own."""
LINK = 0.1
"""Share by which spikes may travel farther where the busiest link then carries less."""


def nearest(
    network: IntegerNetwork, chip: Chip, rate: Rates, cuts: Iterable[Cut], *, share: bool
) -> Mapping | None:
    """Return slices on cores with sites on one chip: those of all cuts whose spikes travel least.

    Of cuts that are within a tenth of the least the one whose busiest link carries least is taken.

    Args:
        network: the integer network.
        chip: of whose chips only one is used.
        rate: spikes per time step of each neuron.
        cuts: to be tried.
        share: whether a core may hold slices of several populations; they do not move if not.

    Returns:
        None if no cut fits one chip.
    """
    works = [work for cut in cuts if (work := _begun(network, chip, rate, cut, share)) is not None]
    if share:
        works = [replace(work, slot=_least(work, SCREENED, 1)) for work in works]
        works = sorted(works, key=lambda w: float(hops(w.task, w.slot)))[:PROMISING]
        works = [replace(work, slot=_least(work, IN_EARNEST, STARTS)) for work in works]
    found = [_mapping(network, chip, work) for work in works]
    return _best(network, chip, rate, found) if found else None


def _best(network: IntegerNetwork, chip: Chip, rate: Rates, found: list[Mapping]) -> Mapping:
    loads = [measure_load(count_flows(network, chip, m, rate), m.sites) for m in found]
    most = min(one.hops for one in loads) * (1 + LINK)
    near = [(one.busiest_link, one.hops, i) for i, one in enumerate(loads) if one.hops <= most]
    return found[min(near)[2]]


@dataclass(frozen=True, eq=False)
class _Work:
    """One cut of the network, and where its slices are."""

    slices: Sequence[Slice]
    task: Task
    slot: Ints
    """Of each slice."""
    packed: Ints
    """Slots as packing and placing alone would have them, which fit for certain."""


def _begun(network: IntegerNetwork, chip: Chip, rate: Rates, cut: Cut, share: bool) -> _Work | None:
    """Return a cut packed and placed; None if it takes more than one chip."""
    slices, used = cut
    core_of = packed_on(network, chip, slices, used, share=share)
    slots = Slots.of(chip.mesh)
    if core_of.max(initial=0) >= len(slots.x):
        return None
    start = _start(network, chip, rate, slices, core_of)
    atoms = Atoms.of(network, chip, slices, rate)
    per_tile = chip.mesh.cores_per_tile.whole or 1
    return _Work(slices, task_of(atoms, slots, per_tile, *_room(chip, used)), start, start)


def _start(
    network: IntegerNetwork, chip: Chip, rate: Rates, slices: Sequence[Slice], core_of: Ints
) -> Ints:
    """Return the slot of each slice as packing and placement alone would have it."""
    on_cores = [replace(s, core=core) for s, core in zip(slices, core_of.tolist(), strict=True)]
    flow = count_flows(network, chip, Mapping(tuple(on_cores)), rate)
    slots = Slots.of(chip.mesh)
    free: dict[tuple[int, int], list[int]] = {}
    for slot, at in enumerate(zip(slots.x.tolist(), slots.y.tolist(), strict=True)):
        free.setdefault(at, []).append(slot)
    placed = [free[site.tile_x, site.tile_y].pop(0) for site in sites(flow, chip, "annealed")]
    return np.array(placed, np.int64)[core_of]


def _least(work: _Work, per_slice: int, starts: int) -> Ints:
    """Return the best slots that some moves lead to."""
    moves = min(MOST_MOVES, per_slice * len(work.slices))
    found = [moved(work.task, work.slot, moves, seed) for seed in range(starts)]
    return min(found, key=lambda slot: float(hops(work.task, slot)))


def _room(chip: Chip, used: Sequence[dict[str, int]]) -> tuple[NDArray[np.float64], ...]:
    """Return what slices take and cores have; entries of tables count as if none were shared."""
    limits = resources.limits(chip)
    names = [name for name in (*ADDED, *DIFFERENT) if name in limits]
    need = np.array([[each[name] for name in names] for each in used], np.float64)
    return need.reshape(len(used), len(names)), np.array([limits[n] for n in names], np.float64)


def _mapping(network: IntegerNetwork, chip: Chip, work: _Work) -> Mapping:
    """Return the slices on cores numbered in their order, and where these are."""
    slots = Slots.of(chip.mesh)
    for slot in (work.slot, work.packed):
        in_use = list(dict.fromkeys(slot.tolist()))
        at = [Site(i, int(slots.x[k]), int(slots.y[k])) for i, k in enumerate(in_use)]
        mapping = Mapping(tuple(settled(network, chip, work.slices, slot)), tuple(at))
        if _fits(network, chip, mapping):
            break
    return mapping


def _fits(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> bool:
    limits = resources.limits(chip)
    return all(
        core.used[name] <= most
        for core in usage.usage(network, chip, mapping, exact=False)
        for name, most in limits.items()
    )
