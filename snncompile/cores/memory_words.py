"""Words of synaptic memory that the rows of a projection to one slice take, by encoding of a chip.

A row holds the synapses of one source neuron to the slice. Rows that are equal up to a
shift of their targets can be one row in memory, reached by several axons that count from different
compartments; a convolution has few different rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores.headed_rows import HeadedRules, KernelRows, read_headed_rules
from snncompile.cores.row_encoding import (
    NEGATIVE,
    POSITIVE,
    Encoding,
    RowRules,
    Rows,
    encode_rows,
    read_row_rules,
)
from snncompile.cores.row_formats import Format
from snncompile.cores.weight_bits import WeightBits
from snncompile.hwmodels.limits import RowMemory
from snncompile.hwmodels.schema import Chip

Runs = tuple[tuple[int, int], ...]
"""Targets of a row as (first, length) of each stretch without gaps, counted from the first one."""


@dataclass(frozen=True)
class RowKind:
    """Rows of one kind."""

    runs: Runs
    count: int
    """Number of rows stored."""

    @property
    def synapses(self) -> int:
        """Synapses of one of them."""
        return sum(length for _, length in self.runs)


@dataclass(frozen=True)
class Memory:
    """Words and formats that rows take."""

    words: int
    format: str
    """Encoding of the chip in which the rows are written."""
    formats: frozenset[tuple[str | int, ...]] = frozenset()
    """Synapse formats that the rows need on their core, where a chip has few."""
    longest: int = 0
    """Words of the longest row."""
    weight_bits: int = 0
    """Bits stored per weight, where the chip has a choice; 0: those of the projection."""
    shared_sign: bool = False
    """Whether synapses of each sign are a list of their own, without signs of their own."""
    columns: bool = False
    """Whether the rows of a convolution's columns lie side by side; see `MemoryBlock`."""


RowKinds = tuple[RowKind, ...]


@dataclass(frozen=True, eq=False)
class ListedRows:
    """Rows synapse by synapse, each stored once, for encodings whose words depend on the gaps."""

    ends: NDArray[np.int64]
    """First synapse of each row in `targets`, and the end of the last row, shape (rows + 1,)."""
    targets: NDArray[np.int64]
    """Targets of each row, counted from its first one, in rising order."""


def choose_memory(
    chip: Chip,
    rows: RowKinds | ListedRows | KernelRows,
    weights: WeightBits,
    delayed: bool,
    *,
    learning: bool = False,
) -> Memory:
    """Return the memory of rows in the chip's cheapest encoding; weights of zero are stored, too.

    Chips whose synapses are no words take none: they have rules of their own (`chip_rules/`).

    Args:
        chip: gives the encoding and the width of a word.
        rows: rows to store.
        weights: bits to store of each weight.
        delayed: whether the synapses have an extra delay.
        learning: whether they learn, on a chip whose rows say what that takes.
    """
    store = _Store(
        width=chip.core.synapse_word_bits.whole or 64,
        weights=weights,
        delayed=delayed,
        learning=learning,
        kinds=() if chip.rows is None else list_kinds(chip.rows, learning=learning),
        rules=None if chip.rows is None else read_row_rules(chip),
        headed=None if chip.headed_rows is None else read_headed_rules(chip),
    )
    if isinstance(rows, KernelRows):
        return _store_kernels(rows, store)
    if isinstance(rows, ListedRows):
        if not len(rows.targets):
            return Memory(0, chip.encoding)
        return _choose_of_rows(
            rows.ends, rows.targets, np.ones(len(rows.ends) - 1, np.int64), store
        )
    return _choose_of_kinds(chip.encoding, rows, store)


def list_kinds(rows: RowMemory, *, learning: bool) -> tuple[str, ...]:
    """Return the kinds of row that synapses of a chip can be written in."""
    if not learning or rows.learning is None:
        return rows.kinds
    return tuple(k for k in rows.learning.kinds if k in rows.kinds) or rows.learning.kinds


@dataclass(frozen=True)
class _Store:
    """Conditions under which rows are stored."""

    width: int
    """Bits of a word."""
    weights: WeightBits
    delayed: bool
    learning: bool
    kinds: tuple[str, ...]
    """Kinds of row encoding that the chip has, where it has several."""
    rules: RowRules | None = None
    """Numbers of the chip's row memory, where it has one."""
    headed: HeadedRules | None = None
    """Numbers of its rows with a head, where it has these."""


@lru_cache(maxsize=100_000)
def _choose_of_kinds(encoding: str, rows: RowKinds, store: _Store) -> Memory:
    if not rows or encoding not in ENCODINGS:
        return Memory(0, encoding)
    return ENCODINGS[encoding](rows, store)


