"""Synapses as functions on tensors: spikes (..., source) to sums of weights (..., target)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from snncompile.neurons.base import Interval
from snncompile.neurons.fixed import wrap_bits
from snncompile.reference.convolutions import call_torch, convolve
from snncompile.reference.dense_products import multiply
from snncompile.synapses.base import IntegerSynapses, Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse, unroll
from snncompile.synapses.transposed_convolution import TransposedConvolution

Apply = Callable[[Tensor], Tensor]
EXACT_FLOAT32 = 2**24
"""Integers up to here are exact in float32, and so are their sums if no part of one exceeds it."""
EXACT_FLOAT64 = 2**53
"""Integers up to here, and their sums, are exact in float64."""
LARGE_DENSE = 2**24
"""Weights from which a dense map is computed from the weights where they are, without a copy."""
PART_BITS = 16
"""Bits per part of a payload that is split: float64 holds 2^15 * 2^16 for each of 2^22 sources."""


def bind(synapses: Synapses | IntegerSynapses, payload: Interval, device: str = "cpu") -> Apply:
    """Return the function that computes the accumulated input.

    Args:
        synapses: float, computed in float64, or integer, computed exactly.
        payload: smallest and largest value a source sends.
        device: of torch, for the computation.
    """
    if isinstance(synapses, Synapses):
        shared = synapses.weight.size > LARGE_DENSE and device == "cpu"
        weight = _share(synapses.weight) if shared else torch.tensor(synapses.weight, device=device)
        return bind_weights(synapses.wiring, weight)
    return _bind_integer(synapses, payload, device)


def _share(weight: NDArray[Any]) -> Tensor:
    """Return a tensor of the same memory, which nobody writes to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the array is read-only
        return torch.from_numpy(weight)


def _bind_integer(synapses: IntegerSynapses, payload: Interval, device: str) -> Apply:
    """Sum in the fastest type that is exact: float32, float64, or float64 in two parts.

    On other devices than the CPU it is float64, rounded to the nearest integer: a GPU's library may
    compute a convolution through transforms, with errors far below a half.
    """
    largest, elsewhere = bound_largest_sum(synapses, payload), device != "cpu"
    single = largest <= EXACT_FLOAT32 and not elsewhere
    dtype = torch.float32 if single else torch.float64
    weight = torch.tensor(synapses.weight, device=device).to(dtype)
    apply = bind_weights(synapses.wiring, weight)
    if largest > EXACT_FLOAT64:
        apply = _split_payloads(apply)
    exponent = synapses.exponent
    reach = bound_arriving_input(synapses, payload)
    bits = synapses.sum_bits or 0
    wraps = bits > 0 and reach >= 1 << (bits - 1)
    narrow = reach < 2**31 and not wraps
    integer_type = torch.int32 if narrow and exponent > -32 else torch.int64

    def accumulate(spikes: Tensor) -> Tensor:
        total = apply(spikes)
        total = (total.round() if elsewhere and total.is_floating_point() else total).to(
            integer_type
        )
        if exponent:
            total = total << exponent if exponent >= 0 else total >> -exponent
        return wrap_bits(total, bits) if wraps else total

    return accumulate


def _split_payloads(apply: Apply) -> Apply:
    """Return the function that adds up high and low bits of long payloads separately."""

    def apply_in_parts(spikes: Tensor) -> Tensor:
        high, low = spikes >> PART_BITS, spikes & ((1 << PART_BITS) - 1)
        return (apply(high).to(torch.int64) << PART_BITS) + apply(low).to(torch.int64)

    return apply_in_parts


def sum_at_ones(wiring: Wiring, weight: NDArray[Any]) -> NDArray[np.int64]:
    """Return the exact input of each target if every source sends 1, shape (target,).

    A convolution is computed as one, not unrolled, and of one channel: its source channels all send
    the same, so its kernels are added up over them first.

    Args:
        wiring: of the weights; for a range of the sources, the wiring of the range.
        weight: integers, shape `wiring.weight_shape`.
    """
    wiring = wiring.plain
    if isinstance(wiring, Dense):
        return np.asarray(weight.sum(axis=1, dtype=np.int64))
    if isinstance(wiring, Convolution):
        wiring = replace(wiring, source_shape=(1, *wiring.source_shape[1:]), groups=1)
        weight = weight.sum(axis=1, keepdims=True)
    if int(np.abs(weight).max(initial=0)) * wiring.sources >= EXACT_FLOAT64:
        sums: NDArray[np.int64] = wiring.matrix(weight.astype(np.int64)).sum(axis=1)
        return sums
    apply = bind_weights(wiring, torch.tensor(weight, dtype=torch.float64))
    return apply(torch.ones(wiring.sources)).numpy().astype(np.int64)


def bound_sums(synapses: IntegerSynapses, payload: Interval) -> Interval:
    """Return bounds of one target's sum if all its sources exist; arrays of integers.

    Every partial sum, in any order, is within them too: 0 is among the payloads. For a convolution
    the bounds are per output channel; its targets at the border have fewer sources.
    """
    weight, lowest, highest = synapses.weight, int(payload.low), int(payload.high)
    signed = np.minimum(weight, 0), np.maximum(weight, 0)
    if isinstance(synapses.wiring.plain, Dense | Convolution):  # the first axis is the target's
        sums = (w.reshape(len(w), -1).sum(axis=1, dtype=np.int64) for w in signed)
    else:
        matrix = synapses.wiring.matrix
        sums = (np.asarray(matrix(w.astype(np.int64)).sum(axis=1)) for w in signed)
    negative, positive = sums
    return Interval(negative * highest + positive * lowest, positive * highest + negative * lowest)


