"""Wiring synapse by synapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from snncompile.synapses.base import Shape, Wiring, frozen


@dataclass(frozen=True, eq=False)
class Sparse(Wiring):
    """Synapse i goes from neuron `source[i]` to neuron `target[i]`; weights: (synapses,)."""

    target: NDArray[np.int32]
    source: NDArray[np.int32]
    targets_in_all: int
    sources_in_all: int

    kind: ClassVar[str] = "sparse"

    def __post_init__(self) -> None:
        """Copy and freeze the indices; refuse those outside and pairs that come twice."""
        for name, size in (("target", self.targets_in_all), ("source", self.sources_in_all)):
            index = frozen(getattr(self, name), np.int32)
            if index.ndim != 1 or (index.size and not 0 <= index.min() <= index.max() < size):
                raise ValueError(f"sparse: {name} holds neurons outside 0..{size - 1}")
            object.__setattr__(self, name, index)
        if self.target.shape != self.source.shape:
            raise ValueError(f"sparse: {len(self.target)} targets and {len(self.source)} sources")
        pairs = self.target.astype(np.int64) * self.sources_in_all + self.source
        if len(np.unique(pairs)) != len(pairs):
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

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a sparse matrix."""
        shape = (self.targets, self.sources)
        return csr_array(coo_array((weight, (self.target, self.source)), shape=shape))
