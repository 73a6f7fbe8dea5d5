"""Analysis: the largest sum that relays have to hold as a whole before it is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snncompile.cores.synapses_of_slice import Demand, measure_demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Population, Projection
from snncompile.neurons.base import Interval
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
)
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.scale import Scale

Arriving = list[tuple[Projection, Interval]]
"""Projections in integers, each with the payload of its source."""


def find_largest_rounded_sum(
    network: Graph, population: Population, projections: Sequence[Projection], chip: Chip
) -> int:
    """Return the largest sum that relays have to hold before it is rounded; 0 without relays.

    Sums that are not rounded can be split into as many parts as it takes.

    Args:
        network: gives the sources; the float one while integers are chosen.
        population: the target.
        projections: all that end at it, in integers.
        chip: gives the limits of a core.
    """
    if not has_sum_relays(chip):
        return 0
    into = [(p, network.payload(p.source)) for p in projections]
    if not _list_too_large(chip, population, into):
        return 0
    entries = _list_too_large(chip, population, [_add_equal(network, *pair) for pair in into])
    sums = [
        bound_parts(synapses, payload)
        for entry, payload in entries
        if isinstance(synapses := entry.projection.synapses, IntegerSynapses)
        and can_split(chip, entry)
        and is_rounded(synapses)
    ]
    return max((max(-int(low), int(high)) for low, high in sums), default=0)


def _list_too_large(
    chip: Chip, population: Population, into: Arriving
) -> list[tuple[Demand, Interval]]:
    """Return what the largest neuron hears; nothing if a core can hold it."""
    if all(isinstance(p.synapses.wiring, Scale) for p, _ in into):
        return []
    s = find_largest(population, [p for p, _ in into])
    pairs = [(measure_demand(chip, p, s), payload) for p, payload in into]
    entries = [(entry, payload) for entry, payload in pairs if entry.synapses]
    axons = sum(count_axons(entry) for entry, _ in entries)
    words = sum(entry.memory.words for entry, _ in entries)
    return entries if measure_share(axons, words, read_limits(chip)) > 1 else []


def _add_equal(
    network: Graph, projection: Projection, payload: Interval
) -> tuple[Projection, Interval]:
    """Return the projection from relays of sources with equal weights, where there are such."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    equal = add_equal_sources(synapses, network.end(projection.source).shape, payload)
    if equal is None:
        return projection, payload
    into, out = equal
    return replace(projection, synapses=out), bound_parts(into, payload)
