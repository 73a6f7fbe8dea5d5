"""One-to-one wiring: an identity, or a scale per neuron. Residual connections use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.synapses.base import Shape, Wiring
from snncompile.synapses.sparse import unroll


@dataclass(frozen=True, eq=False)
class Scale(Wiring):
    """Source neuron i reaches target neuron i alone; one weight for all, or one per neuron."""

    size: int
    per_neuron: bool = False

    kind: ClassVar[str] = "scale"
    regular: ClassVar[bool] = True

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return self.size

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return self.size

    @property
    def weight_shape(self) -> Shape:
        """(neurons,), or () for one weight."""
        return (self.size,) if self.per_neuron else ()

    @property
    def synapses(self) -> int:
        """Number of synapses: one per neuron."""
        return self.size

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron: one."""
        return np.ones(self.size, np.int64)

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons."""
        return np.bincount(targets, minlength=self.size)

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a diagonal matrix."""
        return self.rows(weight, np.arange(self.size))

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        diagonal, count = np.broadcast_to(weight, (self.size,))[targets], len(targets)
        return csr_array((diagonal, targets, np.arange(count + 1)), shape=(count, self.size))

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]]:
        """Return a scale, or a sparse wiring if different neurons remain at the two ends."""
        if len(source) == len(target) == self.size:
            return self, weight
        if np.array_equal(source, target):
            return Scale(len(source), self.per_neuron), weight[source] if weight.ndim else weight
        each = unroll(self)
        return each.wiring.keep(each.weights(weight), source, target)
