"""Analysis: amounts of each resource that the slices on a core use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.cores.axon_counts import (
    InputAxons,
    OutputEntries,
    add_entries_to_other_chips,
    count_output_entries,
    count_saved_entries,
    list_input_axons,
)
from snncompile.cores.chip_rules import fill_cores
from snncompile.cores.compartments import count_compartments
from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.port_entries import count_axon_memory, count_output_entries_of_slice
from snncompile.cores.resources import OF_SOME_CHIPS, RESOURCES, SUMMED, list_entries
from snncompile.cores.synapses_of_slice import list_demands
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice

STANDARD = tuple(name for name in RESOURCES if name not in OF_SOME_CHIPS)


@dataclass(frozen=True)
class CoreUsage:
    """Amounts of each resource that one core uses."""

    core: int
    slices: tuple[Slice, ...]
    used: dict[str, int]
    """Amounts by resource."""


def measure_usage(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, *, exact: bool = True
) -> tuple[CoreUsage, ...]:
    """Return the usage of every core, in order.

    With `exact` the encodings and axons are the cheapest (`cheapest_encoding.py`); without, on
    chips that have a choice, the usage is a quick upper bound.
    """
    if chip.encoding not in ENCODINGS:
        return tuple(
            CoreUsage(number, core.slices, dict.fromkeys(STANDARD, 0) | dict(core.standard))
            for number, core in enumerate(fill_cores(network, chip).cores)
        )
    input_axons = {
        core: list_input_axons(network, chip, on) for core, on in mapping.by_core.items()
    }
    axons = count_output_entries(
        network, chip, (block for blocks in input_axons.values() for block in blocks)
    )
    if mapping.chips > 1:
        add_entries_to_other_chips(network, chip, mapping, input_axons, axons)
    rough = tuple(
        CoreUsage(core, on, measure_core(network, chip, on, input_axons[core], axons))
        for core, on in mapping.by_core.items()
    )
    return (
        _measure_exactly(network, chip, mapping, rough)
        if exact and chip.rows is not None
        else rough
    )


def _measure_exactly(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, rough: tuple[CoreUsage, ...]
) -> tuple[CoreUsage, ...]:
    """Return the usage with the cheapest encodings and axons."""
    from snncompile.cores.cheapest_encoding import choose_contents

    held = choose_contents(network, chip, mapping)
    saved = dict.fromkeys(held, 0)
    chip_of = mapping.chip_of
    for core, contents in held.items():
        for axons in contents.axons:
            for group in axons.groups:
                home = mapping.slices[group.slice].core
                away = chip_of.get(home) != chip_of.get(core)
                saved[home] += count_saved_entries(
                    chip, group.neurons, group.axons, other_chip=away
                )
    return tuple(
        CoreUsage(
            core_usage.core,
            core_usage.slices,
            core_usage.used
            | held[core_usage.core].used
            | {"axons_out": core_usage.used["axons_out"] - saved[core_usage.core]},
        )
        for core_usage in rough
    )


def measure_core(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    input_axons: Sequence[InputAxons],
    axons: OutputEntries,
) -> dict[str, int]:
    """Return the amounts that slices use on one core, by resource.

    Args:
        network: the integer network.
        chip: gives the encoding and the compartments per neuron.
        slices: slices of the core.
        input_axons: input axons of the core; see `list_input_axons`.
        axons: output axons of each neuron of their populations; see `count_output_entries`.
    """
    return dict(count_resources(network, chip, slices, input_axons, axons))


def count_resources(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    input_axons: Sequence[InputAxons],
    axons: OutputEntries,
) -> Iterator[tuple[str, int]]:
    """Yield (resource, used) in the order of `RESOURCES`; see `measure_core`."""
    total = 0
    for resource, used in _count_single(network, chip, slices, input_axons, axons):
        total += used * (resource in SUMMED)
        yield resource, used
    if chip.headed_rows is not None:
        yield "total_words", total


def _count_single(
    network: IntegerNetwork,
    chip: Chip,
    slices: Sequence[Slice],
    input_axons: Sequence[InputAxons],
    axons: OutputEntries,
) -> Iterator[tuple[str, int]]:
    """Yield (resource, used) without the total."""
    yield "compartments", sum(count_compartments(network, chip, s) for s in slices)
    yield "axons_in", sum(block.count for block in input_axons)
    demands = [demand for s in slices for demand in list_demands(chip, network, s)]
    yield "synapse_words", sum(demand.memory.words for demand in demands)
    yield "axons_out", _count_outputs(network, chip, slices, axons)
    yield "row_words", max((demand.memory.longest for demand in demands), default=0)
    for name, values in list_entries(network, slices, demands).items():
        yield name, len(values)
    if chip.headed_rows is not None:
        yield "axon_memory", sum(count_axon_memory(network, chip, s) for s in slices)


def _count_outputs(
    network: IntegerNetwork, chip: Chip, slices: Sequence[Slice], axons: OutputEntries
) -> int:
    if chip.headed_rows is not None:
        return sum(count_output_entries_of_slice(network, s) for s in slices)
    return int(sum(s.cut(axons[s.population]).sum(dtype=np.int64) for s in slices))
