"""Answer of a network: how its output over the time steps becomes one number per neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError

Kind = Literal["sum", "mean", "maximum", "last"]


@dataclass(frozen=True)
class Answer:
    """Readout over the time steps: the neuron with the largest number is the prediction.

    sum       of the output over all time steps
    mean      the same, divided by their number
    maximum   the largest output of any time step
    last      the output of the last time step
    """

    kind: Kind = "sum"
    steps: int | None = None
    """Time steps of every sample, where they are part of the network; None: any number."""

    def __post_init__(self) -> None:
        """Refuse an answer that makes no sense."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"no answer {self.kind!r}; known: {', '.join(get_args(Kind))}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"answer: steps must be 1 or more, got {self.steps}")

    def reduce(self, output: NDArray[Any]) -> NDArray[Any]:
        """Return the answer of an output of shape (samples, steps, ...): shape (samples, ...).

        Whole numbers stay whole but for the mean.
        """
        if self.kind == "last":
            return output[:, -1]
        if self.kind == "maximum":
            return np.asarray(output.max(axis=1))
        floats = output.dtype.kind == "f" or self.kind == "mean"
        total = output.sum(axis=1, dtype=np.float64 if floats else int)
        return np.asarray(total / output.shape[1] if self.kind == "mean" else total)

    def extend(self, before: NDArray[Any] | None, output: NDArray[Any]) -> NDArray[Any]:
        """Return what decides after more time steps; only its order within a sample has meaning.

        Args:
            before: the same after the time steps before; None at the start.
            output: of the next time steps, shape (samples, steps, ...).
        """
        kind = "sum" if self.kind == "mean" else self.kind
        now = Answer(kind).reduce(output)
        if before is None or kind == "last":
            return now
        return np.asarray(np.maximum(before, now) if kind == "maximum" else before + now)

    def check_steps(self, steps: int) -> None:
        """Refuse samples of another number of time steps than the network's.

        Raises:
            InputError: the number of time steps is part of the network, and another one.
        """
        if self.steps not in (None, steps):
            raise InputError(
                f"input has {steps} time steps, the network has {self.steps}: forward makes them"
                " itself, so their number is part of it; change it there and import again"
            )

    def __str__(self) -> str:
        """Text form: `mean`, `sum steps=20`."""
        return self.kind if self.steps is None else f"{self.kind} steps={self.steps}"


SUM = Answer()
"""The answer of a network that states none."""
