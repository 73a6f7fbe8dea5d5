"""Words of synaptic memory that the rows of a projection to one slice take, by encoding of a chip.

A row holds the synapses of one source neuron to the slice. Rows that are alike up to a shift of
their targets can be one row in memory, reached by several axons that differ in the compartment
they count from; a convolution has few different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip
from snncompile.passes.encode import KINDS, LOIHI1_ROWS, Encoding, encode
from snncompile.passes.encode import Rows as Written

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


Rows = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Listed:
    """Rows synapse by synapse, each stored once, for encodings to which their gaps matter."""

    ends: NDArray[np.int64]
    """Where each row begins in `places`, and where the last one ends, shape (rows + 1,)."""
    places: NDArray[np.int64]
    """Targets of each row, counted from its first one, in rising order."""


def memory(chip: Chip, rows: Rows | Listed, bits: int, delayed: bool) -> Memory:
    """Return the words of the cheapest encoding the chip has; weights of zero are stored, too.

    Chips whose synapses are no words take none: they have rules of their own (`fit/`).

    Args:
        chip: gives the encoding and the width of a word.
        rows: what is to be stored.
        bits: of a weight including its sign.
        delayed: whether the synapses have an extra delay.
    """
    width = chip.core.synapse_word_bits.whole or 64
    if isinstance(rows, Listed):
        if not len(rows.places):
            return Memory(0, chip.encoding)
        return _written(rows.ends, rows.places, np.ones(len(rows.ends) - 1, int), bits, delayed)
    return _memory(chip.encoding, width, rows, bits, delayed)


@lru_cache(maxsize=100_000)
def _memory(encoding: str, width: int, rows: Rows, bits: int, delayed: bool) -> Memory:
    if not rows or encoding not in ENCODINGS:
        return Memory(0, encoding)
    return ENCODINGS[encoding](rows, bits, delayed, width)


def _one_word(rows: Rows, bits: int, delayed: bool, width: int) -> Memory:
    """One synapse, one word."""
    words = sum(row.count * row.synapses for row in rows)
    return Memory(words, "one_word", longest=max(row.synapses for row in rows))


def _packed(rows: Rows, bits: int, delayed: bool, width: int) -> Memory:
    """A source's weights side by side in whole words, as Loihi 2's convolution memory is counted.

    Source: Intel's compiler on PilotNet, words = Cin * k * k * ceil(Cout * bits / 64).
    """
    sizes = [-(-row.synapses * bits // width) for row in rows]
    words = sum(row.count * size for row, size in zip(rows, sizes, strict=True))
    return Memory(words, "packed", longest=max(sizes))


FORMATS_PER_BLOCK = 2
"""Loihi 1: synapse formats that one projection into one slice may use, of the core's seven."""


def _loihi1(rows: Rows, bits: int, delayed: bool, width: int) -> Memory:
    """Rows of mixed signs in the cheapest of Loihi 1's encodings; see `encode.py`."""
    index = [np.concatenate([np.arange(a, a + n) for a, n in row.runs]) for row in rows]
    ends = np.cumsum([0, *map(len, index)])
    count = np.array([row.count for row in rows])
    return _written(ends, np.concatenate(index), count, bits, delayed)


def _written(
    ends: NDArray[np.int64],
    places: NDArray[np.int64],
    count: NDArray[np.int64],
    bits: int,
    delayed: bool,
) -> Memory:
    """Return what rows take on Loihi 1 of which so many are stored; see `Listed`."""
    rules = replace(LOIHI1_ROWS, formats=FORMATS_PER_BLOCK)
    written = Written.make(ends, places, np.zeros(len(places), np.int64))
    stored = next(b for b in rules.weight_bits if b >= bits)
    delay = rules.delay_bits if delayed else 0
    found = []
    for kind in KINDS:
        done = encode(written, Encoding(kind, False, stored, delay), rules)
        formats = frozenset((kind, delay, *form) for form in done.formats)
        words = int((done.row_words * count).sum())
        found.append(Memory(words, kind, formats, int(done.row_words.max(initial=0))))
    return min(found, key=lambda m: (m.longest > rules.row_words, m.words, len(m.formats)))


ENCODINGS: dict[str, Callable[[Rows, int, bool, int], Memory]] = {
    "one_word": _one_word,
    "packed_rows": _packed,
    "loihi1": _loihi1,
}
SHARES_ROWS = ("loihi1",)
"""Encodings whose axons can share a row and count its targets from different compartments."""
SHARES_KERNELS = ("packed_rows",)
"""Encodings that store a convolution's kernel once per core, whatever the tile."""
