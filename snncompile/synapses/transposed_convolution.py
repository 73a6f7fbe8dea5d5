"""Transposed convolution over one or two space axes, as `torch.nn.ConvTranspose2d` computes it."""

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
class TransposedConvolution(Wiring):
    """Every source puts a kernel on the target: a convolution of the source with zeros between.

    Neurons are flattened in C order of (channels, *space). Source i adds to target y, on each axis,

        out[o, y] += weight[o, c, k] * in[group of o, c, i]   where y = i * stride + k * dilation
                                                                        - padding

    so a target has at most one synapse from each source. An upsampling that repeats its values is
    one with a kernel of ones as long as its stride.
    """

    source_shape: Shape
    """(channels, *space), one or two space axes."""
    channels: int
    """Output channels."""
    kernel: Shape
    stride: Shape
    padding: Shape
    """Places that are cut off at the beginning of each space axis; below 0: added."""
    dilation: Shape
    target_space: Shape
    """Places of each space axis of the target."""
    groups: int = 1

    kind: ClassVar[str] = "transposed_convolution"
    largest_list: ClassVar[int | None] = 10**7

    def __post_init__(self) -> None:
        """Refuse a geometry that makes no sense."""
        space = len(self.source_shape) - 1
        per_axis = (self.kernel, self.stride, self.padding, self.dilation, self.target_space)
        if space not in (1, 2) or any(len(values) != space for values in per_axis):
            raise ValueError(
                f"transposed convolution of source {self.source_shape} with kernel {self.kernel}:"
                " one value per space axis is needed, for one or two axes"
            )
        sizes = (*self.kernel, *self.stride, *self.dilation, *self.target_space)
        if min(*sizes, self.groups, self.channels) < 1:
            raise ValueError(
                "transposed convolution: kernel, stride, dilation, target, groups start at 1"
            )
        if self.source_shape[0] % self.groups or self.channels % self.groups:
            raise ValueError(
                f"transposed convolution: {self.groups} groups do not divide"
                f" {self.source_shape[0]} source and {self.channels} target channels"
            )

    @property
    def target_shape(self) -> Shape:
        """(channels, *space) of the target."""
        return (self.channels, *self.target_space)

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
        """Text form: `transposed_convolution 3x4x4 -> 2x8x8 kernel=2x2 stride=2x2`."""
        shapes = (self.source_shape, self.target_shape)
        text = f"{self.kind} {' -> '.join(map(_format_shape, shapes))}"
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

    @cached_property
    def _meetings(self) -> tuple[NDArray[np.int64], ...]:
        """Per space axis, 1 where a tap leads from a source to a target place; (target, source)."""
        return tuple(map(self._mark_meetings, range(len(self.kernel))))

    def _mark_meetings(self, axis: int) -> NDArray[np.int64]:
        target, source = np.ogrid[0 : self.target_space[axis], 0 : self.source_shape[1 + axis]]
        way = target + self.padding[axis] - source * self.stride[axis]
        tap, rest = np.divmod(way, self.dilation[axis])
        return np.asarray((rest == 0) & (tap >= 0) & (tap < self.kernel[axis]), np.int64)

    @property
    def synapses(self) -> int:
        """Number of synapses: the axes of space are independent, so their counts multiply."""
        pairs = (int(meeting.sum()) for meeting in self._meetings)
        return self.channels * self.weight_shape[1] * prod(pairs)

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron."""
        count: NDArray[np.int64] = np.full(self.channels, self.weight_shape[1])
        for meeting in self._meetings:
            count = np.multiply.outer(count, meeting.sum(axis=1))
        return count.reshape(-1)

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons."""
        shape = (self.groups, self.channels // self.groups, *self.target_space)
        chosen = np.bincount(targets, minlength=self.targets).reshape(shape).sum(axis=1)
        for axis, meeting in enumerate(self._meetings):
            chosen = np.moveaxis(np.tensordot(chosen, meeting, (1 + axis, 0)), -1, 1 + axis)
        return np.repeat(chosen, self.weight_shape[1], axis=0).reshape(-1)

    @property
    def units(self) -> tuple[int, int] | None:
        """Neurons of a channel; None with groups, which tie channels to each other."""
        if self.groups > 1:
            return None
        return prod(self.source_shape[1:]), prod(self.target_space)

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]]:
        """Return a transposed convolution of fewer channels."""
        if (len(target), len(source)) == (self.targets, self.sources):
            return self, weight
        spaces = prod(self.source_shape[1:]), prod(self.target_space)
        sources, targets = (
            kept[::space] // space for kept, space in zip((source, target), spaces, strict=True)
        )
        shape = (len(sources), *self.source_shape[1:])
        left = replace(self, source_shape=shape, channels=len(targets))
        return left, weight[np.ix_(targets, sources)]

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the unrolled weights."""
        return self.rows(weight, np.arange(self.targets))

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        channel, *position = np.unravel_index(targets, self.target_shape)
        inner, axes = self.weight_shape[1], len(self.kernel)
        # Axes: target, source channel in its group, *kernel, its last tap first.
        group = channel // (self.channels // self.groups)
        source = _along(group * inner, 0, axes) + _along(np.arange(inner), 1, axes)
        meets: NDArray[np.bool_] = np.asarray(True)
        for axis, length in enumerate(self.source_shape[1:]):
            taps = np.arange(self.kernel[axis])[::-1] * self.dilation[axis]
            way = _along(position[axis] + self.padding[axis], 0, axes) - _along(
                taps, 2 + axis, axes
            )
            at, rest = np.divmod(way, self.stride[axis])
            meets = meets & (rest == 0) & (at >= 0) & (at < length)
            source = source * length + at
        kept = np.broadcast_to(meets, source.shape)
        ends = np.zeros(len(channel) + 1, np.int64)
        np.cumsum(kept.sum(axis=tuple(range(1, 2 + axes))), out=ends[1:])
        index = np.int32 if ends[-1] < 2**31 else np.int64  # scipy widens both to the wider one
        turned = np.flip(weight, axis=tuple(range(2, 2 + axes)))
        entries = turned[channel][kept], source[kept].astype(index), ends.astype(index)
        return csr_array(entries, shape=(len(channel), self.sources))


def _along(values: NDArray[Any], axis: int, axes: int) -> NDArray[np.int64]:
    """Return values along one axis of (target, source channel, *kernel), of so many kernel axes."""
    shape = (*(1,) * axis, len(values), *(1,) * (1 + axes - axis))
    return values.astype(np.int64).reshape(shape)


def _format_shape(values: Shape) -> str:
    return "x".join(map(str, values))
