"""Split the sources of a neuron over several cores where one core cannot hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

import numpy as np

from snncompile.arrays import Ints32
from snncompile.cores import axon_counts, resources, synapses_of_slice
from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.port_entries import count_input_entries
from snncompile.cores.synapses_of_slice import Demand
from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis import number_ranges
from snncompile.passes.base import Pass
from snncompile.passes.contracts import (
    find_lost_population,
    require_delays,
    require_integers,
    require_no_slices,
)
from snncompile.passes.split_fan_in.number_of_parts import choose_number_of_parts
from snncompile.passes.timing.retime import Retime
from snncompile.reference.synapses import bound_sums
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import count_splits, split
from snncompile.synapses.sparse import Sparse, unroll
from snncompile.synapses.weight_formats import weight_step

Hop = tuple[IntegerSynapses, IntegerSynapses]
"""Synapses into and out of relays."""


@dataclass(frozen=True)
class Accumulate(Pass):
    """Let relays add up parts of a neuron's input where its core cannot hold all its sources.

        a (20) -> b (3), 8 axons a core     ->      a[0:6]   -> b_sum (3)   -> b
                                                    a[6:13]  -> b_sum_2 (3) -> b
                                                    a[13:20] -> b_sum_3 (3) -> b

    A dense projection is split between sources, a convolution between source channels: both keep
    their kind. Others, and a kernel of one channel that is too large, become sparse ones with one
    population of relays. Where a core cannot hold all relays either, relays are split in turn.

    A relay keeps nothing and sends its sum as one number. With b weight bits all weights are
    multiples of m = 2^(9 - b): the first projection divides by m, which leaves no remainder, the
    second has the weight m and the exponent of the old one. If that rounds, one more population of
    relays adds up everything before. The target gets the same numbers, and starts later where it
    has to.

    Requires: an integer network, retimed, that is not cut yet.
    Ensures: every output, and every spike of the populations before the pass, is the same in the
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
        """Add the relays, if any are needed; then set phases and delays anew."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        split = add_sum_relays(network, chip)
        known = {p.name for p in network.populations}
        added = [p for p in split.populations if p.name not in known]
        if not added:
            return self.done(design, "no relays added")
        number_ranges.check_ranges(split, chip)
        retimed = Retime()(replace(design, network=split)).network
        message = f"{sum(p.size for p in added):,} relay neurons in {len(added)} populations"
        return self.done(design, message, network=retimed)


def add_sum_relays(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with relays; their projections to the targets have the own delay 0.

    Raises:
        FitError: a partial sum is wider than a relay can send.
    """
    if chip.encoding not in ENCODINGS or IntegerAccumulate.name not in chip.neurons:
        return network
    while True:
        too_large = next(_find_too_large(network, chip), None)
        if too_large is not None and network.plastic:
            target = network.plastic[0].target
            raise UnsupportedError(
                "sums have to be split over relay populations for a fan-in this large, and the"
                f" synapses into {target} learn; use fewer sources"
            )
        if too_large is None:
            return network
        network = _split_projection(network, *too_large)


