"""Leaky integrate-and-fire neurons over many time steps, forward and backward, compiled.

Imported on first use only: numba takes a moment to load. Arrays over time have the shape (samples,
steps, n), those of parameters (n,). `reached` is the potential before the spike, as the float
record computes it from the states of the step before; where it exceeds the threshold, the backward
pass takes the neuron to have fired.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function

HARD, SOFT, NONE = range(3)
GIVEN, FAST_SIGMOID, ARC_TANGENT = range(3)
LIMIT = (1 << 23) - 1
FULL = 1 << 12
U_PASSES, V_PASSES = 1, 2
"""Bits of `passes`."""


@compile_function
def run_floats(
    drive: Array,
    p: Array,
    reset: int,
    sends: bool,
    out: Array,
    reached: Array,
) -> None:
    """Run the float record.

    Args:
        drive: accumulated input.
        p: kept share of u, kept share of v, threshold, bias, initial potential; shape (5, n).
        reset: HARD, SOFT or NONE.
        sends: whether the output is spikes; else it is the potential.
        out, reached: filled.
    """
    samples, steps, size = drive.shape
    u, v = np.empty(size, drive.dtype), np.empty(size, drive.dtype)
    for b in range(samples):
        u[:] = 0
        v[:] = p[4]
        for t in range(steps):
            for i in range(size):
                u[i] = p[0, i] * u[i] + drive[b, t, i]
                new = p[1, i] * v[i] + u[i] + p[3, i]
                spike = sends and new > p[2, i]
                reached[b, t, i] = new
                out[b, t, i] = spike if sends else new
                if spike and reset == HARD:
                    new = np.float32(0)
                elif spike and reset == SOFT:
                    new = new - p[2, i]
                v[i] = new


@compile_function
def run_integers(
    drive: Array,
    p: Array,
    q: Array,
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
        q: integers: current decay, potential decay, threshold * 2^6, bias, initial potential,
            whether there is a current to keep; shape (6, n), int64.
        reset: HARD, SOFT or NONE.
        sends: whether the output is spikes; else it is the potential.
        out, reached: filled.
        passes: filled with 1 where u, and 2 where v has not left its width.
    """
    samples, steps, size = drive.shape
    u, v = np.empty(size, np.int64), np.empty(size, np.int64)
    for b in range(samples):
        u[:] = 0
        v[:] = q[4]
        for t in range(steps):
            for i in range(size):
                x = np.int64(drive[b, t, i]) << 6
                smooth_u = p[0, i] * np.float32(u[i]) + np.float32(x)
                smooth = p[1, i] * np.float32(v[i]) + smooth_u + p[3, i]
                kept = u[i] * (FULL - q[0, i])
                new_u = ((kept + ((kept >> 63) & (FULL - 1))) >> 12) + x
                new_u -= (new_u > LIMIT + 1) * 2 * (LIMIT + 1)
                new_u += (new_u <= -LIMIT - 1) * 2 * (LIMIT + 1)
                kept = v[i] * (FULL - q[1, i])
                new = ((kept + ((kept >> 63) & (FULL - 1))) >> 12) + new_u + q[3, i]
                new = min(max(new, -LIMIT), LIMIT)
                spike = sends and new > q[2, i]
                reached[b, t, i] = smooth
                out[b, t, i] = spike if sends else new
                fired = sends and smooth > p[2, i]
                if spike and reset == HARD:
                    new = np.int64(0)
                elif spike and reset == SOFT:
                    new = new - q[2, i]
                if fired and reset == HARD:
                    smooth = np.float32(0)
                elif fired and reset == SOFT:
                    smooth = smooth - p[2, i]
                passes[b, t, i] = (abs(smooth_u) <= LIMIT) + V_PASSES * (abs(smooth) <= LIMIT)
                u[i], v[i] = new_u, new


@partial(compile_function, error_model="numpy")
def find_slope(x: Any, formula: int, constants: Array) -> Any:
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


