"""Wiring synapse by synapse, and any other wiring as one of these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from snncompile.errors import UnsupportedError
from snncompile.synapses.base import IntegerSynapses, Shape, Synapses, Wiring, freeze

AnySynapses = TypeVar("AnySynapses", Synapses, IntegerSynapses)


@dataclass(frozen=True, eq=False)
class Sparse(Wiring):
    """Synapse i goes from neuron `source[i]` to neuron `target[i]`; weights: (synapses,)."""

    target: NDArray[np.int32]
    source: NDArray[np.int32]
    targets_in_all: int
    sources_in_all: int

    kind: ClassVar[str] = "sparse"

    def __post_init__(self) -> None:
        """Copy and freeze the indices; refuse indices outside and pairs that occur twice."""
        for name, size in (("target", self.targets_in_all), ("source", self.sources_in_all)):
            index = freeze(getattr(self, name), np.int32)
            if index.ndim != 1 or (index.size and not 0 <= index.min() <= index.max() < size):
                raise ValueError(f"sparse: {name} holds neurons outside 0..{size - 1}")
            object.__setattr__(self, name, index)
        if self.target.shape != self.source.shape:
            raise ValueError(f"sparse: {len(self.target)} targets and {len(self.source)} sources")
        pairs = self.target.astype(np.int64) * self.sources_in_all + self.source
        if not (pairs[1:] > pairs[:-1]).all() and _have_twins(pairs):  # in order is the usual case
            raise ValueError("sparse: two synapses join the same neurons; add their weights")

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return self.sources_in_all

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return self.targets_in_all

    @property
    def weight_shape(self) -> Shape:
        """(synapses,)."""
        return self.target.shape

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return len(self.target)

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a sparse matrix."""
        shape = (self.targets, self.sources)
        return csr_array(coo_array((weight, (self.target, self.source)), shape=shape))

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        order, first = self._by_target
        lengths = first[targets + 1] - first[targets]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        numbers = order[np.arange(ends[-1]) + np.repeat(first[targets] - ends[:-1], lengths)]
        shape = (len(targets), self.sources)
        return csr_array((weight[numbers], self.source[numbers], ends), shape=shape)

    @cached_property
    def _by_target(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the synapses by target and then by source; where those of a target begin."""
        order = np.lexsort((self.source, self.target))
        return order, np.searchsorted(self.target[order], np.arange(self.targets + 1))

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Sparse, NDArray[Any]]:
        """Return the remaining synapses, without those of weight zero."""
        new_source, new_target = (
            _number_kept(source, self.sources),
            _number_kept(target, self.targets),
        )
        stay = (weight != 0) & (new_source[self.source] >= 0) & (new_target[self.target] >= 0)
        whole = (len(target), len(source)) == (self.targets, self.sources)
        if whole and stay.all():
            return self, weight
        ends = new_target[self.target[stay]], new_source[self.source[stay]]
        return Sparse(*ends, len(target), len(source)), weight[stay]


def _have_twins(pairs: NDArray[np.int64]) -> bool:
    ordered = np.sort(pairs)  # np.unique, which hashes, takes longer
    return bool((ordered[1:] == ordered[:-1]).any())


def _number_kept(kept: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the new number of each neuron, -1 for removed ones."""
    numbers = np.full(size, -1)
    numbers[kept] = np.arange(len(kept))
    return numbers


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Any wiring, synapse by synapse."""

    wiring: Sparse
    """By target and then by source."""
    number: NDArray[np.int64]
    """Index of each synapse's weight in the flattened weights."""

    def weights(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return the weight of each synapse, shape (synapses,), from the weights of the wiring."""
        each: NDArray[Any] = weight.reshape(-1)[self.number]
        return each


@lru_cache(maxsize=64)
def unroll(wiring: Wiring) -> Unrolled:
    """Return the synapses of a wiring, from its matrix alone.

    Raises:
        UnsupportedError: the matrix scales a weight, drops one of zero, or has columns that do not
            rise; or there are more synapses than the wiring lists.
    """
    if wiring.largest_list is not None and wiring.synapses > wiring.largest_list:
        raise UnsupportedError(
            f"{wiring}: its {wiring.synapses:,} synapses would be listed one by one, more than"
            f" {wiring.largest_list:,}; use fewer channels or a smaller kernel, or put a neuron"
            " layer behind the upsampling and a plain convolution behind that"
        )
    count = prod(wiring.weight_shape)
    matrix = wiring.matrix(np.arange(count).reshape(wiring.weight_shape))
    _check_matrix(wiring, matrix, count)
    target = np.repeat(np.arange(wiring.targets, dtype=np.int32), np.diff(matrix.indptr))
    sparse = Sparse(target, matrix.indices, wiring.targets, wiring.sources)
    return Unrolled(sparse, freeze(matrix.data, np.int64))


def _check_matrix(wiring: Wiring, matrix: csr_array, count: int) -> None:
    shape, pattern = (wiring.targets, wiring.sources), wiring.pattern
    where = f"wiring {wiring.kind}: its matrix"
    if matrix.shape != shape:
        raise UnsupportedError(
            f"{where} has shape {matrix.shape}, expected (targets, sources) {shape}"
        )
    within = (matrix.data >= 0) & (matrix.data < count)
    if not (within.all() and (pattern.data == 1).all()):
        raise UnsupportedError(f"{where} has to hold the weights as they are, without a factor")
    if len(matrix.indices) != len(pattern.indices):
        raise UnsupportedError(
            f"{where} leaves out a synapse of weight zero; keep it as an explicit zero"
        )
    same_row = np.diff(np.repeat(np.arange(wiring.targets), np.diff(matrix.indptr))) == 0
    if (np.diff(matrix.indices)[same_row] <= 0).any():
        raise UnsupportedError(f"{where} has to have rising columns in each row; call sort_indices")


def unroll_synapses(synapses: AnySynapses) -> AnySynapses:
    """Return the same synapses one by one, by target and then by source."""
    each = unroll(synapses.wiring)
    return replace(synapses, wiring=each.wiring, weight=each.weights(synapses.weight))
