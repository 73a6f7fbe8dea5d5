"""Assign cores to chips, where one chip is too small, so that few spikes cross."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from snncompile.arrays import Ints
from snncompile.passes.place.metis import find_parts


def assign_chips(graph: csr_array, capacity: int, *, linear: bool = False) -> Ints:
    """Return the chip of each core, on as few chips as hold them.

    Args:
        graph: spikes between cores, symmetric.
        capacity: cores of a chip.
        linear: whether chips are filled in the order of the cores.
    """
    cores = graph.shape[0]
    chips = -(-cores // capacity)
    in_order = np.arange(cores) // capacity
    if linear or chips < 2:
        return in_order
    cut = _repair(graph, find_parts(graph, np.full(chips, 1 / chips)), chips, capacity)
    better = count_crossing(graph, cut) < count_crossing(graph, in_order)
    return cut if better else in_order


def count_crossing(graph: csr_array, chip: Ints) -> float:
    """Return the spikes between chips."""
    pairs = graph.tocoo()
    return float(pairs.data[chip[pairs.row] != chip[pairs.col]].sum() / 2)


def _repair(graph: csr_array, chip: Ints, chips: int, capacity: int) -> Ints:
    """Move cores from overfull chips to chips with room, where it costs least."""
    chip = chip.copy()
    size = np.bincount(chip, minlength=chips)
    for full in np.flatnonzero(size > capacity).tolist():
        cores = np.flatnonzero(chip == full)
        pull = np.zeros((len(cores), chips))
        pairs = graph[cores].tocoo()
        np.add.at(pull, (pairs.row, chip[pairs.col]), pairs.data)
        loss = pull[:, full]
        while size[full] > capacity:
            room = size < capacity
            gain = np.where(room, pull, -np.inf) - loss[:, None]
            core, to = np.unravel_index(int(np.argmax(gain)), gain.shape)
            chip[cores[core]] = to
            size[full] -= 1
            size[to] += 1
            pull[core] = -np.inf
            loss[core] = 0.0
    return chip
