"""Analysis: what the slices on a core take of each of its resources, and what it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.cores import synapses_of_slice as demand
from snncompile.cores.axon_counts import (
    Axons,
    Listening,
    _add_other_chips,
    destinations,
    entries_saved,
    listening,
)
from snncompile.cores.chip_rules import fit
from snncompile.cores.compartments import compartments
from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.resources import RESOURCES, entries
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice


@dataclass(frozen=True)
class CoreUsage:
    """What one core holds of each resource."""

    core: int
    slices: tuple[Slice, ...]
    used: dict[str, int]
    """By resource."""


def usage(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, *, exact: bool = True
) -> tuple[CoreUsage, ...]:
    """Return the usage of every core, in order.

    With `exact` the encodings and axons are those that cost least (`chosen.py`); without, on chips
    that have a choice, it is a quick upper bound.
    """
    if chip.encoding not in ENCODINGS:
        return tuple(
            CoreUsage(number, core.slices, dict.fromkeys(RESOURCES, 0) | dict(core.standard))
            for number, core in enumerate(fit(network, chip).cores)
        )
    heard = {core: listening(network, chip, on) for core, on in mapping.by_core.items()}
    axons = destinations(network, chip, (block for blocks in heard.values() for block in blocks))
    if mapping.chips > 1:
        _add_other_chips(network, chip, mapping, heard, axons)
    found = tuple(
        CoreUsage(core, on, core_usage(network, chip, on, heard[core], axons))
        for core, on in mapping.by_core.items()
    )
    return _exactly(network, chip, mapping, found) if exact and chip.rows is not None else found


def _exactly(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, rough: tuple[CoreUsage, ...]
) -> tuple[CoreUsage, ...]:
    """Return the usage with the encodings and axons that cost least."""
    from snncompile.cores.cheapest_encoding import chosen

    held = chosen(network, chip, mapping)
    saved = dict.fromkeys(held, 0)
    chip_of = mapping.chip_of
    for core, what in held.items():
        for axons in what.axons:
            for group in axons.groups:
                home = mapping.slices[group.slice].core
                away = chip_of.get(home) != chip_of.get(core)
                saved[home] += entries_saved(chip, group.neurons, group.axons, other_chip=away)
    return tuple(
        CoreUsage(
            one.core,
            one.slices,
            one.used | held[one.core].used | {"axons_out": one.used["axons_out"] - saved[one.core]},
        )
        for one in rough
    )


def core_usage(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    heard: Sequence[Listening],
    axons: Axons,
) -> dict[str, int]:
    """Return what slices take on one core.

    Args:
        network: the integer network.
        chip: whose encoding and compartments count.
        slices: those of the core.
        heard: its input axons; see `listening`.
        axons: output axons of each neuron of their populations; see `destinations`.
    """
    return dict(counted(network, chip, slices, heard, axons))


def counted(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    heard: Sequence[Listening],
    axons: Axons,
) -> Iterator[tuple[str, int]]:
    """Yield (resource, used) in the order of `RESOURCES`; see `core_usage`."""
    yield "compartments", sum(compartments(network, chip, s) for s in slices)
    yield "axons_in", sum(block.region.size for block in heard)
    parts = [what for s in slices for what in demand.into(chip, network, s)]
    yield "synapse_words", sum(what.memory.words for what in parts)
    out = (s.cut(axons[s.population]).sum(dtype=np.int64) for s in slices)
    yield "axons_out", int(sum(out))
    yield "row_words", max((what.memory.longest for what in parts), default=0)
    for name, values in entries(network, slices, parts).items():
        yield name, len(values)
