"""Words of synaptic memory, counted from the tables by the rules of the chip's encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.checker import headed_rows
from snncompile.checker.learning import read_bits
from snncompile.checker.row_words import (
    NEGATIVE,
    POSITIVE,
    Row,
    RowCounter,
    RowNumbers,
    split_row,
)
from snncompile.checker.weighted_rows import WeightedRow, list_column_rows, list_weighted_rows
from snncompile.checker.wiring_reach import count_kernels, count_rows, is_tile
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import ENCODINGS, Chip
from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Slice
from snncompile.ir.tables import MemoryBlock
from snncompile.registry import load
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.weight_formats import weight_step

Groups = dict[int, int]
"""Group of each source neuron that shares an axon."""

CHECKER_RULES = "checker_rules"
"""Table of the registry with rules for chips whose encoding is not one of `WORDS`."""
MAGNITUDE = 255
"""Of a weight that is stored without its sign, at most."""


@dataclass(frozen=True)
class Stored:
    """A block of memory and the synapses that it has to hold."""

    chip: Chip
    projection: Projection
    slice: Slice
    block: MemoryBlock
    groups: Groups
    """Of source neurons that share an axon, by neuron: their rows are of one size."""

    @property
    def synapses(self) -> IntegerSynapses:
        """Those of the projection."""
        synapses = self.projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        return synapses


@dataclass(frozen=True)
class Size:
    """Words that a block of memory needs."""

    fewest: int
    matches: bool
    """Whether the block has exactly as many words as its synapses can take."""
    longest: int = 0
    """Words of the longest row; 0 where rows have no limit."""


def measure_block(stored: Stored) -> Size:
    """Return the words that a block of memory needs, and whether it has them.

    Raises:
        MappingError: the chip has no such synapse format, or its bits do not hold the weights.
    """
    encoding, form = stored.chip.encoding, stored.block.format
    known = list_formats(stored.chip)
    if form not in known:
        names = ", ".join(known)
        raise MappingError(f"there is no synapse format {form[:40]!r}; {encoding} has {names}")
    if encoding not in WORDS:
        words = _count_words_of_rule(stored)
        return Size(words, stored.block.words == words)
    return WORDS[encoding](stored)


def list_formats(chip: Chip) -> tuple[str, ...]:
    """Return the formats that a block of memory of a chip can have."""
    if chip.rows is not None:
        return chip.rows.kinds
    return FORMATS.get(chip.encoding, (chip.encoding,))


def _count_words_of_rule(stored: Stored) -> int:
    """Return the words by the checker rule of another package: none, unless it counts them.

    It does with an attribute `count_words`, called as `count_words(projection, slice, chip)`.
    """
    if stored.chip.encoding in ENCODINGS:
        return 0  # without looking for packages, which takes milliseconds
    rule = load(CHECKER_RULES, stored.chip.encoding)
    if not hasattr(rule, "count_words"):
        return 0
    return int(rule.count_words(stored.projection, stored.slice, stored.chip))


def _measure_single_words(stored: Stored) -> Size:
    """Return the synapses: each takes one word.

    Raises:
        MappingError: a weight has more bits than a word.
    """
    bits, width = stored.synapses.bits, stored.chip.core.synapse_word_bits.whole
    if width is not None and bits > width:
        raise MappingError(
            f"weights into {stored.slice.where} of {bits} bits do not fit words of {width}"
        )
    rows = count_rows(stored.synapses.wiring, stored.slice, shared=stored.block.shared)
    words = sum(len(row) * count for row, count in rows.items())
    return Size(words, stored.block.words == words)


def _measure_packed_words(stored: Stored) -> Size:
    """Return the words of weights side by side in whole words."""
    words = _count_packed_words(stored)
    return Size(words, stored.block.words == words)


def _count_packed_words(stored: Stored) -> int:
    """Return the words of weights side by side: of a kernel if it is shared, else of each row."""
    wiring, bits = stored.synapses.wiring.plain, stored.synapses.bits
    width = stored.chip.core.synapse_word_bits.whole or 64
    if stored.block.shared and is_tile(wiring, stored.slice):
        assert isinstance(wiring, Convolution)
        used = count_kernels(wiring, stored.slice).items()
        return sum(-(-channels * bits // width) * count for channels, count in used)
    rows = count_rows(wiring, stored.slice, shared=stored.block.shared)
    return sum(-(-len(row) * bits // width) * count for row, count in rows.items())


def _measure_rows(stored: Stored) -> Size:
    """Return the words of rows in entries of a common format; see `row_words.py`."""
    numbers = RowNumbers.of(stored.chip)
    counter = RowCounter(
        tuple(_list_rows(stored, numbers)),
        stored.block.format,
        _read_weight_bits(stored, numbers),
        stored.projection.delay > 1,
        numbers,
    )
    total = counter.find(stored.block.words)
    fewest = counter.fewest
    return Size(fewest.words, total is not None, (total or fewest).longest)


def _measure_headed_words(stored: Stored) -> Size:
    """Return the words of rows with a head, or of kernels; see `headed_rows.py`."""
    kernels = headed_rows.uses_kernels(stored.projection, stored.slice)
    name = headed_rows.KERNELS if kernels else headed_rows.ROWS
    words = headed_rows.count_words(stored.chip, stored.projection, stored.slice)
    matches = (stored.block.words, stored.block.format) == (words, name)
    return Size(words, matches and stored.block.shared == kernels)


WORDS: dict[str, Callable[[Stored], Size]] = {
    "one_word": _measure_single_words,
    "packed_rows": _measure_packed_words,
    "loihi2": _measure_headed_words,
    "loihi1": _measure_rows,
}
"""By encoding of the chip, where synapses are words in a memory."""
FORMATS = {
    "one_word": ("one_word",),
    "packed_rows": ("packed",),
    "loihi2": (headed_rows.ROWS, headed_rows.KERNELS),
}
"""What blocks of memory are called, by encoding, where that is not the encoding's own name."""


