"""Arguments of torch functions and layers: find the tensors in nested lists, and replace them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a tensor, or in lists, tuples and dictionaries of them, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return the same lists, tuples and dictionaries with every tensor replaced."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list):
        return [mapped(item, change) for item in value]
    if isinstance(value, tuple):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    return value


def first_argument(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """Return what a layer is called with first; a `forward` may take `*args`."""
    if args:
        return args[0]
    first = next(iter(inspect.signature(module.forward).parameters))
    return kwargs.get(first, next(iter(kwargs.values())))
