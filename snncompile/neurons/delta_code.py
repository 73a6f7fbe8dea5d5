"""Shared by the sigma-delta neurons: they send the change of a value."""

from __future__ import annotations

from math import floor, log2
from typing import Any

import numpy as np

from snncompile.arrays import Ints
from snncompile.errors import QuantizeError
from snncompile.neurons.base import Interval, bound_leaky_sum, widen_by_start
from snncompile.neurons.fixed import WORD_LIMIT

SPIKE_EXPONENT = 6
"""A change of 1.0 is sent as 2^6, as in lava-dl's networks (netx/hdf5.py: spike_exp)."""


def select_sent(delta: Any, threshold: Any) -> Any:
    """Return the change to send: the whole change from the threshold on, else 0."""
    return delta * (abs(delta) >= threshold)


def round_down_to_power(scale: float) -> float:
    """Return the largest power of two up to `scale`: a shift forms the messages."""
    return float(2.0 ** floor(log2(scale)))


def choose_state_exponent(scale: float) -> Ints:
    """Return the number of bits that are not sent: 1.0 is `scale`, a power of two, sent as 2^6.

    Raises:
        QuantizeError: the scale is too small.
    """
    exponent = round(log2(scale)) - SPIKE_EXPONENT
    if exponent < 0:
        raise QuantizeError(f"scale {scale:g} is below 2^{SPIKE_EXPONENT}, the message of 1.0")
    return np.asarray(exponent)


def bound_payload(exponent: Ints) -> Interval:
    """Return the interval of messages: 32 bits without the last `exponent`."""
    reach = WORD_LIMIT >> int(exponent.min())
    return Interval(-reach, reach)


def bound_sum(x: Interval, initial: Ints, steps: int | None) -> Interval:
    """Return the interval of a sum without a leak; beyond 32 bits it wraps to any value."""
    none = np.asarray(0)
    low, high = widen_by_start(
        initial, Interval(bound_leaky_sum(x.low, none, steps), bound_leaky_sum(x.high, none, steps))
    )
    wraps = (low < -WORD_LIMIT) | (high >= WORD_LIMIT)
    return Interval(
        np.where(wraps, np.minimum(low, -WORD_LIMIT), low),
        np.where(wraps, np.maximum(high, WORD_LIMIT), high),
    )


def bound_residue(threshold: Ints) -> Interval:
    """Return the interval of the residue: below the threshold."""
    largest = np.maximum(np.asarray(threshold) - 1, 0)
    return Interval(-largest, largest)
