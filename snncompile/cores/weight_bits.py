"""Analysis: how many bits the weights of one projection into one slice need, and which signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores.row_encoding import fewest_bits
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll_synapses

Signs = Literal["positive", "negative", "by source", "mixed"]


@dataclass(frozen=True)
class Weights:
    """What is to be stored of each weight."""

    bits: int
    """With its own sign."""
    shared_bits: int | None = None
    """Where the synapses of a row are kept apart by sign; None: too large for that."""
    signs: Signs = "mixed"
    """`positive` (or zero), `negative`, `by source`: each source has one of them, or `mixed`."""


def weights(synapses: IntegerSynapses, s: Slice, choices: tuple[int, ...]) -> Weights:
    """Return what the weights of the synapses into a slice of their target need.

    Args:
        synapses: of a projection.
        s: slice of its target.
        choices: bits that a stored weight of the chip can have.
    """
    facts = _facts(synapses)
    mine = facts.of(s)
    union = int(np.bitwise_or.reduce(facts.union[mine], initial=0))
    low, high = int(facts.low[mine].min(initial=0)), int(facts.high[mine].max(initial=-256))
    told = next((b for b in sorted(choices) if b >= synapses.bits), max(choices))
    own = fewest_bits(union, choices, shared_sign=False) or told
    shared = None if -low > 255 else fewest_bits(union, choices, shared_sign=True)
    return Weights(min(own, told), shared, _signs(low, high, facts.by_source))


def _signs(low: int, high: int, by_source: bool) -> Signs:
    if low >= 0:
        return "positive"
    if high < 0:
        return "negative"
    return "by source" if by_source else "mixed"


@dataclass(frozen=True, eq=False)
class _Facts:
    """Of the weights into each part of the target: a neuron, or a channel of a convolution."""

    part: int
    """Neurons of a part; 0: there is one for all."""
    low: Ints
    high: Ints
    union: Ints
    """All bits of their magnitudes."""
    by_source: bool

    def of(self, s: Slice) -> Any:
        """Return the parts that a slice touches."""
        if not self.part:
            return slice(None)
        if self.part > 1 and len(s.shape) > 1:
            return slice(s.start[0], s.stop[0])
        if self.part == 1 and not s.members and len(s.shape) == 1:
            return slice(s.start[0], s.stop[0])
        return np.unique(s.neurons() // self.part)


@lru_cache(maxsize=4096)
def _facts(synapses: IntegerSynapses) -> _Facts:
    if type(synapses.wiring.plain) not in FACTS:
        synapses = unroll_synapses(synapses)
    wiring = synapses.wiring.plain
    return FACTS[type(wiring)](wiring, synapses.weight.astype(np.int64))


def _dense(wiring: Dense, weight: Ints) -> _Facts:
    positive, negative = (weight >= 0).all(axis=0), (weight < 0).all(axis=0)
    return _Facts(1, *_reduced(weight), bool((positive | negative).all()))


def _convolution(wiring: Convolution, weight: Ints) -> _Facts:
    grouped = weight.reshape(wiring.groups, -1, *weight.shape[1:])
    axes = (1, *range(3, grouped.ndim))
    positive, negative = (grouped >= 0).all(axis=axes), (grouped < 0).all(axis=axes)
    flat = weight.reshape(len(weight), -1)
    size = wiring.targets // wiring.channels
    return _Facts(size, *_reduced(flat), bool((positive | negative).all()))


def _sparse(wiring: Sparse, weight: Ints) -> _Facts:
    low, high = np.zeros(wiring.targets, np.int64), np.full(wiring.targets, -256)
    union = np.zeros(wiring.targets, np.int64)
    np.minimum.at(low, wiring.target, weight)
    np.maximum.at(high, wiring.target, weight)
    np.bitwise_or.at(union, wiring.target, np.abs(weight))
    positive = np.bincount(wiring.source, weight >= 0, wiring.sources) > 0
    negative = np.bincount(wiring.source, weight < 0, wiring.sources) > 0
    return _Facts(1, low, high, union, not bool((positive & negative).any()))


def _scale(wiring: Scale, weight: Ints) -> _Facts:
    one = weight.reshape(-1)
    return _Facts(1 if wiring.per_neuron else 0, one, one, np.abs(one), by_source=True)


def _reduced(weight: Ints) -> tuple[Ints, Ints, Ints]:
    """Return lowest, highest and all bits of the weights of each row."""
    union = np.bitwise_or.reduce(np.abs(weight), axis=1)
    return weight.min(axis=1, initial=0), weight.max(axis=1, initial=-256), union


FACTS: dict[type, Callable[[Any, Ints], _Facts]] = {
    Dense: _dense,
    Convolution: _convolution,
    Sparse: _sparse,
    Scale: _scale,
}
"""Ways to look at the weights of each target; other wirings are unrolled."""
