"""Cut a graph into parts that send each other little; METIS does the work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.arrays import Ints

LARGEST_WEIGHT = 10_000
"""Weights are scaled to whole numbers up to this; METIS adds them up in 32 bits."""


def find_parts(graph: csr_array, shares: NDArray[np.float64], size: Ints | None = None) -> Ints:
    """Return the part of each node, so that little weight is on edges between parts.

    Args:
        graph: symmetric weights of edges.
        shares: wanted share of each part in all nodes (or their sizes); about kept.
        size: of each node; None: all are alike.
    """
    import pymetis

    largest = graph.data.max(initial=0.0)
    scale = LARGEST_WEIGHT / largest if largest else 0.0
    weights = np.maximum(1, np.rint(graph.data * scale)).astype(np.int64)
    _, numbers = pymetis.part_graph(
        len(shares),
        pymetis.CSRAdjacency(graph.indptr.tolist(), graph.indices.tolist()),
        eweights=weights.tolist(),
        vweights=None if size is None else size.tolist(),
        tpwgts=(shares / shares.sum()).tolist(),
        options=pymetis.Options(seed=0),
    )
    return np.array(numbers, np.int64)