def _list_rows(stored: Stored, numbers: RowNumbers) -> Iterator[Row]:
    """Yield the rows of a block; with their weights where signs, axons or columns ask for them."""
    block, synapses, s = stored.block, stored.synapses, stored.slice
    if block.columns:
        rows = list_column_rows(synapses, s)
        yield from (_split_weighted_row(row, row.source, block, numbers) for row in rows)
    elif block.shared_sign or stored.groups:
        for row in list_weighted_rows(synapses, s, shared=block.shared):
            yield _split_weighted_row(row, stored.groups.get(row.source), block, numbers)
    else:
        for targets, count in count_rows(synapses.wiring, s, shared=block.shared).items():
            yield Row(None, count, split_row(targets, (), block.format, numbers))


def _split_weighted_row(
    row: WeightedRow, group: int | None, block: MemoryBlock, numbers: RowNumbers
) -> Row:
    """Return the entries of a row; targets of a row in no group are counted from its first."""
    first = row.targets[0] if group is None else 0
    targets = tuple(target - first for target in row.targets)
    signs = [POSITIVE if weight >= 0 else NEGATIVE for weight in row.weights]
    entries = split_row(targets, signs if block.shared_sign else (), block.format, numbers)
    return Row(group, 1, entries)


def _read_weight_bits(stored: Stored, numbers: RowNumbers) -> int:
    """Return the bits stored per weight; with its tag where it learns.

    Raises:
        MappingError: the chip has no weights of so many bits, or they do not hold all weights.
    """
    learning = read_bits(stored.chip, stored.projection, stored.slice, stored.block)
    if learning is not None:
        return learning
    choices, own = numbers.weight_bits, stored.synapses.bits
    quantized = next((bits for bits in choices if bits >= own), choices[-1])
    bits, shared_sign = stored.block.weight_bits or quantized, stored.block.shared_sign
    enough = not shared_sign and bits >= own
    if bits not in choices or not (enough or _hold_weights(stored, bits)):
        raise MappingError(f"weights into {stored.slice.where} do not fit {bits} bits")
    return bits


def _hold_weights(stored: Stored, bits: int) -> bool:
    """Return whether so many bits hold all weights of a block."""
    shared_sign = stored.block.shared_sign
    step = weight_step(min(bits, 8 if shared_sign else 9), shared_sign=shared_sign)
    return any(
        not (weights % step).any() and not (shared_sign and (np.abs(weights) > MAGNITUDE).any())
        for weights in _list_weights(stored.synapses, stored.slice)
    )


def _list_weights(synapses: IntegerSynapses, s: Slice) -> Iterator[NDArray[np.int64]]:
    """Yield the weights into a slice; first all of its channels, which are quick to list.

    At the edge a kernel may have weights that no source meets, and that need no bits.
    """
    wiring, weight = synapses.wiring.plain, synapses.weight.astype(np.int64)
    if is_tile(wiring, s):
        yield weight[s.start[0] : s.stop[0]].reshape(-1)
    if isinstance(wiring, Dense):
        yield weight[s.neurons()].reshape(-1)
    else:
        yield np.asarray(wiring.matrix(weight)[s.neurons()].data, np.int64)
