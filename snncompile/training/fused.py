"""Neurons over all time steps in one function, forward and backward, where there is a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.neurons.fixed import STATE_SHIFT, shift_bias
from snncompile.training.surrogate import Surrogate, find_formula

RESETS = {"hard": 0, "soft": 1, "none": 2}
"""Resets of the kernels, by their numbers there."""
NEURONS = ("cuba_lif", "integrate_fire", "readout")
"""Neurons that have a kernel; decays are parameters of their records, or 1 and 0."""


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
    plan = Plan(_find_reset(floats), floats.spikes, unit, surrogate)
    output: Tensor = _Run.apply(drive, *_list_floats(floats), None, plan)  # type: ignore[no-untyped-call]
    return output


def run_integers(
    integer: IntegerNeuron,
    floats: FloatNeuron,
    plan: Plan,
    drive: Tensor,
) -> Tensor:
    """Return the output of an integer neuron, with the gradient of its float record.

    Args:
        integer: of tensors.
        floats: of tensors, in the unit of the integers.
        plan: facts of the kernel.
        drive: accumulated weights, shape (samples, steps, n).
    """
    size = drive.shape[-1]
    zero = torch.zeros(size, dtype=torch.int64)
    columns = [
        getattr(integer, "current_decay", zero + 4095) + 1,
        getattr(integer, "potential_decay", zero),
        getattr(integer, "threshold", zero) << STATE_SHIFT,
        shift_bias(integer.bias_mantissa, integer.bias_exponent),  # type: ignore[attr-defined]
        integer.initial,
    ]
    q = torch.stack([(c + zero) for c in columns])
    output: Tensor = _Run.apply(drive, *_list_floats(floats), q, plan)  # type: ignore[no-untyped-call]
    return output


def plan_integers(floats: FloatNeuron, unit: Tensor, surrogate: Surrogate, factor: float) -> Plan:
    """Return the plan of an integer neuron, from its float record."""
    return Plan(_find_reset(floats), floats.spikes, unit, surrogate, factor)


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
        import snncompile.training.fused_kernels as kernels

        size, dtype = drive.shape[-1], drive.dtype
        exact = drive.contiguous()
        if q is not None and dtype != torch.float32:
            dtype = torch.float32
        zero = torch.zeros(size, dtype=dtype)
        p = torch.stack([zero + c for c in (kept_u, kept_v, threshold, bias, initial)]).to(dtype)
        out = torch.empty(exact.shape, dtype=dtype)
        reached = torch.empty(exact.shape, dtype=dtype)
        passes = torch.empty(exact.shape if q is not None else (0, 0, 0), dtype=torch.uint8)
        arrays = (out.numpy(), reached.numpy())
        if q is None:
            kernels.run_floats(exact.numpy(), p.numpy(), plan.reset, plan.sends, *arrays)
        else:
            kernels.run_integers(
                exact.numpy(), p.numpy(), q.numpy(), plan.reset, plan.sends, *arrays, passes.numpy()
            )
        ctx.save_for_backward(reached, passes, p, threshold, bias)
        ctx.plan, ctx.drive_type = plan, drive.dtype
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        import snncompile.training.fused_kernels as kernels

        reached, passes, p, threshold, bias = ctx.saved_tensors
        plan = ctx.plan
        gradient = gradients[0].to(reached.dtype).contiguous()
        formula, steepness = find_formula(plan.surrogate) or ("GIVEN", 0.0)
        given = plan.sends and formula == "GIVEN"
        slope = _find_slope(reached, p[2], plan) if given else reached
        per_unit = torch.zeros_like(p[2]) + 1 / plan.unit.to(p.dtype)
        constants = torch.tensor(kernels.list_constants(steepness), dtype=p.dtype)
        of_drive = torch.empty_like(reached)
        totals = torch.zeros((2, p.shape[1]), dtype=torch.float64)
        kernels.run_backward(
            gradient.numpy(),
            reached.numpy(),
            slope.numpy(),
            per_unit.numpy(),
            getattr(kernels, formula),
            constants.numpy(),
            passes.numpy(),
            p.numpy(),
            plan.reset,
            plan.sends,
            of_drive.numpy(),
            totals.numpy(),
        )
        of_drive = of_drive if plan.factor == 1 else of_drive * plan.factor
        of_drive = of_drive.to(ctx.drive_type)
        of_threshold, of_bias = (
            (total if like.ndim else total.sum()).to(like.dtype)
            for total, like in zip(totals, (threshold, bias), strict=True)
        )
        return of_drive, None, None, of_threshold, of_bias, None, None, None


def _find_slope(reached: Tensor, threshold: Tensor, plan: Plan) -> Tensor:
    """Return the derivative of a spike by the potential, of any surrogate."""
    with torch.enable_grad():
        excess = ((reached - threshold) / plan.unit).detach().requires_grad_()
        (slope,) = torch.autograd.grad(plan.surrogate(excess).sum(), excess)
    return (slope / plan.unit).to(reached.dtype).contiguous()
