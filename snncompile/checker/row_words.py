"""Words of rows that are written in entries of a common format, by the numbers of a chip file.

A row is a list of entries. An entry takes its head, the weight (and delay) of every synapse, and
its indices; a row that ends on a word, or less than the spare bits before its end, takes one word
more. A core has few formats: entries may be written with wider indices than they need, so that two
formats become one.

Source of the rules: Intel's NxTF, synapse_compression.py (github.com/intel-nrc-ecosystem/models,
nxsdk_modules_ncl/dnn/src). Their numbers are the section `rows` of a chip file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import NamedTuple

from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip

Targets = tuple[int, ...]
"""Targets of a row in rising order, counted from its base."""
SIGNS = POSITIVE, NEGATIVE = 1, 2
"""Signs that weights of an entry can have in common; zero is positive."""


class Entry(NamedTuple):
    """Synapses that are written side by side."""

    stored: int
    """Synapses, those of weight zero that fill gaps included."""
    held_index: int
    """Largest number that an index of the entry holds."""
    gap: int
    """Largest distance between two neighbours."""
    sign: int
    """Of all its weights, see `SIGNS`; 0 where each weight has its own."""


class Row(NamedTuple):
    """Rows of equal entries."""

    group: int | None
    """Rows of one group are as large as its largest; None: as large as they are."""
    times: int
    """Number of such rows."""
    entries: tuple[Entry, ...]


class Format(NamedTuple):
    """Widths that entries of one format have in common."""

    index_bits: int
    skip_bits: int
    sign: int


class Total(NamedTuple):
    """What rows take."""

    words: int
    longest: int
    """Words of the longest row."""


@dataclass(frozen=True)
class RowNumbers:
    """Numbers of a chip's row memory, as its file gives them."""

    entry_synapses: int
    head_bits: int
    index_bits: tuple[int, int]
    """Fewest and most bits of an index."""
    skip_bits: tuple[int, int]
    """Fewest and most bits of a skip."""
    delay_bits: int
    spare_bits: int
    word_bits: int
    weight_bits: tuple[int, ...]
    """Bits of a weight that the chip offers, rising."""
    formats: int
    """Formats of one core at most."""

    @classmethod
    def of(cls, chip: Chip) -> RowNumbers:
        """Return the numbers of a chip with the section `rows`."""
        rows = chip.rows
        assert rows is not None
        return cls(
            entry_synapses=_read_whole(rows.entry_synapses.whole),
            head_bits=_read_whole(rows.entry_head_bits.whole),
            index_bits=(
                _read_whole(rows.index_bits_lowest.whole),
                _read_whole(rows.index_bits_highest.whole),
            ),
            skip_bits=(
                _read_whole(rows.skip_bits_lowest.whole),
                _read_whole(rows.skip_bits_highest.whole),
            ),
            delay_bits=_read_whole(rows.delay_bits.whole),
            spare_bits=_read_whole(rows.spare_bits.whole),
            word_bits=chip.core.synapse_word_bits.whole or 64,
            weight_bits=tuple(sorted(chip.formats.weight_bits.values)),
            formats=_read_whole(rows.formats.whole),
        )

    def count_words(self, bits: int) -> int:
        """Return the words of a row of so many bits."""
        words, rest = divmod(bits, self.word_bits)
        if rest == 0:
            return words + 1
        return words + 1 + (rest >= self.word_bits - self.spare_bits)


def _read_whole(number: int | None) -> int:
    assert number is not None  # the schema asks for it
    return number


Begins = Callable[[list[int], int, RowNumbers], bool]
"""Whether a target begins a new entry after those of the last one."""


def _is_full(entry: list[int], numbers: RowNumbers) -> bool:
    return len(entry) == numbers.entry_synapses


BEGINS: dict[str, Begins] = {
    "sparse": lambda entry, target, numbers: _is_full(entry, numbers),
    "run_length": lambda entry, target, numbers: (
        _is_full(entry, numbers) or (target - entry[-1]).bit_length() > numbers.skip_bits[1]
    ),
    "dense1": lambda entry, target, numbers: _is_full(entry, numbers) or target != entry[-1] + 1,
    "dense2": lambda entry, target, numbers: target - entry[0] >= numbers.entry_synapses,
}
"""By the way in which a row is written."""


def split_row(
    targets: Targets, signs: Sequence[int], kind: str, numbers: RowNumbers
) -> tuple[Entry, ...]:
    """Return the entries of a row; synapses of different signs are in different entries.

    Args:
        targets: of the row.
        signs: of each target's weight, see `SIGNS`; empty where each weight has its own.
        kind: how the row is written, a key of `BEGINS`.
        numbers: of the chip.
    """
    if not signs:
        return tuple(_split(targets, kind, 0, numbers))
    entries: list[Entry] = []
    for sign in SIGNS:
        same = [target for target, its_sign in zip(targets, signs, strict=True) if its_sign == sign]
        entries += _split(same, kind, sign, numbers)
    return tuple(entries)


def _split(targets: Sequence[int], kind: str, sign: int, numbers: RowNumbers) -> Iterator[Entry]:
    entry: list[int] = []
    for target in targets:
        if entry and BEGINS[kind](entry, target, numbers):
            yield _build_entry(entry, kind, sign)
            entry = []
        entry.append(target)
    if entry:
        yield _build_entry(entry, kind, sign)


