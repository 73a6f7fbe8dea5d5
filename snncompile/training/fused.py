"""Neurons over all time steps in one function, forward and backward, where there is a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snncompile.arrays import Array
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, shift_bias
from snncompile.reference.fast.populations import share
from snncompile.training.layouts import NUMPY, flatten, lay_out, make_like
from snncompile.training.surrogate import Surrogate, find_formula

RESETS = {"hard": 0, "soft": 1, "none": 2}
"""Resets of the kernels, by their numbers there."""
NEURONS = ("cuba_lif", "integrate_fire", "readout")
"""Neurons that have a kernel; decays are parameters of their records, or 1 and 0."""
LEAST = 1 << 17
"""Numbers over time for which a thread of its own takes less time."""
NO_THRESHOLD = torch.zeros(())
NO_RUNS = np.empty(0, np.int64)
NARROW = 64
"""Neurons with the same parameters, on average, from which they take a loop of their own."""
NO_PASSES = np.empty(0, np.uint8)


def has_kernel(neuron: FloatNeuron | IntegerNeuron, device: torch.device) -> bool:
    """Return whether a neuron runs compiled: one of `NEURONS`, on a CPU, with decays that stay."""
    reset = getattr(neuron, "reset", "none")
    if neuron.name not in NEURONS or reset not in RESETS or device.type != "cpu":
        return False
    decays = (getattr(neuron, name, None) for name in ("current_decay", "potential_decay"))
    return not any(isinstance(d, Tensor) and d.requires_grad for d in decays)


class Kernels(NamedTuple):
    """Modules of compiled functions."""

    floats: Any
    integers: Any
    gradients: Any


@cache
def load_kernels() -> Kernels:
    """Return the kernels, loaded on first use: numba takes a moment."""
    import snncompile.training.fused_gradients as gradients
    import snncompile.training.fused_integers as integers
    import snncompile.training.fused_kernels as floats

    return Kernels(floats, integers, gradients)


@dataclass(frozen=True, eq=False)
class Plan:
    """Facts of one population's kernel."""

    reset: int
    sends: bool
    unit: Tensor
    """Excess that counts as 1 for the surrogate."""
    surrogate: Surrogate
    keeps: bool
    """Whether a backward pass may follow."""
    factor: float = 1.0
    """Of the accumulated input, before it meets the float states."""


def run_floats(floats: FloatNeuron, unit: Tensor, surrogate: Surrogate, drive: Tensor) -> Tensor:
    """Return the output of a float neuron, shape (samples, steps, n).

    Args:
        floats: of tensors.
        unit: excess that counts as 1 for the surrogate.
        surrogate: derivative of a spike.
        drive: accumulated input, shape (samples, steps, n).
    """
    return _run(floats, None, unit, surrogate, 1.0, drive)


def run_integers(
    integer: IntegerNeuron,
    floats: FloatNeuron,
    unit: Tensor,
    surrogate: Surrogate,
    factor: float,
    drive: Tensor,
) -> Tensor:
    """Return the output of an integer neuron, with the gradient of its float record.

    Args:
        integer: of tensors.
        floats: of tensors, in the unit of the integers.
        unit: excess that counts as 1 for the surrogate.
        surrogate: derivative of a spike.
        factor: of the accumulated input, before it meets the float states.
        drive: accumulated weights, shape (samples, steps, n).
    """
    return _run(floats, integer, unit, surrogate, factor, drive)


