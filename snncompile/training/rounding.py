"""Masters rounded to the integers that they stand for; gradients pass straight through."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Array

LARGE = 1 << 12
"""Numbers from which the compiled loop takes less time than torch's operators."""


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


def _has_kernel(x: Tensor, *values: Tensor) -> bool:
    """Return whether an array is computed row by row: large, on a CPU, a number per row or one."""
    if x.device.type != "cpu" or x.numel() < LARGE or not x.is_contiguous():
        return False
    per_row = (len(x), *(1 for _ in x.shape[1:]))
    return all(each.numel() == 1 or each.shape == per_row for each in values)


def _list_each(values: Tensor, rows: int) -> Array:
    """Return the number of each row."""
    each = np.empty(rows, values.numpy().dtype)
    each[:] = values.numpy().reshape(-1)
    return each


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
        _list_each(factor, rows),
        _list_each(unit, rows),
        np.array(ends, numbers.dtype),
        reals.numpy().reshape(rows, -1),
        beyond.numpy().reshape(rows, -1),
    )


def _pass_rows(gradient: Tensor, factor: Tensor, beyond: Tensor, of_x: Tensor) -> None:
    from snncompile.training.rounding_kernels import pass_rows

    rows = len(gradient)
    pass_rows(
        gradient.numpy().reshape(rows, -1),
        _list_each(factor, rows),
        beyond.numpy().reshape(rows, -1),
        of_x.numpy().reshape(rows, -1),
    )
