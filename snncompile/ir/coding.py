"""Coding of values as the output of an input: done by the host, stored in the Program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.neurons.base import Interval

Kind = Literal["constant", "rate", "poisson", "phase", "analog", "biases"]


@dataclass(frozen=True)
class Coding:
    """Values to whole numbers per time step.

    With n = value / unit, limited to the payload, a line sends in its steps 0, 1, ...

        constant   the nearest whole number to n, in each of the first `shown` steps, like a bias
                   per sample in hardware
        rate       +-1 in |n| of the `shown` steps, as evenly as whole spikes allow
        poisson    +-1 with probability |n| in each of the `shown` steps
        phase      the binary digits of |n| * 2^shown, rounded, the largest first, with the sign

    and 0 in the steps that follow. With

        analog     the nearest whole number to n, where values have a time axis of their own
        biases     nothing: the host computes a bias per neuron from the image, see `HostLayer`

    a sample that is one image in every step has `shown` and `steps` of that many, others 1.
    """

    kind: Kind
    unit: float
    """Value of a payload of 1; with rate, poisson and phase the largest magnitude."""
    shown: int
    """Time steps in which a sample is shown."""
    steps: int
    """Time steps of a sample in all."""

    def __post_init__(self) -> None:
        """Refuse a coding that makes no sense."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"no input coding {self.kind!r}; known: {', '.join(get_args(Kind))}")
        if not (self.unit > 0 and 1 <= self.shown <= self.steps):
            raise ValueError(
                f"coding: unit {self.unit:g} must be positive, and shown {self.shown} between 1 and"
                f" steps {self.steps}"
            )

    def present(self, values: ArrayLike, payload: Interval, seed: int = 0) -> NDArray[np.int32]:
        """Return the output of the input, shape (samples, steps, *shape).

        Args:
            values: shape (samples, *shape); analog: any shape, which stays.
            payload: of the input.
            seed: of the random numbers of poisson.

        Raises:
            InputError: a value is no finite number.
        """
        array = np.asarray(values)
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise InputError("values to present must be finite numbers")
        if self.kind == "analog":
            return self.round(array, payload)
        if self.kind == "biases":
            raise InputError("the host makes biases of values, no messages")
        n = array.astype(np.float64) / self.unit
        x = np.zeros((len(n), self.steps, *n.shape[1:]), np.int32)
        lowest, highest = float(payload.low), float(payload.high)
        PRESENTERS[self.kind](np.clip(n, lowest, highest), x[:, : self.shown], seed)
        return x

    def round(self, values: NDArray[Any], payload: Interval) -> NDArray[np.int32]:
        """Return the nearest whole numbers to values / unit, within the payload."""
        n = np.rint(np.asarray(values, np.float64) / self.unit)
        return np.clip(n, float(payload.low), float(payload.high)).astype(np.int32)

    def __str__(self) -> str:
        """Text form: `constant unit=1 shown=32 steps=32`."""
        return f"{self.kind} unit={self.unit:g} shown={self.shown} steps={self.steps}"


def _present_constant(n: NDArray[Any], x: NDArray[Any], seed: int) -> None:
    x[:] = np.rint(n)[:, None]


def _present_rate(n: NDArray[Any], x: NDArray[Any], seed: int) -> None:
    sent = np.zeros_like(n)
    for step in range(x.shape[1]):
        total = np.floor(np.abs(n) * (step + 1) + 0.5)
        x[:, step] = (total - sent) * np.sign(n)
        sent = total


def _present_poisson(n: NDArray[Any], x: NDArray[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for step in range(x.shape[1]):
        x[:, step] = (rng.random(n.shape) < np.abs(n)) * np.sign(n)


def _present_phase(n: NDArray[Any], x: NDArray[Any], seed: int) -> None:
    digits = x.shape[1]
    number = np.clip(np.rint(np.abs(n) * 2.0**digits), 0, 2**digits - 1).astype(np.int64)
    for step in range(digits):
        x[:, step] = (number >> (digits - 1 - step) & 1) * np.sign(n)


PRESENTERS = {
    "constant": _present_constant,
    "rate": _present_rate,
    "poisson": _present_poisson,
    "phase": _present_phase,
}
"""One function per kind: (n, x to fill, seed)."""
