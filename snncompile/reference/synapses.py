"""Synapses as functions on tensors: spikes (..., source) to sums of weights (..., target)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.neurons.base import Interval
from snncompile.synapses.base import IntegerSynapses, Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse, unroll

Apply = Callable[[Tensor], Tensor]
EXACT_FLOAT32 = 2**24
"""Integers up to here are exact in float32, and so are their sums if no part of one exceeds it."""
EXACT_FLOAT64 = 2**53
"""The same in float64."""
PART_BITS = 16
"""Of a payload whose sums float64 does not hold: 2^15 * 2^16 for each of 2^22 sources it does."""


def bind(synapses: Synapses | IntegerSynapses, payload: Interval, device: str = "cpu") -> Apply:
    """Return the function that computes the accumulated input.

    Args:
        synapses: float, computed in float64, or integer, computed exactly.
        payload: smallest and largest value a source sends.
        device: of torch, where it is computed.
    """
    if isinstance(synapses, Synapses):
        return bind_weights(synapses.wiring, torch.tensor(synapses.weight, device=device))
    return _integer(synapses, payload, device)


def _integer(synapses: IntegerSynapses, payload: Interval, device: str) -> Apply:
    """Sum in the fastest type that is exact: float32, float64, or float64 in two parts.

    Elsewhere than on the CPU it is float64, rounded to the nearest integer: a GPU's library may
    compute a convolution through transforms, whose errors are far below a half there.
    """
    largest, elsewhere = largest_sum(synapses, payload), device != "cpu"
    single = largest <= EXACT_FLOAT32 and not elsewhere
    dtype = torch.float32 if single else torch.float64
    weight = torch.tensor(synapses.weight, device=device).to(dtype)
    apply = bind_weights(synapses.wiring, weight)
    if largest > EXACT_FLOAT64:
        apply = _in_parts(apply)
    exponent = synapses.exponent
    narrow = arriving_bound(synapses, payload) < 2**31
    whole = torch.int32 if narrow and exponent > -32 else torch.int64

    def accumulate(spikes: Tensor) -> Tensor:
        total = apply(spikes)
        total = (total.round() if elsewhere and total.is_floating_point() else total).to(whole)
        if exponent == 0:
            return total
        return total << exponent if exponent >= 0 else total >> -exponent

    return accumulate


def _in_parts(apply: Apply) -> Apply:
    """Return the function that adds up high and low bits of long payloads by themselves."""

    def parts(spikes: Tensor) -> Tensor:
        high, low = spikes >> PART_BITS, spikes & ((1 << PART_BITS) - 1)
        return (apply(high).to(torch.int64) << PART_BITS) + apply(low).to(torch.int64)

    return parts


def at_ones(wiring: Wiring, weight: NDArray[Any]) -> NDArray[np.int64]:
    """Return what each target gets if every source sends 1, shape (target,), exactly.

    A convolution is computed as one, not unrolled, and of one channel: its source channels all send
    the same, so its kernels are added up over them first.

    Args:
        wiring: of the weights; of a range of the sources that of the range will do.
        weight: integers, shape `wiring.weight_shape`.
    """
    wiring = wiring.plain
    if isinstance(wiring, Dense):
        return np.asarray(weight.sum(axis=1, dtype=np.int64))
    if isinstance(wiring, Convolution):
        wiring = replace(wiring, source_shape=(1, *wiring.source_shape[1:]), groups=1)
        weight = weight.sum(axis=1, keepdims=True)
    if int(np.abs(weight).max(initial=0)) * wiring.sources >= EXACT_FLOAT64:
        whole: NDArray[np.int64] = wiring.matrix(weight.astype(np.int64)).sum(axis=1)
        return whole
    apply = bind_weights(wiring, torch.tensor(weight, dtype=torch.float64))
    return apply(torch.ones(wiring.sources)).numpy().astype(np.int64)


def extremes(synapses: IntegerSynapses, payload: Interval) -> Interval:
    """Return what one target's sum lies between if all its sources are there; arrays of integers.

    Every partial sum lies there too, in whatever order it is added up: 0 is among the payloads.
    Per output channel of a convolution, whose targets at the border have fewer sources.
    """
    weight, least, most = synapses.weight, int(payload.low), int(payload.high)
    parts = np.minimum(weight, 0), np.maximum(weight, 0)
    if isinstance(synapses.wiring.plain, Dense | Convolution):  # the first axis is the target's
        both = (part.reshape(len(part), -1).sum(axis=1, dtype=np.int64) for part in parts)
    else:
        matrix = synapses.wiring.matrix
        both = (np.asarray(matrix(part.astype(np.int64)).sum(axis=1)) for part in parts)
    negative, positive = both
    return Interval(negative * most + positive * least, positive * most + negative * least)


def largest_sum(synapses: IntegerSynapses, payload: Interval) -> int:
    """Return a magnitude that no sum of weights times payloads exceeds, nor a part of it."""
    low, high = extremes(synapses, payload)
    return max(-int(low.min(initial=0)), int(high.max(initial=0)))


def arriving_bound(synapses: Synapses | IntegerSynapses, payload: Interval) -> int:
    """Return a magnitude that the accumulated input of one time step cannot exceed."""
    assert isinstance(synapses, IntegerSynapses)
    return (largest_sum(synapses, payload) + 1) << max(synapses.exponent, 0)


def bind_weights(wiring: Wiring, weight: Tensor) -> Apply:
    """Return the function that sums weights, in their type and on their device."""
    return BINDERS.get(type(wiring), _by_synapse)(wiring, weight)


def _by_synapse(wiring: Wiring, weight: Tensor) -> Apply:
    each = unroll(wiring)
    number = torch.tensor(each.number, device=weight.device)
    return _sparse(each.wiring, weight.reshape(-1)[number])


def _dense(wiring: Dense, weight: Tensor) -> Apply:
    turned = weight.T.contiguous()
    return lambda spikes: spikes.to(weight.dtype) @ turned


def _convolution(wiring: Convolution, weight: Tensor) -> Apply:
    functional: Any = torch.nn.functional
    function = functional.conv1d if len(wiring.kernel) == 1 else functional.conv2d
    options = {
        "stride": wiring.stride,
        "padding": wiring.padding,
        "dilation": wiring.dilation,
        "groups": wiring.groups,
    }

    def apply(spikes: Tensor) -> Tensor:
        images = spikes.reshape(-1, *wiring.source_shape).to(weight.dtype)
        total: Tensor = function(images, weight, **options)
        return total.reshape(*spikes.shape[:-1], wiring.targets)

    return apply


def _sparse(wiring: Sparse, weight: Tensor) -> Apply:
    source = torch.tensor(wiring.source, dtype=torch.int64, device=weight.device)
    target = torch.tensor(wiring.target, dtype=torch.int64, device=weight.device)

    def apply(spikes: Tensor) -> Tensor:
        shape = (*spikes.shape[:-1], wiring.targets)
        total = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        return total.index_add_(-1, target, spikes[..., source].to(weight.dtype) * weight)

    return apply


def _scale(wiring: Scale, weight: Tensor) -> Apply:
    return lambda spikes: spikes.to(weight.dtype) * weight


def _source_range(wiring: SourceRange, weight: Tensor) -> Apply:
    part = bind_weights(wiring.part, weight)
    return lambda spikes: part(spikes[..., wiring.first : wiring.stop])


BINDERS: dict[type, Callable[[Any, Tensor], Apply]] = {
    Dense: _dense,
    Convolution: _convolution,
    Sparse: _sparse,
    Scale: _scale,
    SourceRange: _source_range,
}
"""Ways to sum the weights of spikes; other wirings are unrolled."""
