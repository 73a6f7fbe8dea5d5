"""Dense projections: matrix products of 8-bit integers, of floats, and sums over spikes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snncompile.arrays import Array
from snncompile.neurons.base import BINARY, Interval
from snncompile.reference.fast.base import Scratch, Way, Ways, load_kernels
from snncompile.reference.fast.crossovers import estimate_dense_crossover
from snncompile.reference.synapses import Apply, bind
from snncompile.synapses.base import IntegerSynapses

# Matrix products of 8-bit integers.


@functools.cache
def has_integer_product() -> bool:
    """Return whether torch multiplies 8-bit matrices fast and exactly into 32 bits here.

    Processors without the instructions (VNNI) add pairs of products in 16 bits, which can saturate;
    so the extremes are tried as well.
    """
    has = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    library: Any = torch.backends.mkldnn
    if not (hasattr(torch, "_int_mm") and has() and library.is_available()):
        return False
    values = torch.tensor([-128, 127, -1, 1, 0, -128, 127, 127], dtype=torch.int8)
    for rows, inner, columns in ((3, 5, 2), (17, 300, 33), (70, 64, 16)):
        left = values[torch.arange(rows * inner).reshape(rows, inner) // 3 % 8]
        right = values[torch.arange(inner * columns).reshape(inner, columns) // 2 % 8]
        for a, b in ((left, right), (left * 0 + 127, right * 0 - 128), (left * 0 - 128, right)):
            if not torch.equal(torch._int_mm(a, b).long(), a.long() @ b.long()):
                return False
    return True


def split_mantissas(weight: Array) -> tuple[Array, int] | None:
    """Return weights as int8 and their shift in bits; None if 8 bits are too few."""
    every = int(np.bitwise_or.reduce(weight, axis=None, initial=0))
    shift = (every & -every).bit_length() - 1 if every else 0
    small = weight >> shift
    if not has_integer_product() or small.min(initial=0) < -128 or small.max(initial=0) > 127:
        return None
    return small.astype(np.int8), shift


def view_as_tensor(array: Array) -> torch.Tensor:
    """Return an array of bytes or of 32-bit integers as a tensor, in the same memory.

    Through one axis: an axis of length 1 may have any stride in numpy, and `_int_mm` would take it
    for a transposed matrix.
    """
    flat = array.reshape(-1)
    flat = flat.view(np.int8) if flat.dtype == np.uint8 else flat
    return torch.from_numpy(flat).view(array.shape)


def fits_byte(payload: Interval) -> bool:
    """Return whether a signed byte holds every payload."""
    return bool(payload.low >= -128 and payload.high <= 127)


@dataclass(frozen=True, eq=False)
class _IntegerMatrix:
    weight: torch.Tensor
    """Shape (source, target), int8."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        torch._int_mm(view_as_tensor(train), self.weight, out=view_as_tensor(total))


@dataclass(frozen=True, eq=False)
class FloatMatrix:
    """A product in floats, exact: see `synapses.bind`."""

    apply: Apply

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""
        total[...] = self.apply(torch.from_numpy(train)).numpy()


@dataclass(frozen=True, eq=False)
class _DenseEvents:
    weight: Array
    """Shape (source, target), int16."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        total[...] = 0
        load_kernels().add_dense(train, view_as_words(train), total, self.weight)


def view_as_words(train: Array) -> Array:
    """Return rows of bytes as words of 8; no words if a row is not a multiple of 8."""
    if train.shape[-1] % 8:
        return np.empty((*train.shape[:-1], 0), np.uint64)
    return train.view(np.uint64)


def build_dense_ways(synapses: IntegerSynapses, payload: Interval) -> Ways:
    """Return the ways of a dense projection."""
    weight, exponent = synapses.weight, synapses.exponent
    mantissas = split_mantissas(weight) if fits_byte(payload) else None
    product: Way
    if mantissas:
        product = _IntegerMatrix(view_as_tensor(np.array(mantissas[0].T, order="C")))
        shift = mantissas[1]
    else:
        product, shift = FloatMatrix(bind_without_exponent(synapses, payload)), 0
    events = None
    largest = max(-int(weight.min(initial=0)), int(weight.max(initial=0)))
    if payload == BINARY and 4 * largest < 2**15 << shift:
        events = _DenseEvents(np.array(weight.T >> shift, np.int16, order="C"))
    widest = 4 * sum(weight.shape) if mantissas is None else sum(weight.shape)
    return Ways(product, events, estimate_dense_crossover(len(weight)), exponent + shift, widest)


def bind_without_exponent(synapses: IntegerSynapses, payload: Interval) -> Apply:
    """Return the exact function without the exponent."""
    plain = IntegerSynapses(synapses.wiring, synapses.weight, 0, synapses.bits)
    return bind(plain, payload)
