"""Choose slices, their cores and the sites of these at once, so that spikes travel little.

Several cuts of the network are tried: some along the blocks of the image, so that a block's slices
of all layers can be near each other. The slices of each cut are packed, then moved from core to
core; the cut whose spikes travel least is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores import resources, usage
from snncompile.cores.learning import find_epochs
from snncompile.cores.resources import ADDED, DIFFERENT
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.passes.analysis.traffic import Rates, count_flows, measure_load
from snncompile.passes.partition.anneal_slices import Task, anneal_slices, count_hops, make_task
from snncompile.passes.partition.hyperedges import Hyperedges
from snncompile.passes.partition.pack_slices import choose_cores, renumber
from snncompile.passes.place.place import find_sites
from snncompile.passes.place.placements import Slots

Cut = tuple[Sequence[Slice], Sequence[dict[str, int]]]
"""Slices, and the use of each on a core of its own."""
MOST_MOVES = 1_000_000
SCREENING_MOVES, FINAL_MOVES = 1_000, 10_000
"""Moves per slice to find the promising cuts, and for these."""
PROMISING = 3
STARTS = 3
"""Annealing runs of a promising cut, each with a seed of its own."""
LINK = 0.1
"""Share by which spikes may travel farther to relieve the busiest link."""


def find_least_traffic(
    network: IntegerNetwork, chip: Chip, rate: Rates, cuts: Iterable[Cut], *, share: bool
) -> Mapping | None:
    """Return slices on cores with sites on one chip: the cut whose spikes travel least.

    Among cuts within a tenth of the least, the cut whose busiest link carries least is chosen.

    Args:
        network: the integer network.
        chip: gives the limits; only one chip of a board is used.
        rate: spikes per time step of each neuron.
        cuts: to be tried.
        share: whether a core may hold slices of several populations; they do not move if not.

    Returns:
        None if no cut fits one chip.
    """
    works = [
        work for cut in cuts if (work := _start_work(network, chip, rate, cut, share)) is not None
    ]
    if share:
        works = [replace(work, slot=_anneal(work, SCREENING_MOVES, 1)) for work in works]
        works = sorted(works, key=lambda w: float(count_hops(w.task, w.slot)))[:PROMISING]
        works = [replace(work, slot=_anneal(work, FINAL_MOVES, STARTS)) for work in works]
    mappings = [_make_mapping(network, chip, work) for work in works]
    return _choose_best(network, chip, rate, mappings) if mappings else None


def _choose_best(
    network: IntegerNetwork, chip: Chip, rate: Rates, mappings: list[Mapping]
) -> Mapping:
    loads = [measure_load(count_flows(network, chip, m, rate), m.sites) for m in mappings]
    farthest = min(load.hops for load in loads) * (1 + LINK)
    near = [
        (load.busiest_link, load.hops, i) for i, load in enumerate(loads) if load.hops <= farthest
    ]
    return mappings[min(near)[2]]


@dataclass(frozen=True, eq=False)
class _Work:
    """One cut of the network, and the slots of its slices."""

    slices: Sequence[Slice]
    task: Task
    slot: Ints
    """Of each slice."""
    start: Ints
    """Slots from packing and placing alone, which fit for certain."""


def _start_work(
    network: IntegerNetwork, chip: Chip, rate: Rates, cut: Cut, share: bool
) -> _Work | None:
    """Return a cut packed and placed; None if it takes more than one chip."""
    slices, used = cut
    core_of = choose_cores(network, chip, slices, used, share=share)
    slots = Slots.of(chip.mesh)
    if core_of.max(initial=0) >= len(slots.x):
        return None
    start = _find_start(network, chip, rate, slices, core_of)
    hyperedges = Hyperedges.of(network, chip, slices, rate)
    per_tile = chip.mesh.cores_per_tile.whole or 1
    return _Work(
        slices, make_task(hyperedges, slots, per_tile, *_count_resources(chip, used)), start, start
    )


def _find_start(
    network: IntegerNetwork, chip: Chip, rate: Rates, slices: Sequence[Slice], core_of: Ints
) -> Ints:
    """Return the slot of each slice from packing and placing alone."""
    on_cores = [replace(s, core=core) for s, core in zip(slices, core_of.tolist(), strict=True)]
    flow = count_flows(network, chip, Mapping(tuple(on_cores)), rate)
    slots = Slots.of(chip.mesh)
    free: dict[tuple[int, int], list[int]] = {}
    for slot, at in enumerate(zip(slots.x.tolist(), slots.y.tolist(), strict=True)):
        free.setdefault(at, []).append(slot)
    placed = [free[site.tile_x, site.tile_y].pop(0) for site in find_sites(flow, chip, "annealed")]
    return np.array(placed, np.int64)[core_of]


def _anneal(work: _Work, per_slice: int, starts: int) -> Ints:
    """Return the best slots after annealing, of several starts."""
    moves = min(MOST_MOVES, per_slice * len(work.slices))
    slots = [anneal_slices(work.task, work.slot, moves, seed) for seed in range(starts)]
    return min(slots, key=lambda slot: float(count_hops(work.task, slot)))


def _count_resources(chip: Chip, used: Sequence[dict[str, int]]) -> tuple[NDArray[np.float64], ...]:
    """Return the use of slices and the limits of a core; entries count as if none were shared."""
    limits = resources.read_core_limits(chip)
    names = [name for name in (*ADDED, *DIFFERENT) if name in limits]
    need = np.array([[each[name] for name in names] for each in used], np.float64)
    return need.reshape(len(used), len(names)), np.array([limits[n] for n in names], np.float64)


def _make_mapping(network: IntegerNetwork, chip: Chip, work: _Work) -> Mapping:
    """Return the slices on cores numbered in their order, and the sites of these."""
    slots = Slots.of(chip.mesh)
    for slot in (work.slot, work.start):
        in_use = list(dict.fromkeys(slot.tolist()))
        at = [Site(i, int(slots.x[k]), int(slots.y[k])) for i, k in enumerate(in_use)]
        mapping = Mapping(tuple(renumber(network, chip, work.slices, slot)), tuple(at))
        if _fits(network, chip, mapping):
            break
    return mapping


def _fits(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> bool:
    limits, epochs = resources.read_core_limits(chip), find_epochs(network, chip)
    apart = all(len({epochs.get(s.population) for s in on}) == 1 for on in mapping.by_core.values())
    return apart and all(
        core.used[name] <= limit
        for core in usage.measure_usage(network, chip, mapping, exact=False)
        for name, limit in limits.items()
    )
