"""The four ways in which a tensor can hold several samples and time steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snncompile.frontends.torch.libraries.base import Shape, Time

LAYOUTS: dict[Time, str] = {
    "step": "called once per time step with (samples, *shape)",
    "first": "called with (steps, samples, *shape)",
    "second": "called with (samples, steps, *shape)",
    "folded": "called with (samples * steps, *shape)",
}
"""How a module takes its time axis."""


def inputs(x: Tensor, time: Time) -> list[Tensor]:
    """Return what a module is called with, call after call, for x (samples, steps, *shape)."""
    if time == "step":
        return [x[:, step].clone() for step in range(x.shape[1])]
    return [joined(x.unbind(1), time)]


def joined(steps: Sequence[Tensor], time: Time) -> Tensor:
    """Return one tensor for time steps of shape (samples, *shape)."""
    if time == "step":
        (only,) = steps
        return only
    if time == "first":
        return torch.stack(tuple(steps))
    both = torch.stack(tuple(steps), 1)
    return both if time == "second" else both.flatten(0, 1)


def fits(shape: Shape, time: Time, samples: int) -> bool:
    """Return whether a tensor of this shape can hold so many samples."""
    if time == "first":
        return shape[1:2] == (samples,)
    if time == "folded":
        return bool(shape) and shape[0] % samples == 0
    return shape[:1] == (samples,)


def by_step(tensor: Tensor, time: Time, samples: int) -> tuple[Tensor, ...]:
    """Return a tensor that fits as its time steps, each of shape (samples, *shape)."""
    if time == "step":
        return (tensor,)
    if time == "first":
        return tensor.unbind(0)
    if time == "folded":
        tensor = tensor.reshape(samples, len(tensor) // samples, *tensor.shape[1:])
    return tensor.unbind(1)
