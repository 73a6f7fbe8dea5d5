"""Sparse and one-to-one projections: sums over the synapses of each target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Array
from snncompile.neurons.base import Interval
from snncompile.reference.fast.base import Scratch, Ways, load_kernels
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.sparse import Sparse


@dataclass(frozen=True, eq=False)
class _Sums:
    starts: Array
    source: Array
    weight: Array

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        load_kernels().sum_sparse(train, total, self.starts, self.source, self.weight)


@dataclass(frozen=True, eq=False)
class _Products:
    weight: Array

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        load_kernels().scale(train, total, self.weight)


def build_sparse_ways(synapses: IntegerSynapses, payload: Interval) -> Ways:
    """Return the ways of a sparse projection."""
    matrix = synapses.wiring.matrix(synapses.weight.astype(np.int32))
    way = _Sums(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    return Ways(way, None, 0, synapses.exponent, sum(matrix.shape))


def build_scale_ways(synapses: IntegerSynapses, payload: Interval) -> Ways:
    """Return the ways of a one-to-one projection."""
    if isinstance(synapses.wiring, Sparse):  # the layouts differ
        return build_sparse_ways(synapses, payload)
    size = synapses.wiring.sources
    weight = np.array(np.broadcast_to(synapses.weight, (size,)), np.int32)
    return Ways(_Products(weight), None, 0, synapses.exponent, 2 * size)
