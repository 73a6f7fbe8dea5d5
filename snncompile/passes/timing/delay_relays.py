"""Add relay populations that pass messages on where a projection's delay exceeds the chip's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Projection
from snncompile.passes.timing.relay_neurons import Relay, find_relay
from snncompile.synapses.base import Synapses


def add_delay_relays(network: Network | IntegerNetwork, chip: Chip) -> Network | IntegerNetwork:
    """Return the network with relays where a delay is longer than the chip's.

        a -7-> b, a -5-> c, at most 3       ->      a -3-> relay -3-> relay_2 -1-> b
                                                    a -3-> relay -2-> c

    All projections of one source share its relays. The phase of a relay grows by its delay, so it
    repeats its source's own steps and the own delay of every projection stays as it was.

    Args:
        network: with the delays and phases of the chip.
        chip: gives the longest delay and the known neurons.

    Raises:
        FitError: no neuron of the chip passes the values of a source on.
    """
    extra = chip.formats.delay.whole
    if extra is None:
        return network
    longest = extra + 1
    populations = list(network.populations)
    projections = list(network.projections)
    for source in dict.fromkeys(p.source for p in network.projections):
        farthest = max(network.out_of(source), key=lambda p: p.delay)
        count = -(-farthest.delay // longest) - 1
        if count > 0:
            relay = _find_relay(network, farthest, chip)
            relays, hops = _build_chain(network, source, relay, count, longest)
            _insert(populations, source, relays)
            shortened = [_shorten(p, source, relays, longest, relay.unit) for p in projections]
            projections = shortened + hops
    return replace(network, populations=tuple(populations), projections=tuple(projections))


def _build_chain(
    network: Network | IntegerNetwork, name: str, first: Relay, count: int, longest: int
) -> tuple[list[Population], list[Projection]]:
    """Return relays one after the other, and the projections that join them."""
    source = network.end(name)
    names = _choose_names(network, source.name, count)
    phase = network.phase(source.name)
    relays = [
        Population(name, source.shape, first.neuron, phase + (i + 1) * longest)
        for i, name in enumerate(names)
    ]
    further = first.synapses
    if first.unit != 1:
        further = Synapses(further.wiring, np.asarray(1.0))
    ends = zip([source.name, *names], names, strict=False)
    hops = [
        Projection(start, end, further if start in names else first.synapses, longest)
        for start, end in ends
    ]
    return relays, hops


def _find_relay(network: Network | IntegerNetwork, farthest: Projection, chip: Chip) -> Relay:
    """Return a relay of the source of a projection.

    Raises:
        FitError: the chip has none.
    """
    relay = find_relay(network, farthest.source, chip)
    if relay is not None:
        return relay
    payload = network.payload(farthest.source)
    raise FitError(
        where=f"projection {farthest.source} -> {farthest.target}",
        resource="steps of extra delay",
        need=farthest.delay - 1,
        limit=chip.formats.delay.whole or 0,
        hint=(
            f"{chip.name} has no neuron that passes on values from {payload.low} to"
            f" {payload.high}; shorten the path it skips"
        ),
    )


def _choose_names(network: Graph, source: str, count: int) -> list[str]:
    """Return new names: `hidden_relay`, `hidden_relay_2` and so on."""
    taken = {network.input.name, *(p.name for p in network.populations)}
    names: list[str] = []
    number = 1
    while len(names) < count:
        name = f"{source}_relay" if number == 1 else f"{source}_relay_{number}"
        names += [] if name in taken else [name]
        number += 1
    return names


def _insert(populations: list[Population], source: str, relays: list[Population]) -> None:
    """Put the relays right behind their source."""
    names = [p.name for p in populations]
    index = names.index(source) + 1 if source in names else 0
    populations[index:index] = relays


def _shorten(
    projection: Projection, source: str, relays: list[Population], longest: int, unit: float
) -> Projection:
    """Return the projection from the last relay that is early enough.

    Args:
        projection: any of the network.
        source: which the relays pass on.
        relays: one after the other.
        longest: delay of a hop.
        unit: value of the source for which relays send a 1.
    """
    passed = -(-projection.delay // longest) - 1
    if projection.source != source or passed < 1:
        return projection
    rest = projection.delay - passed * longest
    synapses = projection.synapses
    if isinstance(synapses, Synapses) and unit != 1:
        synapses = Synapses(synapses.wiring, synapses.weight * unit)
    return replace(projection, source=relays[passed - 1].name, synapses=synapses, delay=rest)
