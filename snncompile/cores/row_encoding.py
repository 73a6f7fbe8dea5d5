"""Encode rows of synapses in a core's memory as Loihi 1 does, and count the words they take.

A row holds the synapses of one source neuron on one core. It is a list of entries of at most 60
synapses that share one format:

    bits of an entry = 10 (format id 4 + count 6) + count * (weight bits + delay bits) and
    sparse        + count * index bits
    run_length    + index bits + count * skip bits; a gap of 32 or more starts a new entry
    dense1        + index bits; every gap starts a new entry
    dense2        + index bits; gaps are filled with zero weights, 60 targets are an entry at most

Index bits hold the largest index of the entry (sparse) or its first (the others), 6 to 10; skip
bits the largest gap, 2 to 5. With `shared_sign` the synapses of each sign are a list of their own
and need one bit less. Words of a row = bits / 64, rounded up, and one more where bits % 64 is 0 or
at least 59. Rows that share a population axon all take the size of the largest of them. A core has
few formats: the nearest two are widened to one until few enough are left.

Source of all rules: Intel's NxTF, synapse_compression.py and data_structures.py
(github.com/intel-nrc-ecosystem/models, nxsdk_modules_ncl/dnn/src).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.arrays import Ints
from snncompile.cores.row_formats import Format, merge_formats
from snncompile.hwmodels.schema import Chip

KINDS = ("sparse", "run_length", "dense1", "dense2")
MIXED, POSITIVE, NEGATIVE = 1, 2, 3
"""Signs of a format: each weight has its own, or all are >= 0, or all are < 0."""


@dataclass(frozen=True)
class RowRules:
    """Numbers of the row memory; the defaults are those of Loihi 1."""

    entry_synapses: int = 60
    head_bits: int = 10
    index_bits: tuple[int, int] = (6, 10)
    skip_bits: tuple[int, int] = (2, 5)
    weight_bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    delay_bits: int = 6
    """Where a synapse has a delay of its own."""
    word_bits: int = 64
    spare_bits: int = 5
    """A row takes a word more when at most this many bits of its last word are free."""
    row_words: int = 256
    """Words of one row at most."""
    formats: int = 7
    """Different formats of one core at most."""

    def words(self, bits: Ints) -> Ints:
        """Return the words of rows, from their bits."""
        rest = bits % self.word_bits
        spare = (rest == 0) | (rest >= self.word_bits - self.spare_bits)
        words: Ints = -(-bits // self.word_bits) + (spare & (bits > 0))
        return words


LOIHI1_ROWS = RowRules()


def read_row_rules(chip: Chip) -> RowRules:
    """Return the numbers of a chip's row memory."""
    rows, core = chip.rows, chip.core
    assert rows is not None
    return RowRules(
        entry_synapses=rows.entry_synapses.whole or 0,
        head_bits=rows.entry_head_bits.whole or 0,
        index_bits=(rows.index_bits_lowest.whole or 0, rows.index_bits_highest.whole or 0),
        skip_bits=(rows.skip_bits_lowest.whole or 0, rows.skip_bits_highest.whole or 0),
        weight_bits=chip.formats.weight_bits.values,
        delay_bits=rows.delay_bits.whole or 0,
        word_bits=core.synapse_word_bits.whole or 64,
        spare_bits=rows.spare_bits.whole or 0,
        row_words=rows.row_words.whole or 0,
        formats=rows.formats.whole or 0,
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of synapses on one core, in compressed form."""

    ends: Ints
    """Shape (rows + 1,): row r is the synapses ends[r]:ends[r + 1]."""
    index: Ints
    """Target of each synapse, shape (synapses,), rising in each row: the compartment, counted from
    the base of the row's axon and divided by the number of interleaved groups."""
    weight: Ints
    """Weight of each synapse, shape (synapses,), as stored: -256..255."""
    sublist: NDArray[np.int8]
    """Shape (synapses,): synapses of one row with different numbers are lists of their own (the
    remainder of the division by the number of interleaved groups, 0 or 1)."""
    group: Ints
    """Shape (rows,): rows of equal number are reached by one population axon and take the size of
    the largest of them."""

    @classmethod
    def make(
        cls,
        ends: ArrayLike,
        index: ArrayLike,
        weight: ArrayLike,
        sublist: ArrayLike | None = None,
        group: ArrayLike | None = None,
    ) -> Rows:
        """Return rows; without `sublist` each row is one list, without `group` none share."""
        bounds, targets = np.asarray(ends, np.int64), np.asarray(index, np.int64)
        sublists = (
            np.zeros(len(targets), np.int8) if sublist is None else np.asarray(sublist, np.int8)
        )
        groups = np.arange(len(bounds) - 1) if group is None else np.asarray(group, np.int64)
        return cls(bounds, targets, np.asarray(weight, np.int64), sublists, groups)

    @classmethod
    def matrix(cls, weight: NDArray[Any], first: int = 0) -> Rows:
        """Return the rows of a full matrix of weights (targets, sources).

        Target i is compartment `first` + i; weights of zero are synapses too.
        """
        targets, sources = weight.shape
        index = np.tile(np.arange(first, first + targets), sources)
        return cls.make(np.arange(sources + 1) * targets, index, weight.T.reshape(-1))

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.ends) - 1


