"""Integer arithmetic: by hand at the edges, against plain Python everywhere, numpy like torch."""

from __future__ import annotations

import numpy as np
import plain
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snncompile.neurons import fixed

HALF = 2**23
WIDE = st.integers(-(2**40), 2**40) | st.sampled_from([0, 1, -1, HALF, -HALF, 1 - HALF, HALF + 1])

# x, decay out of 4096, what is left.
DECAYED = [
    (1, 1, 0),  # 0.99: toward zero, not to the nearest
    (-1, 1, 0),  # toward zero, not down
    (4096, 1, 4095),
    (-4096, 1, -4095),
    (4097, 1, 4095),  # 4095.99
    (-4097, 1, -4095),
    (100, 0, 100),
    (-100, 0, -100),
    (3, 2048, 1),
    (-3, 2048, -1),
    (HALF, 4096, 0),
    (-HALF, 4096, 0),
    (-HALF, 4095, -2048),
    (HALF - 1, 4095, 2047),
    (1 - HALF, 4095, -2047),
]

WRAPPED = [
    (0, 0),
    (HALF - 1, HALF - 1),
    (HALF, HALF),  # survives
    (HALF + 1, 1 - HALF),
    (1 - HALF, 1 - HALF),
    (-HALF, HALF),  # a register would keep -2^23
    (-HALF - 1, HALF - 1),
    (3 * HALF, HALF),  # one overflow only
    (3 * HALF + 1, HALF + 1),
    (-3 * HALF, -HALF),
]

SATURATED = [
    (HALF - 1, HALF - 1),
    (HALF, HALF - 1),
    (1 - HALF, 1 - HALF),
    (-HALF, 1 - HALF),
    (2**40, HALF - 1),
    (-(2**40), 1 - HALF),
    (5, 5),
]


def both(function, *values):
    """Return what numpy and torch give; they must be equal."""
    one = function(*(np.asarray([v]) for v in values))
    other = function(*(torch.tensor([v]) for v in values))
    assert one.dtype == np.int64
    assert other.dtype == torch.int64
    assert one.tolist() == other.tolist()
    return one.item()


@pytest.mark.parametrize("x, decay, left", DECAYED)
def test_decays_toward_zero(x, decay, left):
    assert both(fixed.apply_decay, x, decay) == left


@pytest.mark.parametrize("u, wrapped", WRAPPED)
def test_wraps_once(u, wrapped):
    assert both(fixed.wrap, u) == wrapped


@pytest.mark.parametrize("v, saturated", SATURATED)
def test_saturates(v, saturated):
    assert both(fixed.saturate, v) == saturated


@given(x=WIDE, decay=st.integers(0, 4096))
def test_decay_is_lavas(x, decay):
    assert both(fixed.apply_decay, x, decay) == plain.decayed(x, decay)


@given(u=WIDE)
def test_wrap_is_lavas(u):
    assert both(fixed.wrap, u) == plain.wrapped(u)


@given(v=WIDE)
def test_saturation_is_lavas(v):
    assert both(fixed.saturate, v) == plain.saturated(v)


@given(mantissa=st.integers(-(2**15), 2**15), exponent=st.integers(0, 31))
def test_bias_is_mantissa_times_power(mantissa, exponent):
    assert both(fixed.shift_bias, mantissa, exponent) == mantissa * 2**exponent
