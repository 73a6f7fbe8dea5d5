"""Analysis: bits and signs of the weights of one projection into one slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores.row_encoding import find_fewest_bits
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll_synapses

Signs = Literal["positive", "negative", "by source", "mixed"]


@dataclass(frozen=True)
class WeightBits:
    """Bits and signs to store of each weight."""

    bits: int
    """Bits including the weight's own sign."""
    shared_bits: int | None = None
    """Bits where the synapses of a row are kept apart by sign; None: the weights are too large."""
    signs: Signs = "mixed"
    """`positive` (or zero), `negative`, `by source`: each source has one of them, or `mixed`."""


def measure_weights(synapses: IntegerSynapses, s: Slice, choices: tuple[int, ...]) -> WeightBits:
    """Return the bits and signs of the weights of synapses into a slice of their target.

    Args:
        synapses: of a projection.
        s: slice of its target.
        choices: bits that a stored weight of the chip can have.
    """
    facts = _collect_facts(synapses)
    touched = facts.of(s)
    union = int(np.bitwise_or.reduce(facts.union[touched], initial=0))
    low, high = int(facts.low[touched].min(initial=0)), int(facts.high[touched].max(initial=-256))
    declared = next((b for b in sorted(choices) if b >= synapses.bits), max(choices))
    own_bits = find_fewest_bits(union, choices, shared_sign=False) or declared
    shared_bits = None if -low > 255 else find_fewest_bits(union, choices, shared_sign=True)
    return WeightBits(min(own_bits, declared), shared_bits, _name_signs(low, high, facts.by_source))


def _name_signs(low: int, high: int, by_source: bool) -> Signs:
    if low >= 0:
        return "positive"
    if high < 0:
        return "negative"
    return "by source" if by_source else "mixed"


@dataclass(frozen=True, eq=False)
class _Facts:
    """Ranges of the weights into each unit of the target: a neuron, or a convolution's channel."""

    unit_size: int
    """Neurons of a unit; 0: all neurons are one unit."""
    low: Ints
    high: Ints
    union: Ints
    """All bits of their magnitudes."""
    by_source: bool

    def of(self, s: Slice) -> Any:
        """Return the units that a slice touches."""
        if not self.unit_size:
            return slice(None)
        if self.unit_size > 1 and len(s.shape) > 1:
            return slice(s.start[0], s.stop[0])
        if self.unit_size == 1 and not s.members and len(s.shape) == 1:
            return slice(s.start[0], s.stop[0])
        return np.unique(s.neurons() // self.unit_size)


@lru_cache(maxsize=4096)
def _collect_facts(synapses: IntegerSynapses) -> _Facts:
    if type(synapses.wiring.plain) not in FACTS:
        synapses = unroll_synapses(synapses)
    wiring = synapses.wiring.plain
    return FACTS[type(wiring)](wiring, synapses.weight.astype(np.int64))


def _collect_dense(wiring: Dense, weight: Ints) -> _Facts:
    positive, negative = (weight >= 0).all(axis=0), (weight < 0).all(axis=0)
    return _Facts(1, *_reduce_rows(weight), bool((positive | negative).all()))


def _collect_convolution(wiring: Convolution, weight: Ints) -> _Facts:
    grouped = weight.reshape(wiring.groups, -1, *weight.shape[1:])
    axes = (1, *range(3, grouped.ndim))
    positive, negative = (grouped >= 0).all(axis=axes), (grouped < 0).all(axis=axes)
    flat = weight.reshape(len(weight), -1)
    size = wiring.targets // wiring.channels
    return _Facts(size, *_reduce_rows(flat), bool((positive | negative).all()))


def _collect_sparse(wiring: Sparse, weight: Ints) -> _Facts:
    low, high = np.zeros(wiring.targets, np.int64), np.full(wiring.targets, -256)
    union = np.zeros(wiring.targets, np.int64)
    np.minimum.at(low, wiring.target, weight)
    np.maximum.at(high, wiring.target, weight)
    np.bitwise_or.at(union, wiring.target, np.abs(weight))
    positive = np.bincount(wiring.source, weight >= 0, wiring.sources) > 0
    negative = np.bincount(wiring.source, weight < 0, wiring.sources) > 0
    return _Facts(1, low, high, union, not bool((positive & negative).any()))


def _collect_scale(wiring: Scale, weight: Ints) -> _Facts:
    values = weight.reshape(-1)
    return _Facts(1 if wiring.per_neuron else 0, values, values, np.abs(values), by_source=True)


def _reduce_rows(weight: Ints) -> tuple[Ints, Ints, Ints]:
    """Return lowest, highest and the union of bits of the weights of each row."""
    union = np.bitwise_or.reduce(np.abs(weight), axis=1)
    return weight.min(axis=1, initial=0), weight.max(axis=1, initial=-256), union


FACTS: dict[type, Callable[[Any, Ints], _Facts]] = {
    Dense: _collect_dense,
    Convolution: _collect_convolution,
    Sparse: _collect_sparse,
    Scale: _collect_scale,
}
"""Functions that collect the facts of a wiring's weights; other wirings are unrolled."""
