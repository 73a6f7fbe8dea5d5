"""Ways to compute what a projection brings, each exact in 32 bits; the fastest one is chosen.

A way takes what the source sends, shape (rows, source) in its layout, and writes the sums of
weights, shape (rows, target), without the exponent. A row is a time step of a sample.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.neurons.base import BINARY, Interval
from snncompile.reference.crossovers import convolution_crossover, dense_crossover
from snncompile.reference.layout import in_layouts, turned
from snncompile.reference.ranges import from_range
from snncompile.reference.synapses import Apply, arriving_bound, bind
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

Array = NDArray[Any]

WINDOW_BYTES = 2**20
"""What the targets of a convolution see, copied at a time: it stays in the second-level cache."""


def kernels() -> Any:
    """Return the module of kernels, loaded on first use."""
    return importlib.import_module("snncompile.reference.kernels")


class Way(Protocol):
    """One way to compute a projection."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""


@dataclass(frozen=True, eq=False)
class Ways:
    """A projection with its ways."""

    product: Way
    """For any spikes."""
    events: Way | None
    """For few of them; None if there is none."""
    below: float
    """Share of spikes below which events are faster."""
    shift: int
    """Bits by which sums are shifted left; to the right if negative."""
    row_bytes: int
    """Memory that one row takes while it is computed."""

    def choose(self, train: Array, steps: Array | None = None) -> Way:
        """Return the faster way for what the source sends; a part of it is looked at.

        Args:
            train: shape (samples, steps, source), or of rows (rows, source).
            steps: those that will be computed, shape (steps,), bool; None for all.
        """
        some = train[:: 1 + len(train) // 32]
        if steps is not None and not steps.all():
            some = some[:, steps]
        if self.events and np.count_nonzero(some) < self.below * some.size:
            return self.events
        return self.product


def ways(synapses: IntegerSynapses, payload: Interval, source: int, target: int) -> Ways | None:
    """Return the ways of a projection between neurons in these layouts.

    None if a sum or a payload needs more than 32 bits.
    """
    if synapses.exponent < -31 or arriving_bound(synapses, payload) >= 2**31:
        return None
    wiring = synapses.wiring
    if isinstance(wiring, SourceRange):
        part = ways(replace(synapses, wiring=wiring.part), payload, 1, target)
        return part and from_range(part, wiring, source)
    if isinstance(wiring, Convolution):
        return _convolution(wiring, synapses, payload, source, target)
    there = in_layouts(synapses, source, target)
    return _ROWS[type(wiring)](there, payload)


class Scratch(threading.local):
    """Memory that a thread uses again and again."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def take(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of any content."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if use not in self._held or self._held[use].size < size:
            self._held[use] = np.empty(size, np.uint8)
        array: Array = self._held[use][:size].view(dtype).reshape(shape)
        return array


# Matrix products of 8-bit integers.


@functools.cache
def has_integer_product() -> bool:
    """Whether torch multiplies 8-bit matrices exactly into 32 bits, and fast, on this processor.

    Processors without the instructions (VNNI) add pairs of products in 16 bits, which can saturate;
    so the extremes are tried as well.
    """
    has = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    library: Any = torch.backends.mkldnn
    if not (hasattr(torch, "_int_mm") and has() and library.is_available()):
        return False
    values = torch.tensor([-128, 127, -1, 1, 0, -128, 127, 127], dtype=torch.int8)
    for rows, inner, columns in ((3, 5, 2), (17, 300, 33), (70, 64, 16)):
        one = values[torch.arange(rows * inner).reshape(rows, inner) // 3 % 8]
        other = values[torch.arange(inner * columns).reshape(inner, columns) // 2 % 8]
        for a, b in ((one, other), (one * 0 + 127, other * 0 - 128), (one * 0 - 128, other)):
            if not torch.equal(torch._int_mm(a, b).long(), a.long() @ b.long()):
                return False
    return True


def _mantissas(weight: Array) -> tuple[Array, int] | None:
    """Return weights as int8 and the bits they are shifted by; None if 8 bits are too few."""
    every = int(np.bitwise_or.reduce(weight, axis=None, initial=0))
    shift = (every & -every).bit_length() - 1 if every else 0
    small = weight >> shift
    if not has_integer_product() or small.min(initial=0) < -128 or small.max(initial=0) > 127:
        return None
    return small.astype(np.int8), shift


def _tensor(array: Array) -> torch.Tensor:
    """Return an array of bytes or of 32-bit integers as a tensor, in the same memory.

    Through one axis: an axis of length 1 may have any stride in numpy, and `_int_mm` would take it
    for a transposed matrix.
    """
    flat = array.reshape(-1)
    flat = flat.view(np.int8) if flat.dtype == np.uint8 else flat
    return torch.from_numpy(flat).view(array.shape)


def _fits_byte(payload: Interval) -> bool:
    return bool(payload.low >= -128 and payload.high <= 127)


@dataclass(frozen=True, eq=False)
class _IntegerMatrix:
    weight: torch.Tensor
    """Shape (source, target), int8."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        torch._int_mm(_tensor(train), self.weight, out=_tensor(total))


@dataclass(frozen=True, eq=False)
class _FloatMatrix:
    """A product in floats, exact: see `synapses.bind`."""

    apply: Apply

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        total[...] = self.apply(torch.from_numpy(train)).numpy()


@dataclass(frozen=True, eq=False)
class _DenseEvents:
    weight: Array
    """Shape (source, target), int16."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        total[...] = 0
        kernels().dense(train, _words(train), total, self.weight)


def _words(train: Array) -> Array:
    """Return rows of bytes as words of 8, as far as that goes for all of them."""
    if train.shape[-1] % 8:
        return np.empty((*train.shape[:-1], 0), np.uint64)
    return train.view(np.uint64)


def _dense(synapses: IntegerSynapses, payload: Interval) -> Ways:
    weight, exponent = synapses.weight, synapses.exponent
    small = _mantissas(weight) if _fits_byte(payload) else None
    product: Way
    if small:
        product = _IntegerMatrix(_tensor(np.array(small[0].T, order="C")))
        shift = small[1]
    else:
        product, shift = _FloatMatrix(_whole(synapses, payload)), 0
    events = None
    largest = max(-int(weight.min(initial=0)), int(weight.max(initial=0)))
    if payload == BINARY and 4 * largest < 2**15 << shift:
        events = _DenseEvents(np.array(weight.T >> shift, np.int16, order="C"))
    widest = 4 * sum(weight.shape) if small is None else sum(weight.shape)
    return Ways(product, events, dense_crossover(len(weight)), exponent + shift, widest)


def _whole(synapses: IntegerSynapses, payload: Interval) -> Apply:
    """Return the exact function without the exponent."""
    plain = IntegerSynapses(synapses.wiring, synapses.weight, 0, synapses.bits)
    return bind(plain, payload)


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


@dataclass(frozen=True, eq=False)
class _Sums:
    starts: Array
    source: Array
    weight: Array

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        kernels().sparse(train, total, self.starts, self.source, self.weight)


@dataclass(frozen=True, eq=False)
class _Products:
    weight: Array

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        kernels().scale(train, total, self.weight)


def _sparse(synapses: IntegerSynapses, payload: Interval) -> Ways:
    matrix = synapses.wiring.matrix(synapses.weight.astype(np.int32))
    way = _Sums(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    return Ways(way, None, 0, synapses.exponent, sum(matrix.shape))


def _scale(synapses: IntegerSynapses, payload: Interval) -> Ways:
    if isinstance(synapses.wiring, Sparse):  # the layouts differ
        return _sparse(synapses, payload)
    size = synapses.wiring.sources
    weight = np.array(np.broadcast_to(synapses.weight, (size,)), np.int32)
    return Ways(_Products(weight), None, 0, synapses.exponent, 2 * size)


_ROWS: dict[type, Callable[[IntegerSynapses, Interval], Ways]] = {
    Dense: _dense,
    Sparse: _sparse,
    Scale: _scale,
}
