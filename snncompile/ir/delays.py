"""Delays per synapse: one projection for each delay that occurs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.ir.graph import Projection
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.sparse import Sparse


def split_by_delay(projection: Projection, delays: ArrayLike) -> tuple[Projection, ...]:
    """Return one projection per delay, each with the synapses of that delay.

    The cost: one projection per delay, each one or two processes on Lava.
    Every synapse is kept once, but one by one (`Sparse`), so shared kernels of a convolution are
    unrolled; in synaptic memory each delay of a source has rows of its own, rounded up to whole
    words. If all delays are equal, the wiring stays as it is.

    Where the exponent of integer weights is negative, the sum of each delay is rounded by itself.

    Args:
        projection: its own delay is added to that of each synapse.
        delays: time steps, whole numbers from 0, that broadcast to (target, source): one number,
            shape (source,) for delays of axons, or one per synapse.

    Raises:
        InputError: the delays have another shape, or are no whole numbers from 0.
    """
    wiring = projection.synapses.wiring
    steps = _check_delays(projection, delays, (wiring.targets, wiring.sources))
    values = np.unique(steps)  # of what was given: one number for 10^9 synapses stays one
    if len(values) == 1:
        return (replace(projection, delay=projection.delay + int(values[0])),)
    matrix = wiring.matrix(projection.synapses.weight).tocoo()
    target, source = matrix.coords
    each = np.broadcast_to(steps, matrix.shape)[target, source]
    projections = []
    for value in np.unique(each):
        of_value = each == value
        sparse = Sparse(target[of_value], source[of_value], *matrix.shape)
        synapses = _replace_wiring(projection.synapses, sparse, matrix.data[of_value])
        projections.append(
            replace(projection, synapses=synapses, delay=projection.delay + int(value))
        )
    return tuple(projections)


def _check_delays(
    projection: Projection, delays: ArrayLike, shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the delays as they were given, if they broadcast to the shape."""
    where = f"projection {projection.source} -> {projection.target}"
    array = np.asarray(delays)
    if array.dtype.kind not in "iuf" or (array != np.rint(array)).any() or array.min() < 0:
        raise InputError(f"{where}: delays must be whole numbers from 0")
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise InputError(
            f"{where}: delays have shape {array.shape}, expected one for all, (source,) or"
            f" (target, source) of {shape}"
        ) from None
    return array.astype(np.int64)


def _replace_wiring(
    synapses: Synapses | IntegerSynapses, wiring: Sparse, weight: NDArray[np.generic]
) -> Synapses | IntegerSynapses:
    if isinstance(synapses, IntegerSynapses):
        return replace(synapses, wiring=wiring, weight=weight)  # type: ignore[arg-type]
    return replace(synapses, wiring=wiring, weight=weight)  # type: ignore[arg-type]
