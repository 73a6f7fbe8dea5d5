"""The fixed-point arithmetic of the chips in 32 bits, compiled.

Imported on first use only (`populations.py`): numba takes a moment to load. Every compiled function
releases the interpreter, so that threads share a batch. Operations are wrapped in `np.int32`
because numba otherwise widens every sum to 64 bits, which halves the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function

BLOCK = 1024
"""Neurons whose states and parameters are kept in the first-level cache."""
DRIVE_LIMIT = 1 << 18
"""Up to this accumulated input u and v stay within 32 bits: |u| <= 2^23 before and after."""


@compile_function
def cut_blocks(samples: int, size: int) -> Array:
    """Return (sample, first neuron, one past the last) of all blocks."""
    per_sample = (size + BLOCK - 1) // BLOCK
    bounds = np.empty((samples * per_sample, 3), np.int64)
    for i in range(len(bounds)):
        start = i % per_sample * BLOCK
        bounds[i, 0], bounds[i, 1], bounds[i, 2] = i // per_sample, start, min(start + BLOCK, size)
    return bounds


@compile_function
def shift_input(x: Any, at: tuple[int, int, int, int]) -> Any:
    """Return an accumulated input shifted to the left, then to the right."""
    return np.int32(np.int32(x << np.int32(at[2])) >> np.int32(at[3]))


@compile_function
def is_too_large(x: Any) -> Any:
    """Return 1 if an accumulated input is beyond the range of these functions, else 0."""
    return np.int32(x > DRIVE_LIMIT) | np.int32(x < -DRIVE_LIMIT)


@compile_function
def decay(x: Any, keep: Any) -> Any:
    """Return x * keep / 4096 toward zero, for |x| < 2^30 and 0 <= keep <= 4096, in 32 bits."""
    size = np.int32(abs(x))
    high = np.int32(np.int32(size >> 12) * keep)
    low = np.int32(np.int32(np.int32(size & np.int32(4095)) * keep) >> 12)
    kept = np.int32(high + low)
    return kept if x >= 0 else np.int32(-kept)


@compile_function
def wrap(u: Any) -> Any:
    """Return u after at most one overflow of a current; see `neurons/fixed.py`."""
    if u > 8388608:
        u = np.int32(u - 16777216)
    if u <= -8388608:
        u = np.int32(u + 16777216)
    return u


@compile_function
def update_current(u: Any, keep: Any, x: Any) -> Any:
    """Return wrap(decay(u) + (x << 6))."""
    return wrap(np.int32(decay(u, keep) + np.int32(x << 6)))


@compile_function
def saturate(v: Any) -> Any:
    """Return v limited to +-(2^23 - 1)."""
    return np.int32(min(max(v, np.int32(-8388607)), np.int32(8388607)))


@compile_function
def mark_charged(charged: Array, sample: int, step: int, first: int, v: Array) -> None:
    """Mark potentials that are not zero, if `charged` has samples."""
    if len(charged):
        row = charged[sample, step, first : first + len(v)]
        for i in range(len(v)):
            row[i] = v[i] != 0
