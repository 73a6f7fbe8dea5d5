"""Convolutions in float64: products of copied windows, which torch computes image by image."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from snncompile.synapses.convolution import Convolution

WINDOW_BYTES = 2**21
"""Bytes of windows of sources copied at a time: about what the second-level cache holds."""
FEW_ROWS = 8
"""Rows below which torch's function is called: the others start later."""
MANY_WINDOWS = 2**23
"""Bytes of all windows up to which torch is as fast on large maps."""
FEW_TAPS = 4
"""Weights of a channel's own kernel up to which they are added up one by one on any map."""
SMALL_MAP = 64
"""Targets per channel up to which they always are."""


def convolve(images: Tensor, weight: Tensor, wiring: Convolution) -> Tensor:
    """Return the sums of a convolution, shape (rows, channels, *map).

    torch's own function for float64 multiplies matrices image by image, and group by group; for
    small maps and many channels this one is two to three times as fast. It has no gradients.

    Args:
        images: shape (rows, *wiring.source_shape).
        weight: shape `wiring.weight_shape`.
        wiring: over one or two axes.
    """
    double = weight.dtype == torch.float64 and weight.device.type == "cpu"
    if double and len(images) >= FEW_ROWS:
        if wiring.groups == 1 and _has_many_windows(len(images), wiring):
            return _multiply_windows(images, weight, wiring)
        if _has_own_kernels(wiring):
            return _add_taps(images, weight, wiring)
    return call_torch(images, weight, wiring)


def _has_many_windows(rows: int, wiring: Convolution) -> bool:
    """Return whether it pays to copy windows: on small maps, and where torch keeps them all.

    For kernels of one weight it copies none.
    """
    size, taps = math.prod(wiring.target_shape[1:]), math.prod(wiring.kernel)
    copied = 8 * rows * size * taps * wiring.source_shape[0]
    return size <= SMALL_MAP or (taps > 1 and copied > MANY_WINDOWS)


def _has_own_kernels(wiring: Convolution) -> bool:
    """Return whether each channel has a kernel of its own, of few weights or on a small map."""
    own = wiring.groups == wiring.source_shape[0] == wiring.channels
    small = math.prod(wiring.target_shape[1:]) <= SMALL_MAP
    return own and (small or math.prod(wiring.kernel) <= FEW_TAPS)


def call_torch(images: Tensor, weight: Tensor, wiring: Convolution) -> Tensor:
    """Return the sums as torch's own function computes them, with gradients."""
    functional: Any = torch.nn.functional
    function = functional.conv1d if len(wiring.kernel) == 1 else functional.conv2d
    total: Tensor = function(
        images,
        weight,
        stride=wiring.stride,
        padding=wiring.padding,
        dilation=wiring.dilation,
        groups=wiring.groups,
    )
    return total


def _multiply_windows(images: Tensor, weight: Tensor, wiring: Convolution) -> Tensor:
    """Copy the windows of some rows at a time, and multiply them by the kernels at once."""
    axes, size = len(wiring.kernel), math.prod(wiring.target_shape[1:])
    kernels = weight.reshape(wiring.channels, -1)
    behind = range(1, 2 + axes), range(2 + axes, 2 + 2 * axes)
    windows = _view_windows(images, wiring).permute(*behind[0], 0, *behind[1])
    total = torch.empty(len(images), wiring.channels, size, dtype=weight.dtype)
    rows_at_once = max(1, WINDOW_BYTES // (8 * kernels.shape[1] * size))
    for first in range(0, len(images), rows_at_once):
        rows = min(rows_at_once, len(images) - first)
        copied = windows.narrow(1 + axes, first, rows).reshape(-1, rows * size)
        sums = (kernels @ copied).view(-1, rows, size)
        total[first : first + rows] = sums.transpose(0, 1)
    return total.view(len(images), *wiring.target_shape)


def _add_taps(images: Tensor, weight: Tensor, wiring: Convolution) -> Tensor:
    """Add up each weight of the kernels times the sources that it reads, some rows at a time."""
    windows, ones = _view_windows(images, wiring), [1] * len(wiring.kernel)
    total = torch.zeros(len(images), *wiring.target_shape, dtype=weight.dtype)
    taps = weight.reshape(wiring.channels, -1).unbind(1)
    rows_at_once = max(1, WINDOW_BYTES // (8 * wiring.targets))
    for first in range(0, len(images), rows_at_once):
        rows = slice(first, first + rows_at_once)
        sums, read = total[rows], windows[rows]
        for at, tap in zip(itertools.product(*map(range, wiring.kernel)), taps, strict=True):
            sources = read
            for offset in at:
                sources = sources.select(2, offset)
            sums.addcmul_(sources, tap.view(-1, *ones))
    return total


def _view_windows(images: Tensor, wiring: Convolution) -> Tensor:
    """Return a view of the padded images, shape (rows, source channels, *kernel, *map)."""
    ends = [end for pad in reversed(wiring.padding) for end in (pad, pad)]
    padded = torch.nn.functional.pad(images, ends) if any(ends) else images
    positions = wiring.target_shape[1:]
    first, second, *steps = padded.stride()
    between = [step * d for step, d in zip(steps, wiring.dilation, strict=True)]
    along = [step * s for step, s in zip(steps, wiring.stride, strict=True)]
    shape = (*padded.shape[:2], *wiring.kernel, *positions)
    return padded.as_strided(shape, (first, second, *between, *along))
