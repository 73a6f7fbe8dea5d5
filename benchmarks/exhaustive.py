"""The best of all placements of a few cores, found by trying every one that could be better."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from snncompile.arrays import Floats, Ints
from snncompile.hwmodels.schema import Mesh

MOST_CORES = 10


def least_hops(graph: csr_array, mesh: Mesh, known: float) -> float:
    """Return spikes times hops of the best placement of all.

    Args:
        graph: spikes between each two cores, symmetric, of at most `MOST_CORES` cores.
        mesh: whose tiles hold several cores.
        known: of some placement; ways that cannot be below it are left out.
    """
    spikes = graph.toarray()
    order = np.argsort(-spikes.sum(axis=1), kind="stable")
    columns, rows = mesh.tile_columns.whole or 1, mesh.tile_rows.whole or 1
    tiles = np.stack(np.divmod(np.arange(columns * rows), columns), axis=1)
    room = np.full(len(tiles), mesh.cores_per_tile.whole or 1)
    tile = np.zeros(len(order), np.int64)
    return float(_search(spikes[order][:, order], tiles, room, tile, 0, 0.0, known))


@njit
def _search(
    spikes: Floats, tiles: Ints, room: Ints, tile: Ints, core: int, cost: float, best: float
) -> float:
    """Try every tile for one core and all that follow; `cost` is that of the cores before it."""
    if core == len(tile):
        return min(cost, best)
    for place in range(len(tiles)):
        if not room[place]:
            continue
        more = 0.0
        for other in range(core):
            way = tiles[place] - tiles[tile[other]]
            more += spikes[core, other] * (abs(way[0]) + abs(way[1]))
        if cost + more < best:
            tile[core] = place
            room[place] -= 1
            best = _search(spikes, tiles, room, tile, core + 1, cost + more, best)
            room[place] += 1
    return best
