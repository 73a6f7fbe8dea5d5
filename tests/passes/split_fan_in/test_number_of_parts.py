"""Into how many parts wide dense layers are split."""

from __future__ import annotations

import pytest
from networks import PACKED, integer_chain, limited

from snncompile.passes.split_fan_in.number_of_parts import choose_number_of_parts

# 24 sources and 32 targets; a row of 8 targets is one word. Words of a core, least, best, because:
CASES = [
    (200, 1, 1),  # everything on one core
    (24, 1, 2),  # 16 targets: 2 x 2 cores and 1 of sources; whole 4 and 2
    (23, 2, 5),  # 32 targets: 5 and 1; with two parts 2 x 4 and 2
    (12, 2, 4),  # 16 targets: 4 x 2 and 1, as with 8 parts; with two 2 x 4 and 2
]


@pytest.mark.parametrize("words, least, count", CASES)
def test_fewest_cores(words, least, count):
    (projection,) = integer_chain(24, 32).projections
    chip = limited(PACKED, synapse_words=words, axons_out=48)
    assert choose_number_of_parts(chip, projection, least, 24) == count


def test_no_more_than_the_target_can_hear():
    (projection,) = integer_chain(24, 32).projections
    assert choose_number_of_parts(limited(PACKED, synapse_words=23), projection, 2, 3) == 3
