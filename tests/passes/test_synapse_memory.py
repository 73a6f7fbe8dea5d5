"""Words of synaptic memory, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, limited

from snncompile.passes.synapse_memory import words as words_of


def words(chip, sources: int, targets: int, bits: int, delayed: bool) -> int:
    """Words of dense synapses."""
    return words_of(chip, np.full(sources, targets), bits, delayed)


# Sources, targets, bits, delayed; words. Loihi 1: an entry of n synapses has
# 10 + n * (bits + 6 if delayed) + index bits; 60 synapses per entry at most.
LOIHI1_ROWS = [
    (1, 1, 8, False, 1),  # 10 + 8 + 6 = 24
    (1, 5, 8, False, 1),  # 10 + 40 + 6 = 56
    (1, 6, 8, False, 2),  # 64: on a word, so one to spare
    (1, 7, 8, False, 2),  # 72
    (1, 13, 8, False, 2),  # 120 = 64 + 56
    (1, 14, 8, False, 3),  # 128: on a word
    (1, 43, 1, False, 2),  # 10 + 43 + 6 = 59: close to a word
    (1, 42, 1, False, 1),  # 58
    (1, 48, 1, False, 2),  # 64
    (1, 49, 1, False, 2),  # 65
    (1, 60, 8, False, 8),  # 10 + 480 + 6 = 496 = 7 * 64 + 48
    (1, 61, 8, False, 9),  # + 10 + 8 + 6 = 520
    (1, 64, 8, False, 9),  # + 10 + 32 + 6 = 544
    (1, 65, 8, False, 9),  # the index 64 has 7 bits: 496 + 10 + 40 + 7 = 553
    (1, 120, 8, False, 16),  # 496 + 497 = 993 = 15 * 64 + 33
    (1, 1, 8, True, 1),  # 10 + 14 + 6 = 30
    (1, 3, 8, True, 1),  # 10 + 42 + 6 = 58
    (1, 4, 8, True, 2),  # 72
    (1, 60, 8, True, 14),  # 10 + 840 + 6 = 856 = 13 * 64 + 24
    (100, 60, 8, False, 800),
    (784, 1, 8, False, 784),
    (784, 128, 8, False, 784 * 17),  # 496 + 497 + 10 + 64 + 7 = 1074 = 16 * 64 + 50
]


@pytest.mark.parametrize("sources, targets, bits, delayed, wanted", LOIHI1_ROWS)
def test_loihi1(sources, targets, bits, delayed, wanted):
    assert words(LOIHI1, sources, targets, bits, delayed) == wanted


def test_index_bits_end_at_ten():
    """Neurons 0..1023 and beyond: 17 entries of 60 and one of 4, then 60 more."""

    def row(targets: int) -> int:
        bits = 0
        for start in range(0, targets, 60):
            stop = min(start + 60, targets)
            index = next(b for b in range(6, 11) if stop <= 2**b or b == 10)
            bits += 10 + 8 * (stop - start) + index
        return -(-bits // 64) + (bits % 64 == 0 or bits % 64 >= 59)

    for targets in (512, 513, 540, 1024, 1025, 1084, 2048, 2100):
        assert words(LOIHI1, 1, targets, 8, False) == row(targets)


# Loihi 2: a row of n weights takes ceil(n * bits / 64) words.
PACKED = [
    (784, 128, 8, 12544),
    (1, 1, 8, 1),
    (1, 8, 8, 1),
    (1, 9, 8, 2),
    (3, 10, 6, 3),
    (3, 11, 6, 6),
    (2, 64, 1, 2),
    (2, 65, 1, 4),
]


@pytest.mark.parametrize("sources, targets, bits, wanted", PACKED)
def test_packed_rows(sources, targets, bits, wanted):
    assert words(LOIHI2, sources, targets, bits, False) == wanted
    assert words(LOIHI2, sources, targets, bits, True) == wanted


def test_packed_rows_of_other_words():
    assert words(limited(LOIHI2, synapse_word_bits=16), 2, 5, 8, False) == 6
    assert words(limited(LOIHI2, synapse_word_bits=None), 2, 9, 8, False) == 4  # 64 is assumed


def test_one_word_per_synapse():
    assert words(TOY, 7, 3, 8, False) == 21
    assert words(TOY, 7, 3, 1, True) == 21


@given(
    chip=st.sampled_from([TOY, LOIHI1, LOIHI2]),
    sources=st.integers(1, 50),
    targets=st.integers(1, 300),
    bits=st.sampled_from([1, 2, 3, 4, 5, 6, 8]),
    delayed=st.booleans(),
)
def test_a_larger_slice_takes_no_less(chip, sources, targets, bits, delayed):
    """Partition looks for the largest slice by halving; that needs growth."""
    one = words(chip, sources, targets, bits, delayed)
    more = words(chip, sources, targets + 1, bits, delayed)
    assert one <= more
    assert words(chip, 2 * sources, targets, bits, delayed) == 2 * one
    stored = sources * targets * bits
    if chip is not TOY:
        assert one * 64 >= stored
