"""Rows written in entries: entries and words worked out by hand, formats that become one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI1, formatted, limited

from snncompile.checker.row_words import (
    NEGATIVE,
    POSITIVE,
    Entry,
    Format,
    Row,
    RowCounter,
    RowNumbers,
    Total,
    merge_formats,
    split_row,
)

NUMBERS = RowNumbers(
    entry_synapses=4,
    head_bits=10,
    index_bits=(2, 6),
    skip_bits=(1, 3),
    delay_bits=5,
    spare_bits=3,
    word_bits=32,
    weight_bits=(4, 8),
    formats=3,
)
# Bits of a row; its words: one more if fewer than 3 bits of the last word are free.
WORDS = [(0, 1), (1, 1), (28, 1), (29, 2), (31, 2), (32, 2), (33, 2), (60, 2), (61, 3), (64, 3)]


@pytest.mark.parametrize("bits, words", WORDS)
def test_words_of_a_row(bits, words):
    assert NUMBERS.count_words(bits) == words


def test_numbers_of_a_chip():
    chip = formatted(limited(LOIHI1, synapse_word_bits=None), weight_bits=[8, 2, 4])
    numbers = RowNumbers.of(chip)
    assert (numbers.word_bits, numbers.weight_bits) == (64, (2, 4, 8))
    assert RowNumbers.of(limited(LOIHI1, synapse_word_bits=100)).word_bits == 100


P, N = POSITIVE, NEGATIVE
# How the row is written, its targets, their signs; entries: synapses, index, gap, sign.
ENTRIES = [
    ("sparse", (0, 1, 2, 3, 9), (), [(4, 3, 1, 0), (1, 9, 0, 0)]),
    ("sparse", (0, 1, 2, 3, 4), (P, N, P, P, N), [(3, 3, 2, P), (2, 4, 3, N)]),
    ("sparse", (5, 6), (N, N), [(2, 6, 1, N)]),
    ("sparse", (), (), []),
    # A skip of 3 bits is 7 at most; then four synapses fill an entry.
    ("run_length", (1, 8, 16, 17, 18, 19, 20), (), [(2, 1, 7, 0), (4, 16, 1, 0), (1, 20, 0, 0)]),
    ("dense1", (2, 3, 5, 6, 7, 8, 9), (), [(2, 2, 1, 0), (4, 5, 1, 0), (1, 9, 0, 0)]),
    # Gaps are filled up to the fourth target from the first.
    ("dense2", (3, 5, 6, 7, 8), (), [(4, 3, 2, 0), (2, 7, 1, 0)]),
    ("dense2", (0, 2, 3, 4), (P, N, P, P), [(4, 0, 3, P), (1, 4, 0, P), (1, 2, 0, N)]),
]


@pytest.mark.parametrize("kind, targets, signs, entries", ENTRIES)
def test_entries_of_a_row(kind, targets, signs, entries):
    assert split_row(targets, signs, kind, NUMBERS) == tuple(Entry(*entry) for entry in entries)


WIDE = Entry(stored=4, held_index=40, gap=5, sign=0)
"""An index of 6 bits, skips of 3."""
NARROW = Entry(stored=2, held_index=1, gap=1, sign=0)
"""An index of 1 bit and skips of 1: the fewest of the chip are 2 and 1."""
# How rows are written, bits of a weight, whether with delays; bits of the two entries.
BITS = [
    ("sparse", 8, False, 10 + 4 * (8 + 6), 10 + 2 * (8 + 2)),
    ("sparse", 4, True, 10 + 4 * (4 + 5 + 6), 10 + 2 * (4 + 5 + 2)),
    ("run_length", 8, False, 10 + 4 * (8 + 3) + 6, 10 + 2 * (8 + 1) + 2),
    ("run_length", 4, True, 10 + 4 * (4 + 5 + 3) + 6, 10 + 2 * (4 + 5 + 1) + 2),
    ("dense1", 8, False, 10 + 4 * 8 + 6, 10 + 2 * 8 + 2),
    ("dense2", 8, True, 10 + 4 * (8 + 5) + 6, 10 + 2 * (8 + 5) + 2),
]


@pytest.mark.parametrize("kind, weight_bits, delayed, wide, narrow", BITS)
def test_words_of_rows(kind, weight_bits, delayed, wide, narrow):
    """Words of one bit count bits, and one more for each row."""
    numbers = replace(NUMBERS, word_bits=1, spare_bits=0)
    both, one = wide + narrow + 1, narrow + 1

    def count(*rows: Row) -> Total:
        return RowCounter(rows, kind, weight_bits, delayed, numbers).fewest

    assert count(Row(None, 3, (WIDE, NARROW))) == Total(3 * both, both)
    assert count(Row(None, 3, (WIDE, NARROW)), Row(None, 5, (NARROW,))) == Total(
        3 * both + 5 * one, both
    )
    # Rows of one group are as large as its largest, those of another as theirs.
    grouped = (Row(0, 2, (NARROW,)), Row(0, 1, (WIDE, NARROW)), Row(1, 4, (NARROW,)))
    assert count(*grouped) == Total(3 * both + 4 * one, both)
    assert count(*grouped, Row(None, 1, (NARROW,))).words == 3 * both + 5 * one


def count_alone(indices: dict[tuple[int, int], int], formats: int) -> RowCounter:
    """Return rows of one entry of 2 synapses of 9 bits: {(largest index, sign): number}."""
    numbers = replace(NUMBERS, word_bits=2, spare_bits=0, formats=formats)
    rows = (Row(None, n, (Entry(2, i, 1, sign),)) for (i, sign), n in indices.items())
    return RowCounter(tuple(rows), "dense1", 9, False, numbers)


# Indices 3, 15 and 63 take 2, 4 and 6 bits: 30, 32 and 34 bits are 16, 17 and 18 words.
ALIKE = {(3, 0): 1, (15, 0): 10, (63, 0): 100}
SIGNED = {(3, P): 1, (15, P): 10, (63, N): 100}
# Rows, formats of a core; every number of words that they can take.
FOUND = [
    # Nearest are 4 and 6 bits; then all have 6.
    (ALIKE, 3, [16 + 170 + 1800, 16 + 180 + 1800, 18 + 180 + 1800]),
    (ALIKE, 2, [16 + 170 + 1800, 16 + 180 + 1800, 18 + 180 + 1800]),
    (ALIKE, 1, [16 + 170 + 1800, 18 + 180 + 1800]),
    # By sign, 2 and 4 bits become one and 6 stays.
    (SIGNED, 1, [16 + 170 + 1800, 17 + 170 + 1800, 18 + 180 + 1800]),
    (SIGNED, 3, [16 + 170 + 1800, 17 + 170 + 1800, 16 + 180 + 1800, 18 + 180 + 1800]),
]


@pytest.mark.parametrize("indices, formats, words", FOUND)
def test_words_with_fewer_formats(indices, formats, words):
    counter = count_alone(indices, formats)
    found = [n for n in range(1980, 2005) if counter.find(n) is not None]
    assert found == sorted(words)
    assert [counter.find(n) for n in found] == [Total(n, 18) for n in found]


def merge_nearest(formats: list[Format], weight_bits: int, limit: int) -> dict[Format, Format]:
    """Return `merge_formats` from its definition: fractions, all pairs compared anew each time."""
    groups = [([form], form) for form in formats]
    while len(groups) > limit:
        pairs = [
            (measure(groups[a][1], groups[b][1], weight_bits), b, a)
            for b in range(len(groups))
            for a in range(b)
            if groups[a][1].sign == groups[b][1].sign
        ]
        if not pairs:
            break
        _, b, a = min(pairs)
        wide = Format(*map(max, groups[a][1], groups[b][1]))
        groups[a] = (groups[a][0] + groups[b][0], wide)
        del groups[b]
    return {form: wide for members, wide in groups for form in members}


def measure(a: Format, b: Format, weight_bits: int) -> Fraction:
    one, other = (a.index_bits, a.skip_bits, weight_bits), (b.index_bits, b.skip_bits, weight_bits)
    pairs = list(zip(one, other, strict=True))
    return Fraction(sum((x - y) ** 2 for x, y in pairs), sum((x + y) ** 2 for x, y in pairs))


def unsigned(*pairs: tuple[int, int]) -> set[Format]:
    """Return formats of (bits of an index, bits of a skip)."""
    return {Format(index, skip, 0) for index, skip in pairs}


@settings(max_examples=300, deadline=None)
@example(formats=unsigned((2, 2), (2, 4), (4, 3), (6, 1)), weight_bits=3, limit=3)
@example(formats=unsigned((2, 2), (3, 1), (5, 3), (6, 1)), weight_bits=3, limit=3)
@example(formats=unsigned((5, 1), (5, 4), (6, 6), (7, 1)), weight_bits=6, limit=3)  # equal ones
@given(
    formats=st.sets(
        st.builds(Format, st.integers(2, 6), st.integers(0, 4), st.sampled_from([0, P, N])),
        min_size=1,
        max_size=6,
    ),
    weight_bits=st.integers(1, 8),
    limit=st.integers(1, 4),
)
def test_the_nearest_formats_become_one(formats, weight_bits, limit):
    """Of equal distances the first pair; never those of different signs."""
    ordered = sorted(formats)
    assert merge_formats(ordered, weight_bits, limit) == merge_nearest(ordered, weight_bits, limit)