@partial(compile_function, error_model="numpy")
def run_backward(
    gradient: Array,
    reached: Array,
    slope: Array,
    per_unit: Array,
    formula: int,
    constants: Array,
    passes: Array,
    p: Array,
    reset: int,
    sends: bool,
    of_drive: Array,
    of_parameters: Array,
) -> None:
    """Run the derivative of `run_floats`, or of the floats of `run_integers`, backward in time.

    Args:
        gradient: of the output.
        reached: from the forward pass.
        slope: derivative of a spike by the potential, from the surrogate; read without a formula.
        per_unit: 1 over the excess that counts as 1 for a formula, shape (n,).
        formula: GIVEN: by `slope`; else by `find_slope`.
        constants: of the formula.
        passes: from `run_integers`; empty: every gradient passes.
        p: as in `run_floats`.
        reset: HARD, SOFT or NONE.
        sends: whether the output is spikes; else it is the potential.
        of_drive: filled.
        of_parameters: added to: of threshold, bias; shape (2, n), float64.
    """
    samples, steps, size = gradient.shape
    of_u, of_v = np.empty(size, gradient.dtype), np.empty(size, gradient.dtype)
    of_threshold, of_bias = np.empty(size, gradient.dtype), np.empty(size, gradient.dtype)
    all_pass = np.full(size, U_PASSES | V_PASSES, np.uint8)
    for b in range(samples):
        of_u[:] = 0
        of_v[:] = 0
        of_threshold[:] = 0
        of_bias[:] = 0
        for t in range(steps - 1, -1, -1):
            if len(passes):
                _stop_gradients(passes[b, t], of_u, of_v)
            if sends:
                _return_spikes(
                    gradient[b, t],
                    reached[b, t],
                    slope[b, t],
                    per_unit,
                    formula,
                    constants,
                    p[0],
                    p[1],
                    p[2],
                    reset,
                    of_u,
                    of_v,
                    of_threshold,
                    of_bias,
                    of_drive[b, t],
                )
            else:
                shown = passes[b, t] if len(passes) else all_pass
                _return_values(
                    gradient[b, t], shown, p[0], p[1], of_u, of_v, of_bias, of_drive[b, t]
                )
        of_parameters[0] += of_threshold
        of_parameters[1] += of_bias


@partial(compile_function, error_model="numpy")
def _stop_gradients(passes: Array, of_u: Array, of_v: Array) -> None:
    """Set gradients of states that have left their width to 0."""
    for i in range(len(passes)):
        of_u[i] = of_u[i] if passes[i] & U_PASSES else np.float32(0)
        of_v[i] = of_v[i] if passes[i] & V_PASSES else np.float32(0)


@partial(compile_function, error_model="numpy")
def _return_spikes(
    gradient: Array,
    reached: Array,
    slope: Array,
    per_unit: Array,
    formula: int,
    constants: Array,
    kept_u: Array,
    kept_v: Array,
    threshold: Array,
    reset: int,
    of_u: Array,
    of_v: Array,
    of_threshold: Array,
    of_bias: Array,
    of_drive: Array,
) -> None:
    """Go one step back in time; choices in place of branches let all neurons go side by side."""
    none = np.float32(0)
    for i in range(len(gradient)):
        v, kept, of_spike = reached[i], of_v[i], gradient[i]
        fired, potential = v > threshold[i], kept
        if reset == HARD:
            potential = none if fired else kept
            of_spike = of_spike - kept * v
        elif reset == SOFT:
            of_spike = of_spike - kept * threshold[i]
            of_threshold[i] -= kept if fired else none
        if formula == GIVEN:
            each = slope[i]
        else:
            x = (v - threshold[i]) * per_unit[i]
            each = find_slope(x, formula, constants) * per_unit[i]
        through = of_spike * each
        potential = potential + through
        of_threshold[i] -= through
        of_bias[i] += potential
        current = potential + of_u[i]
        of_drive[i] = current
        of_u[i] = current * kept_u[i]
        of_v[i] = potential * kept_v[i]


@partial(compile_function, error_model="numpy")
def _return_values(
    gradient: Array,
    passes: Array,
    kept_u: Array,
    kept_v: Array,
    of_u: Array,
    of_v: Array,
    of_bias: Array,
    of_drive: Array,
) -> None:
    """Go one step back in time where the output is the potential."""
    for i in range(len(gradient)):
        potential = gradient[i] + of_v[i] if passes[i] & V_PASSES else np.float32(0)
        current = potential + of_u[i]
        of_bias[i] += potential
        of_drive[i] = current
        of_u[i] = current * kept_u[i]
        of_v[i] = potential * kept_v[i]
