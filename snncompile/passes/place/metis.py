"""Cut a graph into parts that send each other little; METIS does the work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.arrays import Ints

LARGEST_WEIGHT = 10_000
"""Weights are made whole numbers up to this; METIS adds them up in 32 bits."""


def parts(graph: csr_array, shares: NDArray[np.float64], size: Ints | None = None) -> Ints:
    """Return the part of each node, so that little weight is on edges between parts.

    Args:
        graph: symmetric weights of edges.
        shares: of all nodes (or their sizes) that each part is to have; about kept.
        size: of each node; None: all are alike.
    """
    import pymetis

    most = graph.data.max(initial=0.0)
    scale = LARGEST_WEIGHT / most if most else 0.0
    weights = np.maximum(1, np.rint(graph.data * scale)).astype(np.int64)
    _, found = pymetis.part_graph(
        len(shares),
        pymetis.CSRAdjacency(graph.indptr.tolist(), graph.indices.tolist()),
        eweights=weights.tolist(),
        vweights=None if size is None else size.tolist(),
        tpwgts=(shares / shares.sum()).tolist(),
        options=pymetis.Options(seed=0),
    )
    return np.array(found, np.int64)
