"""How far apart weights of few bits are."""

import pytest

from snncompile.synapses.weight_formats import weight_step

# Bits, step with the sign in the weight, step with a sign for all.
STEPS = [(8, 2, 1), (6, 8, 4), (4, 32, 16), (2, 128, 64), (1, 256, 128)]


@pytest.mark.parametrize("bits, own, shared", STEPS)
def test_weight_step(bits, own, shared):
    assert weight_step(bits) == own
    assert weight_step(bits, shared_sign=True) == shared
    assert 2**bits * own == 512  # -256..255, whatever the bits


def test_nine_bits_hold_every_weight():
    assert weight_step(9) == 1
