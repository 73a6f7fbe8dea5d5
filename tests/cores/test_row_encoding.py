"""Rows of synaptic memory: by hand, against a slow writer of one's own, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from row_counts import (
    build_nonzero_rows,
    choose_encoding,
    count_dense_words,
    count_formats,
    count_kernel_words,
    count_packed_words,
)

from snncompile.cores.row_encoding import (
    KINDS,
    LOIHI1_ROWS,
    Encoding,
    Rows,
    count_stored_bits,
    encode_rows,
    list_encodings,
)
from snncompile.cores.row_formats import merge_formats

UNMERGED = replace(LOIHI1_ROWS, formats=10**6)


def row(index, weight=None, part=None) -> Rows:
    weight = np.full(len(index), 2) if weight is None else weight
    return Rows.make([0, len(index)], index, weight, part)


def bits(rows: Rows, kind: str, shared: bool = True, weight_bits: int = 8, **rules) -> int:
    """Bits of one row: words of one bit, nothing to spare."""
    one_bit = replace(UNMERGED, word_bits=1, spare_bits=-2, **rules)
    return encode_rows(rows, Encoding(kind, shared, weight_bits), one_bit).words - 1


# Indices, synapses per entry, kind; bits. Examples of NxTF's own tests: 10 bits of head each.
HAND = [
    ([0, 5, 6, 11], 60, "sparse", 10 + 4 * (8 + 6)),
    ([0, 5, 6, 11], 2, "sparse", 2 * (10 + 2 * (8 + 6))),
    ([100, 105, 106, 111], 60, "run_length", 10 + 7 + 4 * (8 + 3)),
    ([100, 105, 106, 111], 2, "run_length", 2 * (10 + 7 + 2 * (8 + 3))),
    ([200, 205, 206, 211], 2, "dense1", 10 + 8 + 8 + 10 + 8 + 16 + 10 + 8 + 8),
    ([200, 205, 206, 211], 60, "dense2", 10 + 8 + 12 * 8),
    ([0, 31], 60, "run_length", 10 + 6 + 2 * (8 + 5)),  # the largest gap there is
    ([0, 32], 60, "run_length", 2 * (10 + 6 + 8 + 2)),  # one more
    ([0, 59], 60, "dense2", 10 + 6 + 60 * 8),
    ([0, 60], 60, "dense2", 2 * (10 + 6 + 8)),
    ([63], 60, "sparse", 10 + 8 + 6),
    ([64], 60, "sparse", 10 + 8 + 7),
    ([1023], 60, "dense1", 10 + 10 + 8),
    (list(range(60)), 60, "dense1", 10 + 6 + 480),
    (list(range(61)), 60, "dense1", 10 + 6 + 480 + 10 + 6 + 8),
]


@pytest.mark.parametrize("index, entry, kind, wanted", HAND, ids=range(len(HAND)))
def test_bits_of_a_row(index, entry, kind, wanted):
    assert bits(row(index), kind, entry_synapses=entry) == wanted


def test_signs_are_lists_of_their_own():
    rows = row([0, 1, 2, 3], [2, -2, 0, -4])
    assert bits(rows, "dense1", True) == 10 + 6 + 8 + 10 + 6 + 8 + 2 * (10 + 6 + 8)
    assert bits(rows, "dense2", True) == 2 * (10 + 6 + 3 * 8)  # 0..2 and 1..3
    assert bits(rows, "dense2", False) == 10 + 6 + 4 * 8


def test_parts_are_lists_of_their_own():
    assert bits(row([0, 1, 2], part=[0, 1, 0]), "sparse") == 2 * 10 + 3 * 14


def test_delays_take_bits_of_every_synapse():
    rows = row([0, 1, 2])
    none = encode_rows(rows, Encoding("dense2", False, 8, 0), replace(UNMERGED, word_bits=1))
    some = encode_rows(rows, Encoding("dense2", False, 8, 6), replace(UNMERGED, word_bits=1))
    assert some.words - none.words == 3 * 6


# Bits of a row; words: one to spare where the bits end on a word or up to 5 before.
SPARE = [(0, 0), (1, 1), (58, 1), (59, 2), (63, 2), (64, 2), (65, 2), (122, 2), (123, 3), (128, 3)]


@pytest.mark.parametrize("size, words", SPARE)
def test_words_of_a_row(size, words):
    assert LOIHI1_ROWS.words(np.array([size]))[0] == words


def test_shared_rows_take_the_size_of_the_largest():
    weight = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]] + [[1, 0, 0]] * 20)
    rows = build_nonzero_rows(weight)
    alone = encode_rows(rows, Encoding("sparse", False, 8))
    assert list(alone.row_words) == [6, 1, 1]  # 23, 2 and 1 synapses of 14 bits
    shared = replace(rows, group=np.array([7, 4, 7]))
    assert list(encode_rows(shared, Encoding("sparse", False, 8)).row_words) == [6, 1, 6]


def test_an_empty_row_takes_nothing():
    rows = build_nonzero_rows(np.array([[0, 4], [0, 4]]))
    encoded = encode_rows(rows, Encoding("dense2", False, 8))
    assert list(encoded.row_words) == [0, 1]
    empty = build_nonzero_rows(np.zeros((3, 2), int))
    assert encode_rows(empty, Encoding("sparse", True, 8)).words == 0


def test_refuses_an_index_without_bits_for_it():
    with pytest.raises(ValueError, match=r"^compartment 1024 needs more than 10 bits$"):
        encode_rows(row([1024]), Encoding("dense1", False, 8))


def test_refuses_an_unknown_kind():
    message = r"^no encoding called 'zip'; known: sparse, run_length, dense1, dense2$"
    with pytest.raises(ValueError, match=message):
        Encoding("zip", False, 8)


# ---- weight bits ---------------------------------------------------------------------------------

# Weights; fewest bits with a sign each, and with a shared sign, of 1, 2, 3, 4, 5, 6 and 8.
BITS = [
    ([2, -254], 8, 8),  # 7 bits without the sign, which nobody has
    ([1, -3], None, 8),  # odd: only a shared sign leaves 8 bits for the magnitude
    ([8, -64], 6, 5),
    ([128, -128], 2, 1),
    ([128], 2, 1),
    ([-256], 1, None),  # a magnitude of 8 bits ends at 255
    ([0, 0], 1, 1),
    ([], 1, 1),
]


@pytest.mark.parametrize("weight, mixed, shared", BITS, ids=range(len(BITS)))
def test_fewest_bits_that_hold_the_weights(weight, mixed, shared):
    array = np.array(weight, np.int64)
    assert count_stored_bits(array, False) == mixed
    assert count_stored_bits(array, True) == shared


def test_encodings_leave_out_what_cannot_hold_the_weights():
    assert {e.shared_sign for e in list_encodings(np.array([1, -3]))} == {True}
    assert len(list_encodings(np.array([2, -2]))) == 2 * len(KINDS)
    assert [str(e) for e in list_encodings(np.array([16]), kinds=["sparse"], delay_bits=6)] == [
        "sparse, 5-bit weights, 6-bit delays",
        "sparse, 4-bit weights, shared signs, 6-bit delays",
    ]


def test_best_refuses_weights_that_fit_nowhere():
    message = r"^no choice of \(1, 2\) weight bits can hold these weights$"
    with pytest.raises(ValueError, match=message):
        choose_encoding(row([0], np.array([2])), rules=replace(LOIHI1_ROWS, weight_bits=(1, 2)))


# ---- formats -------------------------------------------------------------------------------------


def test_the_nearest_formats_become_one():
    formats = [(0, 6, 0, 8, 1), (0, 7, 0, 8, 1), (0, 9, 0, 8, 1), (0, 10, 0, 8, 1)]
    # 9 and 10 are as far apart as 6 and 7, but longer.
    left, where = merge_formats(formats, 3)
    assert left == [(0, 6, 0, 8, 1), (0, 7, 0, 8, 1), (0, 10, 0, 8, 1)]
    assert where == [0, 1, 2, 2]
    assert merge_formats(formats, 1) == ([(0, 10, 0, 8, 1)], [0, 0, 0, 0])


def test_signs_and_parts_never_become_one():
    formats = [(0, 6, 0, 8, 2), (0, 6, 0, 8, 3), (1, 6, 0, 8, 2)]
    assert merge_formats(formats, 1) == (formats, [0, 1, 2])


def test_widened_formats_take_more_bits():
    index = [3, 70, 140, 300, 600]
    rows = Rows.make(range(6), index, [2] * 5)
    narrow = encode_rows(rows, Encoding("sparse", False, 8), replace(UNMERGED, word_bits=1))
    wide = encode_rows(
        rows, Encoding("sparse", False, 8), replace(UNMERGED, word_bits=1, formats=1)
    )
    assert [f[1] for f in narrow.formats] == [6, 7, 8, 9, 10]
    assert [f[1] for f in wide.formats] == [10]
    assert list(wide.row_words - narrow.row_words) == [4, 3, 2, 1, 0]


def test_formats_of_a_core():
    one = encode_rows(row([0, 70], [2, -2]), Encoding("sparse", True, 8))
    two = encode_rows(row([0, 70], [2, -2]), Encoding("dense2", True, 8))
    assert [len(one.formats), len(two.formats)] == [2, 2]
    assert count_formats([one, one]) == 2
    assert count_formats([one, two]) == 4  # another encoding is another format


# ---- a slow writer of one's own, and laws --------------------------------------------------------


def slow_bits(index, kind, weight_bits) -> int:
    """Bits of one list, written with no thought of speed."""
    total, left = 0, list(index)
    while left:
        taken = [left.pop(0)]
        while left and _holds(kind, taken, left[0]):
            taken.append(left.pop(0))
        size = taken[-1] - taken[0] + 1 if kind == "dense2" else len(taken)
        head = max(6, (taken[-1] if kind == "sparse" else taken[0]).bit_length())
        gap = max(np.diff(taken), default=0)
        skip = max(2, int(gap).bit_length())
        each = {"sparse": weight_bits + head, "run_length": weight_bits + skip}
        total += 10 + size * each.get(kind, weight_bits) + head * (kind != "sparse")
    return total


def _holds(kind, taken, following) -> bool:
    if kind == "dense2":
        return following - taken[0] < 60
    gap = following - taken[-1]
    limit = {"sparse": 10**9, "run_length": 31, "dense1": 1}[kind]
    return len(taken) < 60 and gap <= limit


@st.composite
def many_rows(draw):
    lists = [
        draw(st.lists(st.integers(0, 1023), min_size=1, max_size=150, unique=True))
        for _ in range(draw(st.integers(1, 4)))
    ]
    index = np.concatenate([np.sort(one) for one in lists])
    magnitude = draw(st.integers(1, 127)) * 2
    signs = np.random.default_rng(draw(st.integers(0, 99))).choice([-1, 1], len(index))
    ends = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
    return Rows.make(ends, index, magnitude * signs)


@given(rows=many_rows(), kind=st.sampled_from(KINDS), shared=st.booleans())
def test_takes_the_words_of_the_slow_writer(rows, kind, shared):
    encoded = encode_rows(rows, Encoding(kind, shared, 8), UNMERGED)
    for r in range(rows.count):
        part = slice(rows.ends[r], rows.ends[r + 1])
        index, weight = rows.index[part], rows.weight[part]
        lists = [index[weight >= 0], index[weight < 0]] if shared else [index]
        total = sum(slow_bits(map(int, one), kind, 8) for one in lists)
        spare = total % 64 == 0 or total % 64 >= 59
        assert encoded.row_words[r] == -(-total // 64) + spare


@given(rows=many_rows(), limit=st.integers(1, 7), longest=st.integers(1, 40))
def test_best_is_the_cheapest_that_the_rules_allow(rows, limit, longest):
    rules = replace(LOIHI1_ROWS, formats=limit, row_words=longest)
    found = choose_encoding(rows, rules=rules)
    tried = [encode_rows(rows, e, rules) for e in list_encodings(rows.weight, rules=rules)]
    allowed = [e for e in tried if len(e.formats) <= limit and e.longest <= longest]
    assert found.words == min(e.words for e in allowed or tried)


@given(
    sources=st.integers(1, 5),
    targets=st.integers(1, 300),
    first=st.integers(0, 700),
    bits=st.sampled_from([1, 4, 8]),
)
def test_dense_words_are_those_of_the_written_rows(sources, targets, first, bits):
    rows = Rows.matrix(np.full((targets, sources), 2), first)
    encoded = encode_rows(rows, Encoding("dense2", False, bits), UNMERGED)
    assert count_dense_words(sources, targets, weight_bits=bits, first=first) == encoded.words


def test_packed_rows_of_loihi2():
    assert list(count_packed_words([1, 8, 9, 128], 8)) == [1, 1, 2, 16]
    # First convolution of PilotNet, 3 -> 24 channels of 3 x 3, 8-bit weights.
    assert count_kernel_words(3, 9, 24, 8) == 81
