"""Ways to put the cores of one chip on its slots; each returns the slot of every core.

Each takes the spikes between cores, the slots, and the spikes from the host to each core, which
come in at tile 0,0. A slot is one core of a tile; slots are numbered tile by tile along the rows,
to and fro.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.arrays import Floats, Ints
from snncompile.hwmodels.schema import Mesh
from snncompile.passes.place.anneal_cores import anneal_cores
from snncompile.passes.place.metis import find_parts

MOVES_PER_CORE = 2000
MOST_MOVES = 2_000_000
STARTS = 3
"""Annealing runs, each with a seed of its own; the best counts."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Column and row of each slot of a chip."""

    x: Ints
    y: Ints

    @classmethod
    def of(cls, mesh: Mesh) -> Slots:
        """Return the slots of a mesh that a program may use."""
        columns, per_tile = mesh.tile_columns.whole or 1, mesh.cores_per_tile.whole or 1
        row, column = np.divmod(np.arange(mesh.cores.whole or 1) // per_tile, columns)
        return cls(np.where(row % 2, columns - 1 - column, column), row)

    @property
    def depth(self) -> Ints:
        """Hops from tile 0,0 to each slot."""
        return self.x + self.y

    def distance(self, a: Ints | int, b: Ints | int) -> Ints:
        """Return the hops between slots."""
        hops: Ints = np.abs(self.x[a] - self.x[b]) + np.abs(self.y[a] - self.y[b])
        return hops


def count_hops(graph: csr_array, slots: Slots, slot: Ints, host: Floats) -> float:
    """Return spikes times hops; `graph` holds each pair twice."""
    pairs = graph.tocoo()
    between = (pairs.data * slots.distance(slot[pairs.row], slot[pairs.col])).sum() / 2
    return float(between + host @ slots.depth[slot])


def place_linear(graph: csr_array, slots: Slots, host: Floats) -> Ints:
    """Fill the tiles row by row, in the order of the cores."""
    return np.arange(graph.shape[0])


def place_random(graph: csr_array, slots: Slots, host: Floats) -> Ints:
    """Spread the cores over as many tiles as they fill, without order."""
    return np.random.default_rng(0).permutation(graph.shape[0])


def place_greedy(graph: csr_array, slots: Slots, host: Floats) -> Ints:
    """Place the core with most spikes to and from those placed, where they travel least."""
    cores = graph.shape[0]
    slot = np.full(cores, -1)
    free = np.ones(len(slots.x), bool)
    pull = host.astype(np.float64)
    total = np.asarray(graph.sum(axis=1))
    for _ in range(cores):
        open_cores = np.flatnonzero(slot < 0)
        core = int(open_cores[np.lexsort((-total[open_cores], -pull[open_cores]))[0]])
        row = slice(graph.indptr[core], graph.indptr[core + 1])
        neighbours, spikes = graph.indices[row], graph.data[row]
        placed = slot[neighbours] >= 0
        choices = np.flatnonzero(free)
        at = slot[neighbours[placed]]
        hops = slots.distance(choices[:, None], at[None, :])
        cost = hops @ spikes[placed] + host[core] * slots.depth[choices]
        slot[core] = int(choices[np.argmin(cost)])
        free[slot[core]] = False
        pull[neighbours] += spikes
    return slot


def place_bisection(graph: csr_array, slots: Slots, host: Floats) -> Ints:
    """Halve mesh and cores again and again, so that few spikes cross from half to half."""
    cores = graph.shape[0]
    square = np.lexsort((slots.y, slots.x, np.maximum(slots.x, slots.y)))  # grows from a corner
    slot = np.full(cores, -1)
    _halve(graph, slots, np.arange(cores), square[:cores], slot)
    return slot


def _halve(graph: csr_array, slots: Slots, cores: Ints, slot_numbers: Ints, slot: Ints) -> None:
    x, y = slots.x[slot_numbers], slots.y[slot_numbers]
    if np.ptp(x) == 0 and np.ptp(y) == 0:
        slot[cores] = slot_numbers
        return
    along = (x, y) if np.ptp(x) >= np.ptp(y) else (y, x)
    order = np.lexsort((slot_numbers, along[1], along[0]))
    slot_numbers = slot_numbers[order]
    key = along[0][order]
    cut = int(np.searchsorted(key, key[len(slot_numbers) // 2]))
    if cut == 0:
        cut = int(np.searchsorted(key, key[0], side="right"))
    first = _choose_half(graph, cores, cut)
    _halve(graph, slots, cores[first], slot_numbers[:cut], slot)
    _halve(graph, slots, cores[~first], slot_numbers[cut:], slot)


def _choose_half(graph: csr_array, cores: Ints, size: int) -> NDArray[np.bool_]:
    """Return True for the cores of the first half, of exactly this size."""
    subgraph = graph[cores][:, cores].tocsr()
    share = size / len(cores)
    if subgraph.nnz and len(cores) > 2:
        first = find_parts(subgraph, np.array([share, 1 - share])) == 0
    else:
        first = np.arange(len(cores)) < size
    return _fit_size(subgraph, first, size)


def _fit_size(graph: csr_array, first: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Move the cores that lose least to the other side until the first has its size."""
    first = first.copy()
    while (excess := int(first.sum()) - size) != 0:
        side = first if excess > 0 else ~first
        pull = graph @ np.where(side, -1.0, 1.0)
        pull[~side] = -np.inf
        first[int(np.argmax(pull))] = excess < 0
    return first


def place_annealed(graph: csr_array, slots: Slots, host: Floats) -> Ints:
    """Begin with the best of the other placements and swap cores as long as spikes travel less."""
    if len(np.unique(slots.distance(0, np.arange(graph.shape[0])))) < 2:
        return place_linear(graph, slots, host)  # all on one tile
    starts = [
        placement(graph, slots, host) for placement in (place_bisection, place_greedy, place_linear)
    ]
    starts.sort(key=lambda slot: count_hops(graph, slots, slot, host))
    moves = min(MOST_MOVES, MOVES_PER_CORE * graph.shape[0])
    coo = graph.tocsr()
    ends, other = coo.indptr.astype(np.int64), coo.indices.astype(np.int64)
    annealed = [
        anneal_cores(start, slots.x, slots.y, ends, other, coo.data, host, moves, seed)
        for seed, start in enumerate(starts[:STARTS])
    ]
    return min([*annealed, *starts], key=lambda slot: count_hops(graph, slots, slot, host))


PLACEMENTS: dict[str, Callable[[csr_array, Slots, Floats], Ints]] = {
    "linear": place_linear,
    "random": place_random,
    "greedy": place_greedy,
    "bisection": place_bisection,
    "annealed": place_annealed,
}