def _run(
    floats: FloatNeuron,
    integer: IntegerNeuron | None,
    unit: Tensor,
    surrogate: Surrogate,
    factor: float,
    drive: Tensor,
) -> Tensor:
    neuron: Any = floats
    threshold: Tensor = getattr(neuron, "threshold", NO_THRESHOLD)
    bias: Tensor = neuron.bias
    trains = torch.is_grad_enabled() and (
        drive.requires_grad or threshold.requires_grad or bias.requires_grad
    )
    plan = Plan(
        reset=RESETS[getattr(neuron, "reset", "none")],
        sends=floats.spikes,
        unit=unit,
        surrogate=surrogate,
        keeps=trains,
        factor=factor,
    )
    output: Tensor = _Run.apply(drive, threshold, bias, floats, integer, plan)  # type: ignore[no-untyped-call]
    return output


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        threshold: Tensor,
        bias: Tensor,
        floats: FloatNeuron,
        integer: IntegerNeuron | None,
        plan: Plan,
    ) -> Tensor:
        x = lay_out(drive.detach())
        dtype = x.dtype if integer is None else torch.float32
        size, shares = x.shape[-1], integer is None and plan.sends
        p = _list_floats(floats, plan.unit, size, NUMPY[dtype], shares=shares)
        q = None if integer is None else _list_integers(integer, x)
        runs = load_kernels().floats.list_runs(p, size, NARROW) if q is None else NO_RUNS
        out = make_like(x, dtype)
        reached = make_like(x, dtype) if plan.keeps else None
        passes = make_like(x, torch.uint8) if plan.keeps and q is not None else None
        _step_forward(x, p, runs, q, plan, out, reached, passes)
        ctx.save_for_backward(reached, passes, threshold, bias)
        ctx.p, ctx.runs, ctx.plan, ctx.drive_type = p, runs, plan, drive.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        reached, passes, threshold, bias = ctx.saved_tensors
        gradient = lay_out(gradients[0].to(reached.dtype), repeats=True)
        of_drive = reached.clone() if _keeps_graph() else reached.data
        needed = ctx.needs_input_grad[1:3]
        totals = _step_backward(gradient, ctx.p, ctx.runs, ctx.plan, any(needed), of_drive, passes)
        of_drive = of_drive if ctx.plan.factor == 1 else of_drive.mul_(ctx.plan.factor)
        of_parameters = [
            _add_up(total, like) if each else None
            for total, like, each in zip(totals, (threshold, bias), needed, strict=True)
        ]
        return of_drive.to(ctx.drive_type), *of_parameters, None, None, None


def _list_floats(floats: Any, unit: Tensor, size: int, dtype: Any, *, shares: bool) -> Array:
    """Return the rows of `p`, see `fused_kernels`.

    Args:
        floats: of tensors.
        unit: excess that counts as 1 for the surrogate.
        size: number of neurons.
        dtype: of the rows.
        shares: whether one column may stand for all neurons, where all are the same.
    """
    rows = (
        1 - _read(getattr(floats, "current_decay", 1.0)),
        1 - _read(getattr(floats, "potential_decay", 0.0)),
        _read(getattr(floats, "threshold", 0.0)),
        _read(floats.bias),
        _read(floats.initial),
        1 / _read(unit).astype(dtype, copy=False),
    )
    shares = shares and size >= NARROW and all(np.size(row) == 1 for row in rows)
    p = np.empty((len(rows), 1 if shares and rows[0] == 0 else size), dtype)
    for i, row in enumerate(rows):
        p[i] = row
    return p


def _list_integers(integer: Any, x: Tensor) -> Array:
    """Return the rows of `q`, see `fused_integers`; floats where they are exact."""
    exact = x.dtype == torch.float32 and x.shape[1] <= load_kernels().integers.MOST_STEPS
    rows = np.empty((5, x.shape[2]), np.float64 if exact else np.int64)
    rows[0] = DECAY_ONE - 1 - _read(getattr(integer, "current_decay", DECAY_ONE - 1))
    rows[1] = DECAY_ONE - _read(getattr(integer, "potential_decay", 0))
    rows[2] = _read(getattr(integer, "threshold", 0)) << STATE_SHIFT
    rows[3] = shift_bias(_read(integer.bias_mantissa), _read(integer.bias_exponent))
    rows[4] = _read(integer.initial)
    return rows


@lru_cache(maxsize=64)
def _list_constants(steepness: float, dtype: Any) -> Array:
    return np.array(load_kernels().gradients.list_constants(steepness), dtype)


