"""Counts of rows that only tests ask for: best encodings, and words without writing the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.arrays import Ints
from snncompile.cores.row_encoding import (
    KINDS,
    LOIHI1_ROWS,
    EncodedRows,
    RowRules,
    Rows,
    encode_rows,
    list_encodings,
)


def choose_encoding(
    rows: Rows,
    *,
    delay_bits: int = 0,
    kinds: Iterable[str] = KINDS,
    signs: Iterable[bool] = (False, True),
    rules: RowRules = LOIHI1_ROWS,
) -> EncodedRows:
    """Return the rows in the encoding that takes the fewest words (then: fewest formats, first).

    Encodings whose longest row or whose formats exceed the rules are taken only if all do.

    Raises:
        ValueError: the weights fit no number of bits the rules allow.
    """
    choices = list_encodings(
        rows.weight, delay_bits=delay_bits, kinds=kinds, signs=signs, rules=rules
    )
    if not choices:
        raise ValueError(f"no choice of {rules.weight_bits} weight bits can hold these weights")

    def cost(encoded: EncodedRows) -> tuple[bool, int, int]:
        held = encoded.longest <= rules.row_words and len(encoded.formats) <= rules.formats
        return not held, encoded.words, len(encoded.formats)

    return min((encode_rows(rows, choice, rules) for choice in choices), key=cost)


def count_dense_words(
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
    index = np.clip([int(start + first).bit_length() for start in starts], *rules.index_bits)
    bits = len(starts) * rules.head_bits + targets * (weight_bits + delay_bits) + index.sum()
    return sources * int(rules.words(np.array([bits]))[0]) if targets else 0


def count_packed_words(targets: ArrayLike, bits: int, word_bits: int = 64) -> Ints:
    """Return the words of rows with this number of weights side by side, as Loihi 2 is counted.

    A row is that of one source neuron of a dense layer or, where kernels are shared, of one input
    channel and kernel position; its targets are then the output channels (`count_kernel_words`).
    """
    words: Ints = -(-np.asarray(targets, np.int64) * bits // word_bits)
    return words


def count_kernel_words(channels_in: int, kernel: int, channels_out: int, bits: int) -> int:
    """Return the words of shared kernels on Loihi 2: channels_in * kernel * ceil(out * bits / 64).

    Args:
        channels_in: input channels that reach the core.
        kernel: positions of the kernel, height * width.
        channels_out: output channels on the core.
        bits: of a weight including its sign.

    Source: PilotNet table of Intel's compiler in lava-dl, pilotnet_snn/benchmark.ipynb.
    """
    return channels_in * kernel * int(count_packed_words(channels_out, bits))


def count_formats(blocks: Iterable[EncodedRows]) -> int:
    """Return the number of formats that the rows of one core need.

    Where they are too many, encode again with `rules` that allow each block fewer.
    """
    kinds = {
        (block.encoding.kind, block.encoding.delay_bits, form)
        for block in blocks
        for form in block.formats
    }
    return len(kinds)


def build_nonzero_rows(weight: NDArray[Any], first: int = 0) -> Rows:
    """Return the rows of a matrix (targets, sources) without its weights of zero."""
    source, target = np.nonzero(weight.T)
    ends = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weight.shape[1]))])
    return Rows.make(ends, target + first, weight.T[source, target])
