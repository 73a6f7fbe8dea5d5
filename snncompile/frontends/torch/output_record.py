"""What a layer of a module gave in a run, kept small: bits where it is 0 or 1, as spikes are."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.frontends.torch.build_network import Origin


class _Kept(NamedTuple):
    """Values, shortened."""

    values: NDArray[np.uint8] | Tensor
    """Bits of an array, eight per byte; or the values in the smallest type that holds them."""
    shape: tuple[int, ...]

    def restore(self) -> Tensor:
        """Return the values in float64."""
        if isinstance(self.values, Tensor):
            return self.values.double()
        bits = np.unpackbits(self.values, count=prod(self.shape))
        return torch.from_numpy(bits).reshape(self.shape).double()


def _shorten(values: Tensor) -> _Kept:
    """Return a copy of values that has the same numbers."""
    shape = tuple(values.shape)
    if bool(((values == 0) | (values == 1)).all()):
        return _Kept(np.packbits(values.bool().numpy()), shape)
    small = values.to(torch.int8)
    if torch.equal(small.to(values.dtype), values):
        return _Kept(small, shape)
    return _Kept(values.clone(), shape)


class OutputRecord:
    """The outputs of one layer in one run, shape (samples, steps, size), read range by range."""

    def __init__(
        self, origin: Origin, samples: int, steps: int, neurons: Tensor | None = None
    ) -> None:
        """Make an empty record.

        Args:
            origin: the layer, which says what is compared.
            samples: of the run.
            steps: of the run.
            neurons: indices of the neurons that are kept; None: all.
        """
        self.rows = origin.compared if origin.compared in ("steps", "samples") else None
        """Order of rows, for the results of a linear layer, which are not cut into steps."""
        self.samples, self.steps, self.neurons = samples, steps, neurons
        self.size = 0
        """Outputs kept per sample and time step."""
        self._kept: list[_Kept] = []

    @property
    def bytes(self) -> int:
        """Memory of the values kept."""
        return sum(int(kept.values.nbytes) for kept in self._kept)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Samples, time steps and outputs kept of each."""
        return self.samples, self.steps, self.size

    def append(self, output: Tensor) -> None:
        """Add the output of the next time step, (samples, ...), or the next rows of results."""
        flat = (
            output.reshape(-1, output.shape[-1]) if self.rows else output.reshape(self.samples, -1)
        )
        if self.neurons is not None:
            flat = flat[:, self.neurons]
        self.size = flat.shape[1]
        self._kept.append(_shorten(flat))

    def read(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the outputs of a range of time steps in float64, shape (samples, range, size)."""
        stop = self.steps if stop is None else stop
        if self.rows:
            rows = torch.cat([kept.restore() for kept in self._kept])
            if self.rows == "samples":
                return rows.reshape(self.samples, self.steps, -1)[:, start:stop]
            return rows.reshape(self.steps, self.samples, -1).transpose(0, 1)[:, start:stop]
        late = self.steps - len(self._kept)  # code that shows its spikes later than it could
        silent = torch.zeros(self._kept[0].shape, dtype=torch.float64)
        steps = range(start, stop)
        return torch.stack(
            [silent if t < late else self._kept[t - late].restore() for t in steps], 1
        )

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the values, piece by piece, in no order that matters."""
        return (kept.restore() for kept in self._kept)

    def find_largest(self) -> float:
        """Return the largest magnitude of an output."""
        return max((float(values.abs().max()) for values in self), default=0.0)
