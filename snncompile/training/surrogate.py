"""Derivatives of the steps of neurons: surrogates in the place of comparisons and of rounding.

The `step` of a neuron uses operators only. Run under `Surrogates`, those operators that have no
derivative have one: a comparison of numbers that need a gradient gives 0.0 and 1.0 with the
gradient of a surrogate, and rounding passes the gradient on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from snncompile.errors import InputError

SLOPE = 25.0
"""Steepness of the surrogate gradient, per threshold. By Zenke and Vogels (2021) a wide range
around it trains equally well."""

Surrogate = Callable[[Tensor], Tensor]
"""From the excess over the threshold, in thresholds, to 0 or 1 with a gradient; those of
`spikingjelly.activation_based.surrogate` are some."""


class _FastSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(excess)
        ctx.slope = slope
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (excess,) = ctx.saved_tensors
        return gradients[0] / (1 + ctx.slope * excess.abs()) ** 2, None


def fast_sigmoid(excess: Tensor, slope: float = SLOPE) -> Tensor:
    """Return 1 where the excess is above 0; backward the derivative 1 / (1 + slope |excess|)^2.

    Zenke and Ganguli, SuperSpike, Neural Computation 30 (2018), equation 4.
    """
    spikes: Tensor = _FastSigmoid.apply(excess, slope)  # type: ignore[no-untyped-call]
    return spikes


def check_surrogate(surrogate: Any) -> None:
    """Refuse what is no function of a tensor; a class is not one of its objects.

    Raises:
        InputError: surrogate is none.
    """
    if isinstance(surrogate, type) or not callable(surrogate):
        raise InputError(
            "surrogate must be a function of the excess, like fast_sigmoid or SpikingJelly's"
            f" ATan(), got {surrogate!r}"
        )


def find_formula(surrogate: Surrogate) -> tuple[str, float] | None:
    """Return formula and steepness of a surrogate that compiled neurons know; None of others.

    They are `fast_sigmoid`, with any slope, and SpikingJelly's `ATan`.
    """
    if surrogate is fast_sigmoid:
        return "FAST_SIGMOID", SLOPE
    if isinstance(surrogate, partial) and surrogate.func is fast_sigmoid and not surrogate.args:
        return "FAST_SIGMOID", float(surrogate.keywords.get("slope", SLOPE))
    kind = type(surrogate)
    if kind.__module__.startswith("spikingjelly.") and kind.__name__ == "ATan":
        return "ARC_TANGENT", float(surrogate.alpha)  # type: ignore[attr-defined]
    return None


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, smooth: Tensor, exact: Tensor, passes: Tensor | None) -> Tensor:
        ctx.save_for_backward(passes)
        return exact.to(smooth.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (passes,) = ctx.saved_tensors
        return gradients[0] if passes is None else gradients[0] * passes, None, None


def pass_straight(smooth: Tensor, exact: Tensor, passes: Tensor | None = None) -> Tensor:
    """Return the numbers of `exact` with the gradient of `smooth` (straight-through estimator).

    Args:
        smooth: has a gradient; gives the type of the result.
        exact: the same shape.
        passes: 1 where the gradient passes, 0 where it does not; everywhere if not given.
    """
    if not smooth.requires_grad:
        return exact.to(smooth.dtype)
    result: Tensor = _Straight.apply(smooth, exact, passes)  # type: ignore[no-untyped-call]
    return result


class Surrogates(TorchFunctionMode):
    """Within it, comparisons and rounding have gradients.

    Args:
        unit: excess that counts as 1 for the surrogate, one number or one per neuron; positive.
        surrogate: see `Surrogate`.
    """

    def __init__(self, unit: Tensor, surrogate: Surrogate) -> None:
        super().__init__()
        self.unit, self.surrogate = unit, surrogate

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute an operator with its gradient."""
        with_gradient = OPERATORS.get(func)
        if with_gradient is None or not any(
            isinstance(a, Tensor) and a.requires_grad for a in args
        ):
            return func(*args, **(kwargs or {}))
        return with_gradient(self, *args)

    def compare(self, greater: Any, smaller: Any, exact: Tensor) -> Tensor:
        """Return `exact` with the gradient of a comparison."""
        excess = (greater - smaller) / self.unit
        return pass_straight(self.surrogate(excess), exact)


def _compare_above(mode: Surrogates, a: Any, b: Any) -> Tensor:
    return mode.compare(a, b, torch.gt(a, b))


def _compare_from(mode: Surrogates, a: Any, b: Any) -> Tensor:
    return mode.compare(a, b, torch.ge(a, b))


def _compare_below(mode: Surrogates, a: Any, b: Any) -> Tensor:
    return mode.compare(b, a, torch.lt(a, b))


def _compare_up_to(mode: Surrogates, a: Any, b: Any) -> Tensor:
    return mode.compare(b, a, torch.le(a, b))


def _compare_equal(mode: Surrogates, a: Any, b: Any) -> Tensor:
    """Return 1 where they are equal, with the gradient of 1 - |a - b| up to a distance of 1.

    Resets ask whether a number of spikes is 0: of one spike it is the gradient of 1 - spike.
    """
    distance = a - b
    falling = torch.where(distance < 0, -distance, distance)
    return pass_straight(1 - falling.clamp(max=1), torch.eq(a, b))


def _negate(mode: Surrogates, a: Tensor) -> Tensor:
    return 1 - a


def _combine(mode: Surrogates, a: Any, b: Any) -> Tensor:
    return torch.mul(a, b)


def _divide_down(mode: Surrogates, a: Any, b: Any) -> Tensor:
    ratio = a / b
    return pass_straight(ratio, torch.floor(ratio))


def _round_down(mode: Surrogates, a: Tensor) -> Tensor:
    return pass_straight(a, a.detach().trunc())


def _take_rest(mode: Surrogates, a: Any, b: Any) -> Tensor:
    """Return the rest of a division: a position or a bit, which has no gradient."""
    return torch.remainder(a.detach(), b)


def _look_up(mode: Surrogates, table: Tensor, index: Any) -> Tensor:
    """Return entries of a table, with the gradient of the slope between their neighbours."""
    if not isinstance(index, Tensor):
        entries: Tensor = table[index]
        return entries
    at, end = index.detach().long(), len(table) - 1
    above, below = (at + 1).clamp(max=end), (at - 1).clamp(min=0)
    slope = (table[above] - table[below]) / (above - below).clamp(min=1)
    return pass_straight(index * slope, table[at])


OPERATORS: dict[Any, Callable[..., Tensor]] = {
    Tensor.gt: _compare_above,
    Tensor.ge: _compare_from,
    Tensor.lt: _compare_below,
    Tensor.le: _compare_up_to,
    Tensor.__eq__: _compare_equal,
    Tensor.__invert__: _negate,
    Tensor.__and__: _combine,
    Tensor.__floordiv__: _divide_down,
    Tensor.remainder: _take_rest,
    Tensor.long: _round_down,
    Tensor.__getitem__: _look_up,
}
"""Operators that have no gradient in torch."""
