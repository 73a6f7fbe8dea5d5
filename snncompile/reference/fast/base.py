"""What every way to compute a projection offers, and the memory it works in."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from snncompile.arrays import Array


def kernels() -> Any:
    """Return the module of kernels, loaded on first use."""
    return importlib.import_module("snncompile.reference.fast.synapse_kernels")


class Way(Protocol):
    """One way to compute a projection."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""


@dataclass(frozen=True, eq=False)
class Ways:
    """A projection with its ways."""

    product: Way
    """For any spikes."""
    events: Way | None
    """For few of them; None if there is none."""
    below: float
    """Share of spikes below which events are faster."""
    shift: int
    """Bits by which sums are shifted left; to the right if negative."""
    row_bytes: int
    """Memory that one row takes while it is computed."""

    def choose(self, train: Array, steps: Array | None = None) -> Way:
        """Return the faster way for what the source sends; a part of it is looked at.

        Args:
            train: shape (samples, steps, source), or of rows (rows, source).
            steps: those that will be computed, shape (steps,), bool; None for all.
        """
        some = train[:: 1 + len(train) // 32]
        if steps is not None and not steps.all():
            some = some[:, steps]
        if self.events and np.count_nonzero(some) < self.below * some.size:
            return self.events
        return self.product


class Scratch(threading.local):
    """Memory that a thread uses again and again."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def take(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of any content."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if use not in self._held or self._held[use].size < size:
            self._held[use] = np.empty(size, np.uint8)
        array: Array = self._held[use][:size].view(dtype).reshape(shape)
        return array