def bound_largest_sum(synapses: IntegerSynapses, payload: Interval) -> int:
    """Return an upper bound of the magnitude of sums and partial sums of weights times payloads."""
    low, high = bound_sums(synapses, payload)
    return max(-int(low.min(initial=0)), int(high.max(initial=0)))


def bound_arriving_input(synapses: Synapses | IntegerSynapses, payload: Interval) -> int:
    """Return an upper bound of the magnitude of the accumulated input of one time step."""
    assert isinstance(synapses, IntegerSynapses)
    return (bound_largest_sum(synapses, payload) + 1) << max(synapses.exponent, 0)


def bind_weights(wiring: Wiring, weight: Tensor) -> Apply:
    """Return the function that sums weights, in their type and on their device."""
    return BINDERS.get(type(wiring), _bind_by_synapse)(wiring, weight)


def _bind_by_synapse(wiring: Wiring, weight: Tensor) -> Apply:
    each = unroll(wiring)
    number = torch.tensor(each.number, device=weight.device)
    return _bind_sparse(each.wiring, weight.reshape(-1)[number])


def _bind_dense(wiring: Dense, weight: Tensor) -> Apply:
    if weight.requires_grad:
        return lambda spikes: multiply(spikes.to(weight.dtype), weight)
    turned = weight.T if weight.numel() > LARGE_DENSE else weight.T.contiguous()
    return lambda spikes: spikes.to(weight.dtype) @ turned


def _bind_convolution(wiring: Convolution, weight: Tensor) -> Apply:
    def apply(spikes: Tensor) -> Tensor:
        images = spikes.reshape(-1, *wiring.source_shape).to(weight.dtype)
        learns = weight.requires_grad or images.requires_grad
        total = (call_torch if learns else convolve)(images, weight, wiring)
        return total.reshape(*spikes.shape[:-1], wiring.targets)

    return apply


def _bind_transposed_convolution(wiring: TransposedConvolution, weight: Tensor) -> Apply:
    functional: Any = torch.nn.functional
    axes = len(wiring.kernel)
    function = functional.conv_transpose1d if axes == 1 else functional.conv_transpose2d
    by_group = weight.reshape(wiring.groups, -1, *wiring.weight_shape[1:]).transpose(1, 2)
    turned = by_group.reshape(wiring.source_shape[0], -1, *wiring.kernel).contiguous()
    options = {"stride": wiring.stride, "dilation": wiring.dilation, "groups": wiring.groups}

    def apply(spikes: Tensor) -> Tensor:
        images = spikes.reshape(-1, *wiring.source_shape).to(weight.dtype)
        whole: Tensor = function(images, turned, **options)
        for axis, (first, size) in enumerate(zip(wiring.padding, wiring.target_space, strict=True)):
            missing = max(0, first + size - whole.shape[2 + axis])
            ends = [0, 0] * (axes - axis - 1) + [max(0, -first), missing]
            whole = functional.pad(whole, ends).narrow(2 + axis, max(0, first), size)
        return whole.reshape(*spikes.shape[:-1], wiring.targets)

    return apply


def _bind_sparse(wiring: Sparse, weight: Tensor) -> Apply:
    """Sum over the synapses in their order, as a product of a sparse matrix or synapse by synapse.

    Both add up the same products in the same order; the product has no gradients, knows two types,
    and is ten times as fast for 32 rows where neurons have many synapses. It reads and writes every
    neuron, which takes longer where many have none.
    """
    source = torch.tensor(wiring.source, dtype=torch.int64, device=weight.device)
    target = torch.tensor(wiring.target, dtype=torch.int64, device=weight.device)

    def add_each(spikes: Tensor) -> Tensor:
        shape = (*spikes.shape[:-1], wiring.targets)
        total = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        return total.index_add_(-1, target, spikes[..., source].to(weight.dtype) * weight)

    fits = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
    few = 2 * len(wiring.source) < wiring.sources + wiring.targets
    if weight.requires_grad or few or not fits:
        return add_each
    order = np.argsort(wiring.target, kind="stable")
    ends = np.searchsorted(wiring.target[order], np.arange(wiring.targets + 1))
    shape = wiring.targets, wiring.sources
    matrix = csr_array((weight.numpy()[order], wiring.source[order], ends), shape=shape)

    def multiply_matrix(spikes: Tensor) -> Tensor:
        if spikes.requires_grad:
            return add_each(spikes)
        columns = spikes.reshape(-1, wiring.sources).T.to(weight.dtype).contiguous()
        total = torch.from_numpy(matrix @ columns.numpy())
        return total.T.reshape(*spikes.shape[:-1], wiring.targets).contiguous()

    return multiply_matrix


def _bind_scale(wiring: Scale, weight: Tensor) -> Apply:
    return lambda spikes: spikes.to(weight.dtype) * weight


def _bind_source_range(wiring: SourceRange, weight: Tensor) -> Apply:
    apply = bind_weights(wiring.part, weight)
    return lambda spikes: apply(spikes[..., wiring.first : wiring.stop])


BINDERS: dict[type, Callable[[Any, Tensor], Apply]] = {
    Dense: _bind_dense,
    Convolution: _bind_convolution,
    Sparse: _bind_sparse,
    Scale: _bind_scale,
    SourceRange: _bind_source_range,
    TransposedConvolution: _bind_transposed_convolution,
}
"""Functions that bind the weights of a wiring; other wirings are unrolled."""
