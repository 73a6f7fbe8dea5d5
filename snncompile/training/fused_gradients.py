"""Derivatives of leaky integrate-and-fire neurons, backward in time, compiled.

Arrays and names are those of `fused_kernels`. The gradient of the input takes the place of
`reached`, the only array of the forward pass that is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.training.fused_kernels import (
    HARD,
    KEPT_U,
    KEPT_V,
    PER_UNIT,
    SOFT,
    THRESHOLD,
    compile_kernel,
    write_into_callers,
)

GIVEN, FAST_SIGMOID, ARC_TANGENT = range(3)
"""Formulas of surrogates; GIVEN: none, but an array."""
U_PASSES, V_PASSES = 1, 2
"""Bits of `passes`."""
LONGEST_SUM = 64
"""Steps whose gradients of parameters are added up in the type of the input."""


@compile_kernel
def find_slope(x: Any, formula: int, constants: tuple[Any, ...]) -> Any:
    """Return the derivative of a surrogate, x being the excess; see `list_constants`."""
    unity, s, half, bend = constants
    if formula == FAST_SIGMOID:
        below = unity + s * abs(x)
        return unity / (below * below)
    bent = bend * x
    return half / (unity + bent * bent)


def list_constants(steepness: float) -> tuple[float, float, float, float]:
    """Return the constants of the formulas, in the order that `find_slope` reads.

    FAST_SIGMOID: 1 / (1 + s |x|)^2; ARC_TANGENT: (s / 2) / (1 + (pi s x / 2)^2).
    """
    return 1.0, steepness, steepness / 2, np.pi * steepness / 2


@compile_kernel
def list_starts(steps: int, stride: int) -> Array:
    """Return where each step begins.

    As products they would let LLVM ask once, before all steps, whether arrays overlap; its answer
    is yes where steps go from the last to the first, and neurons then go one by one.
    """
    starts = np.empty(steps, np.uint64)
    for t in range(steps):
        starts[t] = t * stride
    return starts


@compile_kernel
def return_spikes(
    gradient: Array,
    of_strides: tuple[int, ...],
    reached: Array,
    strides: tuple[int, ...],
    slope: Array,
    formula: int,
    constants: Array,
    passes: Array,
    p: Array,
    runs: Array,
    shape: tuple[int, ...],
    reset: int,
    sums: bool,
    of_parameters: Array,
) -> None:
    """Run the derivative of `run_floats`, or of the floats of `run_integers`, backward in time.

    Args:
        gradient: of the spikes.
        of_strides: of `gradient`.
        reached: from the forward pass; filled with the gradient of the input.
        strides: of reached, slope and passes.
        slope: derivative of a spike by the potential, from the surrogate; read without a formula.
        formula: GIVEN: by `slope`; else by `find_slope`.
        constants: of the formula.
        passes: from `run_integers`; empty: every gradient passes.
        p: parameters, shape (6, n), or (6, 1) if all neurons are one run.
        runs: from `list_runs`; nothing with `passes`.
        shape: samples, steps, n.
        reset: HARD, SOFT or NONE.
        sums: whether gradients of the parameters are needed.
        of_parameters: added to: of threshold, bias; shape (2, n), float64.
    """
    size = shape[2]
    of_u, of_v = np.zeros(size, reached.dtype), np.zeros(size, reached.dtype)
    of_threshold, of_bias = np.zeros(size, reached.dtype), np.zeros(size, reached.dtype)
    each = np.empty(size, reached.dtype)
    kept_u, kept_v, threshold, per_unit = p[KEPT_U], p[KEPT_V], p[THRESHOLD], p[PER_UNIT]
    starts, of_starts = list_starts(shape[1], strides[1]), list_starts(shape[1], of_strides[1])
    numbers = constants[0], constants[1], constants[2], constants[3]
    summed = 0
    for b in range(shape[0]):
        of_u[:] = 0
        of_v[:] = 0
        for t in range(shape[1] - 1, -1, -1):
            at = np.uint64(b * strides[0]) + starts[t]
            of_at = np.uint64(b * of_strides[0]) + of_starts[t]
            if len(passes):
                _stop_gradients(passes, at, np.uint64(size), of_u, of_v)
            if not len(runs):
                _find_slopes(reached, at, slope, formula, numbers, threshold, per_unit, each)
                _return_uneven(
                    gradient,
                    of_at,
                    reached,
                    at,
                    each,
                    kept_u,
                    kept_v,
                    threshold,
                    reset,
                    of_u,
                    of_v,
                    of_threshold,
                    of_bias,
                )
                continue
            for run in range(len(runs) - 1):
                first, last = runs[run], runs[run + 1]
                start, end = np.uint64(first), np.uint64(last)
                bound, unit, kept = p[THRESHOLD, first], p[PER_UNIT, first], p[KEPT_V, first]
                _find_even_slopes(
                    reached, at, start, end, slope, formula, numbers, bound, unit, each
                )
                if sums:
                    _return_even_sums(
                        gradient,
                        of_at,
                        reached,
                        at,
                        start,
                        end,
                        each,
                        kept,
                        bound,
                        reset,
                        of_v,
                        of_threshold,
                        of_bias,
                    )
                else:
                    _return_even(
                        gradient, of_at, reached, at, start, end, each, kept, bound, reset, of_v
                    )
        summed += shape[1]
        if sums and (summed >= LONGEST_SUM or b == shape[0] - 1):
            of_parameters[0] += of_threshold
            of_parameters[1] += of_bias
            of_threshold[:] = 0
            of_bias[:] = 0
            summed = 0


@compile_kernel
def _differentiate(
    v: Any, kept: Any, of_spike: Any, threshold: Any, each: Any, reset: int
) -> tuple[Any, Any]:
    """Return the gradient of a potential, and what is taken from that of the threshold.

    Choices in place of branches let all neurons go side by side.

    Args:
        v: potential before the spike.
        kept: gradient of the potential after it.
        of_spike: gradient of the spike.
        threshold: of the neuron.
        each: derivative of the spike by the potential.
        reset: HARD, SOFT or NONE.
    """
    zero = np.float32(0)
    fired = v > threshold
    taken = v if reset == HARD else (threshold if reset == SOFT else zero)
    through = (of_spike - kept * taken) * each
    potential = (zero if fired and reset == HARD else kept) + through
    return potential, through + (kept if fired and reset == SOFT else zero)


@write_into_callers
def _stop_gradients(passes: Array, at: Any, size: Any, of_u: Array, of_v: Array) -> None:
    """Set gradients of states that have left their width to 0."""
    for i in range(size):
        of_u[i] = of_u[i] if passes[at + i] & U_PASSES else np.float32(0)
        of_v[i] = of_v[i] if passes[at + i] & V_PASSES else np.float32(0)


@compile_kernel
def _find_even_slopes(
    reached: Array,
    at: Any,
    first: Any,
    last: Any,
    slope: Array,
    formula: int,
    constants: tuple[Any, ...],
    threshold: Any,
    per_unit: Any,
    each: Array,
) -> None:
    """Do as `_find_slopes` for neurons with the same parameters; `first` and `last` are unsigned.

    Without a choice in the loop, which would read with masks.
    """
    if formula == GIVEN:
        for i in range(first, last):
            each[i] = slope[at + i]
    else:
        for i in range(first, last):
            excess = (reached[at + i] - threshold) * per_unit
            each[i] = find_slope(excess, formula, constants) * per_unit


@compile_kernel
def _return_even(
    gradient: Array,
    of_at: Any,
    reached: Array,
    at: Any,
    first: Any,
    last: Any,
    each: Array,
    kept_v: Any,
    threshold: Any,
    reset: int,
    of_v: Array,
) -> None:
    """Go one step back in time; `first` and `last` are unsigned.

    A function of its own, as the others are: written into their caller they take longer.
    """
    for i in range(first, last):
        v, kept, of_spike = reached[at + i], of_v[i], gradient[of_at + i]
        potential = _differentiate(v, kept, of_spike, threshold, each[i], reset)[0]
        reached[at + i] = potential
        of_v[i] = potential * kept_v


@compile_kernel
def _return_even_sums(
    gradient: Array,
    of_at: Any,
    reached: Array,
    at: Any,
    first: Any,
    last: Any,
    each: Array,
    kept_v: Any,
    threshold: Any,
    reset: int,
    of_v: Array,
    of_threshold: Array,
    of_bias: Array,
) -> None:
    """Do as `_return_even`, and add up gradients of the parameters."""
    for i in range(first, last):
        v, kept, of_spike = reached[at + i], of_v[i], gradient[of_at + i]
        potential, lost = _differentiate(v, kept, of_spike, threshold, each[i], reset)
        of_threshold[i] -= lost
        of_bias[i] += potential
        reached[at + i] = potential
        of_v[i] = potential * kept_v


@compile_kernel
def _find_slopes(
    reached: Array,
    at: Any,
    slope: Array,
    formula: int,
    constants: tuple[Any, ...],
    threshold: Array,
    per_unit: Array,
    each: Array,
) -> None:
    """Fill `each` with the derivative of a spike by the potential, of one step."""
    for i in range(np.uint64(len(each))):
        if formula == GIVEN:
            each[i] = slope[at + i]
        else:
            excess = (reached[at + i] - threshold[i]) * per_unit[i]
            each[i] = find_slope(excess, formula, constants) * per_unit[i]


@compile_kernel
def _return_uneven(
    gradient: Array,
    of_at: Any,
    reached: Array,
    at: Any,
    each: Array,
    kept_u: Array,
    kept_v: Array,
    threshold: Array,
    reset: int,
    of_u: Array,
    of_v: Array,
    of_threshold: Array,
    of_bias: Array,
) -> None:
    """Go one step back in time.

    It makes no views: each counts its users, which takes longer than a short row.
    """
    for i in range(np.uint64(len(each))):
        v, kept = reached[at + i], of_v[i]
        potential, lost = _differentiate(v, kept, gradient[of_at + i], threshold[i], each[i], reset)
        of_threshold[i] -= lost
        of_bias[i] += potential
        current = potential + of_u[i]
        reached[at + i] = current
        of_u[i] = current * kept_u[i]
        of_v[i] = potential * kept_v[i]


@compile_kernel
def return_values(
    gradient: Array,
    of_strides: tuple[int, ...],
    of_drive: Array,
    strides: tuple[int, ...],
    passes: Array,
    p: Array,
    shape: tuple[int, ...],
    of_bias: Array,
) -> None:
    """Do as `return_spikes` where the output is the potential.

    Args:
        gradient, of_strides, passes, shape: see there.
        of_drive: filled with the gradient of the input.
        strides: of of_drive and passes.
        p: parameters, shape (6, n).
        of_bias: added to, shape (n,), float64.
    """
    size = np.uint64(shape[2])
    of_u, of_v = np.zeros(size, of_drive.dtype), np.zeros(size, of_drive.dtype)
    starts, of_starts = list_starts(shape[1], strides[1]), list_starts(shape[1], of_strides[1])
    for b in range(shape[0]):
        of_u[:] = 0
        of_v[:] = 0
        for t in range(shape[1] - 1, -1, -1):
            at = np.uint64(b * strides[0]) + starts[t]
            of_at = np.uint64(b * of_strides[0]) + of_starts[t]
            if len(passes):
                _stop_gradients(passes, at, size, of_u, of_v)
            for i in range(size):
                potential = gradient[of_at + i] + of_v[i]
                if len(passes):
                    potential = potential if passes[at + i] & V_PASSES else np.float32(0)
                current = potential + of_u[i]
                of_bias[i] += potential
                of_drive[at + i] = current
                of_u[i] = current * p[KEPT_U, i]
                of_v[i] = potential * p[KEPT_V, i]
