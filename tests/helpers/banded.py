"""A wiring as another package would write it: no more than it has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile import registry
from snncompile.synapses.base import Wiring, freeze


@dataclass(frozen=True, eq=False)
class Banded(Wiring):
    """Each target sees `width` sources in a row, from `first` on; even and odd ones share weights.

    Weights have the shape (2, width).
    """

    size: int
    width: int
    first: NDArray[np.int64]
    """First source of each target, shape (targets,)."""

    kind: ClassVar[str] = "banded"

    def __post_init__(self) -> None:
        """Copy and freeze the array."""
        object.__setattr__(self, "first", freeze(self.first, np.int64))

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return self.size

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return len(self.first)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(2, width)."""
        return (2, self.width)

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights of even and odd targets in turn."""
        columns = self.first[:, None] + np.arange(self.width)
        values = weight[np.arange(self.targets) % 2]
        ends = np.arange(self.targets + 1) * self.width
        return csr_array(
            (values.ravel(), columns.ravel(), ends), shape=(self.targets, self.sources)
        )


def banded(targets: int, sources: int, width: int, seed: int = 0) -> Banded:
    """Return one whose bands begin at random."""
    rng = np.random.default_rng(seed)
    return Banded(sources, width, rng.integers(0, sources - width + 1, targets))


def install(monkeypatch) -> None:
    """Let the registry find the wiring as that of an installed package."""
    point = EntryPoint("banded", "banded:Banded", "snncompile.wirings")
    points = registry.entry_points

    def with_ours(*, group: str):
        return [*points(group=group), *([point] if group == point.group else [])]

    monkeypatch.setattr(registry, "entry_points", with_ours)


def unroll_weights(synapses):
    """Return the weights of synapses as a matrix, shape (target, source)."""
    return synapses.wiring.matrix(synapses.weight).toarray()
