"""Numbers and tensors that a user gives, checked."""

from __future__ import annotations

from math import inf
from numbers import Integral
from typing import Any

from torch import Tensor

from snncompile.errors import InputError


def read_number(name: str, value: Any) -> float:
    """Return a number as a float.

    Raises:
        InputError: it is none.
    """
    try:
        if isinstance(value, str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        kind = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
        raise InputError(f"{name} must be a number, got {kind}") from None


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number above 0.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name} must be a whole number above 0, got {value!r}")


def read_threshold(value: Any) -> float:
    """Return a threshold as a float.

    Raises:
        InputError: it is not positive, or not finite.
    """
    threshold = read_number("threshold", value)
    if not 0 < threshold < inf:
        raise InputError(f"threshold must be positive, got {value}")
    return threshold


def check_floats(name: str, x: Any) -> None:
    """Refuse what is no tensor of floats.

    Raises:
        InputError: it is none.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"{name} is {kind}, expected a tensor of floats")
