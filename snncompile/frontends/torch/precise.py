"""Run a module in float64 throughout, also where its code asks for float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

NARROW = frozenset([torch.float32, torch.float16, torch.bfloat16])
NAMES = {"torch.FloatTensor": "torch.DoubleTensor", "torch.HalfTensor": "torch.DoubleTensor"}
CASTS = frozenset(["float", "half", "bfloat16"])


@contextmanager
def in_float64() -> Iterator[None]:
    """Make new tensors float64, and casts to a narrower type casts to float64.

    `(v > 1).float() * 0.3` would otherwise round 0.3 to float32 in a float64 module.
    """
    with float64_by_default(), _Widen():
        yield


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Make new tensors float64, unless the code that makes them asks for another type."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


class _Widen(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name in CASTS:
            return args[0].double()
        given = (*args, *kwargs.values())
        args = tuple(_widen(value) for value in args)
        result = func(*args, **{key: _widen(value) for key, value in kwargs.items()})
        if name == "double" or (name in ("to", "type") and torch.float64 in given):
            return result.clone() if result is args[0] else result  # a copy for float32 values
        return result


def _widen(value: Any) -> Any:
    if isinstance(value, torch.dtype) and value in NARROW:
        return torch.float64
    return NAMES.get(value, value) if isinstance(value, str) else value
