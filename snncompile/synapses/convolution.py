"""Convolution over one or two space axes, as `torch.nn.Conv1d` and `Conv2d` compute it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.synapses.base import Shape, Wiring


@dataclass(frozen=True, eq=False)
class Convolution(Wiring):
    """Shared kernels that slide over the source; sum pooling is a depthwise one of equal weights.

    Neurons are flattened in C order of (channels, *space). As in torch it is a cross-correlation:

        out[o, y] = sum over c, k of weight[o, c, k] * in[group of o, c, y * stride + k * dilation
                                                          - padding]
    """

    source_shape: Shape
    """(channels, *space), one or two space axes."""
    channels: int
    """Output channels."""
    kernel: Shape
    stride: Shape
    padding: Shape
    """Zeros added at both ends of each space axis."""
    dilation: Shape
    groups: int = 1

    kind: ClassVar[str] = "convolution"
    regular: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a geometry that makes no sense."""
        space = len(self.source_shape) - 1
        per_axis = (self.kernel, self.stride, self.padding, self.dilation)
        if space not in (1, 2) or any(len(values) != space for values in per_axis):
            raise ValueError(
                f"convolution of source {self.source_shape} with kernel {self.kernel}: one value"
                " per space axis is needed, for one or two axes"
            )
        counts = (*self.kernel, *self.stride, *self.dilation, self.groups, self.channels)
        if min(counts) < 1 or min(self.padding) < 0:
            raise ValueError(
                "convolution: kernel, stride, dilation, groups start at 1, padding at 0"
            )
        if self.source_shape[0] % self.groups or self.channels % self.groups:
            raise ValueError(
                f"convolution: {self.groups} groups do not divide {self.source_shape[0]} source and"
                f" {self.channels} target channels"
            )
        if min(self.target_shape) < 1:
            raise ValueError(
                f"convolution: kernel {self.kernel} is larger than source {self.source_shape}"
            )

    @cached_property
    def target_shape(self) -> Shape:
        """(channels, *space) of the target."""
        axes = zip(
            self.source_shape[1:],
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            strict=True,
        )
        space = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
        return (self.channels, *space)

    @property
    def sources(self) -> int:
        """Number of source neurons."""
        return prod(self.source_shape)

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return prod(self.target_shape)

    @property
    def weight_shape(self) -> Shape:
        """(output channels, source channels per group, *kernel)."""
        return (self.channels, self.source_shape[0] // self.groups, *self.kernel)

    def __str__(self) -> str:
        """Text form: `convolution 3x32x32 -> 16x30x30 kernel=3x3`, without defaults."""
        text = (
            f"convolution {_format_shape(self.source_shape)} -> {_format_shape(self.target_shape)}"
        )
        settings = {
            "kernel": (self.kernel, None),
            "stride": (self.stride, 1),
            "padding": (self.padding, 0),
            "dilation": (self.dilation, 1),
            "groups": ((self.groups,), 1),
        }
        for name, (values, usual) in settings.items():
            if set(values) != {usual}:
                text += f" {name}={_format_shape(values)}"
        return text

    @property
    def synapses(self) -> int:
        """Number of synapses: the axes of space are independent, so their counts multiply."""
        pairs = (int(self._count_taps_inside(axis).sum()) for axis in range(len(self.kernel)))
        return self.channels * self.weight_shape[1] * prod(pairs)

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron: those of a kernel without its taps in the padding."""
        count: NDArray[np.int64] = np.full(self.channels, self.weight_shape[1])
        for axis in range(len(self.kernel)):
            count = np.multiply.outer(count, self._count_taps_inside(axis))
        return count.reshape(-1)

    def _count_taps_inside(self, axis: int) -> NDArray[np.int64]:
        """Return the number of kernel taps on the source, per target coordinate."""
        target, tap = np.ogrid[0 : self.target_shape[1 + axis], 0 : self.kernel[axis]]
        source = target * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
        inside = (source >= 0) & (source < self.source_shape[1 + axis])
        return np.asarray(inside.sum(axis=1), np.int64)

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons.

        Channels of a group look alike to a source, so their targets are added up per coordinate,
        and each axis of space takes its turn; what is kept is as large as an image of each group.
        """
        shape = (self.groups, self.channels // self.groups, *self.target_shape[1:])
        chosen = np.bincount(targets, minlength=self.targets).reshape(shape).sum(axis=1)
        for axis in range(len(self.kernel)):
            chosen = np.moveaxis(
                np.tensordot(chosen, self._mark_meetings(axis), axes=(1 + axis, 0)), -1, 1 + axis
            )
        return np.repeat(chosen, self.weight_shape[1], axis=0).reshape(-1)

    def _mark_meetings(self, axis: int) -> NDArray[np.int64]:
        """Return 1 where a target and a source coordinate meet through a tap, else 0."""
        target, source = np.ogrid[0 : self.target_shape[1 + axis], 0 : self.source_shape[1 + axis]]
        way = source + self.padding[axis] - target * self.stride[axis]
        tap, rest = np.divmod(way, self.dilation[axis])
        return np.asarray((rest == 0) & (tap >= 0) & (tap < self.kernel[axis]), np.int64)

    @property
    def units(self) -> tuple[int, int] | None:
        """Neurons of a channel; None with groups, which tie channels to each other."""
        if self.groups > 1:
            return None
        return prod(self.source_shape[1:]), prod(self.target_shape[1:])

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]]:
        """Return a convolution of fewer channels."""
        if (len(target), len(source)) == (self.targets, self.sources):
            return self, weight
        spaces = prod(self.source_shape[1:]), prod(self.target_shape[1:])
        sources, targets = (
            kept[::space] // space for kept, space in zip((source, target), spaces, strict=True)
        )
        shape = (len(sources), *self.source_shape[1:])
        left = replace(self, source_shape=shape, channels=len(targets))
        return left, weight[np.ix_(targets, sources)]

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the unrolled weights, without synapses into the padding."""
        return self.rows(weight, np.arange(self.targets))

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        channel, *position = np.unravel_index(targets, self.target_shape)
        inner, axes = self.weight_shape[1], len(self.kernel)
        # Axes: target, source channel in its group, *kernel.
        group = channel // (self.channels // self.groups)
        source = _along(group * inner, 0, axes) + _along(np.arange(inner), 1, axes)
        inside: NDArray[np.bool_] = np.asarray(True)
        for axis, length in enumerate(self.source_shape[1:]):
            first = _along(position[axis] * self.stride[axis] - self.padding[axis], 0, axes)
            at = first + _along(np.arange(self.kernel[axis]) * self.dilation[axis], 2 + axis, axes)
            inside = inside & (at >= 0) & (at < length)
            source = source * length + at  # of 32 bits: as large as the number of synapses
        kept = np.broadcast_to(inside, source.shape)
        ends = np.zeros(len(channel) + 1, np.int64)
        np.cumsum(kept.sum(axis=tuple(range(1, 2 + axes))), out=ends[1:])
        index = np.int32 if ends[-1] < 2**31 else np.int64  # scipy widens both to the wider one
        parts = weight[channel][kept], source[kept], ends.astype(index)
        return csr_array(parts, shape=(len(channel), self.sources))


def _along(values: NDArray[Any], axis: int, axes: int) -> NDArray[np.int32]:
    """Return values along one axis of (target, source channel, *kernel), of so many kernel axes."""
    shape = (*(1,) * axis, len(values), *(1,) * (1 + axes - axis))
    return values.astype(np.int32).reshape(shape)


def _format_shape(values: Shape) -> str:
    return "x".join(map(str, values))
