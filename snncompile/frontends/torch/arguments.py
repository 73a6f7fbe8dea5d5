"""Arguments of torch functions and layers: find the tensors in nested lists, and replace them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn


def find_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a tensor, or in lists, tuples and dictionaries of them, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from find_tensors(element)
    elif isinstance(value, dict):
        for element in value.values():
            yield from find_tensors(element)


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return the same lists, tuples and dictionaries with every tensor replaced."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list):
        return [map_tensors(element, change) for element in value]
    if isinstance(value, tuple):
        items = [map_tensors(element, change) for element in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {key: map_tensors(element, change) for key, element in value.items()}
    return value


def get_first_argument(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """Return the first argument of a layer's call; a `forward` may take `*args`."""
    if args:
        return args[0]
    first = next(iter(inspect.signature(module.forward).parameters))
    return kwargs.get(first, next(iter(kwargs.values())))
