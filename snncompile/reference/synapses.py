"""Synapses as functions on tensors: spikes (..., source) to sums of weights (..., target)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.ir.graph import Dense, IntegerDense, Synapses

Apply = Callable[[Tensor], Tensor]


def bind(synapses: Synapses) -> Apply:
    """Return the function that computes the accumulated input."""
    return BINDERS[type(synapses)](synapses)


def _dense(synapses: Dense) -> Apply:
    weight = torch.tensor(synapses.weight.T)
    return lambda spikes: spikes.to(torch.float64) @ weight


def _integer_dense(synapses: IntegerDense) -> Apply:
    """Sum in float32 where that is exact, else in float64 (exact: sums stay far below 2^53)."""
    largest = int(np.abs(synapses.weight.astype(np.int64)).sum(axis=1).max())
    dtype = torch.float32 if largest < 2**24 else torch.float64
    weight = torch.tensor(synapses.weight.T).to(dtype)

    def apply(spikes: Tensor) -> Tensor:
        total = (spikes.to(dtype) @ weight).to(torch.int64)
        exponent = synapses.exponent
        return total << exponent if exponent >= 0 else total >> -exponent

    return apply


BINDERS: dict[type, Callable[[Any], Apply]] = {Dense: _dense, IntegerDense: _integer_dense}