def split_largest(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with the sources of its largest neuron split over two relays, as a trial.

    The projections of the relays have the own delay 0, as in `add_sum_relays`.

    Raises:
        UnsupportedError: the chip has no relays that add up, or no sources can be split.
        FitError: a partial sum is wider than a relay can send.
    """
    if IntegerAccumulate.name not in chip.neurons:
        raise UnsupportedError(
            f"{chip.name} has no accumulating neuron, which would add up the parts"
        )
    largest = max(network.projections, key=lambda p: int(p.synapses.wiring.fan_in.max(initial=0)))
    if isinstance(largest.synapses.wiring, Scale):
        raise UnsupportedError("every neuron has one source")
    return _split_projection(network, largest, 2)


def _find_too_large(network: IntegerNetwork, chip: Chip) -> Iterator[tuple[Projection, int]]:
    """Yield projections that make a neuron too large for a core, with their number of parts."""
    limits = {
        k: v
        for k, v in resources.read_core_limits(chip).items()
        if k in ("axons_in", "synapse_words", "total_words")
    }
    for population in network.populations:
        into = network.into(population.name)
        if all(isinstance(p.synapses.wiring, Scale) for p in into):
            continue
        s = _find_largest(population, into)
        parts = synapses_of_slice.list_demands(chip, network, s)
        able = [p for p in parts if _can_split(chip, p)]
        axons = sum(block.count for block in axon_counts.list_input_axons(network, chip, [s]))
        words = sum(entry.memory.words for entry in parts)
        if able and _measure_share(axons, words, limits) > 1:
            largest = max(able, key=lambda entry: entry.synapses)
            share = _measure_share(_count_axons(largest), largest.memory.words, limits)
            allowed = _count_allowed(largest, parts, limits)
            count = max(2, min(ceil(share), allowed))
            if count < largest.synapses:
                yield (
                    largest.projection,
                    choose_number_of_parts(chip, largest.projection, count, allowed),
                )


def _can_split(chip: Chip, entry: Demand) -> bool:
    """Whether relays save a projection anything: sparse ones of some chips keep all sources."""
    wiring = entry.projection.synapses.wiring
    keeps_sources = chip.headed_rows is not None and count_splits(wiring) == 1
    return not isinstance(wiring, Scale) and not (keeps_sources and _count_axons(entry) > 1)


def _count_axons(entry: Demand) -> int:
    """Return the input axons of a projection into a slice."""
    if entry.chip.headed_rows is not None:
        return count_input_entries(entry)
    return entry.region.size


def _count_allowed(largest: Demand, parts: list[Demand], limits: dict[str, int]) -> int:
    """Return the number of sums that fit a target if its other projections bring at most two each.

    Relays of one population can be split again: their number has no other limit.
    """
    if count_splits(largest.projection.synapses.wiring) == 1:
        return largest.synapses
    others = sum(min(2, entry.synapses) for entry in parts if entry is not largest)
    return min(limits.values()) - others


def _find_largest(population: Population, into: tuple[Projection, ...]) -> Slice:
    """Return the neuron with most synapses, as a box of a convolution where one leads to it."""
    fan_in = np.zeros(population.size, np.int64)
    for p in into:
        fan_in += p.synapses.wiring.fan_in
    neuron = int(fan_in.argmax())
    plain = (p.synapses.wiring.plain for p in into)
    shape = next((w.target_shape for w in plain if isinstance(w, Convolution)), (population.size,))
    start = tuple(int(i) for i in np.unravel_index(neuron, shape))
    return Slice(population.name, shape, start, tuple(i + 1 for i in start), 0)


def _measure_share(axons: int, words: int, limits: dict[str, int]) -> float:
    """Return the use of the scarcer resource, as a share of the core's limit."""
    used = {"axons_in": axons, "synapse_words": words, "total_words": axons + words}
    return max((used[name] / limit for name, limit in limits.items()), default=0.0)


def _split_projection(
    network: IntegerNetwork, projection: Projection, count: int
) -> IntegerNetwork:
    """Return the network with relays in front of the target of a projection.

    Sums of several populations of relays are rounded one by one. Where that matters, one more
    population adds up everything between them and the target.
    """
    synapses, index = projection.synapses, network.projections.index(projection)
    assert isinstance(synapses, IntegerSynapses)
    if count_splits(synapses.wiring) > 1 and synapses.exponent < _shift_to_whole(synapses).exponent:
        hops = [(_shift_to_whole(synapses), _pass_sums_on(synapses))]
        network = _insert_relays(network, projection, hops)
        projection = network.projections[index]
        synapses = _shift_to_whole(synapses)
    return _insert_relays(network, projection, _list_hops(synapses, count))


def _insert_relays(
    network: IntegerNetwork, projection: Projection, hops: Iterable[Hop]
) -> IntegerNetwork:
    """Return the network with one population of relays for each two hops."""
    target = network.population(projection.target)
    populations, projections = list(network.populations), list(network.projections)
    index = projections.index(projection)
    del projections[index]
    relayed = network
    for first, second in hops:
        plain = first.wiring.plain
        shape = plain.target_shape if isinstance(plain, Convolution) else (plain.targets,)
        name = _choose_name(relayed, target.name)
        neuron = _make_relay(network, projection, first)
        populations.insert(populations.index(target), Population(name, shape, neuron, target.phase))
        projections[index:index] = (
            replace(projection, target=name, synapses=first, port=None),
            replace(projection, source=name, synapses=second, delay=0),
        )
        index += 2
        relayed = replace(network, populations=tuple(populations), projections=tuple(projections))
    return relayed


def _list_hops(synapses: IntegerSynapses, count: int) -> Iterator[Hop]:
    """Yield the synapses into and out of each population of relays."""
    largest = count_splits(synapses.wiring)
    if largest > 1:
        for piece in split(synapses, min(count, largest)):
            yield _shift_to_whole(piece), _pass_sums_on(synapses)
        return
    each = unroll(synapses.wiring)
    relay, into = _assign_relays(each.wiring, count)
    first = Sparse(relay, each.wiring.source, len(into), each.wiring.sources)
    second = Sparse(into, np.arange(len(into), dtype=np.int32), each.wiring.targets, len(into))
    weights = np.full(len(into), weight_step(synapses.bits))
    yield (
        replace(_shift_to_whole(synapses), wiring=first, weight=each.weights(synapses.weight)),
        replace(synapses, wiring=second, weight=weights),
    )


def _shift_to_whole(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the synapses with the exponent that makes whole numbers of the weights' multiples."""
    return replace(synapses, exponent=1 - weight_step(synapses.bits).bit_length())


def _pass_sums_on(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the synapses that bring the sums of one population of relays to the target."""
    step = np.asarray(weight_step(synapses.bits))
    return replace(synapses, wiring=Scale(synapses.wiring.targets), weight=step)


def _assign_relays(wiring: Sparse, count: int) -> tuple[Ints32, Ints32]:
    """Return the relay of each synapse and the target of each relay.

    The sources of a target are split evenly in order. Relays of the same share of the sources lie
    side by side, so that relays on one core have the same sources.
    """
    fan_in = wiring.fan_in
    first = np.cumsum(fan_in) - fan_in
    rank = np.arange(len(wiring.target)) - first[wiring.target]
    share = rank * count // fan_in[wiring.target]
    keys, relay = np.unique(share * wiring.targets + wiring.target, return_inverse=True)
    return relay.reshape(-1).astype(np.int32), (keys % wiring.targets).astype(np.int32)


def _make_relay(
    network: IntegerNetwork, projection: Projection, first: IntegerSynapses
) -> IntegerAccumulate:
    """Return relays whose payload holds every sum that the synapses can bring."""
    reach = bound_sums(first, network.payload(projection.source))
    lowest = min(0, int(reach.low.min(initial=0)) >> -first.exponent)
    highest = max(1, int(reach.high.max(initial=0)) >> -first.exponent)
    if max(-lowest, highest) >= STATE_LIMIT:
        raise FitError(
            where=f"projection {projection.source} -> {projection.target}",
            resource="as the largest partial sum",
            need=max(-lowest, highest),
            limit=STATE_LIMIT - 1,
            hint="its sources have to be split over cores; send smaller numbers",
        )
    return IntegerAccumulate(np.asarray(lowest), np.asarray(highest))


def _choose_name(network: IntegerNetwork, target: str) -> str:
    """Return a new name: `hidden_sum`, `hidden_sum_2` and so on."""
    taken = {network.input.name, *(p.name for p in network.populations)}
    name, number = f"{target}_sum", 1
    while name in taken:
        number += 1
        name = f"{target}_sum_{number}"
    return name
