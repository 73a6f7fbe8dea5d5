"""Layouts of numbers over time: (samples, steps, n) in memory, or (steps, samples, n)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Array

LARGE = 4 << 20
"""Bytes from which numpy asks the system for large pages, where torch does not. A page that is
touched for the first time costs more than the numbers that are written to it."""
ALIGNED = 64
"""Bytes at a multiple of which torch's arrays begin."""


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
    room = np.empty(count + ALIGNED, np.uint8)
    first = -room.ctypes.data % ALIGNED
    kind = torch.empty(0, dtype=dtype).numpy().dtype
    array = room[first : first + count].view(kind)
    if steps_first:
        return torch.from_numpy(array.reshape(steps, samples, size).swapaxes(0, 1))
    return torch.from_numpy(array.reshape(samples, steps, size))


def flatten(x: Tensor) -> Array:
    """Return the memory of a tensor, from its first number to its last one."""
    array = x.detach().numpy()
    for view in (array, array.swapaxes(0, 1)):
        if view.flags.c_contiguous:
            return view.reshape(-1)
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((last + 1,), (1,)).numpy()
