"""Split what a neuron hears over several cores, where one core cannot hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

import numpy as np

from snncompile.arrays import Ints32
from snncompile.cores import axon_counts, resources
from snncompile.cores import synapses_of_slice as demand
from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.synapses_of_slice import Part
from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis import number_ranges as formats
from snncompile.passes.base import Pass
from snncompile.passes.contracts import (
    find_lost_population,
    require_delays,
    require_integers,
    require_no_slices,
)
from snncompile.passes.split_fan_in.number_of_parts import fewest_cores
from snncompile.passes.timing.retime import Retime
from snncompile.reference.synapses import extremes
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import split, splits
from snncompile.synapses.sparse import Sparse, unroll
from snncompile.synapses.weight_formats import weight_step

Hop = tuple[IntegerSynapses, IntegerSynapses]
"""Synapses into and out of relays."""


@dataclass(frozen=True)
class Accumulate(Pass):
    """Let relays add up parts of what a neuron hears, where its core cannot hold all its sources.

        a (20) -> b (3), 8 axons a core     ->      a[0:6]   -> b_sum (3)   -> b
                                                    a[6:13]  -> b_sum_2 (3) -> b
                                                    a[13:20] -> b_sum_3 (3) -> b

    A dense projection is split between sources, a convolution between source channels: both stay
    what they are. Others, and a kernel of one channel that is too large, become sparse ones with
    one population of relays. Where a core cannot hear all relays either, relays are split in turn.

    A relay keeps nothing and sends its sum as one number. With b weight bits all weights are
    multiples of m = 2^(9 - b): the first projection divides by m, which leaves no remainder, the
    second has the weight m and the exponent of the old one. If that rounds, all is added up in one
    more population of relays before. The target gets the same numbers, and starts later where it
    has to.

    Requires: an integer network, retimed, that is not cut yet.
    Ensures: every output, and every spike of the populations there were, is the same in the
    population's own steps. Without a neuron `accumulate` on the chip nothing changes.
    """

    name: ClassVar[str] = "accumulate"

    def requires(self, design: Design) -> str:
        """Ask for an integer network, retimed, that is not cut yet."""
        return require_integers(design) or require_delays(design) or require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise that every population stays, and delays of the chip."""
        lost = find_lost_population(before.network, after.network)
        return f"that every population stays: {lost}" if lost else require_delays(after)

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
    most = max(network.projections, key=lambda p: int(p.synapses.wiring.fan_in.max(initial=0)))
    if isinstance(most.synapses.wiring, Scale):
        raise UnsupportedError("every neuron has one source")
    return _split(network, most, 2)


def _too_large(network: IntegerNetwork, chip: Chip) -> Iterator[tuple[Projection, int]]:
    """Yield projections that make a neuron too large for a core, with the parts to split into."""
    limits = {k: v for k, v in resources.limits(chip).items() if k in ("axons_in", "synapse_words")}
    for population in network.populations:
        into = network.into(population.name)
        if all(isinstance(p.synapses.wiring, Scale) for p in into):
            continue
        s = _largest(population, into)
        parts = demand.into(chip, network, s)
        able = [p for p in parts if not isinstance(p.projection.synapses.wiring, Scale)]
        axons = sum(block.region.size for block in axon_counts.listening(network, chip, [s]))
        words = sum(part.memory.words for part in parts)
        if able and _share(axons, words, limits) > 1:
            largest = max(able, key=lambda part: part.synapses)
            share = _share(largest.region.size, largest.memory.words, limits)
            most = _most(largest, parts, limits)
            count = max(2, min(ceil(share), most))
            if count < largest.synapses:
                yield largest.projection, fewest_cores(chip, largest.projection, count, most)


def _most(largest: Part, parts: list[Part], limits: dict[str, int]) -> int:
    """Return how many sums a target can hear instead, if all else it hears is at most two each.

    As many as one likes from relays of one population: they can be split again.
    """
    if splits(largest.projection.synapses.wiring) == 1:
        return largest.synapses
    others = sum(min(2, part.synapses) for part in parts if part is not largest)
    return min(limits.values()) - others


