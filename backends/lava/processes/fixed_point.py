"""The arithmetic of Lava's fixed-point LIF (proc/lif/models.py), in 64-bit integers."""

import numpy as np

LIMIT = 1 << 23  # u and v are 24 bits wide including the sign
SHIFT = 6  # synaptic input and thresholds are scaled by 2^6


def decayed(x: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """Return x * (4096 - decay) / 4096, rounded toward zero."""
    return shrunk(x * (4096 - decay))


def shrunk(product: np.ndarray) -> np.ndarray:
    """Return product / 4096, rounded toward zero."""
    return np.sign(product) * (np.abs(product) >> 12)


def wrapped(u: np.ndarray) -> np.ndarray:
    """Return u after at most one overflow of its 24 bits, as Lava computes it."""
    u = np.where(u > LIMIT, u - 2 * LIMIT, u)
    return np.where(u <= -LIMIT, u + 2 * LIMIT, u)


def saturated(v: np.ndarray) -> np.ndarray:
    """Return v limited to 24 bits."""
    return np.clip(v, 1 - LIMIT, LIMIT - 1)


def wrapped_word(x: np.ndarray) -> np.ndarray:
    """Return x in 32 bits, which is what Lava's sigma-delta processes compute in."""
    return x.astype(np.int32).astype(np.int64)
