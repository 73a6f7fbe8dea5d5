"""Convolutions: products of copied windows, and sums over spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snncompile.arrays import Array
from snncompile.neurons.base import BINARY, Interval
from snncompile.reference.fast.base import Scratch, Way, Ways, kernels
from snncompile.reference.fast.crossovers import convolution_crossover
from snncompile.reference.fast.layout import turned
from snncompile.reference.fast.matrix import (
    _fits_byte,
    _FloatMatrix,
    _mantissas,
    _tensor,
    _whole,
    _words,
)
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

WINDOW_BYTES = 2**20
"""What the targets of a convolution see, copied at a time: it stays in the second-level cache."""


# Convolutions.


@dataclass(frozen=True)
class _Geometry:
    """A convolution over two axes, channels last; one axis becomes one row of two."""

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
        out = _tensor(total.reshape(len(total), -1, g.target[2]))
        if g.kernel == g.stride == (1, 1) and g.padding == (0, 0):
            rows = _tensor(train.reshape(-1, seen))
            torch._int_mm(rows, self.weight, out=out.view(-1, g.target[2]))
            return
        size = g.target[0] * g.target[1] * seen
        most = max(1, WINDOW_BYTES // size)
        windows = scratch.take("windows", (min(most, len(train)), size), train.dtype)
        at = g.source, g.target[:2], g.kernel, g.stride, g.padding, g.dilation
        for first in range(0, len(train), most):
            images = train[first : first + most]
            kernels().windows(images, windows, *at)
            rows = _tensor(windows[: len(images)].reshape(-1, seen))
            some = out[first : first + most].view(-1, g.target[2])
            torch._int_mm(rows, self.weight, out=some)


@dataclass(frozen=True, eq=False)
class _ConvolutionEvents:
    weight: Array
    """Shape (source channel times kernel row, kernel column backwards times target channel)."""
    geometry: _Geometry

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        g = self.geometry
        total[...] = 0
        images = train.reshape(len(train), g.source[0], -1)
        words, at = _words(images), (g.stride, g.padding, g.dilation)
        kernels().convolution(images, words, total, self.weight, g.source, g.target, *at)


@dataclass(frozen=True, eq=False)
class _Turned:
    """A way between neurons in other layouts than those at hand."""

    way: Callable[[Array, Array, Scratch], None]
    old: tuple[int, int]
    new: tuple[int, int]
    """Channels of source and target."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        there = np.ascontiguousarray(turned(train, self.old[0], self.new[0]))
        if self.old[1] == self.new[1]:
            self.way(there, total, scratch)
            return
        sums = np.empty_like(total)
        self.way(there, sums, scratch)
        total[...] = turned(sums, self.new[1], self.old[1])


def _convolution(
    wiring: Convolution, synapses: IntegerSynapses, payload: Interval, source: int, target: int
) -> Ways:
    geometry = _Geometry.of(wiring)
    weight = synapses.weight.reshape(*synapses.weight.shape[:2], *geometry.kernel)
    last = wiring.source_shape[0], wiring.channels
    bytes_ = wiring.sources
    small = _mantissas(weight) if _fits_byte(payload) and wiring.groups == 1 else None
    if small is None:
        way: Way = _FloatMatrix(_whole(synapses, payload))
        way, exponent = _with_layouts(way, (source, target), (1, 1)), synapses.exponent
        return Ways(way, None, 0, exponent, bytes_ + 8 * (wiring.sources + wiring.targets))
    mantissa, shift = small
    matrix = np.array(mantissa.transpose(2, 3, 1, 0).reshape(-1, wiring.channels), order="C")
    way = _IntegerConvolution(_tensor(matrix), geometry)
    events: Way | None = None
    if payload == BINARY:
        backwards = mantissa[..., ::-1].transpose(1, 2, 3, 0)
        rows = backwards.reshape(wiring.source_shape[0] * geometry.kernel[0], -1)
        events = _ConvolutionEvents(np.array(rows, np.int16, order="C"), geometry)
        events = _with_layouts(events, (source, target), last)
    return Ways(
        _with_layouts(way, (source, target), last),
        events,
        convolution_crossover(wiring),
        synapses.exponent + shift,
        bytes_,
    )


def _with_layouts(way: Way, old: tuple[int, int], new: tuple[int, int]) -> Way:
    return way if old == new else _Turned(way.fill, old, new)
