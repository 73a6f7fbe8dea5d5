"""Neurons over all time steps in one function, forward and backward, where there is a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snncompile.arrays import Array
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, shift_bias
from snncompile.reference.fast.populations import share
from snncompile.training.layouts import flatten, lay_out, make_like
from snncompile.training.surrogate import Surrogate, find_formula

RESETS = {"hard": 0, "soft": 1, "none": 2}
"""Resets of the kernels, by their numbers there."""
NEURONS = ("cuba_lif", "integrate_fire", "readout")
"""Neurons that have a kernel; decays are parameters of their records, or 1 and 0."""
LEAST = 1 << 17
"""Numbers over time for which a thread of its own takes less time."""


def has_kernel(neuron: FloatNeuron | IntegerNeuron, device: torch.device) -> bool:
    """Return whether a neuron runs compiled: one of `NEURONS`, on a CPU, with decays that stay."""
    reset = getattr(neuron, "reset", "none")
    if neuron.name not in NEURONS or reset not in RESETS or device.type != "cpu":
        return False
    decays = (getattr(neuron, name, None) for name in ("current_decay", "potential_decay"))
    return not any(isinstance(d, Tensor) and d.requires_grad for d in decays)


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
    numbers = _list_floats(floats)
    plan = Plan(_find_reset(floats), floats.spikes, unit, surrogate, _trains(drive, *numbers))
    output: Tensor = _Run.apply(drive, *numbers, None, plan)  # type: ignore[no-untyped-call]
    return output


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
    zero: Any = torch.zeros((), dtype=torch.int64)
    columns = (
        DECAY_ONE - 1 - getattr(integer, "current_decay", zero + DECAY_ONE - 1),
        DECAY_ONE - getattr(integer, "potential_decay", zero),
        getattr(integer, "threshold", zero) << STATE_SHIFT,
        shift_bias(integer.bias_mantissa, integer.bias_exponent),  # type: ignore[attr-defined]
        integer.initial,
    )
    q = _stack(columns, drive.shape[-1], torch.int64)
    numbers = _list_floats(floats)
    trains = _trains(drive, *numbers)
    plan = Plan(_find_reset(floats), floats.spikes, unit, surrogate, trains, factor)
    output: Tensor = _Run.apply(drive, *numbers, q, plan)  # type: ignore[no-untyped-call]
    return output


def _trains(*inputs: Any) -> bool:
    return torch.is_grad_enabled() and any(
        isinstance(each, Tensor) and each.requires_grad for each in inputs
    )


def _find_reset(floats: FloatNeuron) -> int:
    return RESETS[getattr(floats, "reset", "none")]


def _list_floats(floats: FloatNeuron) -> tuple[Any, ...]:
    """Return kept shares of u and v, threshold, bias and initial potential."""
    kept_u = 1 - getattr(floats, "current_decay", 1.0)
    kept_v = 1 - getattr(floats, "potential_decay", 0.0)
    threshold = getattr(floats, "threshold", torch.zeros(()))
    return kept_u, kept_v, threshold, floats.bias, floats.initial  # type: ignore[attr-defined]


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        kept_u: Any,
        kept_v: Any,
        threshold: Tensor,
        bias: Tensor,
        initial: Any,
        q: Tensor | None,
        plan: Plan,
    ) -> Tensor:

        x = lay_out(drive.detach())
        dtype = torch.float32 if q is not None else x.dtype
        rows = (kept_u, kept_v, threshold, bias, initial, 1 / plan.unit.to(dtype))
        p = _stack(rows, x.shape[-1], dtype)
        out = make_like(x, dtype)
        reached = make_like(x if plan.keeps else x[:0], dtype)
        passes = make_like(x if plan.keeps and q is not None else x[:0], torch.uint8)
        _step_forward(x, p, q, plan, out, reached, passes)
        ctx.save_for_backward(reached, passes, p, threshold, bias)
        ctx.plan, ctx.drive_type = plan, drive.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        reached, passes, p, threshold, bias = ctx.saved_tensors
        gradient = lay_out(gradients[0].to(reached.dtype), repeats=True)
        of_drive = reached.clone() if _keeps_graph() else reached.data
        sums = any(ctx.needs_input_grad[3:5])
        totals = _step_backward(gradient, p, ctx.plan, sums, of_drive, passes)
        of_drive = of_drive if ctx.plan.factor == 1 else of_drive.mul_(ctx.plan.factor)
        of_parameters = [
            (total if like.ndim else total.sum()).to(like.dtype) if needed else None
            for total, like, needed in zip(
                torch.from_numpy(totals), (threshold, bias), ctx.needs_input_grad[3:5], strict=True
            )
        ]
        return of_drive.to(ctx.drive_type), None, None, *of_parameters, None, None, None


def _stack(rows: tuple[Any, ...], size: int, dtype: torch.dtype) -> Tensor:
    """Return rows of a number per neuron, from tensors of one or each, or numbers."""
    stacked = torch.empty((len(rows), size), dtype=dtype)
    array = stacked.numpy()
    for i, row in enumerate(rows):
        array[i] = row.detach().numpy() if isinstance(row, Tensor) else row
    return stacked


def _step_forward(
    x: Tensor, p: Tensor, q: Tensor | None, plan: Plan, out: Tensor, reached: Tensor, passes: Tensor
) -> None:
    """Run the kernel of the forward pass; the last three arguments are filled."""
    from snncompile.training.fused_integers import run_integers
    from snncompile.training.fused_kernels import run_floats

    strides = x.stride()[:2]

    def work(samples: slice) -> None:
        shape = samples.stop - samples.start, x.shape[1]
        drive, filled, kept = (flatten(each[samples]) for each in (x, out, reached))
        if q is None:
            run_floats(drive, p.numpy(), shape, strides, plan.reset, plan.sends, filled, kept)
            return
        run_integers(
            drive,
            p.numpy(),
            q.numpy(),
            shape,
            strides,
            plan.reset,
            plan.sends,
            filled,
            kept,
            flatten(passes[samples]),
        )

    share(work, _cut(x))


def _step_backward(
    gradient: Tensor,
    p: Tensor,
    plan: Plan,
    sums: bool,
    reached: Tensor,
    passes: Tensor,
) -> Array:
    """Return gradients of threshold and bias, shape (2, n); `reached` becomes that of the input."""
    import snncompile.training.fused_gradients as kernels
    from snncompile.training.fused_kernels import THRESHOLD

    strides, of_strides = reached.stride()[:2], gradient.stride()[:2]
    formula, steepness = find_formula(plan.surrogate) or ("GIVEN", 0.0)
    given = plan.sends and formula == "GIVEN"
    slope = _find_slope(reached, p[THRESHOLD], plan) if given else reached[:0]
    constants = np.array(kernels.list_constants(steepness), p.numpy().dtype)
    slices = _cut(reached)
    numbers = {samples.start: number for number, samples in enumerate(slices)}
    totals = np.zeros((len(slices), 2, p.shape[1]))

    def work(samples: slice) -> None:
        shape = samples.stop - samples.start, reached.shape[1]
        of_output, of_drive = flatten(gradient[samples]), flatten(reached[samples])
        passing, total = flatten(passes[samples]), totals[numbers[samples.start]]
        if not plan.sends:
            kernels.return_values(
                of_output, of_strides, of_drive, strides, passing, p.numpy(), shape, total[1]
            )
            return
        kernels.return_spikes(
            of_output,
            of_strides,
            of_drive,
            strides,
            flatten(slope[samples]),
            getattr(kernels, formula),
            constants,
            passing,
            p.numpy(),
            shape,
            plan.reset,
            sums,
            total,
        )

    share(work, slices)
    summed: Array = totals.sum(axis=0)
    return summed


def _cut(x: Tensor) -> list[slice]:
    """Return slices of samples for the threads that torch uses, none for few numbers."""
    threads = min(torch.get_num_threads(), x.numel() // LEAST)
    size = -(-len(x) // max(1, threads))
    return [slice(first, min(first + size, len(x))) for first in range(0, len(x), size or 1)]


def _find_slope(reached: Tensor, threshold: Tensor, plan: Plan) -> Tensor:
    """Return the derivative of a spike by the potential, of any surrogate."""
    with torch.enable_grad():
        excess = ((reached - threshold) / plan.unit).detach().requires_grad_()
        (slope,) = torch.autograd.grad(plan.surrogate(excess).sum(), excess)
    return (slope / plan.unit).to(reached.dtype)


def _keeps_graph() -> bool:
    """Return whether the backward pass that runs may run again: then it leaves what was saved."""
    find: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return find is None or bool(find())
