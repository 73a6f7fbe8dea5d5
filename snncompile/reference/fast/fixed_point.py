"""Functions compiled by numba, and the fixed-point arithmetic of the chips in 32 bits.

Imported on first use only (`compiled.py`): numba takes a moment to load. Every compiled function
lets go of the interpreter, so that threads share a batch. Operations are wrapped in `np.int32`
because numba widens every sum to 64 bits otherwise, which halves the speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

from snncompile.arrays import Array

F = TypeVar("F", bound=Callable[..., Any])

BLOCK = 1024
"""Neurons whose states and parameters are kept in the first-level cache."""
DRIVE_LIMIT = 1 << 18
"""Up to this accumulated input u and v stay within 32 bits: |u| <= 2^23 before and after."""


def compiled(function: F) -> F:
    """Compile a function; keep the code on disk where there is a folder for it."""
    machine_code: Any
    try:
        machine_code = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the code in: compile it once per process
        machine_code = njit(nogil=True)(function)
    result: F = machine_code
    return result


@compiled
def blocks(samples: int, size: int) -> Array:
    """Return (sample, first neuron, one past the last) of all blocks."""
    per_sample = (size + BLOCK - 1) // BLOCK
    found = np.empty((samples * per_sample, 3), np.int64)
    for i in range(len(found)):
        start = i % per_sample * BLOCK
        found[i, 0], found[i, 1], found[i, 2] = i // per_sample, start, min(start + BLOCK, size)
    return found


@compiled
def shifted(x: Any, at: tuple[int, int, int, int]) -> Any:
    """Return an accumulated input shifted to the left, then to the right."""
    return np.int32(np.int32(x << np.int32(at[2])) >> np.int32(at[3]))


@compiled
def too_large(x: Any) -> Any:
    """Return 1 if an accumulated input is beyond what these functions compute, else 0."""
    return np.int32(x > DRIVE_LIMIT) | np.int32(x < -DRIVE_LIMIT)


@compiled
def decayed(x: Any, keep: Any) -> Any:
    """Return x * keep / 4096 toward zero, for |x| < 2^30 and 0 <= keep <= 4096, in 32 bits."""
    size = np.int32(abs(x))
    high = np.int32(np.int32(size >> 12) * keep)
    low = np.int32(np.int32(np.int32(size & np.int32(4095)) * keep) >> 12)
    kept = np.int32(high + low)
    return kept if x >= 0 else np.int32(-kept)


@compiled
def wrap(u: Any) -> Any:
    """Return u after the one overflow of a current; see `neurons/fixed.py`."""
    if u > 8388608:
        u = np.int32(u - 16777216)
    if u <= -8388608:
        u = np.int32(u + 16777216)
    return u


@compiled
def current(u: Any, keep: Any, x: Any) -> Any:
    """Return wrap(decayed(u) + (x << 6))."""
    return wrap(np.int32(decayed(u, keep) + np.int32(x << 6)))


@compiled
def saturate(v: Any) -> Any:
    """Return v limited to +-(2^23 - 1)."""
    return np.int32(min(max(v, np.int32(-8388607)), np.int32(8388607)))


@compiled
def note(charged: Array, sample: int, step: int, first: int, v: Array) -> None:
    """Mark which of the potentials are not zero, where that is asked for."""
    if len(charged):
        row = charged[sample, step, first : first + len(v)]
        for i in range(len(v)):
            row[i] = v[i] != 0
