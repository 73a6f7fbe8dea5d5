"""What a report is asked to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.ir.input import read_array

SAMPLES = 32
"""Samples that are run where the caller does not say."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a report is asked to show."""

    x: NDArray[Any] | None = None
    """Input, shape (samples, steps, *input.shape)."""
    label: NDArray[np.int64] | None = None
    """Class of each sample."""
    available: int = 0
    """Samples of the input, of which `x` are the first."""
    costs: str | None = None
    timing: str = "fast"
    lava: bool = False
    """Whether to run Lava, too."""
    seconds: float = 60.0
    """Time for trying changes; 0: none are tried."""
    host: Any = None

    @property
    def shown(self) -> NDArray[Any]:
        """The input, where there is one."""
        assert self.x is not None
        return self.x

    @classmethod
    def of(
        cls,
        x: ArrayLike | None,
        label: ArrayLike | None = None,
        samples: int | None = SAMPLES,
        **more: Any,
    ) -> Request:
        """Return the request for the first samples of an input.

        Raises:
            InputError: there is not one label per sample.
        """
        if x is None:
            return cls(**more)
        whole = read_array(x)
        labels = None if label is None else np.asarray(label)
        if labels is not None and labels.shape != (len(whole),):
            raise InputError(f"label has shape {labels.shape}, expected ({len(whole)},)")
        cut = None if labels is None else labels[:samples]
        return cls(whole[:samples], cut, len(whole), **more)
