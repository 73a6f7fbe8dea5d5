"""Split what a neuron hears over several cores, where one core cannot hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes import demand, formats, usage
from snncompile.passes.base import Pass
from snncompile.passes.bounds import accumulator
from snncompile.passes.retime import Retime
from snncompile.passes.synapse_memory import ENCODINGS
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
SPLIT = (Dense, Sparse)
"""Wirings whose sources can be split."""


@dataclass(frozen=True)
class Accumulate(Pass):
    """Let relays add up parts of what a neuron hears, where its core cannot hold all its sources.

        a (20) -> b (3), 8 axons a core     ->      a -> b_sum (9) -> b
                                                    b_sum: three partial sums for each neuron of b

    A relay keeps nothing and sends its sum as one number. With b weight bits all weights are
    multiples of m = 2^(9 - b): the first projection divides by m, which leaves no remainder, the
    second has the weight m and the exponent of the old one, which so is applied, and rounds, only
    after all is added. The target gets the same numbers, and starts later where it has to.

    Requires: an integer network, retimed.
    Ensures: every output, and every spike of the populations there were, is the same in the
    population's own steps. Without a neuron `accumulate` on the chip nothing changes.
    """

    name: ClassVar[str] = "accumulate"

    def __call__(self, design: Design) -> Design:
        """Add the relays; give phases and delays anew if there are any."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        split = accumulated(network, chip)
        known = {p.name for p in network.populations}
        added = [p for p in split.populations if p.name not in known]
        if not added:
            return self.done(design, "no relays added")
        formats.check(split, chip)
        retimed = Retime()(replace(design, network=split)).network
        what = f"{sum(p.size for p in added):,} relay neurons in {len(added)} populations"
        return self.done(design, what, network=retimed)


