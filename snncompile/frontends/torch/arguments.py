"""Arguments of torch functions and layers: find the tensors in nested lists, and replace them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor, nn

from snncompile.errors import InputError


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


class Arguments(NamedTuple):
    """Further arguments of forward, behind its input."""

    args: tuple[Any, ...] = ()
    """By position; None where a state is handed on from call to call."""
    kwargs: Mapping[str, Any] = MappingProxyType({})
    """By name."""
    carried: bool = False
    """Whether they are states that forward returned in the time step before."""


def read_arguments(args: Any) -> Arguments:
    """Return the user's further arguments: a sequence by position, or a mapping by name.

    Raises:
        InputError: neither.
    """
    if isinstance(args, Mapping):
        return Arguments((), dict(args))
    if isinstance(args, tuple | list):
        return Arguments(tuple(args), {})
    raise InputError(
        f"args has to be a tuple, or a dictionary of names, got {type(args).__name__}; for one"
        " argument give args=(value,)"
    )


def get_first_argument(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """Return the first argument of a layer's call; a `forward` may take `*args`."""
    if args:
        return args[0]
    first = next(iter(inspect.signature(module.forward).parameters))
    return kwargs.get(first, next(iter(kwargs.values())))
