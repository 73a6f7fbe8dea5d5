"""Order the neurons of a population so that neighbours listen to the same sources; METIS helps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array, hstack

from snncompile.arrays import Ints
from snncompile.passes.place.metis import parts
from snncompile.synapses.base import Wiring

FINER = 16
"""Parts for each slice there would be otherwise: small ones leave little room unused."""
MOST_PARTS = 1024
MOST_SYNAPSES = 500_000
"""Above this neurons keep their order: METIS and another cut would take minutes."""


def shared_order(wirings: tuple[Wiring, ...], slices: int) -> Ints | None:
    """Return an order of the targets, shape (targets,); None where there are too many synapses.

    Args:
        wirings: all that lead to the population.
        slices: into how many it was cut in its own order.
    """
    if sum(wiring.synapses for wiring in wirings) > MOST_SYNAPSES:
        return None
    return _order(wirings, min(wirings[0].targets, slices * FINER, MOST_PARTS))


@lru_cache(maxsize=32)
def _order(wirings: tuple[Wiring, ...], count: int) -> Ints:
    """Cut targets and sources into parts with few synapses between; those that share line up."""
    heard = csr_array(hstack([w.pattern for w in wirings], format="csr"))
    targets = heard.shape[0]
    part = parts(_both_ways(heard), np.ones(count), _only(targets, heard.shape[1]))[:targets]
    place = np.argsort(_line(heard, part, count))
    return np.lexsort((np.arange(targets), place[part])).astype(np.int64)


def _both_ways(heard: csr_array) -> csr_array:
    """Return the graph whose nodes are the targets, then the sources; edges are synapses."""
    pairs = heard.tocoo()
    rows = np.concatenate([pairs.row, pairs.col + heard.shape[0]])
    columns = np.concatenate([pairs.col + heard.shape[0], pairs.row])
    nodes = sum(heard.shape)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))


def _only(targets: int, sources: int) -> Ints:
    """Return sizes with which parts hold equally many targets, wherever the sources go."""
    return np.concatenate([np.ones(targets, np.int64), np.zeros(sources, np.int64)])


def _line(heard: csr_array, part: Ints, count: int) -> Ints:
    """Return the parts in an order in which each shares many sources with the one before."""
    member = csr_array((np.ones(len(part)), (part, np.arange(len(part)))), (count, len(part)))
    sources = csr_array(member @ heard.astype(np.float64))
    sources.data[:] = 1
    shared = (sources @ sources.T).toarray()
    left = np.ones(count, bool)
    line = [0]
    for _ in range(count - 1):
        left[line[-1]] = False
        line.append(int(np.argmax(np.where(left, shared[line[-1]], -1))))
    return np.array(line, np.int64)
