"""Write rows of synapses into a core's memory as Loihi 1 does, and count the words they take.

A row holds the synapses of one source neuron on one core. It is a list of entries of at most 60
synapses that share one format:

    bits of an entry = 10 (format id 4 + count 6) + count * (weight bits + delay bits) and
    sparse        + count * index bits
    run_length    + index bits + count * skip bits; a gap of 32 or more starts a new entry
    dense1        + index bits; every gap starts a new entry
    dense2        + index bits; gaps are filled with zero weights, 60 places are an entry at most

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
from snncompile.cores.row_formats import Format, merged
from snncompile.hwmodels.schema import Chip

KINDS = ("sparse", "run_length", "dense1", "dense2")
MIXED, POSITIVE, NEGATIVE = 1, 2, 3
"""Signs of a format: each weight has its own, or all are >= 0, or all are < 0."""


@dataclass(frozen=True)
class RowRules:
    """Numbers of the row memory; those of Loihi 1 unless told otherwise."""

    entry_synapses: int = 60
    head_bits: int = 10
    index_bits: tuple[int, int] = (6, 10)
    skip_bits: tuple[int, int] = (2, 5)
    weight_bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    delay_bits: int = 6
    """Where a synapse has a delay of its own."""
    word_bits: int = 64
    spare_bits: int = 5
    """A row takes a word more when it ends on a word or so many bits or fewer before its end."""
    row_words: int = 256
    """Words of one row at most."""
    formats: int = 7
    """Different formats of one core at most."""

    def words(self, bits: Ints) -> Ints:
        """Return the words of rows of so many bits."""
        rest = bits % self.word_bits
        spare = (rest == 0) | (rest >= self.word_bits - self.spare_bits)
        words: Ints = -(-bits // self.word_bits) + (spare & (bits > 0))
        return words


LOIHI1_ROWS = RowRules()


def row_rules(chip: Chip) -> RowRules:
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
    part: NDArray[np.int8]
    """Shape (synapses,): synapses of one row in different parts are lists of their own (what is
    left of the division by the number of interleaved groups, 0 or 1)."""
    group: Ints
    """Shape (rows,): rows of equal number are reached by one population axon and take the size of
    the largest of them."""

    @classmethod
    def make(
        cls,
        ends: ArrayLike,
        index: ArrayLike,
        weight: ArrayLike,
        part: ArrayLike | None = None,
        group: ArrayLike | None = None,
    ) -> Rows:
        """Return rows; without `part` all synapses are in part 0, without `group` none share."""
        bounds, targets = np.asarray(ends, np.int64), np.asarray(index, np.int64)
        parts = np.zeros(len(targets), np.int8) if part is None else np.asarray(part, np.int8)
        groups = np.arange(len(bounds) - 1) if group is None else np.asarray(group, np.int64)
        return cls(bounds, targets, np.asarray(weight, np.int64), parts, groups)

    @classmethod
    def matrix(cls, weight: NDArray[Any], first: int = 0) -> Rows:
        """Return the rows of a full matrix of weights (targets, sources).

        Target i is compartment `first` + i; weights of zero are synapses too.
        """
        targets, sources = weight.shape
        index = np.tile(np.arange(first, first + targets), sources)
        return cls.make(np.arange(sources + 1) * targets, index, weight.T.reshape(-1))

    @classmethod
    def nonzero(cls, weight: NDArray[Any], first: int = 0) -> Rows:
        """Return the rows of a matrix (targets, sources) without its weights of zero."""
        source, target = np.nonzero(weight.T)
        ends = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weight.shape[1]))])
        return cls.make(ends, target + first, weight.T[source, target])

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
class Encoded:
    """What rows take when they are written in one encoding."""

    encoding: Encoding
    row_words: Ints
    """Words of each row, shape (rows,); shared rows have the size of their largest."""
    formats: tuple[Format, ...]
    """Formats the rows need on their core, after widening; more than the rules allow where parts
    or signs, which cannot be widened, are too many."""
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


def encode(rows: Rows, encoding: Encoding, rules: RowRules = LOIHI1_ROWS) -> Encoded:
    """Return the words of rows in one encoding.

    Raises:
        ValueError: an index is larger than the index bits can hold.
    """
    from snncompile.cores.row_encoding_kernels import entries

    sign = _signs(rows.weight, encoding.shared_sign)
    kind, limit = KINDS.index(encoding.kind), 1 << rules.skip_bits[1]
    table = entries(rows.ends, rows.index, rows.part, sign, kind, rules.entry_synapses, limit)
    row, part, mark, count, index, gap = table
    if index.max(initial=0) >> rules.index_bits[1]:
        raise ValueError(f"compartment {index.max()} needs more than {rules.index_bits[1]} bits")
    index_bits = np.clip(_bits(index), *rules.index_bits)
    skip_bits = np.clip(_bits(gap), *rules.skip_bits) if encoding.kind == "run_length" else gap * 0
    weight_bits = np.full(len(row), encoding.weight_bits)
    formats, index_bits, skip_bits = _widened(
        np.stack([part, index_bits, skip_bits, weight_bits, mark], axis=1), rules.formats
    )
    per_synapse = encoding.weight_bits + encoding.delay_bits + skip_bits
    sparse = encoding.kind == "sparse"
    bits = rules.head_bits + count * (per_synapse + index_bits * sparse) + index_bits * (not sparse)
    of_row = np.bincount(row, weights=bits, minlength=rows.count).astype(np.int64)
    words = _shared(rules.words(of_row), rows.group)
    return Encoded(encoding, words, formats, len(row), int(count.sum()))


def encodings(
    weight: NDArray[Any],
    *,
    delay_bits: int = 0,
    kinds: Iterable[str] = KINDS,
    signs: Iterable[bool] = (False, True),
    rules: RowRules = LOIHI1_ROWS,
) -> tuple[Encoding, ...]:
    """Return the encodings that can hold some weights, each with the fewest weight bits."""
    found = []
    for kind, shared in product(kinds, signs):
        bits = stored_bits(weight, shared, rules.weight_bits)
        if bits is not None:
            found.append(Encoding(kind, shared, bits, delay_bits))
    return tuple(found)


def best(
    rows: Rows,
    *,
    delay_bits: int = 0,
    kinds: Iterable[str] = KINDS,
    signs: Iterable[bool] = (False, True),
    rules: RowRules = LOIHI1_ROWS,
) -> Encoded:
    """Return the rows in the encoding that takes the fewest words (then: fewest formats, first).

    Encodings whose longest row or whose formats exceed the rules are taken only if all do.

    Raises:
        ValueError: the weights fit no number of bits the rules allow.
    """
    choices = encodings(rows.weight, delay_bits=delay_bits, kinds=kinds, signs=signs, rules=rules)
    if not choices:
        raise ValueError(f"no choice of {rules.weight_bits} weight bits can hold these weights")

    def cost(encoded: Encoded) -> tuple[bool, int, int]:
        held = encoded.longest <= rules.row_words and len(encoded.formats) <= rules.formats
        return not held, encoded.words, len(encoded.formats)

    return min((encode(rows, choice, rules) for choice in choices), key=cost)


def stored_bits(
    weight: NDArray[Any], shared_sign: bool, choices: tuple[int, ...] = LOIHI1_ROWS.weight_bits
) -> int | None:
    """Return the fewest bits that hold all weights exactly; None if no choice does.

    With b bits a weight of own sign is a multiple of 2^(9 - b) in -256..255, one of shared sign a
    multiple of 2^(8 - b) of magnitude 0..255.
    """
    union = int(np.bitwise_or.reduce(np.abs(weight.astype(np.int64)).reshape(-1), initial=0))
    if shared_sign and np.any(np.abs(weight) > 255):
        return None
    return fewest_bits(union, choices, shared_sign=shared_sign)


def fewest_bits(union: int, choices: tuple[int, ...], *, shared_sign: bool) -> int | None:
    """Return the fewest bits that hold weights whose magnitudes have these bits in all.

    With a shared sign all are 255 at most; see `stored_bits`.
    """
    lowest = (union & -union).bit_length() - 1 if union else 8
    need = max((8 if shared_sign else 9) - lowest, 1)
    return next((bits for bits in sorted(choices) if bits >= need), None)


def dense_words(
    sources: int,
    targets: int,
    *,
    weight_bits: int,
    first: int = 0,
    delay_bits: int = 0,
    rules: RowRules = LOIHI1_ROWS,
) -> int:
    """Return the words of all-to-all synapses of mixed signs in dense2, without making the rows.

    Args:
        sources: number of rows.
        targets: synapses of each row, to the compartments from `first` on.
        weight_bits: of each weight including its sign.
        first: index of the first compartment.
        delay_bits: of each synapse.
        rules: of the memory.
    """
    starts = np.arange(0, targets, rules.entry_synapses)
    index = np.clip(_bits(starts + first), *rules.index_bits)
    bits = len(starts) * rules.head_bits + targets * (weight_bits + delay_bits) + index.sum()
    return sources * int(rules.words(np.array([bits]))[0]) if targets else 0


def packed_words(targets: ArrayLike, bits: int, word_bits: int = 64) -> Ints:
    """Return the words of rows of so many weights side by side, as Loihi 2 is counted.

    A row is that of one source neuron of a dense layer or, where kernels are shared, of one input
    channel and kernel position; its targets are then the output channels (`kernel_words`).
    """
    words: Ints = -(-np.asarray(targets, np.int64) * bits // word_bits)
    return words


def kernel_words(channels_in: int, kernel: int, channels_out: int, bits: int) -> int:
    """Return the words of shared kernels on Loihi 2: channels_in * kernel * ceil(out * bits / 64).

    Args:
        channels_in: input channels that reach the core.
        kernel: positions of the kernel, height * width.
        channels_out: output channels on the core.
        bits: of a weight including its sign.

    Source: PilotNet table of Intel's compiler in lava-dl, pilotnet_snn/benchmark.ipynb.
    """
    return channels_in * kernel * int(packed_words(channels_out, bits))


def formats_of(parts: Iterable[Encoded]) -> int:
    """Return how many formats all that is written to one core needs.

    Where they are too many, encode again with `rules` that allow each part fewer.
    """
    kinds = {
        (part.encoding.kind, part.encoding.delay_bits, form)
        for part in parts
        for form in part.formats
    }
    return len(kinds)


def _signs(weight: Ints, shared: bool) -> NDArray[np.int8]:
    if not shared:
        return np.full(len(weight), MIXED, np.int8)
    return np.where(weight >= 0, POSITIVE, NEGATIVE).astype(np.int8)


def _bits(values: Ints) -> Ints:
    """Return how many bits each whole number needs; none for 0."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def _shared(words: Ints, group: Ints) -> Ints:
    """Return the words of rows, each as large as the largest of its group."""
    if not len(words):
        return words
    names, member = np.unique(group, return_inverse=True)
    largest = np.zeros(len(names), np.int64)
    np.maximum.at(largest, member, words)
    found: Ints = np.where(words > 0, largest[member], 0)
    return found


def _widened(table: Ints, limit: int) -> tuple[tuple[Format, ...], Ints, Ints]:
    """Return the formats that are left, and the index and skip bits of each entry."""
    if not len(table):
        return (), table[:, 1], table[:, 2]
    code = table @ (1 << np.arange(32, -1, -8))  # no number has more than 8 bits
    _, place, of_entry = np.unique(code, return_index=True, return_inverse=True)
    formats, where = merged([tuple(map(int, row)) for row in table[place]], limit)
    chosen = np.array(formats)[np.array(where)[of_entry]]
    return tuple(formats), chosen[:, 1], chosen[:, 2]
