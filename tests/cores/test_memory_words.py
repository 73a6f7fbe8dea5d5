"""Words of synaptic memory, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, PACKED, TOY, limited

from snncompile.cores.memory_words import RowKind, choose_memory
from snncompile.cores.weight_bits import WeightBits


def words(chip, sources: int, targets: int, bits: int, delayed: bool) -> int:
    """Words of dense synapses."""
    return choose_memory(
        chip, (RowKind(((0, targets),), sources),), WeightBits(bits), delayed
    ).words


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
    (1, 65, 8, False, 9),  # + 10 + 40 + 6 = 552; the first index counts
    (1, 120, 8, False, 16),  # 496 + 496 = 992 = 15 * 64 + 32
    (1, 1, 8, True, 1),  # 10 + 14 + 6 = 30
    (1, 3, 8, True, 1),  # 10 + 42 + 6 = 58
    (1, 4, 8, True, 2),  # 72
    (1, 60, 8, True, 14),  # 10 + 840 + 6 = 856 = 13 * 64 + 24
    (100, 60, 8, False, 800),
    (784, 1, 8, False, 784),
    (784, 128, 8, False, 784 * 17),  # 496 + 496 + 10 + 64 + 7 = 1073 = 16 * 64 + 49
]


@pytest.mark.parametrize("sources, targets, bits, delayed, wanted", LOIHI1_ROWS)
def test_loihi1(sources, targets, bits, delayed, wanted):
    assert words(LOIHI1, sources, targets, bits, delayed) == wanted


def test_rows_with_gaps_take_the_cheapest_encoding():
    one_gap = choose_memory(LOIHI1, (RowKind(((0, 3), (5, 3)), 1),), WeightBits(8), False)
    assert (one_gap.words, one_gap.format) == (2, "sparse")  # 10 + 6 * 14 = 94; all take 2
    far = choose_memory(LOIHI1, (RowKind(((0, 1), (100, 1), (200, 1)), 4),), WeightBits(8), False)
    assert (far.words, far.format) == (4, "sparse")  # 10 + 3 * (8 + 8) = 58 bits
    runs = choose_memory(LOIHI1, (RowKind(((0, 20), (40, 20)), 1),), WeightBits(8), False)
    assert (runs.words, runs.format) == (6, "dense1")  # 2 * (10 + 160 + 6) = 352
    near = choose_memory(
        LOIHI1, (RowKind(tuple((3 * i, 1) for i in range(20)), 1),), WeightBits(8), False
    )
    assert (near.words, near.format) == (4, "run_length")  # 10 + 20 * (8 + 2) + 6 = 216


def test_alike_rows_are_stored_once_and_formats_are_few():
    rows = tuple(RowKind(((0, n),), 10) for n in (3, 70, 130, 300, 600))
    found = choose_memory(LOIHI1, rows, WeightBits(8), False)
    assert found.longest == 79  # 10 entries of 60: 10 * (10 + 480 + 10) = 5,000 bits, or 6 for 10
    assert 1 <= len(found.formats) <= 2
    assert found.words >= sum(10 * 8 * n // 64 for n in (3, 70, 130, 300, 600))


# Loihi 2 before Intel's tables: a row of n weights takes ceil(n * bits / 64) words.
PACKED_ROWS = [
    (784, 128, 8, 12544),
    (1, 1, 8, 1),
    (1, 8, 8, 1),
    (1, 9, 8, 2),
    (3, 10, 6, 3),
    (3, 11, 6, 6),
    (2, 64, 1, 2),
    (2, 65, 1, 4),
]


@pytest.mark.parametrize("sources, targets, bits, wanted", PACKED_ROWS)
def test_packed_rows(sources, targets, bits, wanted):
    assert words(PACKED, sources, targets, bits, False) == wanted
    assert words(PACKED, sources, targets, bits, True) == wanted


def test_packed_rows_of_other_words():
    assert words(limited(PACKED, synapse_word_bits=16), 2, 5, 8, False) == 6
    assert words(limited(PACKED, synapse_word_bits=None), 2, 9, 8, False) == 4  # 64 is assumed


def test_one_word_per_synapse():
    assert words(TOY, 7, 3, 8, False) == 21
    assert words(TOY, 7, 3, 1, True) == 21


@given(
    chip=st.sampled_from([TOY, LOIHI1, LOIHI2, PACKED]),
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
