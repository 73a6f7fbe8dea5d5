"""Arrays that a study names, looked at before the first trial."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.files.npz import read_npz
from snncompile.files.spikes import OTHER_NAMES, read_label

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Taken:
    """What a model takes."""

    shape: tuple[int, ...]
    """Of one sample of the input."""
    is_ann: bool
    values: bool
    """Whether it takes values, beside spikes: an ANN, or a network with a coding."""
    outputs: int
    """Answers that it chooses from."""

    def check_data(
        self,
        path: Path,
        wanted: Set[str],
        rungs: Sequence[int] = (),
        samples: int | None = None,
    ) -> None:
        """Refuse data that the model cannot be measured with.

        Args:
            path: npz with x and, for the accuracy, labels.
            wanted: quantities that are measured.
            rungs: numbers of samples on which trials may be stopped.
            samples: that are run; None: all.

        Raises:
            InputError: it cannot be read, lacks an array or samples, has an array of another
                shape, or a label that is no output.
        """
        arrays = self.check_shown(path)
        count = len(arrays["x"])
        if samples is not None and samples > count:
            raise InputError(f"{path}: has {count} samples, the study asks for {samples}")
        if rungs and rungs[-1] >= count:
            raise InputError(f"{path}: has {count} samples; search.rungs must stay below that")
        label = read_label(path, arrays, count)
        if label is not None:
            self._check_label(path, label)
        elif "accuracy" in wanted:
            other = next((name for name in OTHER_NAMES if name in arrays), None)
            unread = f"; {other} is not read" if other else ""
            raise InputError(
                f"{path}: has no labels (label or y), which accuracy needs{unread}; agreement needs"
                " none"
            )
        if "agreement" in wanted and self.is_ann and arrays["x"].shape[1:] != self.shape:
            raise InputError(
                f"{path}: x holds spikes, of shape {arrays['x'].shape}; the agreement with an ann"
                f" needs values, ({_list_axes('samples', *self.shape)})"
            )

    def _check_label(self, path: Path, label: NDArray[np.int64]) -> None:
        outside = np.flatnonzero((label < 0) | (label >= self.outputs))
        if len(outside):
            raise InputError(
                f"{path}: label {label[outside[0]]} of sample {outside[0]} is none of the outputs, "
                f"0..{self.outputs - 1}"
            )

    def check_shown(self, path: Path) -> Arrays:
        """Return the arrays of a file with an x that the model can be shown.

        Raises:
            InputError: it cannot be read, has no x or no samples, or one of another shape.
        """
        arrays = read_npz(path)
        x = arrays.get("x")
        if x is None:
            raise InputError(f"{path}: has no array x; it has {', '.join(arrays) or 'nothing'}")
        is_spikes = x.ndim > 1 and x.shape[2:] == self.shape
        if not is_spikes and not (self.values and x.shape[1:] == self.shape):
            values = f"({_list_axes('samples', *self.shape)}) values or " if self.values else ""
            raise InputError(
                f"{path}: x has shape {x.shape}, the network takes {values}"
                f"({_list_axes('samples', 'steps', *self.shape)}) spikes"
            )
        if not len(x):
            raise InputError(f"{path}: has no samples")
        return arrays


def _list_axes(*axes: object) -> str:
    return ", ".join(map(str, axes))
