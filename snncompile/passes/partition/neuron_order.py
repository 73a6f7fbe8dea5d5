"""Order the neurons of a population so that neighbours share sources; METIS helps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array, hstack

from snncompile.arrays import Ints
from snncompile.passes.place.metis import find_parts
from snncompile.synapses.base import Wiring

FINER = 16
"""Parts per slice of the population's own order: small parts leave little room unused."""
MOST_PARTS = 1024
MOST_SYNAPSES = 500_000
"""Above this number neurons keep their order: METIS and another cut would take minutes."""


def find_shared_order(wirings: tuple[Wiring, ...], slices: int) -> Ints | None:
    """Return an order of the targets, shape (targets,); None if there are too many synapses.

    Args:
        wirings: of all projections into the population.
        slices: number of slices when cut in its own order.
    """
    if sum(wiring.synapses for wiring in wirings) > MOST_SYNAPSES:
        return None
    return _order_by_parts(wirings, min(wirings[0].targets, slices * FINER, MOST_PARTS))


@lru_cache(maxsize=32)
def _order_by_parts(wirings: tuple[Wiring, ...], count: int) -> Ints:
    """Cut targets and sources into parts with few synapses between; line up parts that share."""
    pattern = csr_array(hstack([w.pattern for w in wirings], format="csr"))
    targets = pattern.shape[0]
    part_of = find_parts(
        _build_graph(pattern), np.ones(count), _weigh_targets(targets, pattern.shape[1])
    )[:targets]
    position = np.argsort(_line_up(pattern, part_of, count))
    return np.lexsort((np.arange(targets), position[part_of])).astype(np.int64)


def _build_graph(pattern: csr_array) -> csr_array:
    """Return the graph whose nodes are the targets, then the sources; edges are synapses."""
    pairs = pattern.tocoo()
    rows = np.concatenate([pairs.row, pairs.col + pattern.shape[0]])
    columns = np.concatenate([pairs.col + pattern.shape[0], pairs.row])
    nodes = sum(pattern.shape)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))


def _weigh_targets(targets: int, sources: int) -> Ints:
    """Return sizes 1 of targets and 0 of sources, so that parts hold equal numbers of targets."""
    return np.concatenate([np.ones(targets, np.int64), np.zeros(sources, np.int64)])


def _line_up(pattern: csr_array, part_of: Ints, count: int) -> Ints:
    """Return the parts in an order in which each shares many sources with its predecessor."""
    member = csr_array(
        (np.ones(len(part_of)), (part_of, np.arange(len(part_of)))), (count, len(part_of))
    )
    sources = csr_array(member @ pattern.astype(np.float64))
    sources.data[:] = 1
    shared = (sources @ sources.T).toarray()
    free = np.ones(count, bool)
    line = [0]
    for _ in range(count - 1):
        free[line[-1]] = False
        line.append(int(np.argmax(np.where(free, shared[line[-1]], -1))))
    return np.array(line, np.int64)
