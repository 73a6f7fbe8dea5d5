"""Convolutions: products of copied windows, and sums over spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snncompile.arrays import Array
from snncompile.neurons.base import BINARY, Interval
from snncompile.reference.fast.base import Scratch, Way, Ways, load_kernels
from snncompile.reference.fast.crossovers import estimate_convolution_crossover
from snncompile.reference.fast.layout import change_layout
from snncompile.reference.fast.matrix import (
    FloatMatrix,
    bind_without_exponent,
    fits_byte,
    split_mantissas,
    view_as_tensor,
    view_as_words,
)
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

WINDOW_BYTES = 2**20
"""Bytes of windows of sources copied at a time: they stay in the second-level cache."""


# Convolutions.


@dataclass(frozen=True)
class _Geometry:
    """A convolution over two axes, channels last; a single axis becomes the second of two."""

    source: tuple[int, int, int]
    target: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, wiring: Convolution) -> _Geometry:
        line = (1,) * (2 - len(wiring.kernel))

        def pair(values: tuple[int, ...], other: int = 1) -> Any:
            return (*(other for _ in line), *values)

        return cls(
            (*pair(wiring.source_shape[1:]), wiring.source_shape[0]),
            (*pair(wiring.target_shape[1:]), wiring.channels),
            pair(wiring.kernel),
            pair(wiring.stride),
            pair(wiring.padding, 0),
            pair(wiring.dilation),
        )


@dataclass(frozen=True, eq=False)
class _IntegerConvolution:
    weight: torch.Tensor
    """Shape (kernel rows times columns times source channels, target channels), int8."""
    geometry: _Geometry

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        g = self.geometry
        seen = len(self.weight)
        out = view_as_tensor(total.reshape(len(total), -1, g.target[2]))
        if g.kernel == g.stride == (1, 1) and g.padding == (0, 0):
            rows = view_as_tensor(train.reshape(-1, seen))
            torch._int_mm(rows, self.weight, out=out.view(-1, g.target[2]))
            return
        size = g.target[0] * g.target[1] * seen
        rows_at_once = max(1, WINDOW_BYTES // size)
        windows = scratch.take("windows", (min(rows_at_once, len(train)), size), train.dtype)
        at = g.source, g.target[:2], g.kernel, g.stride, g.padding, g.dilation
        for first in range(0, len(train), rows_at_once):
            images = train[first : first + rows_at_once]
            load_kernels().copy_windows(images, windows, *at)
            rows = view_as_tensor(windows[: len(images)].reshape(-1, seen))
            window_sums = out[first : first + rows_at_once].view(-1, g.target[2])
            torch._int_mm(rows, self.weight, out=window_sums)


@dataclass(frozen=True, eq=False)
class _ConvolutionEvents:
    weight: Array
    """Shape (source channel times kernel row, kernel column backwards times target channel)."""
    geometry: _Geometry

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        g = self.geometry
        total[...] = 0
        images = train.reshape(len(train), g.source[0], -1)
        words, at = view_as_words(images), (g.stride, g.padding, g.dilation)
        load_kernels().add_convolution(images, words, total, self.weight, g.source, g.target, *at)


@dataclass(frozen=True, eq=False)
class _OtherLayout:
    """A way with copies to and from other layouts of source and target."""

    way: Callable[[Array, Array, Scratch], None]
    old: tuple[int, int]
    new: tuple[int, int]
    """Channels of source and target."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        moved = np.ascontiguousarray(change_layout(train, self.old[0], self.new[0]))
        if self.old[1] == self.new[1]:
            self.way(moved, total, scratch)
            return
        sums = np.empty_like(total)
        self.way(moved, sums, scratch)
        total[...] = change_layout(sums, self.new[1], self.old[1])


def build_convolution_ways(
    wiring: Convolution, synapses: IntegerSynapses, payload: Interval, source: int, target: int
) -> Ways:
    """Return the ways of a convolution between neurons in these layouts."""
    geometry = _Geometry.of(wiring)
    weight = synapses.weight.reshape(*synapses.weight.shape[:2], *geometry.kernel)
    last = wiring.source_shape[0], wiring.channels
    bytes_ = wiring.sources
    mantissas = split_mantissas(weight) if fits_byte(payload) and wiring.groups == 1 else None
    if mantissas is None:
        way: Way = FloatMatrix(bind_without_exponent(synapses, payload))
        way, exponent = _wrap_layouts(way, (source, target), (1, 1)), synapses.exponent
        return Ways(way, None, 0, exponent, bytes_ + 8 * (wiring.sources + wiring.targets))
    mantissa, shift = mantissas
    matrix = np.array(mantissa.transpose(2, 3, 1, 0).reshape(-1, wiring.channels), order="C")
    way = _IntegerConvolution(view_as_tensor(matrix), geometry)
    events: Way | None = None
    if payload == BINARY:
        backwards = mantissa[..., ::-1].transpose(1, 2, 3, 0)
        rows = backwards.reshape(wiring.source_shape[0] * geometry.kernel[0], -1)
        events = _ConvolutionEvents(np.array(rows, np.int16, order="C"), geometry)
        events = _wrap_layouts(events, (source, target), last)
    return Ways(
        _wrap_layouts(way, (source, target), last),
        events,
        estimate_convolution_crossover(wiring),
        synapses.exponent + shift,
        bytes_,
    )


def _wrap_layouts(way: Way, old: tuple[int, int], new: tuple[int, int]) -> Way:
    return way if old == new else _OtherLayout(way.fill, old, new)
