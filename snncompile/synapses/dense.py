"""All-to-all wiring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from snncompile.synapses.base import IntegerSynapses, Shape, Synapses, Wiring


@dataclass(frozen=True, eq=False)
class Dense(Wiring):
    """Every source neuron reaches every target neuron; weights of shape (target, source)."""

    target: int
    source: int

    kind: ClassVar[str] = "dense"
    regular: ClassVar[bool] = True

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return self.source

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return self.target

    @property
    def weight_shape(self) -> Shape:
        """(target, source)."""
        return (self.target, self.source)

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.target * self.source

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron: all sources."""
        return np.full(self.target, self.source)

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons."""
        return np.full(self.source, len(targets))

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a sparse matrix that keeps its zeros."""
        indices = np.tile(np.arange(self.source, dtype=np.int32), self.target)
        ends = np.arange(self.target + 1) * self.source
        return csr_array((weight.ravel(), indices, ends), shape=self.weight_shape)

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        return Dense(len(targets), self.source).matrix(weight[targets])

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]]:
        """Return a dense wiring of some rows and columns of the weights."""
        if (len(target), len(source)) == weight.shape:
            return self, weight
        return Dense(len(target), len(source)), weight[np.ix_(target, source)]


def dense(weight: ArrayLike) -> Synapses:
    """Return float synapses between all pairs; weight of shape (target, source)."""
    array = np.asarray(weight, np.float64)
    return Synapses(_make_wiring(array), array)


def integer_dense(weight: ArrayLike, exponent: int, bits: int) -> IntegerSynapses:
    """Return integer synapses between all pairs; weight of shape (target, source)."""
    array = np.asarray(weight)
    return IntegerSynapses(_make_wiring(array), array, exponent, bits)


def _make_wiring(weight: NDArray[Any]) -> Dense:
    if weight.ndim != 2:
        raise ValueError(f"dense weights have shape {weight.shape}, expected (target, source)")
    return Dense(*weight.shape)
