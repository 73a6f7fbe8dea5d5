"""Rows and kernels of synapses as Intel's compiler for Loihi 2 stores them.

    row of n synapses                 ceil((head + n * (weight + index bits)) / 64) words
    kernel of c target channels       for each source channel and tap, of each piece of m channels:
                                      ceil((head + m * weight bits) / 64) words

The pieces of c channels are powers of two: 48 = 32 + 16. A dense row stores every target, zeros
too; a sparse one its synapses. The numbers are the section `headed_rows` of a chip file.

Source: core tables of Intel's compiler, see `rows` in `hwmodels/loihi2.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip
from snncompile.synapses.base import IntegerSynapses


@dataclass(frozen=True)
class KernelRows:
    """Kernels of a convolution, stored once for all pixels of a core."""

    channels: int
    """Target channels on the core."""
    count: int
    """Pairs of a source channel and a tap."""


@dataclass(frozen=True)
class HeadedRules:
    """Numbers of the rows of a chip; the defaults are those of Loihi 2."""

    head_bits: int = 12
    index_bits: int = 12
    learning_bits: int = 36
    delay_bits: int = 6
    word_bits: int = 64

    def count_row_words(
        self, synapses: int, weight_bits: int, *, delayed: bool = False, learning: bool = False
    ) -> int:
        """Return the words of one row."""
        each = weight_bits + self.index_bits + self.delay_bits * delayed
        return self._count_words(synapses, self.learning_bits if learning else each)

    def count_kernel_words(self, channels: int, weight_bits: int, *, delayed: bool = False) -> int:
        """Return the words of one tap of one source channel."""
        each = weight_bits + self.delay_bits * delayed
        return sum(self._count_words(piece, each) for piece in list_pieces(channels))

    def _count_words(self, synapses: int, bits: int) -> int:
        return -(-(self.head_bits + synapses * bits) // self.word_bits)


def read_headed_rules(chip: Chip) -> HeadedRules:
    """Return the numbers of a chip with the section `headed_rows`."""
    rows = chip.headed_rows
    assert rows is not None
    return HeadedRules(
        head_bits=rows.head_bits.whole or 0,
        index_bits=rows.index_bits.whole or 0,
        learning_bits=rows.learning_bits.whole or 0,
        delay_bits=rows.delay_bits.whole or 0,
        word_bits=chip.core.synapse_word_bits.whole or 64,
    )


@lru_cache(maxsize=10_000)
def list_pieces(channels: int) -> tuple[int, ...]:
    """Return the powers of two that add up to a number of channels, largest first."""
    return tuple(1 << i for i in reversed(range(channels.bit_length())) if channels >> i & 1)


def count_pieces(channels: int) -> int:
    """Return the number of pieces into which channels are cut."""
    return channels.bit_count()


def find_stored_bits(synapses: IntegerSynapses, choices: tuple[int, ...]) -> int:
    """Return the bits that the weights of a projection are stored in: the next larger choice."""
    bits = count_real_bits(synapses)
    return next((choice for choice in sorted(choices) if choice >= bits), max(choices))


@lru_cache(maxsize=4096)
def count_real_bits(synapses: IntegerSynapses) -> int:
    """Return the fewest bits that hold all weights of a projection, which share an exponent.

    Weights of one sign are stored without it; a negative one of 2^k takes k bits. Source: lava-dl's
    `optimize_weight_bits`.
    """
    weight = synapses.weight.reshape(-1)  # not copied: it may be 10^8 weights
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    shift = _count_common_zeros(weight)
    if low >= 0:
        return max(1, (high >> shift).bit_length())
    if len(weight) and int(weight.max()) < 0:
        return max(1, (-(low >> shift) - 1).bit_length())
    return 1 + max((high >> shift).bit_length(), (-(low >> shift) - 1).bit_length())


def _count_common_zeros(weight: NDArray[np.int16]) -> int:
    """Return the number of low bits that are zero in all weights."""
    union = int(np.bitwise_or.reduce(weight)) if len(weight) else 0
    return (union & -union).bit_length() - 1 if union else 0
