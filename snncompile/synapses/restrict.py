"""Synapses of some of the sources only, to take concatenated inputs apart."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense
from snncompile.synapses.sparse import Sparse


def restrict(synapses: Synapses, sources: NDArray[Any]) -> Synapses | None:
    """Return the synapses of some sources, which are then 0, 1, ... in the given order.

        dense         ->  dense, some of its columns
        convolution   ->  convolution of fewer channels, if they are whole and in a row

    None: no wiring of this kind fits.
    """
    if isinstance(synapses.wiring, Dense):
        return dense(synapses.weight[:, sources])
    if isinstance(synapses.wiring, Convolution):
        return _restrict_channels(synapses.wiring, synapses.weight, sources)
    return None


def list_single_targets(synapses: Synapses) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return (target, weight) per source if each has one synapse and no two share a target."""
    wiring = synapses.wiring
    if not isinstance(wiring, Sparse) or len(wiring.source) != wiring.sources:
        return None
    order = np.argsort(wiring.source)
    alone = np.array_equal(wiring.source[order], np.arange(wiring.sources))
    if not alone or len(np.unique(wiring.target)) != len(wiring.target):
        return None
    return wiring.target[order], synapses.weight[order]


def _restrict_channels(
    wiring: Convolution, weight: NDArray[Any], sources: NDArray[Any]
) -> Synapses | None:
    space = prod(wiring.source_shape[1:])
    first, channels = int(sources[0]) // space, len(sources) // space
    whole = np.arange(first * space, (first + channels) * space)
    if wiring.groups != 1 or not np.array_equal(sources, whole):
        return None
    narrow = replace(wiring, source_shape=(channels, *wiring.source_shape[1:]))
    return Synapses(narrow, weight[:, first : first + channels])
