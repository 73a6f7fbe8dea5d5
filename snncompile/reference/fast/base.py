"""Interface of the ways to compute a projection, and their working memory."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from snncompile.arrays import Array


def load_kernels() -> Any:
    """Return the module of kernels, loaded on first use."""
    return importlib.import_module("snncompile.reference.fast.synapse_kernels")


class Way(Protocol):
    """One way to compute a projection."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""


@dataclass(frozen=True, eq=False)
class Ways:
    """The ways to compute one projection."""

    product: Way
    """Way for any spikes."""
    events: Way | None
    """Way for few spikes; None if there is none."""
    below: float
    """Share of spikes below which events are faster."""
    shift: int
    """Bits by which sums are shifted left; to the right if negative."""
    row_bytes: int
    """Memory that one row takes while it is computed."""

    def choose(self, train: Array, steps: Array | None = None) -> Way:
        """Return the faster way for a source's spikes, judged by a sample of them.

        Args:
            train: shape (samples, steps, source), or of rows (rows, source).
            steps: whether each time step will be computed, shape (steps,), bool; None for all.
        """
        sampled = train[:: 1 + len(train) // 32]
        if steps is not None and not steps.all():
            sampled = sampled[:, steps]
        if self.events and np.count_nonzero(sampled) < self.below * sampled.size:
            return self.events
        return self.product


class Scratch(threading.local):
    """Memory that a thread reuses."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def take(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of any content."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if use not in self._held or self._held[use].size < size:
            self._held[use] = np.empty(size, np.uint8)
        array: Array = self._held[use][:size].view(dtype).reshape(shape)
        return array
