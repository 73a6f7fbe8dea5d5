"""Words of synaptic memory that the synapses from some sources to one slice take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip

ENTRY_SYNAPSES = 60
"""Loihi 1: synapses in one entry of a row at most."""
ENTRY_HEAD_BITS = 10
"""Loihi 1: format id (4) and count (6) of an entry."""
DELAY_BITS = 6
"""Loihi 1: bits of a synapse's delay, where its format has one."""


def words(chip: Chip, fan_out: NDArray[np.int64], bits: int, delayed: bool) -> int:
    """Return the words of the rows of all sources; every synapse is stored, of weight zero too.

    Args:
        chip: gives the encoding and the width of a word.
        fan_out: synapses of each source to the slice; a source without any has no row.
        bits: of a weight including its sign.
        delayed: whether the synapses have an extra delay.
    """
    width = chip.core.synapse_word_bits.whole or 64
    row = ROWS[chip.encoding]
    sizes, rows = np.unique(fan_out[fan_out > 0], return_counts=True)
    pairs = zip(sizes.tolist(), rows.tolist(), strict=True)
    return sum(count * row(size, bits, delayed, width) for size, count in pairs)


def _one_word(targets: int, bits: int, delayed: bool, width: int) -> int:
    """One synapse, one word."""
    return targets


def _packed_rows(targets: int, bits: int, delayed: bool, width: int) -> int:
    """A source's weights side by side in whole words, as Loihi 2's convolution memory is counted.

    Source: Intel's compiler on PilotNet, words = Cin * k * k * ceil(Cout * bits / 64).
    """
    return -(-targets * bits // width)


def _loihi1(targets: int, bits: int, delayed: bool, width: int) -> int:
    """A row of entries of up to 60 synapses, the format "dense2" of Intel's NxTF.

    Bits of an entry: 10 + synapses * (weight + delay bits) + index bits (6 to 10, as the largest
    compartment index needs). A row takes a spare word when its bits end on or close to a word.
    """
    total = 0
    for start in range(0, targets, ENTRY_SYNAPSES):
        stop = min(start + ENTRY_SYNAPSES, targets)
        index = min(10, max(6, (stop - 1).bit_length()))
        synapse = bits + (DELAY_BITS if delayed else 0)
        total += ENTRY_HEAD_BITS + (stop - start) * synapse + index
    spare = total % width == 0 or total % width >= width - 5
    return -(-total // width) + spare


ROWS: dict[str, Callable[[int, int, bool, int], int]] = {
    "one_word": _one_word,
    "packed_rows": _packed_rows,
    "loihi1": _loihi1,
}