def _store_one_word(rows: RowKinds, store: _Store) -> Memory:
    """Store one word per synapse."""
    words = sum(row.count * row.synapses for row in rows)
    return Memory(words, "one_word", longest=max(row.synapses for row in rows))


def _pack_rows(rows: RowKinds, store: _Store) -> Memory:
    """Store a source's weights side by side in whole words, as Loihi 2's convolutions are counted.

    Source: Intel's compiler on PilotNet, words = Cin * k * k * ceil(Cout * bits / 64).
    """
    sizes = [-(-row.synapses * store.weights.bits // store.width) for row in rows]
    words = sum(row.count * size for row, size in zip(rows, sizes, strict=True))
    return Memory(words, "packed", longest=max(sizes))


def _store_headed_rows(rows: RowKinds, store: _Store) -> Memory:
    """Store rows with a head and an index for every synapse; see `headed_rows.py`."""
    assert store.headed is not None
    bits, how = store.weights.bits, {"delayed": store.delayed, "learning": store.learning}
    sizes = [store.headed.count_row_words(row.synapses, bits, **how) for row in rows]
    words = sum(row.count * size for row, size in zip(rows, sizes, strict=True))
    return Memory(words, "rows", longest=max(sizes))


def _store_kernels(rows: KernelRows, store: _Store) -> Memory:
    """Store the kernels of a convolution once for all pixels; see `headed_rows.py`."""
    assert store.headed is not None
    size = store.headed.count_kernel_words(rows.channels, store.weights.bits, delayed=store.delayed)
    return Memory(rows.count * size, "kernels", longest=size)


BOTH = (POSITIVE, NEGATIVE)
FORMATS_PER_BLOCK = 2
"""Synapse formats that one projection into one slice may use, of those of the core."""


def _choose_loihi1(rows: RowKinds, store: _Store) -> Memory:
    """Choose the cheapest of Loihi 1's row encodings; see `row_encoding.py`."""
    index = [np.concatenate([np.arange(a, a + n) for a, n in row.runs]) for row in rows]
    ends = np.cumsum([0, *map(len, index)])
    count = np.array([row.count for row in rows])
    return _choose_of_rows(ends, np.concatenate(index), count, store)


def _choose_of_rows(ends: Ints, targets: Ints, count: Ints, store: _Store) -> Memory:
    """Return the memory on Loihi 1 of rows stored `count` times each; see `ListedRows`.

    Signs are shared only where each row has one sign. Other rows are several lists; once the
    slices are known, `cheapest_encoding.py` counts these weight by weight, which only saves words.
    """
    assert store.rules is not None
    rules = replace(store.rules, formats=FORMATS_PER_BLOCK)
    unweighted = Rows.make(ends, targets, np.zeros(len(targets), np.int64))
    delay = rules.delay_bits if store.delayed else 0
    choices = []
    for kind, (shared, bits) in product(store.kinds, _list_signs(store.weights)):
        encoded = encode_rows(unweighted, Encoding(kind, shared, bits, delay), rules)
        formats = frozenset(
            (kind, delay, *form) for form in _add_signs(encoded.formats, shared, store.weights)
        )
        words = int((encoded.row_words * count).sum())
        longest = int(encoded.row_words.max(initial=0))
        choices.append(Memory(words, kind, formats, longest, bits, shared))
    return min(choices, key=lambda m: (m.longest > rules.row_words, m.words, len(m.formats)))


def _list_signs(weights: WeightBits) -> list[tuple[bool, int]]:
    """Return the choices of (whether the signs of a row are shared, bits of a weight)."""
    choices = [(False, weights.bits)]
    if weights.signs != "mixed" and weights.shared_bits is not None:
        choices.append((True, weights.shared_bits))
    return choices


def _add_signs(formats: tuple[Format, ...], shared: bool, weights: WeightBits) -> list[Format]:
    """Return the formats; for shared signs, one for each sign of the weights."""
    if not shared:
        return list(formats)
    marks = {"positive": (POSITIVE,), "negative": (NEGATIVE,)}
    return [(*form[:4], mark) for form in formats for mark in marks.get(weights.signs, BOTH)]


ENCODINGS: dict[str, Callable[[RowKinds, _Store], Memory]] = {
    "one_word": _store_one_word,
    "packed_rows": _pack_rows,
    "loihi2": _store_headed_rows,
    "loihi1": _choose_loihi1,
}
SHARES_ROWS = ("loihi1",)
"""Encodings whose axons can share a row and count its targets from different compartments."""
SHARES_KERNELS = ("packed_rows",)
"""Encodings that store a convolution's kernel once per core, whatever the tile."""
CUTS_KERNELS = ("loihi2",)
"""Encodings that also cut its channels into pieces, see `headed_rows.py`."""