def _build_entry(targets: list[int], kind: str, sign: int) -> Entry:
    gap = max((b - a for a, b in pairwise(targets)), default=0)
    stored = targets[-1] - targets[0] + 1 if kind == "dense2" else len(targets)
    return Entry(stored, targets[-1] if kind == "sparse" else targets[0], gap, sign)


@dataclass(frozen=True)
class RowCounter:
    """Counts the words of rows that are written one way.

    bits of an entry = head + stored * (weight + delay bits) and
    sparse        + stored * index bits
    run_length    + index bits + stored * skip bits
    dense1, 2     + index bits
    """

    rows: tuple[Row, ...]
    kind: str
    weight_bits: int
    delayed: bool
    """Whether each synapse has a delay of its own."""
    numbers: RowNumbers

    @cached_property
    def fewest(self) -> Total:
        """Words with indices as wide as each entry needs."""
        return self._count({entry: self._choose_format(entry) for entry in self._entries})

    def find(self, words: int) -> Total | None:
        """Return how rows take exactly so many words; None if they never do.

        Formats become fewer until 1, 2, ... are left; with signs apart, those of both signs or of
        each.
        """
        if words == self.fewest.words:
            return self.fewest
        for by_sign in (True, False):
            for limit in range(1, self.numbers.formats + 1):
                total = self._count(self._merge(limit, by_sign))
                if total.words == words:
                    return total
        return None

    @cached_property
    def _entries(self) -> frozenset[Entry]:
        return frozenset(entry for row in self.rows for entry in row.entries)

    def _choose_format(self, entry: Entry) -> Format:
        index, skip = self.numbers.index_bits, self.numbers.skip_bits
        index_bits = max(index[0], entry.held_index.bit_length())
        if index_bits > index[1]:
            raise MappingError(
                f"compartment {entry.held_index} of a row needs {index_bits} bits, an index of the"
                f" chip has {index[1]}"
            )
        run_length = self.kind == "run_length"
        skip_bits = max(skip[0], entry.gap.bit_length()) if run_length else 0
        return Format(index_bits, skip_bits, entry.sign)

    def _merge(self, limit: int, by_sign: bool) -> dict[Entry, Format]:
        """Return the format of each entry if formats become one until so many are left."""
        formats = {entry: self._choose_format(entry) for entry in self._entries}
        if not by_sign:
            formats = {entry: form._replace(sign=0) for entry, form in formats.items()}
        wider = merge_formats(sorted(set(formats.values())), self.weight_bits, limit)
        return {entry: wider[form] for entry, form in formats.items()}

    def _count(self, formats: dict[Entry, Format]) -> Total:
        bits = {entry: self._count_bits(entry, form) for entry, form in formats.items()}
        words, longest = 0, 0
        groups: dict[int, tuple[int, int]] = {}
        for row in self.rows:
            size = self.numbers.count_words(sum(bits[entry] for entry in row.entries))
            longest = max(longest, size)
            if row.group is None:
                words += row.times * size
            else:
                count, largest = groups.get(row.group, (0, 0))
                groups[row.group] = count + row.times, max(largest, size)
        words += sum(count * largest for count, largest in groups.values())
        return Total(words, longest)

    def _count_bits(self, entry: Entry, form: Format) -> int:
        delay = self.numbers.delay_bits if self.delayed else 0
        sparse = self.kind == "sparse"
        each = self.weight_bits + delay + form.skip_bits + form.index_bits * sparse
        return self.numbers.head_bits + entry.stored * each + form.index_bits * (not sparse)


def merge_formats(formats: list[Format], weight_bits: int, limit: int) -> dict[Format, Format]:
    """Return what each format becomes if the nearest two become one until `limit` are left.

    With bits (index, skip, weight) as vectors a, b the distance is |a - b|^2 / |a + b|^2; of equal
    distances the first pair is taken. Formats of different signs never become one.

    Args:
        formats: different ones, sorted.
        weight_bits: of every one of them.
        limit: number to get down to, if signs allow it.
    """
    clusters = [[form] for form in formats]
    wide = list(formats)
    while len(wide) > limit:
        pairs = [(b, a) for a, b in combinations(range(len(wide)), 2) if _share_sign(wide, a, b)]
        if not pairs:
            break
        later, earlier = min(
            sorted(pairs), key=lambda pair: _measure_distance(wide, pair, weight_bits)
        )
        wide[earlier] = Format(
            *(max(bits) for bits in zip(wide[earlier], wide[later], strict=True))
        )
        clusters[earlier] += clusters.pop(later)
        del wide[later]
    return {form: wide[i] for i, cluster in enumerate(clusters) for form in cluster}


def _share_sign(formats: list[Format], a: int, b: int) -> bool:
    return formats[a].sign == formats[b].sign


def _measure_distance(formats: list[Format], pair: tuple[int, int], weight_bits: int) -> float:
    a, b = formats[pair[0]], formats[pair[1]]
    apart = (a.index_bits - b.index_bits) ** 2 + (a.skip_bits - b.skip_bits) ** 2
    together = (a.index_bits + b.index_bits) ** 2 + (a.skip_bits + b.skip_bits) ** 2
    return apart / (together + (2 * weight_bits) ** 2)
