"""The input of a network: its lines, what they can carry, and how values become that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.ir.coding import Coding
from snncompile.ir.host import HostLayer
from snncompile.ir.host_part import HostPart
from snncompile.neurons.base import BINARY, Interval

Shape = tuple[int, ...]
Kind = Literal["spikes", "counts", "polarity", "analog"]
"""spikes: 0 and 1. counts: whole numbers, such as events of a pixel in a time step. polarity: -1, 0
and 1. analog: any numbers, rounded to whole multiples of a unit."""
LARGEST_PAYLOAD = 2**23 - 1
"""Sums of graded spikes stay exact: 2^23 * 2^8 of a weight * 2^20 sources are below 2^53."""


@dataclass(frozen=True)
class Input:
    """Source of the spikes. Named like a population, so a projection can start at it."""

    name: str
    shape: Shape
    payload: Interval = BINARY
    """Lowest and highest whole number a line can carry in an integer network; 0 is among them."""
    coding: Coding | None = None
    """Coding of values as the output of the lines; None where the values are whole numbers that
    the lines carry as they are."""
    host: tuple[HostLayer, ...] = ()
    """Layers that the host computes of an image; then the lines send nothing."""
    host_part: HostPart | None = None
    """Layers of the model that stay in torch; None where there are none."""

    @property
    def size(self) -> int:
        """Number of input lines."""
        return prod(self.shape)

    @property
    def analog(self) -> bool:
        """Whether x holds any numbers, of which an integer network rounds each to a message."""
        return self.coding is not None and self.coding.kind == "analog"

    @property
    def takes_reals(self) -> bool:
        """Whether x holds any numbers."""
        return self.analog or bool(self.host)

    def find_host(self, name: str) -> HostLayer | None:
        """Return the layer that the host computes for a population, if it does."""
        return next((layer for layer in self.host if layer.target == name), None)

    @property
    def unit(self) -> float:
        """Value of x for which a line of an integer network sends a 1."""
        return self.coding.unit if self.coding is not None and self.analog else 1.0

    def present(self, values: ArrayLike, seed: int = 0) -> NDArray[Any]:
        """Return values as `run`, `compile` and all others take them, (samples, steps, *shape).

        Values that have a time axis already (spikes, counts, polarity, analog) are checked;
        whole numbers are returned as they are, analog values rounded as the chip gets them. Images
        of a coding, shape (samples, *shape), are repeated or encoded for all its steps.

        Args:
            values: shape (samples, steps, *shape), or (samples, *shape) where there is a coding.
            seed: of the random numbers of poisson.

        Raises:
            InputError: the values have another shape or type, or are out of range.
        """
        array = read_array(values)
        if self.coding is None or self.takes_reals:
            return self._present_frames(array)
        if array.shape[1:] != self.shape or array.ndim < 2:
            raise InputError(f"values have shape {array.shape}, expected {self._name_shape()}")
        return self.coding.present(array, self.payload, seed)

    def _present_frames(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.coding is not None and self.coding.steps > 1 and array.shape[1:] == self.shape:
            array = np.repeat(array[:, None], self.coding.steps, axis=1)
        if array.shape[2:] != self.shape or array.ndim < 3 or 0 in array.shape:
            expected = self._name_shape("steps")
            raise InputError(f"values have shape {array.shape}, expected {expected}")
        if array.dtype.kind not in "biuf":
            raise InputError(f"values have dtype {array.dtype}, expected numbers")
        self.check(array)
        if self.host:
            return np.asarray(array, np.float64)
        sent = self.send(array)
        return sent * self.unit if self.analog else sent

    def _name_shape(self, *axes: str) -> str:
        return f"({', '.join(['samples', *axes, *map(str, self.shape)])})"

    def send(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the whole numbers that the lines of an integer network send for x.

        Args:
            x: checked, any shape: whole numbers within the payload, or analog values.
        """
        if self.host:
            return np.zeros(x.shape, np.uint8)
        if self.coding is not None and self.analog:
            return self.coding.round(x, self.payload)
        return np.asarray(x, np.uint8 if self.payload == BINARY else np.int32)

    def check(self, array: NDArray[Any]) -> None:
        """Refuse values that the lines of an integer network cannot send.

        Args:
            array: numbers, shape (samples, ...).

        Raises:
            InputError: not finite, not whole, or out of range.
        """
        samples = array.reshape(1) if array.ndim == 0 else array
        if array.dtype.kind == "f" and not all(np.isfinite(s).all() for s in samples):
            raise InputError("input holds values that are not finite")
        if array.dtype.kind == "b" or not array.size:
            return
        if self.host:
            self._check_images(array)
            return
        low, high = array.min(), array.max()
        margin = 0.5 if self.analog else 0.0  # values that are rounded into the range
        inside = self.payload.low - margin <= low / self.unit
        inside = inside and high / self.unit <= self.payload.high + margin
        whole = self.analog or array.dtype.kind != "f" or all(map(is_whole, samples))
        if not (inside and whole):
            given = f"input holds values from {low:g} to {high:g}"
            raise InputError(f"{given}, expected {self._explain(array, float(low), float(high))}")

    def _check_images(self, array: NDArray[Any]) -> None:
        if array.shape[2:] == self.shape and not (array == array[:, :1]).all():
            raise InputError(
                "input changes from step to step, expected one image in every step: the host writes"
                " its biases once per sample"
            )

    def _explain(self, array: NDArray[Any], low: float, high: float) -> str:
        """Return what the lines take and how to get there."""
        lowest, highest = (float(end) * self.unit for end in self.payload)
        wider = f"input_range=({_write(min(low, lowest))}, {_write(max(high, highest))})"
        if self.analog:
            return f"{lowest:g} to {highest:g}; import the network with {wider}, or clip the values"
        numbers = f"whole numbers from {self.payload.low} to {self.payload.high}"
        if self.payload == BINARY:
            numbers = "spikes: 0 or 1"
        if self.coding is not None:
            return f"{numbers}; input.present makes them of values (snncompile present)"
        kind = find_kind(array)
        if self.payload != BINARY and kind != "analog":
            return f"{numbers}; import the network with {wider}"
        return f'{numbers}; a network for such values is imported with input="{kind}"'


