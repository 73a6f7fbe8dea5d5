"""Functions that a traced module called, kept so that they can be called again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompile.frontends.torch.arguments import find_tensors
from snncompile.frontends.torch.runs_of_numbers import keep_short
from snncompile.frontends.torch.values import Values

LARGEST_COPY = 2**20
"""Values of a constant that is copied, in case the module overwrites it later."""


Position = tuple[Any, ...]
"""Position of an argument: keys and indices, as (0, 1) for the second positional one."""


@keep_short("numbers")
@dataclass(frozen=True, eq=False)
class Slot:
    """Position of a known tensor among the arguments of a function."""

    numbers: Tensor
    """Numbers of its values."""
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of a function."""

    function: Callable[..., Any]
    name: str
    """As `torch.Tensor.mul`."""
    args: Any
    """Its arguments; known tensors are slots, others are constants."""
    kwargs: Any
    results: tuple[Values, ...]
    call: int
    """Number of the call among all calls of functions outside known layers, from 1."""
    path: str
    """The innermost module of the user that was running."""

    @property
    def places(self) -> dict[Position, Slot]:
        """The known tensors among the arguments, by their place, in order."""
        return dict(_find_places((self.args, self.kwargs), ()))

    def get_argument(self, position: Position) -> Any:
        """Return what stands at a place: a slot, or a constant."""
        value: Any = (self.args, self.kwargs)
        for key in position:
            value = value[key]
        return value

    def map_slots(self, fill: Callable[[Slot], Tensor]) -> tuple[Any, Any]:
        """Return the arguments with a tensor in the place of each slot."""
        return _map(self.args, fill), _map(self.kwargs, fill)

    def repeat(self, fill: Callable[[Slot], Tensor]) -> tuple[Tensor, ...]:
        """Call the function again and return its results, one for each of `results`.

        Args:
            fill: gives the tensor that takes the place of a slot.
        """
        args, kwargs = self.map_slots(fill)
        if changes_argument(self.name):
            args = (args[0].clone(), *args[1:])
        result = self.function(*args, **kwargs)
        if self.name.endswith("__setitem__"):
            result = args[0]
        return tuple(find_tensors(result))


def changes_argument(name: str) -> bool:
    """Return whether a function of this name overwrites its first argument."""
    short = name.rpartition(".")[2]
    in_place = short.startswith("__i") and short not in ("__invert__", "__index__", "__int__")
    return short == "__setitem__" or in_place or (short.endswith("_") and short[-2:] != "__")


def keep(tensor: Tensor) -> Tensor:
    """Return a constant as it is now."""
    return tensor.clone() if tensor.numel() <= LARGEST_COPY else tensor


def _find_places(value: Any, position: Position) -> Iterator[tuple[Position, Slot]]:
    if isinstance(value, Slot):
        yield position, value
    elif isinstance(value, list | tuple | dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, element in items:
            yield from _find_places(element, (*position, key))


def _map(value: Any, fill: Callable[[Slot], Tensor]) -> Any:
    if isinstance(value, Slot):
        return fill(value)
    if isinstance(value, list):
        return [_map(element, fill) for element in value]
    if isinstance(value, tuple):
        items = [_map(element, fill) for element in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {key: _map(element, fill) for key, element in value.items()}
    return value
