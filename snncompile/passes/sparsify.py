"""Lower dense projections and convolutions that are mostly zeros to single synapses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Literal

import numpy as np

from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.synapses_of_slice import measure_demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Shape, Slice
from snncompile.passes.base import Pass
from snncompile.passes.contracts import find_lost_population, require_integers, require_no_slices
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import Sparse, unroll

LEAST_ZEROS = 0.25
"""Share of zeros below which a projection keeps its wiring, which is quicker to map and to run."""
LARGEST = 10**7
"""Synapses of a projection beyond which it is not unrolled."""


@dataclass(frozen=True)
class Sparsify(Pass):
    """Drop the zeros of dense projections and convolutions where that costs less of the chip.

        a -> b dense 2x3 [[5 0 0] [0 0 7]]      ->      a -> b sparse 2x3 [5 7]

    A chip that reads the weights of a row in one piece also adds those of zero: each is a synaptic
    operation. Single synapses name their targets, and a kernel is no longer shared, so both are
    counted by the chip's rules: a projection is lowered if it then has fewer synapses and takes no
    more words of memory.

    Requires: an integer network that is not cut yet.
    Ensures: every sum of weights, and so every spike, is the same for any input.
    """

    sparse: Literal["auto", "off"] = "auto"
    """auto: where it costs less. off: nowhere."""

    name: ClassVar[str] = "sparsify"

    def requires(self, design: Design) -> str:
        """Ask for an integer network that is not cut yet."""
        return require_integers(design) or require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise that every population stays, and every sum of weights."""
        if lost := find_lost_population(before.network, after.network):
            return f"that every population stays: {lost}"
        for old, new in zip(before.network.projections, after.network.projections, strict=True):
            if old is not new and _add_up(old) != _add_up(new):
                return f"that weights of {old.source} -> {old.target} stay"
        return ""

    def __call__(self, design: Design) -> Design:
        """Lower projections; say which, and what they take then."""
        if self.sparse == "off":
            return self.done(design, "off")
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        if chip.zero_weights == "skipped":
            return self.done(design, f"{chip.name} skips weights of zero itself")
        if chip.encoding not in ENCODINGS:
            return self.done(design, f"{chip.name} has no single synapses in a memory of rows")
        projections, lines = [], []
        for p in network.projections:
            lowered, line = _lower(p, network.population(p.target), chip)
            projections.append(lowered)
            lines += [line] if line else []
        if not lines:
            return self.done(design, "no dense projection or convolution has many zeros")
        changed = replace(network, projections=tuple(projections))
        return self.done(design, "; ".join(lines), network=changed)


def _lower(projection: Projection, target: Population, chip: Chip) -> tuple[Projection, str]:
    """Return the cheaper form of a projection, and a line on it if it has many zeros."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    wiring, weight = synapses.wiring, synapses.weight
    learns = projection.rule is not None
    if learns or not isinstance(wiring.plain, Dense | Convolution) or not weight.size:
        return projection, ""
    if np.mean(weight == 0) < LEAST_ZEROS:
        return projection, ""
    name = f"{projection.source} -> {projection.target}"
    if wiring.synapses > LARGEST:
        return projection, f"{name} has {wiring.synapses:,} synapses, too many to list"
    lowered = replace(projection, synapses=drop_zeros(synapses))
    before, after = (_count(p, target, chip) for p in (projection, lowered))
    shares = f"{after[0]:,} of {before[0]:,} synapses, {after[1]:,} words in place of {before[1]:,}"
    if after[0] < before[0] and after[1] <= before[1]:
        return lowered, f"{name} is sparse now, {shares}"
    return projection, f"{name} stays {wiring.plain.kind}: sparse it had {shares}"


def drop_zeros(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the same synapses one by one, without those of weight zero."""
    each = unroll(synapses.wiring)
    weight = each.weights(synapses.weight)
    stay, wiring = weight != 0, each.wiring
    sparse = Sparse(wiring.target[stay], wiring.source[stay], wiring.targets, wiring.sources)
    return replace(synapses, wiring=sparse, weight=weight[stay])


def _count(projection: Projection, target: Population, chip: Chip) -> tuple[int, int]:
    """Return synapses and words of a projection, as if its target filled core after core."""
    per_core = chip.core.compartments.whole or target.size
    synapses = words = 0
    for start, stop in _cut(target.shape, per_core):
        demand = measure_demand(chip, projection, Slice(target.name, target.shape, start, stop, 0))
        synapses += demand.synapses
        words += demand.memory.words
    return synapses, words


def _cut(shape: Shape, per_core: int) -> Iterator[tuple[Shape, Shape]]:
    """Yield boxes that fill a shape, each of no more neurons than a core: their start and stop."""
    inner = prod(shape[1:])
    if inner > per_core:
        for i in range(shape[0]):
            yield from (((i, *a), (i + 1, *b)) for a, b in _cut(shape[1:], per_core))
        return
    rows = per_core // inner
    for first in range(0, shape[0], rows):
        rest = (0,) * (len(shape) - 1)
        yield (first, *rest), (min(first + rows, shape[0]), *shape[1:])


def _add_up(projection: Projection) -> int:
    """Return the sum of all weights, each as often as it has a synapse."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    return int(synapses.wiring.matrix(synapses.weight.astype(np.int64)).sum())