def _write(end: float) -> str:
    """Return the end of a range in few digits, not nearer to 0 than it is."""
    text = f"{end:g}"
    return text if abs(float(text)) >= abs(end) else f"{end * (1 + 1e-5):g}"


def find_kind(array: NDArray[Any]) -> Kind:
    """Return the narrowest kind of input that values are, shape (samples, ...)."""
    if array.dtype.kind == "b" or not array.size:
        return "spikes"
    if not all(map(is_whole, array)):
        return "analog"
    low, high = array.min(), array.max()
    if low >= 0 and high <= 1:
        return "spikes"
    if low >= -1 and high <= 1:
        return "polarity"
    return "counts" if max(-float(low), float(high)) <= LARGEST_PAYLOAD else "analog"


def is_whole(array: NDArray[Any]) -> bool:
    """Whether all values are whole numbers."""
    return array.dtype.kind != "f" or bool((array == np.rint(array)).all())


def read_array(x: Any) -> NDArray[Any]:
    """Return x as an array; a tensor without its gradients, from any device.

    Raises:
        InputError: x is no array, such as lists of different lengths.
    """
    if hasattr(x, "detach"):
        tensor = x.detach().cpu()
        x = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
    elif isinstance(x, list | tuple) and any(hasattr(inner, "detach") for inner in x):
        x = [read_array(inner) for inner in x]
    try:
        return np.asarray(x)
    except ValueError:  # lists of different lengths
        raise InputError("input is not an array of numbers") from None


def measure_rounding(source: Input, x: NDArray[Any]) -> Iterator[tuple[float, float]]:
    """Yield (mean change by rounding, standard deviation) of each sample of analog values."""
    for sample in x:
        values = np.asarray(sample, np.float64)
        yield float(np.abs(source.send(values) * source.unit - values).mean()), float(values.std())
