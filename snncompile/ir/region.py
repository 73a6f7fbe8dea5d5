"""Source neurons of a population, as coordinates per axis where possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Region:
    """Every combination of the coordinates of each axis, or neurons named one by one.

    Coordinates of an axis have one distance, as a convolution with a stride needs them.
    """

    shape: Shape
    """Axes of the population as the synapses see it; () where `members` names the neurons."""
    axes: tuple[range, ...]
    members: tuple[int, ...] = ()
    """Flattened neurons in rising order, where they are no such product."""

    @classmethod
    def from_size(cls, size: int) -> Region:
        """Return all neurons of a population."""
        return cls((size,), (range(size),))

    @classmethod
    def from_axes(cls, shape: Shape, coordinates: Sequence[NDArray[np.int64]]) -> Region:
        """Return every combination of rising coordinates, one list per axis."""
        axes = [_make_range(axis) for axis in coordinates]
        if None not in axes:
            return cls(shape, tuple(axis for axis in axes if axis is not None))
        grid = np.ravel_multi_index(np.ix_(*coordinates), shape)
        return cls((), (), tuple(grid.reshape(-1).tolist()))

    @classmethod
    def from_neurons(cls, neurons: NDArray[np.int64]) -> Region:
        """Return these flattened neurons, given in rising order, as a range where possible."""
        if len(neurons) and neurons[-1] - neurons[0] == len(neurons) - 1:
            return cls((0,), (range(int(neurons[0]), int(neurons[-1]) + 1),))
        return cls((), (), tuple(neurons.tolist()))

    def __str__(self) -> str:
        """`[0:4]`, `[0:16, 0:8, 1:9:2]` or `[0 3 7]`."""
        if not self.axes:
            return f"[{' '.join(map(str, self.members))}]"
        steps = (f":{axis.step}" if axis.step > 1 else "" for axis in self.axes)
        axes = (f"{a.start}:{a.stop}{step}" for a, step in zip(self.axes, steps, strict=True))
        return f"[{', '.join(axes)}]"

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(map(len, self.axes)) if self.axes else len(self.members)

    def neurons(self) -> NDArray[np.int64]:
        """Return the flattened neurons in rising order, shape (size,)."""
        if not self.axes:
            return np.array(self.members, np.int64)
        if len(self.axes) == 1:
            return np.array(self.axes[0], np.int64)
        grid = np.ix_(*(np.array(axis, np.int64) for axis in self.axes))
        return np.ravel_multi_index(grid, self.shape).reshape(-1)

    def cut(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values of these neurons, shape of the box, from those of all, (n,).

        Of a box it is a view.
        """
        if not self.axes:
            listed: NDArray[Any] = values[np.array(self.members, np.int64)]
            return listed
        box = values if len(self.axes) == 1 else values.reshape(self.shape)
        view: NDArray[Any] = box[tuple(slice(a.start, a.stop, a.step) for a in self.axes)]
        return view

    def count_in(self, counter: NDArray[Any], by: int = 1) -> None:
        """Add a number at these neurons of a counter of shape (n,)."""
        if self.axes:
            view = self.cut(counter)
            view += by
        else:
            counter[self.neurons()] += by


def _make_range(coordinates: NDArray[np.int64]) -> range | None:
    """Return rising coordinates as a range; None if they have more than one distance."""
    if len(coordinates) < 2:
        return range(int(coordinates[0]), int(coordinates[0]) + 1) if len(coordinates) else range(0)
    steps = np.diff(coordinates)
    if (steps != steps[0]).any():
        return None
    return range(int(coordinates[0]), int(coordinates[-1]) + 1, int(steps[0]))
