"""Add relay populations that pass spikes on where a projection's delay exceeds the chip's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Neuron
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif, TernaryLif
from snncompile.passes.analysis import number_ranges
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.scale import Scale

FLOAT_RELAYS: tuple[Neuron, ...] = (
    IntegrateFire(np.asarray(0.5), reset="hard"),
    CubaLif(np.asarray(1.0), np.asarray(1.0), np.asarray(0.5), reset="hard"),
    TernaryLif(np.asarray(1.0), np.asarray(1.0), np.asarray(0.5), np.asarray(-0.5)),
)
"""Neurons that pass on the input of one synapse of weight 1 and keep nothing; the first that the
chip has is chosen. The last passes negative spikes on as well."""


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
            relays, hops = _build_chain(network, farthest, chip, count, longest)
            _insert(populations, source, relays)
            projections = [_shorten(p, source, relays, longest) for p in projections] + hops
    return replace(network, populations=tuple(populations), projections=tuple(projections))


def _build_chain(
    network: Network | IntegerNetwork, farthest: Projection, chip: Chip, count: int, longest: int
) -> tuple[list[Population], list[Projection]]:
    """Return relays one after the other, and the projections that join them."""
    source = network.end(farthest.source)
    neuron, synapses = _choose_relay(network, farthest, chip)
    names = _choose_names(network, source.name, count)
    phase = network.phase(source.name)
    relays = [
        Population(name, source.shape, neuron, phase + (i + 1) * longest)
        for i, name in enumerate(names)
    ]
    ends = zip([source.name, *names], names, strict=False)
    return relays, [Projection(start, end, synapses, longest) for start, end in ends]


def _choose_relay(
    network: Network | IntegerNetwork, farthest: Projection, chip: Chip
) -> tuple[Neuron, Synapses | IntegerSynapses]:
    """Return a neuron that passes the source's spikes on, and the synapses that feed it."""
    payload, size = network.payload(farthest.source), network.end(farthest.source).size
    for neuron in FLOAT_RELAYS:
        low, high = neuron.payload
        if low <= payload.low and payload.high <= high and neuron.kind in chip.neurons:
            if isinstance(network, Network):
                return neuron, Synapses(Scale(size), np.asarray(1.0))
            return _convert_to_integers(neuron, size, chip)
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


def _convert_to_integers(neuron: Neuron, size: int, chip: Chip) -> tuple[Neuron, IntegerSynapses]:
    """Return the relay in integers: the fewest weight bits, fires above half a weight."""
    bits = min(b for b in chip.formats.weight_bits.values if 2 <= b <= number_ranges.WIDEST)
    weight = number_ranges.find_top(bits)
    half, whole = np.asarray(weight // 2), np.asarray(4095)
    integer: dict[type, Any] = {
        IntegrateFire: lambda: IntegerIntegrateFire(half, reset="hard"),
        CubaLif: lambda: IntegerCubaLif(whole, whole, half, reset="hard"),
        TernaryLif: lambda: IntegerTernaryLif(whole, whole, half, -half),
    }
    return integer[type(neuron)](), IntegerSynapses(Scale(size), np.asarray(weight), 0, bits)


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
    projection: Projection, source: str, relays: list[Population], longest: int
) -> Projection:
    """Return the projection from the last relay that is early enough."""
    passed = -(-projection.delay // longest) - 1
    if projection.source != source or passed < 1:
        return projection
    rest = projection.delay - passed * longest
    return replace(projection, source=relays[passed - 1].name, delay=rest)
