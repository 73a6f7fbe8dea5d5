"""Words of synaptic memory counted anew, from the rules of each format.

Loihi 1's rules: a row is entries of at most 60 synapses; an entry takes 10 bits, the weight (and
delay) of every synapse, and its indices; a row that ends on a word or up to five bits before its
end takes one more. Chips with few formats may write indices wider than they need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from snncompile.checker.reach import Positions, is_tile, kernels, rows
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Slice
from snncompile.ir.tables import MemoryBlock
from snncompile.registry import names
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

ENTRY, HEAD, LONGEST_GAP = 60, 10, 32
WEIGHT_BITS = (1, 2, 3, 4, 5, 6, 8)
DELAY_BITS = 6
Entry = tuple[int, int, int]
"""(synapses stored, index to be held, largest gap)."""


def words(chip: Chip, projection: Projection, s: Slice, block: MemoryBlock) -> tuple[int, int]:
    """Return the fewest and the most words that a block of memory can take."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    width = chip.core.synapse_word_bits.whole or 64
    if block.format == chip.encoding and block.format in names("fits"):
        return 0, 0  # no words in a memory: the chip has rules of its own
    if block.format == "packed":
        return (_packed(projection, s, block, synapses.bits, width),) * 2
    found = rows(synapses.wiring, s, shared=block.shared)
    if block.format == "one_word":
        return (sum(len(row) * count for row, count in found.items()),) * 2
    if block.format not in SPLIT:
        raise MappingError(f"there is no synapse format {block.format!r}")
    each = next(b for b in WEIGHT_BITS if b >= synapses.bits)
    each += DELAY_BITS if projection.delay > 1 else 0
    return _loihi1(found, block.format, each, width)


def _packed(projection: Projection, s: Slice, block: MemoryBlock, bits: int, width: int) -> int:
    """Return the words of weights side by side: of a kernel if it is shared, else of each row."""
    wiring = projection.synapses.wiring
    if block.shared and is_tile(wiring, s):
        assert isinstance(wiring, Convolution)
        return sum(-(-channels * bits // width) for channels in kernels(wiring, s))
    found = rows(wiring, s, shared=block.shared)
    return sum(-(-len(row) * bits // width) * count for row, count in found.items())


def _loihi1(found: dict[Positions, int], kind: str, each: int, width: int) -> tuple[int, int]:
    least = most = 0
    widest = max((max(row) for row in found), default=0)
    for row, count in found.items():
        entries = tuple(_entries(row, kind))
        least += count * _row(entries, kind, each, width, None)
        most += count * _row(entries, kind, each, width, widest)
    return least, most


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