@dataclass(frozen=True)
class Encoding:
    """One way to write rows."""

    kind: str
    """One of `KINDS`."""
    shared_sign: bool
    weight_bits: int
    """Bits stored per weight: including its sign, or without it where the sign is shared."""
    delay_bits: int = 0

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist."""
        if self.kind not in KINDS:
            raise ValueError(f"no encoding called {self.kind!r}; known: {', '.join(KINDS)}")

    def __str__(self) -> str:
        """`dense2, 8-bit weights, shared signs`."""
        delay = f", {self.delay_bits}-bit delays" if self.delay_bits else ""
        sign = ", shared signs" if self.shared_sign else ""
        return f"{self.kind}, {self.weight_bits}-bit weights{sign}{delay}"


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Words and formats of rows in one encoding."""

    encoding: Encoding
    row_words: Ints
    """Words of each row, shape (rows,); shared rows have the size of their largest."""
    formats: tuple[Format, ...]
    """Formats the rows need on their core, after widening; more than the rules allow where
    sublists or signs, which cannot be widened, are too many."""
    entries: int
    synapses: int
    """Synapses stored, fillers of dense2 included."""

    @cached_property
    def words(self) -> int:
        """Words of all rows."""
        return int(self.row_words.sum())

    @cached_property
    def longest(self) -> int:
        """Words of the longest row."""
        return int(self.row_words.max(initial=0))


def encode_rows(rows: Rows, encoding: Encoding, rules: RowRules = LOIHI1_ROWS) -> EncodedRows:
    """Return the words of rows in one encoding.

    Raises:
        ValueError: an index is larger than the index bits can hold.
    """
    from snncompile.cores.row_encoding_kernels import cut_entries

    sign = _mark_signs(rows.weight, encoding.shared_sign)
    kind, limit = KINDS.index(encoding.kind), 1 << rules.skip_bits[1]
    table = cut_entries(
        rows.ends, rows.index, rows.sublist, sign, kind, rules.entry_synapses, limit
    )
    row, sublist, mark, count, index, gap = table
    if index.max(initial=0) >> rules.index_bits[1]:
        raise ValueError(f"compartment {index.max()} needs more than {rules.index_bits[1]} bits")
    index_bits = np.clip(_count_bits(index), *rules.index_bits)
    skip_bits = (
        np.clip(_count_bits(gap), *rules.skip_bits) if encoding.kind == "run_length" else gap * 0
    )
    weight_bits = np.full(len(row), encoding.weight_bits)
    formats, index_bits, skip_bits = _widen_formats(
        np.stack([sublist, index_bits, skip_bits, weight_bits, mark], axis=1), rules.formats
    )
    per_synapse = encoding.weight_bits + encoding.delay_bits + skip_bits
    sparse = encoding.kind == "sparse"
    bits = rules.head_bits + count * (per_synapse + index_bits * sparse) + index_bits * (not sparse)
    of_row = np.bincount(row, weights=bits, minlength=rows.count).astype(np.int64)
    words = _share_sizes(rules.words(of_row), rows.group)
    return EncodedRows(encoding, words, formats, len(row), int(count.sum()))


def list_encodings(
    weight: NDArray[Any],
    *,
    delay_bits: int = 0,
    kinds: Iterable[str] = KINDS,
    signs: Iterable[bool] = (False, True),
    rules: RowRules = LOIHI1_ROWS,
) -> tuple[Encoding, ...]:
    """Return the encodings that can hold some weights, each with the fewest weight bits."""
    encodings = []
    for kind, shared in product(kinds, signs):
        bits = count_stored_bits(weight, shared, rules.weight_bits)
        if bits is not None:
            encodings.append(Encoding(kind, shared, bits, delay_bits))
    return tuple(encodings)


def count_stored_bits(
    weight: NDArray[Any], shared_sign: bool, choices: tuple[int, ...] = LOIHI1_ROWS.weight_bits
) -> int | None:
    """Return the fewest bits that hold all weights exactly; None if no choice does.

    With b bits a weight of own sign is a multiple of 2^(9 - b) in -256..255, one of shared sign a
    multiple of 2^(8 - b) of magnitude 0..255.
    """
    union = int(np.bitwise_or.reduce(np.abs(weight.astype(np.int64)).reshape(-1), initial=0))
    if shared_sign and np.any(np.abs(weight) > 255):
        return None
    return find_fewest_bits(union, choices, shared_sign=shared_sign)


def find_fewest_bits(union: int, choices: tuple[int, ...], *, shared_sign: bool) -> int | None:
    """Return the fewest bits that hold weights, from the union of the bits of their magnitudes.

    With a shared sign all magnitudes are 255 at most; see `count_stored_bits`.
    """
    lowest = (union & -union).bit_length() - 1 if union else 8
    need = max((8 if shared_sign else 9) - lowest, 1)
    return next((bits for bits in sorted(choices) if bits >= need), None)


def _mark_signs(weight: Ints, shared: bool) -> NDArray[np.int8]:
    if not shared:
        return np.full(len(weight), MIXED, np.int8)
    return np.where(weight >= 0, POSITIVE, NEGATIVE).astype(np.int8)


def _count_bits(values: Ints) -> Ints:
    """Return the number of bits of each whole number; 0 for 0."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def _share_sizes(words: Ints, group: Ints) -> Ints:
    """Return the words of rows, each as large as the largest of its group."""
    if not len(words):
        return words
    names, member = np.unique(group, return_inverse=True)
    largest = np.zeros(len(names), np.int64)
    np.maximum.at(largest, member, words)
    sizes: Ints = np.where(words > 0, largest[member], 0)
    return sizes


def _widen_formats(table: Ints, limit: int) -> tuple[tuple[Format, ...], Ints, Ints]:
    """Return the formats after widening, and the index and skip bits of each entry."""
    if not len(table):
        return (), table[:, 1], table[:, 2]
    code = table @ (1 << np.arange(32, -1, -8))  # no number has more than 8 bits
    _, first_entry, of_entry = np.unique(code, return_index=True, return_inverse=True)
    formats, where = merge_formats([tuple(map(int, row)) for row in table[first_entry]], limit)
    widened = np.array(formats)[np.array(where)[of_entry]]
    return tuple(formats), widened[:, 1], widened[:, 2]
