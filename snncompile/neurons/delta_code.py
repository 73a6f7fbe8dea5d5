"""What the sigma-delta neurons share: they send by how much a value has changed."""

from __future__ import annotations

from math import floor, log2
from typing import Any

import numpy as np

from snncompile.arrays import Ints
from snncompile.errors import QuantizeError
from snncompile.neurons.base import Interval, beyond, grown
from snncompile.neurons.fixed import WORD_LIMIT

SPIKE_EXPONENT = 6
"""A change of 1.0 is sent as 2^6, as in lava-dl's networks (netx/hdf5.py: spike_exp)."""


def sent(delta: Any, threshold: Any) -> Any:
    """Return the part of a change that is sent: all of it from the threshold on, else nothing."""
    return delta * (abs(delta) >= threshold)


def largest_power(scale: float) -> float:
    """Return the largest power of two up to `scale`: messages are made by a shift."""
    return float(2.0 ** floor(log2(scale)))


def state_exponent(scale: float) -> Ints:
    """Return the bits that are not sent, where 1.0 is `scale`, a power of two, and is sent as 2^6.

    Raises:
        QuantizeError: the scale is too small.
    """
    exponent = round(log2(scale)) - SPIKE_EXPONENT
    if exponent < 0:
        raise QuantizeError(f"scale {scale:g} is below 2^{SPIKE_EXPONENT}, what 1.0 is sent as")
    return np.asarray(exponent)


def payload(exponent: Ints) -> Interval:
    """Return what can be sent of 32 bits without the last `exponent`."""
    reach = WORD_LIMIT >> int(exponent.min())
    return Interval(-reach, reach)


def summed(x: Interval, initial: Ints, steps: int | None) -> Interval:
    """Return the interval of a sum that loses nothing; beyond 32 bits it wraps to anywhere."""
    none = np.asarray(0)
    low, high = beyond(initial, Interval(grown(x.low, none, steps), grown(x.high, none, steps)))
    wraps = (low < -WORD_LIMIT) | (high >= WORD_LIMIT)
    return Interval(
        np.where(wraps, np.minimum(low, -WORD_LIMIT), low),
        np.where(wraps, np.maximum(high, WORD_LIMIT), high),
    )


def kept(threshold: Ints) -> Interval:
    """Return the interval of what is not sent yet: below the threshold."""
    most = np.maximum(np.asarray(threshold) - 1, 0)
    return Interval(-most, most)