def accumulated(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with relays; their projections to the targets have the own delay 0.

    Raises:
        FitError: a partial sum is wider than what a relay can send.
    """
    if chip.encoding not in ENCODINGS or IntegerAccumulate.name not in chip.neurons:
        return network
    while True:
        found = next(_too_large(network, chip), None)
        if found is None:
            return network
        network = _split(network, *found)


def halved(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with the sources of its largest neuron over two relays, as a trial.

    The projections of the relays have the own delay 0, as those of `accumulated`.

    Raises:
        UnsupportedError: the chip has no relays that add up, or no sources can be split.
        FitError: a partial sum is wider than what a relay can send.
    """
    if IntegerAccumulate.name not in chip.neurons:
        raise UnsupportedError(
            f"{chip.name} has no accumulating neuron, which would add up the parts"
        )
    able = [p for p in network.projections if isinstance(p.synapses.wiring, SPLIT)]
    if not able:
        raise UnsupportedError("the sources of a convolution are not split")
    most = max(able, key=lambda p: int(_fan_in(p.synapses.wiring).max(initial=0)))
    return _split(network, most, 2)


def _too_large(network: IntegerNetwork, chip: Chip) -> Iterator[tuple[Projection, int]]:
    """Yield projections that make a neuron too large for a core, with the parts to split into."""
    limits = {k: v for k, v in usage.limits(chip).items() if k in ("axons_in", "synapse_words")}
    for population in network.populations:
        into = network.into(population.name)
        if not any(isinstance(p.synapses.wiring, SPLIT) for p in into):
            continue
        neuron = int(sum(_fan_in(p.synapses.wiring) for p in into).argmax())  # type: ignore[union-attr]
        s = Slice.flat(population, neuron, neuron + 1, 0)
        parts = demand.into(chip, network, s)
        heard = usage.listening(network, chip, [s])
        axons = sum(block.region.size for block in heard)
        words = sum(part.memory.words for part in parts)
        if _share(axons, words, limits) > 1:
            able = [part for part in parts if isinstance(part.projection.synapses.wiring, SPLIT)]
            largest = max(able, key=lambda part: part.synapses)
            share = _share(largest.region.size, largest.memory.words, limits)
            count = max(2, ceil(share))
            if count < largest.synapses:
                yield largest.projection, count


def _share(axons: int, words: int, limits: dict[str, int]) -> float:
    """Return what is taken of the scarcer resource, as a share of what a core has."""
    used = {"axons_in": axons, "synapse_words": words}
    return max((used[name] / limit for name, limit in limits.items()), default=0.0)


def _fan_in(wiring: Wiring) -> Ints:
    """Return the synapses of each target neuron, shape (n,)."""
    if isinstance(wiring, (Dense, Scale)):
        return np.full(wiring.targets, wiring.synapses // wiring.targets)
    return np.asarray(np.diff(wiring.pattern.indptr), np.int64)


def _split(network: IntegerNetwork, projection: Projection, count: int) -> IntegerNetwork:
    """Return the network with relays in front of the target of a projection."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    target = network.population(projection.target)
    wiring, weight = _listed(synapses)
    relay, into = _relays(wiring, count)
    step = formats.step(synapses.bits)
    first = IntegerSynapses(
        Sparse(relay, wiring.source, len(into), wiring.sources),
        weight,
        1 - step.bit_length(),
        synapses.bits,
    )
    second = IntegerSynapses(
        Sparse(into, np.arange(len(into), dtype=np.int32), wiring.targets, len(into)),
        np.full(len(into), step),
        synapses.exponent,
        synapses.bits,
    )
    neuron = _neuron(network, projection, first)
    added = Population(_name(network, target.name), (len(into),), neuron, target.phase)
    populations = list(network.populations)
    populations.insert(populations.index(target), added)
    hops = (
        replace(projection, target=added.name, synapses=first, port=None),
        replace(projection, source=added.name, synapses=second, delay=0),
    )
    place = network.projections.index(projection)
    projections = (*network.projections[:place], *hops, *network.projections[place + 1 :])
    return replace(network, populations=tuple(populations), projections=projections)


def _listed(synapses: IntegerSynapses) -> tuple[Sparse, NDArray[np.int16]]:
    """Return the synapses one by one, by target and then by source."""
    wiring, weight = synapses.wiring, synapses.weight
    if isinstance(wiring, Sparse):
        order = np.lexsort((wiring.source, wiring.target))
        ends = wiring.target[order], wiring.source[order]
        return Sparse(*ends, wiring.targets, wiring.sources), weight[order]
    target = np.repeat(np.arange(wiring.targets, dtype=np.int32), wiring.sources)
    source = np.tile(np.arange(wiring.sources, dtype=np.int32), wiring.targets)
    return Sparse(target, source, wiring.targets, wiring.sources), weight.reshape(-1)


def _relays(wiring: Sparse, count: int) -> tuple[Indices, Indices]:
    """Return the relay of each synapse and the target of each relay.

    The sources of a target are split evenly in order. Relays of the same part of the sources lie
    side by side, so that those on one core hear the same.
    """
    heard = _fan_in(wiring)
    first = np.cumsum(heard) - heard
    rank = np.arange(len(wiring.target)) - first[wiring.target]
    part = rank * count // heard[wiring.target]
    keys, relay = np.unique(part * wiring.targets + wiring.target, return_inverse=True)
    return relay.reshape(-1).astype(np.int32), (keys % wiring.targets).astype(np.int32)


def _neuron(
    network: IntegerNetwork, projection: Projection, first: IntegerSynapses
) -> IntegerAccumulate:
    """Return relays that can send whatever the synapses bring."""
    payload = network.payload(projection.source)
    reach = accumulator(first.wiring.targets, [(first, payload)])
    lowest, most = int(reach.low.min(initial=0)), int(reach.high.max(initial=1))
    if max(-lowest, most) >= STATE_LIMIT:
        raise FitError(
            where=f"projection {projection.source} -> {projection.target}",
            resource="as the largest partial sum",
            need=max(-lowest, most),
            limit=STATE_LIMIT - 1,
            hint="its sources have to be split over cores; send smaller numbers",
        )
    return IntegerAccumulate(np.asarray(lowest), np.asarray(most))


def _name(network: IntegerNetwork, target: str) -> str:
    """Return a new name: `hidden_sum`, `hidden_sum_2` and so on."""
    taken = {network.input.name, *(p.name for p in network.populations)}
    name, number = f"{target}_sum", 1
    while name in taken:
        number += 1
        name = f"{target}_sum_{number}"
    return name
