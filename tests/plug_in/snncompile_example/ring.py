"""A ring: each target sees some sources in a row, all targets by the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.synapses.base import Wiring


@dataclass(frozen=True, eq=False)
class Ring(Wiring):
    """Target i sees the sources i, i + 1, ..., i + width - 1; behind the last comes the first."""

    size: int
    """Sources, and targets."""
    width: int
    """Weights, at most `size`."""

    kind: ClassVar[str] = "ring"

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return self.size

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return self.size

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.width,)

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights of all targets, shape (target, source)."""
        columns = (np.arange(self.size)[:, None] + np.arange(self.width)) % self.size
        ends = np.arange(self.size + 1) * self.width
        values = np.tile(weight, self.size)
        matrix = csr_array((values, columns.ravel(), ends), shape=(self.size, self.size))
        matrix.sort_indices()
        return matrix
