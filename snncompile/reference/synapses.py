"""Synapses as functions on tensors: spikes (..., source) to sums of weights (..., target)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.neurons.base import Interval
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

Apply = Callable[[Tensor], Tensor]
EXACT_FLOAT32 = 2**24
"""Sums of integers up to here are exact in float32; in float64 up to 2^53."""


def bind(synapses: Synapses | IntegerSynapses, payload: Interval) -> Apply:
    """Return the function that computes the accumulated input.

    Args:
        synapses: float, computed in float64, or integer, computed exactly.
        payload: smallest and largest value a source sends.
    """
    if isinstance(synapses, Synapses):
        return _bind(synapses.wiring, torch.tensor(synapses.weight))
    return _integer(synapses, payload)


def _integer(synapses: IntegerSynapses, payload: Interval) -> Apply:
    """Sum in float32 where that is exact, else in float64 (exact: sums stay below 2^53)."""
    dtype = torch.float32 if largest_sum(synapses, payload) < EXACT_FLOAT32 else torch.float64
    apply = _bind(synapses.wiring, torch.tensor(synapses.weight).to(dtype))
    exponent = synapses.exponent
    narrow = arriving_bound(synapses, payload) < 2**31
    whole = torch.int32 if narrow and exponent > -32 else torch.int64

    def accumulate(spikes: Tensor) -> Tensor:
        total = apply(spikes).to(whole)
        if exponent == 0:
            return total
        return total << exponent if exponent >= 0 else total >> -exponent

    return accumulate


def largest_sum(synapses: IntegerSynapses, payload: Interval) -> int:
    """Return a bound of what weights and payloads can add up to in one target."""
    weight = np.abs(synapses.weight.astype(np.int64))
    if isinstance(synapses.wiring, Dense | Convolution):  # the first axis is the target's
        sums = weight.reshape(len(weight), -1).sum(axis=1)
    else:
        sums = np.asarray(synapses.wiring.matrix(weight).sum(axis=1))
    return int(sums.max(initial=0)) * max(-int(payload.low), int(payload.high))


def arriving_bound(synapses: Synapses | IntegerSynapses, payload: Interval) -> int:
    """Return a magnitude that the accumulated input of one time step cannot exceed."""
    assert isinstance(synapses, IntegerSynapses)
    return (largest_sum(synapses, payload) + 1) << max(synapses.exponent, 0)


def _bind(wiring: Any, weight: Tensor) -> Apply:
    return BINDERS[type(wiring)](wiring, weight)


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
    source = torch.tensor(wiring.source, dtype=torch.int64)
    target = torch.tensor(wiring.target, dtype=torch.int64)

    def apply(spikes: Tensor) -> Tensor:
        total = torch.zeros(*spikes.shape[:-1], wiring.targets, dtype=weight.dtype)
        return total.index_add_(-1, target, spikes[..., source].to(weight.dtype) * weight)

    return apply


def _scale(wiring: Scale, weight: Tensor) -> Apply:
    return lambda spikes: spikes.to(weight.dtype) * weight


BINDERS: dict[type, Callable[[Any, Tensor], Apply]] = {
    Dense: _dense,
    Convolution: _convolution,
    Sparse: _sparse,
    Scale: _scale,
}
