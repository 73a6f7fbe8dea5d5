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


def split_calls(x: Tensor, time: Time) -> list[Tensor]:
    """Return the input of each call of a module, for x of shape (samples, steps, *shape)."""
    if time == "step":
        return [x[:, step].clone() for step in range(x.shape[1])]
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
