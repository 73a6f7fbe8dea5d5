"""Order in which the neurons of a population are kept while a network runs.

Before and behind a convolution channels come last, so that the sources of a target are a few pieces
of memory, and the result of a matrix product needs no change of layout.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import IntegerNetwork
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

Layouts = dict[str, int]
"""Channels of each population (or input) kept channels last; 1: kept in its own order."""


def choose_layouts(network: IntegerNetwork, movable: Collection[str]) -> Layouts:
    """Return the layout of each population; only movable ones may have another order."""
    layouts = dict.fromkeys([network.input.name, *(p.name for p in network.populations)], 1)
    for p in network.projections:
        wiring = p.synapses.wiring
        if isinstance(wiring, Convolution):
            for name, channels in ((p.target, wiring.channels), (p.source, wiring.source_shape[0])):
                if name in movable and layouts[name] == 1:
                    layouts[name] = channels
    return layouts


def change_layout(train: Any, old: int, new: int) -> Any:
    """Return an array or tensor of shape (..., n) in another layout."""
    size = train.shape[-1]
    old, new = (1 if channels == size else channels for channels in (old, new))
    if old == new:
        return train
    if old > 1:
        train = _swap_axes(train, size // old)
    return _swap_axes(train, new) if new > 1 else train


def _swap_axes(train: Any, first: int) -> Any:
    """Return (..., first, rest) as (..., rest, first)."""
    axes = train.reshape(*train.shape[:-1], first, -1)
    return axes.swapaxes(-1, -2).reshape(train.shape)


def order_neurons(size: int, channels: int) -> NDArray[np.int64]:
    """Return the number of each neuron in its population's own order, in the layout's order."""
    numbers: NDArray[np.int64] = change_layout(np.arange(size), 1, channels)
    return numbers


def reorder_synapses(synapses: IntegerSynapses, source: int, target: int) -> IntegerSynapses:
    """Return dense, sparse or one-to-one synapses between neurons in these layouts."""
    wiring: Wiring = synapses.wiring
    weight = synapses.weight
    if source == target == 1 or (
        isinstance(wiring, Scale) and source == target and not weight.ndim
    ):
        return synapses
    sources, targets = order_neurons(wiring.sources, source), order_neurons(wiring.targets, target)
    if isinstance(wiring, Dense):
        weight = weight[np.ix_(targets, sources)]
    elif isinstance(wiring, Sparse):
        neurons: Any = (np.argsort(targets)[wiring.target], np.argsort(sources)[wiring.source])
        wiring = Sparse(neurons[0], neurons[1], wiring.targets, wiring.sources)
    elif isinstance(wiring, Scale) and source == target:
        weight = weight[targets]
    else:
        assert isinstance(wiring, Scale)
        weight = np.broadcast_to(weight, (wiring.size,))[targets]
        neurons = (np.arange(wiring.size), np.argsort(sources)[targets])
        wiring = Sparse(neurons[0], neurons[1], wiring.size, wiring.size)
    return IntegerSynapses(wiring, weight, synapses.exponent, synapses.bits)
