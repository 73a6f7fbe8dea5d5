"""The ways in which a tensor, or the calls of a module, can hold several samples and time steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from snncompile.errors import InputError
from snncompile.frontends.torch.libraries.base import Shape, Time

Layout = Time | Literal["last", "inside"] | int
"""How a module takes its time axis: a number is the axis of its input that holds the steps."""

LAYOUTS: dict[Layout, str] = {
    "step": "called once per time step with (samples, *shape)",
    "first": "called with (steps, samples, *shape)",
    "second": "called with (samples, steps, *shape)",
    "folded": "called with (samples * steps, *shape)",
    "last": "called with (samples, *shape, steps)",
    "inside": "called with (samples, *shape), makes the steps itself",
}
"""Layouts that have a name; others are the number of an axis."""
NAMED_AXES: dict[int, Layout] = {0: "first", 1: "second"}


def check_layout(time: Any, axes: int) -> Layout:
    """Return the layout that the user gave, by its name if it has one.

    Args:
        time: the user's argument; not "auto".
        axes: of the sample, (samples, steps, *shape).

    Raises:
        InputError: no such layout, or no such axis.
    """
    if isinstance(time, int) and not isinstance(time, bool):
        if not -axes <= time < axes:
            raise InputError(
                f"time={time}: the module's input has {axes} axes with the time steps, the last is"
                f" {axes - 1}"
            )
        axis = time % axes
        return NAMED_AXES.get(axis, "last" if axis == axes - 1 else axis)
    if time not in LAYOUTS:
        known = ", ".join(map(str, LAYOUTS))
        raise InputError(f"no time layout {time!r}; known: auto, {known}, or the number of an axis")
    return time  # type: ignore[no-any-return]


def list_layouts(axes: int) -> list[Layout]:
    """Return the layouts that "auto" tries for samples (samples, steps, *shape), in this order."""
    middle: list[Layout] = list(range(2, axes - 1))
    last: list[Layout] = ["last"] if axes > 2 else []
    return ["step", "first", "second", "folded", *middle, *last]


def split_calls(x: Tensor, time: Layout) -> list[Tensor]:
    """Return the input of each call of a module, for x of shape (samples, steps, *shape)."""
    if time == "step":
        return [x[:, step].clone() for step in range(x.shape[1])]
    if time == "inside":
        return [x[:, 0].clone()]
    if isinstance(time, int) or time == "last":
        return [x.movedim(1, -1 if time == "last" else time).clone()]
    return [join_steps(x.unbind(1), time)]


def join_steps(steps: Sequence[Tensor], time: Time) -> Tensor:
    """Return time steps of shape (samples, *shape) as one tensor."""
    if time == "step":
        (only,) = steps
        return only
    if time == "first":
        return torch.stack(tuple(steps))
    both = torch.stack(tuple(steps), 1)
    return both if time == "second" else both.flatten(0, 1)


def can_hold(shape: Shape, time: Time, samples: int) -> bool:
    """Return whether a tensor of this shape can hold this number of samples."""
    if time == "first":
        return shape[1:2] == (samples,)
    if time == "folded":
        return bool(shape) and shape[0] % samples == 0
    return shape[:1] == (samples,)


def split_steps(tensor: Tensor, time: Time, samples: int) -> tuple[Tensor, ...]:
    """Return the time steps of a tensor, each of shape (samples, *shape)."""
    if time == "step":
        return (tensor,)
    if time == "first":
        return tensor.unbind(0)
    if time == "folded":
        tensor = tensor.reshape(samples, len(tensor) // samples, *tensor.shape[1:])
    return tensor.unbind(1)