def _largest(population: Population, into: tuple[Projection, ...]) -> Slice:
    """Return the neuron with most synapses, as a box of a convolution where one leads to it."""
    heard = np.zeros(population.size, np.int64)
    for p in into:
        heard += p.synapses.wiring.fan_in
    neuron = int(heard.argmax())
    plain = (p.synapses.wiring.plain for p in into)
    shape = next((w.target_shape for w in plain if isinstance(w, Convolution)), (population.size,))
    start = tuple(int(i) for i in np.unravel_index(neuron, shape))
    return Slice(population.name, shape, start, tuple(i + 1 for i in start), 0)


def _share(axons: int, words: int, limits: dict[str, int]) -> float:
    """Return what is taken of the scarcer resource, as a share of what a core has."""
    used = {"axons_in": axons, "synapse_words": words}
    return max((used[name] / limit for name, limit in limits.items()), default=0.0)


def _split(network: IntegerNetwork, projection: Projection, count: int) -> IntegerNetwork:
    """Return the network with relays in front of the target of a projection.

    What several populations of relays send is rounded apart. Where that matters, one that adds up
    everything stands between them and the target.
    """
    synapses, place = projection.synapses, network.projections.index(projection)
    assert isinstance(synapses, IntegerSynapses)
    if splits(synapses.wiring) > 1 and synapses.exponent < _whole(synapses).exponent:
        hops = [(_whole(synapses), _sums(synapses))]
        network = _relayed(network, projection, hops)
        projection = network.projections[place]
        synapses = _whole(synapses)
    return _relayed(network, projection, _hops(synapses, count))


def _relayed(
    network: IntegerNetwork, projection: Projection, hops: Iterable[Hop]
) -> IntegerNetwork:
    """Return the network with one population of relays for each two hops."""
    target = network.population(projection.target)
    populations, projections = list(network.populations), list(network.projections)
    place = projections.index(projection)
    del projections[place]
    made = network
    for first, second in hops:
        plain = first.wiring.plain
        shape = plain.target_shape if isinstance(plain, Convolution) else (plain.targets,)
        name = _name(made, target.name)
        neuron = _neuron(network, projection, first)
        populations.insert(populations.index(target), Population(name, shape, neuron, target.phase))
        projections[place:place] = (
            replace(projection, target=name, synapses=first, port=None),
            replace(projection, source=name, synapses=second, delay=0),
        )
        place += 2
        made = replace(network, populations=tuple(populations), projections=tuple(projections))
    return made


def _hops(synapses: IntegerSynapses, count: int) -> Iterator[Hop]:
    """Yield the synapses into and out of each population of relays."""
    most = splits(synapses.wiring)
    if most > 1:
        for part in split(synapses, min(count, most)):
            yield _whole(part), _sums(synapses)
        return
    each = unroll(synapses.wiring)
    relay, into = _relays(each.wiring, count)
    first = Sparse(relay, each.wiring.source, len(into), each.wiring.sources)
    second = Sparse(into, np.arange(len(into), dtype=np.int32), each.wiring.targets, len(into))
    weights = np.full(len(into), weight_step(synapses.bits))
    yield (
        replace(_whole(synapses), wiring=first, weight=each.weights(synapses.weight)),
        replace(synapses, wiring=second, weight=weights),
    )


def _whole(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the synapses with the exponent that makes whole numbers of the weights' multiples."""
    return replace(synapses, exponent=1 - weight_step(synapses.bits).bit_length())


def _sums(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the synapses that bring the sums of all of one population of relays."""
    step = np.asarray(weight_step(synapses.bits))
    return replace(synapses, wiring=Scale(synapses.wiring.targets), weight=step)


def _relays(wiring: Sparse, count: int) -> tuple[Ints32, Ints32]:
    """Return the relay of each synapse and the target of each relay.

    The sources of a target are split evenly in order. Relays of the same part of the sources lie
    side by side, so that those on one core hear the same.
    """
    heard = wiring.fan_in
    first = np.cumsum(heard) - heard
    rank = np.arange(len(wiring.target)) - first[wiring.target]
    part = rank * count // heard[wiring.target]
    keys, relay = np.unique(part * wiring.targets + wiring.target, return_inverse=True)
    return relay.reshape(-1).astype(np.int32), (keys % wiring.targets).astype(np.int32)


def _neuron(
    network: IntegerNetwork, projection: Projection, first: IntegerSynapses
) -> IntegerAccumulate:
    """Return relays that can send whatever the synapses bring."""
    reach = extremes(first, network.payload(projection.source))
    lowest = min(0, int(reach.low.min(initial=0)) >> -first.exponent)
    most = max(1, int(reach.high.max(initial=0)) >> -first.exponent)
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
