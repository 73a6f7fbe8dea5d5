"""Split the sources of a neuron over several cores where one core cannot hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

import numpy as np

from snncompile.arrays import Ints32
from snncompile.cores import axon_counts, synapses_of_slice
from snncompile.cores.synapses_of_slice import Demand
from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import Interval
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis import number_ranges
from snncompile.passes.base import Pass
from snncompile.passes.contracts import (
    find_lost_population,
    require_delays,
    require_integers,
    require_no_slices,
)
from snncompile.passes.split_fan_in.equal_sources import add_equal_sources
from snncompile.passes.split_fan_in.large_neurons import (
    bound_parts,
    can_split,
    count_axons,
    find_largest,
    has_sum_relays,
    is_rounded,
    measure_share,
    read_limits,
    shift_to_whole,
)
from snncompile.passes.split_fan_in.number_of_parts import choose_number_of_parts
from snncompile.passes.split_fan_in.source_lists import split_wide_lists
from snncompile.passes.timing.retime import Retime
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

    A list of more sources than a core has input axons is cut into ranges first; see
    `source_lists.py`. Sources with equal weights, as of a pool, are added up first; see
    `equal_sources.py`.

    A relay keeps nothing and sends its sum as one number. With b weight bits all weights are
    multiples of m = 2^(9 - b): the first projection divides by m, which leaves no remainder, the
    second has the weight m and the exponent of the old one. If that rounds, one more population of
    relays adds up everything before. Sums of more than 24 bits are split into more parts. The
    target gets the same numbers, and starts later where it has to.

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
        ranged = split_wide_lists(network, chip)
        more = len(ranged.projections) - len(network.projections)
        wide = f", {more:,} more projections, from ranges of sources" if more else ""
        split = add_sum_relays(ranged, chip)
        known = {p.name for p in network.populations}
        added = [p for p in split.populations if p.name not in known]
        if not added:
            return self.done(design, f"no relays added{wide}", network=ranged)
        number_ranges.check_ranges(split, chip)
        retimed = Retime()(replace(design, network=split)).network
        message = f"{sum(p.size for p in added):,} relay neurons in {len(added)} populations{wide}"
        return self.done(design, message, network=retimed)


def add_sum_relays(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with relays; their projections to the targets have the own delay 0.

    Raises:
        FitError: a partial sum is wider than a relay can send.
    """
    if not has_sum_relays(chip):
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
        network = split_wide_lists(_split_projection(network, *too_large), chip)


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
    limits = read_limits(chip)
    for population in network.populations:
        into = network.into(population.name)
        if all(isinstance(p.synapses.wiring, Scale) for p in into):
            continue
        s = find_largest(population, into)
        parts = synapses_of_slice.list_demands(chip, network, s)
        able = [p for p in parts if can_split(chip, p)]
        axons = sum(block.count for block in axon_counts.list_input_axons(network, chip, [s]))
        words = sum(entry.memory.words for entry in parts)
        if able and measure_share(axons, words, limits) > 1:
            largest = max(able, key=lambda entry: entry.synapses)
            share = measure_share(count_axons(largest), largest.memory.words, limits)
            allowed = _count_allowed(largest, parts, limits)
            count = max(2, min(ceil(share), allowed))
            if count < largest.synapses:
                yield (
                    largest.projection,
                    choose_number_of_parts(chip, largest.projection, count, allowed),
                )


def _count_allowed(largest: Demand, parts: list[Demand], limits: dict[str, int]) -> int:
    """Return the number of sums that fit a target if its other projections bring at most two each.

    Relays of one population can be split again: their number has no other limit.
    """
    if count_splits(largest.projection.synapses.wiring) == 1:
        return largest.synapses
    others = sum(min(2, entry.synapses) for entry in parts if entry is not largest)
    return min(limits.values()) - others


def _split_projection(
    network: IntegerNetwork, projection: Projection, count: int
) -> IntegerNetwork:
    """Return the network with relays in front of the target of a projection.

    Sums of several populations of relays are rounded one by one. Where that matters, one more
    population adds up everything between them and the target.
    """
    synapses, index = projection.synapses, network.projections.index(projection)
    assert isinstance(synapses, IntegerSynapses)
    source = network.end(projection.source)
    equal = add_equal_sources(synapses, source.shape, network.payload(source.name))
    if equal is not None:
        return _insert_relays(network, projection, [equal])
    if is_rounded(synapses):
        hops = [(shift_to_whole(synapses), _pass_sums_on(synapses))]
        network = _insert_relays(network, projection, hops)
        projection = network.projections[index]
        synapses = shift_to_whole(synapses)
    payload = network.payload(projection.source)
    return _insert_relays(network, projection, _find_hops(synapses, payload, count))


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


def _find_hops(synapses: IntegerSynapses, payload: Interval, count: int) -> list[Hop]:
    """Return the synapses into and out of relays: of more parts where a sum is too large."""
    wiring = synapses.wiring
    largest = count_splits(wiring) if count_splits(wiring) > 1 else int(wiring.fan_in.max())
    while True:
        hops = list(_list_hops(synapses, count))
        sums = [bound_parts(first, payload) for first, _ in hops]
        fits = all(max(-low, high) < STATE_LIMIT for low, high in sums)
        if fits or count >= largest:
            return hops
        count = min(2 * count, largest)


def _list_hops(synapses: IntegerSynapses, count: int) -> Iterator[Hop]:
    """Yield the synapses into and out of each population of relays."""
    largest = count_splits(synapses.wiring)
    if largest > 1:
        for piece in split(synapses, min(count, largest)):
            yield shift_to_whole(piece), _pass_sums_on(synapses)
        return
    each = unroll(synapses.wiring)
    relay, into = _assign_relays(each.wiring, count)
    first = Sparse(relay, each.wiring.source, len(into), each.wiring.sources)
    second = Sparse(into, np.arange(len(into), dtype=np.int32), each.wiring.targets, len(into))
    weights = np.full(len(into), weight_step(synapses.bits))
    yield (
        replace(shift_to_whole(synapses), wiring=first, weight=each.weights(synapses.weight)),
        replace(synapses, wiring=second, weight=weights),
    )


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
    lowest, highest = bound_parts(first, network.payload(projection.source))
    if max(-lowest, highest) >= STATE_LIMIT:
        raise FitError(
            where=f"projection {projection.source} -> {projection.target}",
            resource="as the largest partial sum",
            need=max(-lowest, highest),
            limit=STATE_LIMIT - 1,
            hint="its sources have to be split over cores; send smaller numbers",
        )
    return IntegerAccumulate(np.asarray(lowest), np.asarray(max(1, highest)))


def _choose_name(network: IntegerNetwork, target: str) -> str:
    """Return a new name: `hidden_sum`, `hidden_sum_2` and so on."""
    taken = {network.input.name, *(p.name for p in network.populations)}
    name, number = f"{target}_sum", 1
    while name in taken:
        number += 1
        name = f"{target}_sum_{number}"
    return name
