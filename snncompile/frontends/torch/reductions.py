"""Torch functions that sum, average or take the maximum over axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import Tensor

from snncompile.frontends.torch.values import Origins

Kind = Literal["sum", "mean", "maximum"]
REDUCTIONS: dict[str, Kind] = {"sum": "sum", "mean": "mean", "max": "maximum", "amax": "maximum"}
"""Name of a function -> what it does over the axes that it is given."""


class Reduction(NamedTuple):
    """A call of such a function."""

    kind: Kind
    numbers: Tensor
    """Numbers of its argument, the reduced axes joined to the first one."""


def read_reduction(
    name: str, args: Any, kwargs: Any, numbers: Callable[[Tensor], Tensor]
) -> Reduction | None:
    """Return what a function reduces, or None if it reduces nothing or everything.

    Args:
        name: of the function, without its module.
        args: its arguments.
        kwargs: its keyword arguments.
        numbers: gives the numbers of a tensor.
    """
    given = [*args, *([kwargs["input"]] if "input" in kwargs else [])]
    if name not in REDUCTIONS or not given or not isinstance(given[0], Tensor):
        return None
    dims = kwargs.get("dim", kwargs.get("axis", given[1] if len(args) > 1 else None))
    if isinstance(dims, int):
        dims = (dims,)
    if not isinstance(dims, tuple | list) or not dims:
        return None
    x = given[0]
    axes = sorted({dim % x.ndim for dim in dims})
    moved = numbers(x).movedim(axes, list(range(len(axes))))
    return Reduction(REDUCTIONS[name], moved.flatten(0, len(axes) - 1))


def is_over_time(reduction: Reduction, origins: Origins) -> bool:
    """Return whether the first and the last of the reduced values are of different time steps."""
    first, last = (reduction.numbers[end].reshape(-1)[:1] for end in (0, -1))
    return origins.find_step(first) != origins.find_step(last)


def is_of_several(reduction: Reduction, origins: Origins) -> bool:
    """Return whether the first and the last of the reduced values were made apart."""
    first, last = (reduction.numbers[end].reshape(-1)[:1] for end in (0, -1))
    return origins.find_values(first) != origins.find_values(last)
