"""Words of synaptic memory that the rows of a projection to one slice take, by encoding of a chip.

A row holds the synapses of one source neuron to the slice. Rows that are alike up to a shift of
their targets can be one row in memory, reached by several axons that differ in the compartment
they count from; a convolution has few different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores.row_encoding import (
    NEGATIVE,
    POSITIVE,
    Encoding,
    RowRules,
    encode,
    row_rules,
)
from snncompile.cores.row_encoding import Rows as Written
from snncompile.cores.row_formats import Format
from snncompile.cores.weight_bits import Weights
from snncompile.hwmodels.schema import Chip

Runs = tuple[tuple[int, int], ...]
"""Targets of a row as (first, length) of each stretch without gaps, counted from the first one."""


@dataclass(frozen=True)
class Row:
    """Rows of one kind."""

    runs: Runs
    count: int
    """So many are stored."""

    @property
    def synapses(self) -> int:
        """Synapses of one of them."""
        return sum(length for _, length in self.runs)


@dataclass(frozen=True)
class Memory:
    """What rows take."""

    words: int
    format: str
    """How they are written: an encoding of the chip."""
    formats: frozenset[tuple[str | int, ...]] = frozenset()
    """Synapse formats that their core needs for them, where a chip has few."""
    longest: int = 0
    """Words of the longest row."""
    weight_bits: int = 0
    """Stored per weight, where the chip has a choice; 0: those of the projection."""
    shared_sign: bool = False
    """Whether synapses of each sign are a list of their own, without signs of their own."""
    columns: bool = False
    """Whether the rows of a convolution's columns lie side by side; see `MemoryBlock`."""


Rows = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Listed:
    """Rows synapse by synapse, each stored once, for encodings to which their gaps matter."""

    ends: NDArray[np.int64]
    """Where each row begins in `places`, and where the last one ends, shape (rows + 1,)."""
    places: NDArray[np.int64]
    """Targets of each row, counted from its first one, in rising order."""


def memory(chip: Chip, rows: Rows | Listed, weights: Weights, delayed: bool) -> Memory:
    """Return the words of the cheapest encoding the chip has; weights of zero are stored, too.

    Chips whose synapses are no words take none: they have rules of their own (`fit/`).

    Args:
        chip: gives the encoding and the width of a word.
        rows: what is to be stored.
        weights: what is to be stored of each weight.
        delayed: whether the synapses have an extra delay.
    """
    store = _Store(
        width=chip.core.synapse_word_bits.whole or 64,
        weights=weights,
        delayed=delayed,
        kinds=() if chip.rows is None else chip.rows.kinds,
        rules=None if chip.rows is None else row_rules(chip),
    )
    if isinstance(rows, Listed):
        if not len(rows.places):
            return Memory(0, chip.encoding)
        return _written(rows.ends, rows.places, np.ones(len(rows.ends) - 1, np.int64), store)
    return _memory(chip.encoding, rows, store)


@dataclass(frozen=True)
class _Store:
    """How rows are to be stored."""

    width: int
    """Bits of a word."""
    weights: Weights
    delayed: bool
    kinds: tuple[str, ...]
    """Ways to write rows that the chip has, where it has several."""
    rules: RowRules | None = None
    """Numbers of the chip's row memory, where it has one."""


@lru_cache(maxsize=100_000)
def _memory(encoding: str, rows: Rows, store: _Store) -> Memory:
    if not rows or encoding not in ENCODINGS:
        return Memory(0, encoding)
    return ENCODINGS[encoding](rows, store)


def _one_word(rows: Rows, store: _Store) -> Memory:
    """One synapse, one word."""
    words = sum(row.count * row.synapses for row in rows)
    return Memory(words, "one_word", longest=max(row.synapses for row in rows))


def _packed(rows: Rows, store: _Store) -> Memory:
    """A source's weights side by side in whole words, as Loihi 2's convolution memory is counted.

    Source: Intel's compiler on PilotNet, words = Cin * k * k * ceil(Cout * bits / 64).
    """
    sizes = [-(-row.synapses * store.weights.bits // store.width) for row in rows]
    words = sum(row.count * size for row, size in zip(rows, sizes, strict=True))
    return Memory(words, "packed", longest=max(sizes))


BOTH = (POSITIVE, NEGATIVE)
FORMATS_PER_BLOCK = 2
"""Synapse formats that one projection into one slice may use, of those of the core."""


def _loihi1(rows: Rows, store: _Store) -> Memory:
    """Rows in the cheapest of Loihi 1's encodings; see `row_encoding.py`."""
    index = [np.concatenate([np.arange(a, a + n) for a, n in row.runs]) for row in rows]
    ends = np.cumsum([0, *map(len, index)])
    count = np.array([row.count for row in rows])
    return _written(ends, np.concatenate(index), count, store)


def _written(ends: Ints, places: Ints, count: Ints, store: _Store) -> Memory:
    """Return what rows take on Loihi 1 of which so many are stored; see `Listed`.

    Signs are shared only where each row has one sign. Other rows are several lists; once the
    slices are known, `cheapest_encoding.py` counts these weight by weight, which only saves words.
    """
    assert store.rules is not None
    rules = replace(store.rules, formats=FORMATS_PER_BLOCK)
    written = Written.make(ends, places, np.zeros(len(places), np.int64))
    delay = rules.delay_bits if store.delayed else 0
    found = []
    for kind, (shared, bits) in product(store.kinds, _signs(store.weights)):
        done = encode(written, Encoding(kind, shared, bits, delay), rules)
        formats = frozenset(
            (kind, delay, *form) for form in _both(done.formats, shared, store.weights)
        )
        words = int((done.row_words * count).sum())
        longest = int(done.row_words.max(initial=0))
        found.append(Memory(words, kind, formats, longest, bits, shared))
    return min(found, key=lambda m: (m.longest > rules.row_words, m.words, len(m.formats)))


def _signs(weights: Weights) -> list[tuple[bool, int]]:
    """Return the choices of (whether the signs of a row are shared, bits of a weight)."""
    choices = [(False, weights.bits)]
    if weights.signs != "mixed" and weights.shared_bits is not None:
        choices.append((True, weights.shared_bits))
    return choices


def _both(formats: tuple[Format, ...], shared: bool, weights: Weights) -> list[Format]:
    """Return the formats, for shared signs with the signs that there are."""
    if not shared:
        return list(formats)
    marks = {"positive": (POSITIVE,), "negative": (NEGATIVE,)}
    return [(*form[:4], mark) for form in formats for mark in marks.get(weights.signs, BOTH)]


ENCODINGS: dict[str, Callable[[Rows, _Store], Memory]] = {
    "one_word": _one_word,
    "packed_rows": _packed,
    "loihi1": _loihi1,
}
SHARES_ROWS = ("loihi1",)
"""Encodings whose axons can share a row and count its targets from different compartments."""
SHARES_KERNELS = ("packed_rows",)
"""Encodings that store a convolution's kernel once per core, whatever the tile."""
