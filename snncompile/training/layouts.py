"""Layouts of numbers over time: (samples, steps, n) in memory, or (steps, samples, n)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Array
from snncompile.training.kept_memory import take

NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.uint8: np.uint8}
LARGE = 1 << 17
"""Bytes from which the allocator of C may return memory to the system as soon as it is free."""


def lay_out(x: Tensor, *, repeats: bool = False) -> Tensor:
    """Return a tensor in one of the two layouts, or a copy in the first one.

    Args:
        x: shape (samples, steps, n).
        repeats: whether samples or steps may share their numbers.
    """
    if x.is_contiguous() or x.transpose(0, 1).is_contiguous():
        return x
    return x if repeats and x.stride(-1) == 1 else x.contiguous()


def make_like(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an array that is not filled, in the shape and layout of another one."""
    samples, steps, size = x.shape
    steps_first = not x.is_contiguous()
    count = x.numel() * dtype.itemsize
    if count < LARGE:
        strides = (size, samples * size, 1) if steps_first else (steps * size, size, 1)
        return torch.empty_strided(x.shape, strides, dtype=dtype)
    if steps_first:
        return torch.from_numpy(take((steps, samples, size), NUMPY[dtype])).transpose(0, 1)
    return torch.from_numpy(take((samples, steps, size), NUMPY[dtype]))


def flatten(x: Tensor) -> Array:
    """Return the memory of a tensor, from its first number to its last one."""
    if x.is_contiguous():
        return x.detach().numpy().reshape(-1)
    if x.transpose(0, 1).is_contiguous():
        return x.detach().numpy().swapaxes(0, 1).reshape(-1)
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((last + 1,), (1,)).numpy()
