"""Numbers of torch layers: weights, biases, one value per axis."""

from __future__ import annotations

from math import floor, frexp, ldexp
from typing import Any

import numpy as np
from torch import Tensor

from snncompile.arrays import Floats

Shape = tuple[int, ...]


def to_floats(tensor: Tensor) -> Floats:
    """Return the values in float64."""
    return tensor.detach().cpu().double().numpy()


def read_bias(module: Any, size: int) -> Floats:
    """Return the bias of a layer, zeros if it has none."""
    return np.zeros(size) if module.bias is None else to_floats(module.bias)


def repeat_per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    """Return one value per axis, of one for all or one for each."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


def join_sizes(values: Shape) -> str:
    """Return `3x4` and so on."""
    return "x".join(map(str, values))


def round_share(divisor: int) -> float:
    """Return 1 / divisor, rounded down to 40 bits.

    Its sums are exact in any order and a full window gives at most 1, as in torch, which divides
    the sum. Nine times the nearest number to 1/9 may be more than 1, and than a threshold of 1.
    """
    mantissa, exponent = frexp(1 / divisor)
    return ldexp(floor(ldexp(mantissa, 40)), exponent - 40)
