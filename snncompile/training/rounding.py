"""Masters rounded to the integers that they stand for; gradients pass straight through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Array

LARGE = 1 << 9
"""Numbers from which the compiled loop takes less time than torch's operators."""
FEW = 1 << 12
"""Masters below which all parameters of a population are rounded together."""


def round_within(
    x: Tensor, factor: Any, low: int, high: int, *, offset: int = 0, unit: Any = 1
) -> Tensor:
    """Return numbers rounded to what integers stand for, with a gradient.

        integer = x * factor - offset rounded, at most `high` and at least `low`
        real = (integer + offset) * unit

    The gradient passes, but where it is beyond an end and a step against the gradient would lead
    further out.

    Args:
        x: any shape.
        factor, unit: of one number, or of a shape that broadcasts to that of x.
        low, high, offset: whole numbers.
    """
    factor, unit = (torch.as_tensor(each, dtype=x.dtype) for each in (factor, unit))
    rounded: Tensor = _Round.apply(x, factor, low, high, offset, unit)  # type: ignore[no-untyped-call]
    return rounded


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, factor: Tensor, low: int, high: int, offset: int, unit: Tensor
    ) -> Tensor:
        if _has_kernel(x, factor, unit):
            reals, beyond = torch.empty_like(x), torch.empty_like(x, dtype=torch.int8)
            _round_rows(x, factor, unit, (low, high, offset), reals, beyond)
        else:
            rounded = (x * factor - offset).round_()
            whole = rounded.clamp(low, high)
            beyond = rounded.sub_(whole)
            reals = (whole + offset if offset else whole) * unit
        ctx.save_for_backward(beyond, factor * unit)
        return reals

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (beyond, factor), (gradient,) = ctx.saved_tensors, gradients
        if _has_kernel(gradient, factor) and not torch.is_grad_enabled():
            of_x = torch.empty_like(gradient)
            _pass_rows(gradient, factor, beyond, of_x)
        else:
            stops = gradient.sign() * beyond.sign() < 0  # no NaN does
            of_x = torch.where(stops, 0, gradient * factor)
        return of_x, None, None, None, None, None


@dataclass(frozen=True, eq=False)
class Rounded:
    """Masters that were rounded, without their gradient; arrays in the shape of the masters."""

    reals: Array
    """What the integers stand for, float32."""
    whole: Array
    """The integers."""
    exponent: Array
    """Exponents of the units, where these follow the masters."""
    beyond: Array | None
    """By how much the rounded numbers are beyond an end; None: none is."""
    factor: Array
    """Of the gradient."""


def is_small(x: Tensor) -> bool:
    """Return whether numbers are so few that one function takes less time, and in float64."""
    return x.device.type == "cpu" and x.dtype == torch.float64 and x.numel() < FEW


def round_small(x: Array, scale: Any, unit: Any, ends: tuple[int, int, int, int]) -> Rounded:
    """Do as `round_within` for few numbers, without a gradient.

    Args:
        x: the masters, float64.
        scale: integer * unit per master; one number, or one of each.
        unit: real number per integer; one number, or one of each.
        ends: low, high, offset, and the largest exponent: above 0, a unit is the smallest power of
            2 with which an integer up to `high` holds the master.
    """
    from snncompile.training.rounding_kernels import round_few

    kinds = np.float32, np.int64, np.int64, np.float64, np.float64
    reals, whole, exponent, beyond, factor = (np.empty(x.shape, kind) for kind in kinds)
    leaves = round_few(
        x.reshape(-1),
        np.asarray(scale, np.float64).reshape(-1),
        np.asarray(unit, np.float64).reshape(-1),
        ends,
        *(each.reshape(-1) for each in (reals, whole, exponent, beyond, factor)),
    )
    return Rounded(reals, whole, exponent, beyond if leaves else None, factor)


def pass_rounded(rounded: list[Rounded], masters: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the reals of masters, with the gradient of `round_within`."""
    if not masters:
        return ()
    reals: tuple[Tensor, ...] = _Rounded.apply(rounded, *masters)  # type: ignore[no-untyped-call]
    return reals


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rounded: list[Rounded], *masters: Tensor) -> tuple[Tensor, ...]:
        ctx.rounded = rounded
        ctx.set_materialize_grads(False)
        return tuple(torch.from_numpy(each.reals) for each in rounded)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        passing = zip(gradients, ctx.rounded, strict=True)
        return None, *(None if g is None else _pass_small(g, each) for g, each in passing)


def _pass_small(gradient: Tensor, rounded: Rounded) -> Tensor:
    passed = gradient.double() * torch.from_numpy(rounded.factor)
    if rounded.beyond is None:
        return passed
    stops = gradient.sign() * torch.from_numpy(rounded.beyond).sign() < 0  # no NaN does
    return torch.where(stops, 0, passed)


def _has_kernel(x: Tensor, *values: Tensor) -> bool:
    """Return whether an array is computed row by row: large, on a CPU, a number per row or one."""
    if x.device.type != "cpu" or x.numel() < LARGE or not x.is_contiguous():
        return False
    per_row = (len(x), *(1 for _ in x.shape[1:]))
    return all(each.numel() == 1 or each.shape == per_row for each in values)


def _list_each(values: Tensor) -> Array:
    """Return the number of each row, or the one that all share."""
    array: Array = values.detach().numpy().reshape(-1)
    return array


def _round_rows(
    x: Tensor,
    factor: Tensor,
    unit: Tensor,
    ends: tuple[int, int, int],
    reals: Tensor,
    beyond: Tensor,
) -> None:
    from snncompile.training.rounding_kernels import round_rows

    rows = len(x)
    numbers = x.detach().numpy().reshape(rows, -1)
    round_rows(
        numbers,
        _list_each(factor),
        _list_each(unit),
        np.array(ends, numbers.dtype),
        reals.numpy().reshape(rows, -1),
        beyond.numpy().reshape(rows, -1),
    )


def _pass_rows(gradient: Tensor, factor: Tensor, beyond: Tensor, of_x: Tensor) -> None:
    from snncompile.training.rounding_kernels import pass_rows

    rows = len(gradient)
    pass_rows(
        gradient.numpy().reshape(rows, -1),
        _list_each(factor),
        beyond.numpy().reshape(rows, -1),
        of_x.numpy().reshape(rows, -1),
    )