def _read(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _add_up(total: Array, like: Tensor) -> Tensor:
    """Return the gradient of a parameter of each neuron, or of one that all share."""
    each = torch.from_numpy(total)
    return (each if like.ndim else each.sum()).to(like.dtype)


def _step_forward(
    x: Tensor,
    p: Array,
    runs: Array,
    q: Array | None,
    plan: Plan,
    out: Tensor,
    reached: Tensor | None,
    passes: Tensor | None,
) -> None:
    """Run the kernel of the forward pass; the last three arguments are filled."""
    kernels = load_kernels()
    strides = x.stride()[:2]
    drive, filled = flatten(x), flatten(out)
    kept = filled[:0] if reached is None else flatten(reached)
    passing = NO_PASSES if passes is None else flatten(passes)

    def work(samples: slice) -> None:
        start, shape = samples.start * strides[0], (samples.stop - samples.start, *x.shape[1:])
        to = filled[start:], kept[start:]
        if q is None:
            kernels.floats.run_floats(
                drive[start:], p, runs, shape, strides, plan.reset, plan.sends, *to
            )
            return
        integers = kernels.integers
        run = integers.run_integers if q.dtype == np.int64 else integers.run_whole_floats
        rest = strides, plan.reset, plan.sends, *to, passing[start:]
        run(drive[start:], p, q, shape, *rest)

    share(work, _cut(x))


def _step_backward(
    gradient: Tensor,
    p: Array,
    runs: Array,
    plan: Plan,
    sums: bool,
    reached: Tensor,
    passes: Tensor | None,
) -> Array:
    """Return gradients of threshold and bias, shape (2, n); `reached` becomes that of the input."""
    kernels = load_kernels().gradients
    strides, of_strides = reached.stride()[:2], gradient.stride()[:2]
    formula, steepness = find_formula(plan.surrogate) or ("GIVEN", 0.0)
    given = plan.sends and formula == "GIVEN"
    of_output, of_drive = flatten(gradient), flatten(reached)
    slope = flatten(_find_slope(reached, p[kernels.THRESHOLD], plan)) if given else of_drive[:0]
    passing = NO_PASSES if passes is None else flatten(passes)
    constants = _list_constants(steepness, p.dtype)
    slices = _cut(reached)
    width = reached.shape[2] if sums or not plan.sends else 0
    totals = np.zeros((len(slices), 2, width))
    numbers = {samples.start: number for number, samples in enumerate(slices)}

    def work(samples: slice) -> None:
        start, of_start = samples.start * strides[0], samples.start * of_strides[0]
        shape = samples.stop - samples.start, *reached.shape[1:]
        total = totals[numbers[samples.start]]
        arrays = of_output[of_start:], of_strides, of_drive[start:], strides
        if not plan.sends:
            kernels.return_values(*arrays, passing[start:], p, shape, total[1])
            return
        kernels.return_spikes(
            *arrays,
            slope[start:],
            getattr(kernels, formula),
            constants,
            passing[start:],
            p,
            runs,
            shape,
            plan.reset,
            sums,
            total,
        )

    share(work, slices)
    summed: Array = totals[0] if len(slices) == 1 else totals.sum(axis=0)
    return summed


def _cut(x: Tensor) -> list[slice]:
    """Return slices of samples for the threads that torch uses, none for few numbers."""
    count, threads = x.shape[0], min(torch.get_num_threads(), x.numel() // LEAST)
    size = -(-count // max(1, threads))
    return [slice(first, min(first + size, count)) for first in range(0, count, size or 1)]


def _find_slope(reached: Tensor, threshold: Array, plan: Plan) -> Tensor:
    """Return the derivative of a spike by the potential, of any surrogate."""
    with torch.enable_grad():
        excess = ((reached - torch.from_numpy(threshold)) / plan.unit).detach().requires_grad_()
        (slope,) = torch.autograd.grad(plan.surrogate(excess).sum(), excess)
    return (slope / plan.unit).to(reached.dtype)


def _keeps_graph() -> bool:
    """Return whether the backward pass that runs may run again: then it leaves what was saved."""
    find: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return find is None or bool(find())
