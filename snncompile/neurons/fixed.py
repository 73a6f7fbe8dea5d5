"""Integer arithmetic of the chips, bit for bit that of lava-nc 0.10.0 (`proc/lif/models.py`).

Every function works on numpy arrays and torch tensors of 64-bit integers alike: operators only.
"""

from __future__ import annotations

from typing import Any

STATE_LIMIT = 1 << 23
"""u and v are 24 bits wide including the sign."""
DECAY_ONE = 1 << 12
"""Decays are integers out of 4096."""
WORD_LIMIT = 1 << 31
"""Lava's sigma-delta processes compute in 32 bits including the sign."""
CONV_BITS = 24
"""To which Lava's Conv wraps the sum of a step (lava-nc 0.10.0, proc/conv/models.py)."""
STATE_SHIFT = 6
"""Synaptic input and thresholds are scaled by 2^6 before they meet u and v."""


def apply_decay(x: Any, decay: Any) -> Any:
    """Return x * (4096 - decay) / 4096, rounded toward zero.

    Toward zero, so that a potential dies out from both sides; a plain shift would round down.
    """
    return divide_by_4096(x * (DECAY_ONE - decay))


def divide_by_4096(product: Any) -> Any:
    """Return product / 4096, rounded toward zero."""
    return (product + ((product >> 63) & (DECAY_ONE - 1))) >> 12


def wrap(u: Any) -> Any:
    """Return u after the one overflow that Lava applies to the current.

    Above 2^23 it loses 2^24, at or below -2^23 it gains 2^24. So +2^23 itself survives and -2^23
    becomes +2^23, which a two's complement register would not do; Lava is the definition.
    """
    u = u - (u > STATE_LIMIT) * (2 * STATE_LIMIT)
    return u + (u <= -STATE_LIMIT) * (2 * STATE_LIMIT)


def saturate(v: Any) -> Any:
    """Return v limited to +-(2^23 - 1)."""
    return v.clip(1 - STATE_LIMIT, STATE_LIMIT - 1)


def limit(x: Any, lowest: Any, highest: Any) -> Any:
    """Return x within lowest .. highest, which may differ from neuron to neuron."""
    return x.clip(lowest, highest)


def wrap_word(x: Any) -> Any:
    """Return x wrapped to 32 bits, as numpy's int32 does in Lava's sigma-delta processes."""
    return ((x + WORD_LIMIT) & (2 * WORD_LIMIT - 1)) - WORD_LIMIT


def wrap_bits(x: Any, bits: int) -> Any:
    """Return x wrapped to a number of bits with sign (lava-nc 0.10.0, proc/conv/utils.py)."""
    half = 1 << (bits - 1)
    return ((x + half) & (2 * half - 1)) - half


def shift_bias(mantissa: Any, exponent: Any) -> Any:
    """Return mantissa * 2^exponent, for exponents of 0 and above."""
    return mantissa << exponent
