"""Torch functions that add, subtract and scale, as weighted sums of numbered values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snncompile.frontends.torch.values import NOTHING, ZERO, Summand

ADD = frozenset(["add", "__add__", "__radd__", "add_", "__iadd__"])
SUBTRACT = frozenset(["sub", "__sub__", "sub_", "__isub__", "subtract"])
MULTIPLY = frozenset(["mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply"])
DIVIDE = frozenset(["div", "__truediv__", "div_", "__itruediv__", "divide", "true_divide"])
NEGATE = frozenset(["neg", "__neg__", "negative"])

REVERSED = frozenset(["__rsub__", "rsub"])
"""Subtractions whose first argument is the second one."""

Numbers = Callable[[Tensor], Tensor]
"""Returns the numbers of a tensor's values."""


def read_summands(
    name: str, args: Any, kwargs: Any, result: Any, numbers: Numbers, constants: Numbers
) -> tuple[Summand, ...] | None:
    """Return the result of a function as a weighted sum, or None if the function is not known.

    Args:
        name: of the function, without its module.
        args: its arguments.
        kwargs: its keyword arguments.
        result: its result.
        numbers: gives the numbers of a tensor.
        constants: gives new numbers for a tensor that comes from neither the input nor a layer.
    """
    alpha = kwargs.get("alpha", 1)
    if not isinstance(result, Tensor) or not kwargs.keys() <= {"alpha"} or len(args) not in (1, 2):
        return None
    if name in NEGATE:
        return _list_summands(result, numbers, [(args[0], -1.0)])
    if len(args) != 2:
        return None
    first, second = args[::-1] if name in REVERSED else args
    if name in ADD | SUBTRACT | REVERSED:
        sign = 1.0 if name in ADD else -1.0
        pairs = [(first, 1.0), (second, sign * alpha)]
        return _list_summands(result, numbers, pairs, constants)
    if name in MULTIPLY:
        pair = (first, second) if _comes_from_layers(first, numbers) else (second, first)
        return _list_summands(result, numbers, [pair])
    if name in DIVIDE and bool(torch.as_tensor(second).all()):
        return _list_summands(result, numbers, [(first, 1 / second)])
    return None


def _list_summands(
    result: Tensor,
    numbers: Numbers,
    summands: list[tuple[Any, Any]],
    constants: Numbers | None = None,
) -> tuple[Summand, ...] | None:
    """Return the terms; None if a summand cannot be one, or a factor is a layer's.

    Without `constants` a summand has to be a layer's or zero.
    """
    summand_terms = []
    for value, factor in summands:
        if not isinstance(value, Tensor):
            if value == 0:
                continue
            if constants is None or isinstance(value, complex):
                return None
            value = torch.as_tensor(value, dtype=torch.float64)
        own = _number(value, numbers, constants)
        if own is None or _comes_from_layers(factor, numbers):
            return None
        weight = torch.as_tensor(factor, dtype=torch.float64)
        if weight.ndim:
            weight = weight.expand(result.shape)
        summand_terms.append(Summand(own.expand(result.shape), weight))
    return tuple(summand_terms)


def _number(value: Tensor, numbers: Numbers, constants: Numbers | None) -> Tensor | None:
    """Return the numbers of a summand; None if some of its values have none and others have."""
    own = numbers(value)
    if not bool((own == NOTHING).any()):
        return own
    usable = constants is not None and not bool((own >= 0).any()) and bool(value.isfinite().all())
    return constants(value) if usable and constants is not None else None


def _comes_from_layers(value: Any, numbers: Numbers) -> bool:
    return isinstance(value, Tensor) and bool((numbers(value) >= 0).any())


def number_unknown(tensor: Tensor) -> Tensor:
    """Return the numbers of values that come from neither the input nor a layer."""
    return torch.where(tensor == 0, ZERO, NOTHING)
