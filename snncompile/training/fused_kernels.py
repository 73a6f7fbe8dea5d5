"""Leaky integrate-and-fire neurons over many time steps, forward and backward, compiled.

Imported on first use only: numba takes a moment to load. Arrays over time are flat: neuron i of
sample b in step t is at

    b * strides[0] + t * strides[1] + i

and those of parameters have the shape (n,). `reached` is the potential before the spike, as the
float record computes it from the states of the step before; where it exceeds the threshold, the
backward pass takes the neuron to have fired.
Neurons with the same parameters, all of a layer or those of each channel, and without a current
that has a memory, take a loop of their own: it reads and writes half of what the other one does.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function

HARD, SOFT, NONE = range(3)
KEPT_U, KEPT_V, THRESHOLD, BIAS, INITIAL, PER_UNIT = range(6)
"""Rows of `p`: kept share of u, kept share of v, threshold, bias, initial potential, and 1 over the
excess that counts as 1 for the surrogate."""

compile_kernel = partial(compile_function, error_model="numpy")
write_into_callers = partial(compile_kernel, inline="always")


@compile_kernel
def run_floats(
    drive: Array,
    p: Array,
    runs: Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    reset: int,
    sends: bool,
    out: Array,
    reached: Array,
) -> None:
    """Run the float record.

    Args:
        drive: accumulated input.
        p: parameters, shape (6, n), or (6, 1) if all neurons are one run.
        runs: from `list_runs`.
        shape: samples, steps, n.
        strides: of drive, out and reached.
        reset: HARD, SOFT or NONE.
        sends: whether the output is spikes; else it is the potential.
        out: filled.
        reached: filled, if it is not empty.
    """
    size = shape[2]
    u, v = np.empty(size, drive.dtype), np.empty(size, drive.dtype)
    keeps = len(reached) > 0
    for b in range(shape[0]):
        u[:] = 0
        v[:] = p[INITIAL]
        for t in range(shape[1]):
            at = np.uint64(b * strides[0] + t * strides[1])
            if not len(runs):
                _step_uneven(drive, p, at, np.uint64(size), reset, sends, keeps, u, v, out, reached)
                continue
            for run in range(len(runs) - 1):
                first, last = runs[run], runs[run + 1]
                _step_even(
                    drive,
                    at,
                    np.uint64(first),
                    np.uint64(last),
                    p[KEPT_V, first],
                    p[THRESHOLD, first],
                    p[BIAS, first],
                    reset,
                    sends,
                    keeps,
                    v,
                    out,
                    reached,
                )


@compile_kernel
def list_runs(p: Array, size: int, narrow: int) -> Array:
    """Return where runs of neurons with the same parameters begin, and where the last one ends.

    Nothing if they are shorter than `narrow` on average, or if the current has a memory.
    """
    differs = np.zeros(size, np.bool_)
    for row in range(len(p)):
        for i in range(np.uint64(1), np.uint64(p.shape[1])):
            differs[i] |= p[row, i] != p[row, i - np.uint64(1)]
    starts = np.flatnonzero(differs)
    if (len(starts) + 1) * narrow > size or p[KEPT_U].any():
        return np.empty(0, np.int64)
    runs = np.zeros(len(starts) + 2, np.int64)
    runs[1:-1], runs[-1] = starts, size
    return runs


@write_into_callers
def _step_even(
    drive: Array,
    at: Any,
    first: Any,
    last: Any,
    kept: Any,
    threshold: Any,
    bias: Any,
    reset: int,
    sends: bool,
    keeps: bool,
    v: Array,
    out: Array,
    reached: Array,
) -> None:
    """Go one step forward; `first` and `last` are unsigned, so that none counts from the end."""
    for i in range(first, last):
        new = kept * v[i] + drive[at + i] + bias
        if keeps:
            reached[at + i] = new
        out[at + i], v[i] = fire(new, threshold, reset, sends)


@write_into_callers
def _step_uneven(
    drive: Array,
    p: Array,
    at: Any,
    size: Any,
    reset: int,
    sends: bool,
    keeps: bool,
    u: Array,
    v: Array,
    out: Array,
    reached: Array,
) -> None:
    for i in range(size):
        current = p[KEPT_U, i] * u[i] + drive[at + i]
        new = p[KEPT_V, i] * v[i] + current + p[BIAS, i]
        if keeps:
            reached[at + i] = new
        out[at + i], v[i] = fire(new, p[THRESHOLD, i], reset, sends)
        u[i] = current


@compile_kernel
def fire(potential: Any, threshold: Any, reset: int, sends: bool) -> Any:
    """Return output and next potential of a neuron; choices in place of branches let all neurons
    go side by side."""
    if not sends:
        return potential, potential
    spike = potential > threshold
    after = potential
    if reset == HARD:
        after = np.float32(0) if spike else potential
    elif reset == SOFT:
        after = potential - threshold if spike else potential
    return np.float32(1) if spike else np.float32(0), after
