"""Words of synaptic memory counted anew, from the rules of each format.

Loihi 1's rules: a row is entries of at most 60 synapses; an entry takes 10 bits, the weight (and
delay) of every synapse, and its indices; a row that ends on a word or up to five bits before its
end takes one more. Chips with few formats may write indices wider than they need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import compress, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.checker.weighted_rows import column_rows, weighted_rows
from snncompile.checker.wiring_reach import Positions, is_tile, kernels, rows
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Slice
from snncompile.ir.tables import MemoryBlock
from snncompile.registry import names
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.weight_formats import weight_step

ENTRY, HEAD, LONGEST_GAP = 60, 10, 32
WEIGHT_BITS = (1, 2, 3, 4, 5, 6, 8)
DELAY_BITS = 6
Groups = dict[int, int]
Entry = tuple[int, int, int]
"""(synapses stored, index to be held, largest gap)."""


class Size(NamedTuple):
    """Words of a block of memory."""

    least: int
    """As few as it can take."""
    most: int
    """With indices and gaps as wide as they may be."""
    longest: int = 0
    """Of the longest row, at least; 0 where rows have no limit."""


def words(
    chip: Chip, projection: Projection, s: Slice, block: MemoryBlock, groups: Groups | None = None
) -> Size:
    """Return the fewest and the most words that a block of memory can take.

    Args:
        chip: whose encodings count.
        projection: whose synapses are stored.
        s: slice of its target.
        block: how they are stored.
        groups: of source neurons that share an axon, by neuron: their rows are of one size.
    """
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    width = chip.core.synapse_word_bits.whole or 64
    if block.format == chip.encoding and block.format in names("fits"):
        return Size(0, 0)  # no words in a memory: the chip has rules of its own
    if block.format == "packed":
        packed = _packed(projection, s, block, synapses.bits, width)
        return Size(packed, packed)
    if block.format == "one_word":
        found = rows(synapses.wiring, s, shared=block.shared)
        stored = sum(len(row) * count for row, count in found.items())
        return Size(stored, stored)
    if block.format not in SPLIT:
        raise MappingError(f"there is no synapse format {block.format!r}")
    each = _bits(synapses, s, block) + (DELAY_BITS if projection.delay > 1 else 0)
    if block.shared_sign or groups or block.columns:
        return _weighted(synapses, s, block, groups or {}, each, width)
    found = rows(synapses.wiring, s, shared=block.shared)
    return _loihi1(found, block.format, each, width)


def _bits(synapses: IntegerSynapses, s: Slice, block: MemoryBlock) -> int:
    """Return the bits stored per weight, which have to be enough for all of them."""
    told = next(b for b in WEIGHT_BITS if b >= synapses.bits)
    bits = block.weight_bits or told
    if bits not in WEIGHT_BITS or not any(
        _hold(bits, told, weight, block.shared_sign) for weight in _stored(synapses, s)
    ):
        raise MappingError(f"weights into {s.where} do not fit {bits} bits")
    return bits


def _hold(bits: int, told: int, weight: NDArray[np.int64], shared_sign: bool) -> bool:
    """Return whether so many bits hold all weights."""
    if shared_sign:
        return (
            not (weight % weight_step(bits, shared_sign=True)).any()
            and int(abs(weight).max(initial=0)) <= 255
        )
    return bits >= told or not (weight % weight_step(bits)).any()


def _stored(synapses: IntegerSynapses, s: Slice) -> Iterator[NDArray[np.int64]]:
    """Yield the weights into a slice, first with others of its channels: those are quickly found.

    At the edge a kernel may have weights that no source meets, and that need no bits.
    """
    wiring, weight = synapses.wiring.plain, synapses.weight.astype(np.int64)
    if is_tile(wiring, s):
        yield weight[s.start[0] : s.stop[0]].reshape(-1)
    if isinstance(wiring, Dense):
        yield weight[s.neurons()].reshape(-1)
    else:
        yield np.asarray(wiring.matrix(weight)[s.neurons()].data, np.int64)


def _weighted(
    synapses: IntegerSynapses,
    s: Slice,
    block: MemoryBlock,
    groups: Groups,
    each: int,
    width: int,
) -> Size:
    """Return the words of rows whose signs are apart or that are as large as others."""
    if block.columns:
        found = list(column_rows(synapses, s))
        groups = {column: column for column, _, _ in found}
    else:
        found = list(weighted_rows(synapses, s, shared=block.shared))
    widest = max((row[-1] for _, row, _ in found), default=0)
    least: list[tuple[int, int]] = []
    most: list[tuple[int, int]] = []
    for number, (source, row, weight) in enumerate(found):
        group = groups.get(source, -1)
        first = row[0] if group < 0 else 0
        lists = _lists(row, weight, first, block.shared_sign)
        entries = tuple(entry for one in lists for entry in _entries(one, block.format))
        key = -1 - number if group < 0 else group
        least.append((key, _row(entries, block.format, each, width, None)))
        most.append((key, _row(entries, block.format, each, width, widest)))
    return Size(_padded(least), _padded(most), max((size for _, size in least), default=0))


def _lists(row: Positions, weight: tuple[int, ...], first: int, apart: bool) -> list[Positions]:
    places = [place - first for place in row]
    if not apart:
        return [tuple(places)]
    signs = ([w >= 0 for w in weight], [w < 0 for w in weight])
    lists = [tuple(compress(places, sign)) for sign in signs]
    return [one for one in lists if one]


def _padded(sizes: list[tuple[int, int]]) -> int:
    """Return the words of rows of (group, size), each as large as the largest of its group."""
    largest: dict[int, int] = {}
    for group, size in sizes:
        largest[group] = max(largest.get(group, 0), size)
    return sum(largest[group] for group, _ in sizes)


def _packed(projection: Projection, s: Slice, block: MemoryBlock, bits: int, width: int) -> int:
    """Return the words of weights side by side: of a kernel if it is shared, else of each row."""
    wiring = projection.synapses.wiring.plain
    if block.shared and is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        used = kernels(wiring, s).items()
        return sum(-(-channels * bits // width) * count for channels, count in used)
    found = rows(wiring, s, shared=block.shared)
    return sum(-(-len(row) * bits // width) * count for row, count in found.items())


def _loihi1(found: dict[Positions, int], kind: str, each: int, width: int) -> Size:
    least = most = longest = 0
    widest = max((max(row) for row in found), default=0)
    for row, count in found.items():
        entries = tuple(_entries(row, kind))
        size = _row(entries, kind, each, width, None)
        least += count * size
        most += count * _row(entries, kind, each, width, widest)
        longest = max(longest, size)
    return Size(least, most, longest)


def _entries(row: Positions, kind: str) -> Iterator[Entry]:
    """Yield the entries into which a row is split."""
    part: list[int] = []
    for place in row:
        if part and SPLIT[kind](part, place):
            yield _entry(part, kind)
            part = []
        part.append(place)
    yield _entry(part, kind)


SPLIT: dict[str, Callable[[list[int], int], bool]] = {
    "sparse": lambda part, place: len(part) == ENTRY,
    "run_length": lambda part, place: len(part) == ENTRY or place - part[-1] >= LONGEST_GAP,
    "dense1": lambda part, place: len(part) == ENTRY or place != part[-1] + 1,
    "dense2": lambda part, place: place - part[0] >= ENTRY,
}
"""Whether a synapse begins a new entry."""


def _entry(part: list[int], kind: str) -> Entry:
    gap = max((b - a for a, b in pairwise(part)), default=0)
    stored = part[-1] - part[0] + 1 if kind == "dense2" else len(part)
    return stored, part[-1] if kind == "sparse" else part[0], gap


@cache
def _row(entries: tuple[Entry, ...], kind: str, each: int, width: int, widest: int | None) -> int:
    """Return the words of a row; with `widest`, of indices and gaps as wide as they may be."""
    bits = 0
    for stored, index, gap in entries:
        index_bits = max(6, (index if widest is None else widest).bit_length())
        skip = max(2, gap.bit_length() if widest is None else 5) if kind == "run_length" else 0
        bits += HEAD + stored * (each + skip) + index_bits * (stored if kind == "sparse" else 1)
    rest = bits % width
    return -(-bits // width) + (rest == 0 or rest >= width - 5)
