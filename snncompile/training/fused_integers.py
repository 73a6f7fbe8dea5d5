"""Integer leaky integrate-and-fire neurons over many time steps, with their float record, compiled.

Arrays and names are those of `fused_kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.training.fused_gradients import U_PASSES, V_PASSES
from snncompile.training.fused_kernels import (
    BIAS,
    KEPT_U,
    KEPT_V,
    THRESHOLD,
    compile_kernel,
    fire,
)

LIMIT = (1 << 23) - 1
INITIAL_INTEGER = 4
"""Row of `q`."""
MOST_STEPS = 1 << 11
"""Time steps in which whole numbers in float64 are exact."""


@compile_kernel
def run_integers(
    drive: Array,
    p: Array,
    q: Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    reset: int,
    sends: bool,
    out: Array,
    reached: Array,
    passes: Array,
) -> None:
    """Run the integer record, bit for bit, and the float record beside it, step by step.

    Args:
        drive: accumulated weights, whole numbers.
        p: parameters of the float record, as in `run_floats`.
        q: integers: shares of u and v that are kept, in 1/4096, threshold * 2^6, bias and initial
            potential; shape (5, n), int64.
        shape: samples, steps, n.
        strides: of all arrays over time.
        reset: HARD, SOFT or NONE.
        sends: whether the output is spikes; else it is the potential.
        out: filled.
        reached: filled, if it is not empty.
        passes: filled as well, with 1 where u, and 2 where v has not left its width.
    """
    size = np.uint64(shape[2])
    floats, integers = (p[KEPT_U], p[KEPT_V], p[THRESHOLD], p[BIAS]), (q[0], q[1], q[2], q[3])
    u, v = np.empty(size, np.int64), np.empty(size, np.int64)
    for b in range(shape[0]):
        u[:] = 0
        v[:] = q[INITIAL_INTEGER]
        for t in range(shape[1]):
            at = np.uint64(b * strides[0] + t * strides[1])
            if len(reached):
                _step_floats(drive, *floats, at, size, reset, sends, u, v, reached, passes)
            _step_integers(drive, *integers, at, size, reset, sends, u, v, out)


@compile_kernel
def run_whole_floats(
    drive: Array,
    p: Array,
    q: Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    reset: int,
    sends: bool,
    out: Array,
    reached: Array,
    passes: Array,
) -> None:
    """Do as `run_integers` in float64, of which processors have more operations side by side.

    Exact for a drive of at most 2^24 in `MOST_STEPS` steps: u then stays below 2^41, and its
    product with a share below 2^53.

    Args:
        drive, p, shape, strides, reset, sends, out, reached, passes: see there.
        q: its integers in float64.
    """
    size = np.uint64(shape[2])
    floats, integers = (p[KEPT_U], p[KEPT_V], p[THRESHOLD], p[BIAS]), (q[0], q[1], q[2], q[3])
    u, v = np.empty(size, np.float64), np.empty(size, np.float64)
    for b in range(shape[0]):
        u[:] = 0
        v[:] = q[INITIAL_INTEGER]
        for t in range(shape[1]):
            at = np.uint64(b * strides[0] + t * strides[1])
            if len(reached):
                _step_floats(drive, *floats, at, size, reset, sends, u, v, reached, passes)
            _step_whole_floats(drive, *integers, at, size, reset, sends, u, v, out)


@compile_kernel
def _step_whole_floats(
    drive: Array,
    kept_u: Array,
    kept_v: Array,
    threshold: Array,
    bias: Array,
    at: Any,
    size: Any,
    reset: int,
    sends: bool,
    u: Array,
    v: Array,
    out: Array,
) -> None:
    """Do as `_step_integers`; no zero has a sign, as a bias of zero has none."""
    limit, share = np.float64(LIMIT), 1 / np.float64(4096)
    for i in range(size):
        current = np.trunc(u[i] * kept_u[i] * share) + np.float64(drive[at + i]) * 64.0
        current -= 2 * (limit + 1) if current > limit + 1 else 0.0
        current += 2 * (limit + 1) if current <= -limit - 1 else 0.0
        new = np.trunc(v[i] * kept_v[i] * share) + current + bias[i]
        new = limit if new > limit else new
        new = -limit if new < -limit else new
        out[at + i], left = fire(new, threshold[i], reset, sends)
        u[i] = current
        v[i] = left


@compile_kernel
def _step_integers(
    drive: Array,
    kept_u: Array,
    kept_v: Array,
    threshold: Array,
    bias: Array,
    at: Any,
    size: Any,
    reset: int,
    sends: bool,
    u: Array,
    v: Array,
    out: Array,
) -> None:
    """Go one step forward; choices in place of branches let all neurons go side by side."""
    for i in range(size):
        current = _divide_by_4096(u[i] * kept_u[i]) + (np.int64(drive[at + i]) << 6)
        current -= 2 * (LIMIT + 1) if current > LIMIT + 1 else 0
        current += 2 * (LIMIT + 1) if current <= -LIMIT - 1 else 0
        new = _divide_by_4096(v[i] * kept_v[i]) + current + bias[i]
        new = min(max(new, -LIMIT), LIMIT)
        out[at + i], left = fire(new, threshold[i], reset, sends)
        u[i] = current
        v[i] = left


@compile_kernel
def _divide_by_4096(product: int) -> int:
    """Return a quotient, rounded towards 0."""
    return (product + ((product >> 63) & 4095)) >> 12


@compile_kernel
def _step_floats(
    drive: Array,
    kept_u: Array,
    kept_v: Array,
    threshold: Array,
    bias: Array,
    at: Any,
    size: Any,
    reset: int,
    sends: bool,
    u: Array,
    v: Array,
    reached: Array,
    passes: Array,
) -> None:
    """Go one step forward from the integer states; they stay."""
    limit, unit = np.float32(LIMIT), np.float32(64)
    for i in range(size):
        current = kept_u[i] * np.float32(u[i]) + np.float32(drive[at + i]) * unit
        new = kept_v[i] * np.float32(v[i]) + current + bias[i]
        reached[at + i] = new
        left = fire(new, threshold[i], reset, sends)[1]
        passes[at + i] = (U_PASSES if abs(current) <= limit else 0) | (
            V_PASSES if abs(left) <= limit else 0
        )
