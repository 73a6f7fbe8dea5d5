"""Analysis: what the slices on a core take of each of its resources, and what it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import UnsupportedError
from snncompile.hwmodels import load as chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region
from snncompile.neurons.base import IntegerNeuron
from snncompile.passes import demand
from snncompile.passes.demand import Part
from snncompile.passes.fit import fit
from snncompile.passes.synapse_memory import ENCODINGS

RESOURCES = {
    "compartments": "compartments",
    "axons_in": "input axons",
    "synapse_words": "words of synaptic memory",
    "axons_out": "output axons",
    "row_words": "words of synaptic memory for one source",
    "compartment_profiles": "compartment profiles",
    "threshold_profiles": "threshold profiles",
    "synapse_formats": "synapse formats",
    "neuron_groups": "neuron groups",
}
"""Resource -> words for it; the cheap ones to count first."""

ADDED = ("compartments", "axons_in", "synapse_words", "axons_out")
"""Resources of which several slices take the sum."""
DIFFERENT = ("compartment_profiles", "threshold_profiles", "synapse_formats", "neuron_groups")
"""Resources of which slices take what is not there yet."""

Entries = dict[str, frozenset[Any]]
"""By resource of which what is different counts."""
Axons = dict[str, NDArray[np.int32]]
"""Output entries of each neuron's axons, by population, shape (n,)."""


@dataclass(frozen=True)
class CoreUsage:
    """What one core holds of each resource."""

    core: int
    slices: tuple[Slice, ...]
    used: dict[str, int]
    """By resource."""


@dataclass(frozen=True)
class Listening:
    """Input axons of a core from one source: one per neuron of the region."""

    source: str
    region: Region
    projections: tuple[int, ...]
    """Whose synapses the axons reach, by their place in the network."""
    slice: int | None
    """Which of the core's slices, where the rows are shared; None: all that the projections do."""


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
    from snncompile.passes.chosen import chosen

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


def listening(network: Graph, chip: Chip, slices: Sequence[Slice]) -> list[Listening]:
    """Return the input axons of a core, in the order of its slices and of the projections.

    A source's rows lie one after the other, so that one axon per neuron reaches them all. Only rows
    that several sources share have an axon for themselves.
    """
    found: list[Listening] = []
    together: dict[str, list[tuple[int, Region]]] = {}
    for place, s in enumerate(slices):
        for what in demand.into(chip, network, s):
            p = what.projection
            number = network.number(p)
            if what.shared:
                found.append(Listening(p.source, what.region, (number,), place))
            else:
                together.setdefault(p.source, []).append((number, what.region))
    for source, parts in together.items():
        region = _union([region for _, region in parts])
        found.append(Listening(source, region, tuple(dict.fromkeys(i for i, _ in parts)), None))
    return found


def _union(regions: list[Region]) -> Region:
    if all(region == regions[0] for region in regions):
        return regions[0]
    return Region.listed(np.unique(np.concatenate([region.neurons() for region in regions])))


def destinations(network: Graph, chip: Chip, heard: Iterable[Listening]) -> Axons:
    """Return the output entries of each neuron of each population, if all is on one chip."""
    axons = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    for block in heard:
        if block.source in axons:
            block.region.count_in(axons[block.source], entries_per_axon(chip))
    return axons


def _add_other_chips(
    network: Graph, chip: Chip, mapping: Mapping, heard: dict[int, list[Listening]], axons: Axons
) -> None:
    """Add the further entries of axons that lead to another chip."""
    more = entries_per_axon(chip, other_chip=True) - entries_per_axon(chip)
    chip_of = np.zeros(mapping.cores, np.int32)
    for site in mapping.sites:
        chip_of[site.core] = site.chip
    home = {p.name: chip_of[mapping.cores_of(p)] for p in network.populations}
    for core, blocks in heard.items():
        for block in blocks:
            if block.source in axons:
                neurons = block.region.neurons()
                away = home[block.source][neurons] != chip_of[core]
                axons[block.source][neurons[away]] += more


def reach(network: Graph, source: str, s: Slice) -> NDArray[np.bool_]:
    """Return which neurons of a source have a synapse into a slice."""
    reached = np.zeros(network.end(source).size, np.bool_)
    for p in network.out_of(source):
        if p.target == s.population:
            reached |= p.synapses.wiring.fan_out(s.neurons()) > 0
    return reached


def entries_per_axon(chip: Chip, *, other_chip: bool = False) -> int:
    """Return the output entries of an axon that serves one source neuron."""
    if chip.axon_entries is None:
        return 1
    more = chip.axon_entries.other_chip.whole or 0
    return (chip.axon_entries.discrete.whole or 1) + (more if other_chip else 0)


def entries_saved(chip: Chip, neurons: int, axons: int, *, other_chip: bool = False) -> int:
    """Return the output entries saved where so many neurons share so many population axons."""
    assert chip.axon_entries is not None
    each = entries_per_axon(chip, other_chip=other_chip)
    more = each - entries_per_axon(chip)
    return neurons * each - axons * ((chip.axon_entries.population.whole or 1) + more)


def limits(chip: Chip) -> dict[str, int]:
    """Return what a core has of each resource, as far as there is a limit that is known."""
    found = {name: getattr(chip.core, name, None) for name in RESOURCES}
    if chip.rows is not None:
        found |= {"synapse_formats": chip.rows.formats, "row_words": chip.rows.row_words}
    return {k: v.whole for k, v in found.items() if v is not None and v.whole is not None}


def compartments(network: Graph, chip: Chip, s: Slice) -> int:
    """Return the compartments of a slice."""
    return s.size * compartments_per_neuron(chip, network.population(s.population))


def compartments_per_neuron(chip: Chip, population: Population) -> int:
    """Return how many compartments one neuron takes.

    Raises:
        UnsupportedError: the chip has no such neuron.
    """
    kind = population.neuron.kind
    if kind not in chip.neurons:
        known = ", ".join(sorted(chip.neurons))
        raise UnsupportedError(
            f"population {population.name}: {chip.name} has no neuron {kind}; it has {known}"
            + _instead(kind, chip)
        )
    return chip.neurons[kind].whole or 1


KEEPERS = ("integrate_fire/soft", "signed_integrate_fire", "bistable_fire", "phase_fire")
"""Neurons that keep what exceeds their threshold, as every converted network needs."""
ANSWER = "window_readout"
"""The last layer of every converted network."""


def _instead(kind: str, chip: Chip) -> str:
    """Return what to choose for a neuron of a converted network; empty for others."""
    if kind not in (*KEEPERS, ANSWER):
        return ""
    if KEEPERS[0] not in chip.neurons:
        return (
            "; a hard reset throws away what exceeds the threshold, and with it the rates that a"
            f" converted network computes with: choose a chip that keeps it ({_able(kind)})"
        )
    if ANSWER not in chip.neurons:
        return (
            "; if it was converted, its answer is a potential: choose a chip that can send one out"
            f" ({_able(kind)})"
        )
    return "; if it was converted, use method='balance'"


def _able(kind: str) -> str:
    """Return the chips with this neuron and with the readout of converted networks."""
    neurons = {name: chips.load(name).neurons for name in chips.names()}
    return ", ".join(name for name, has in neurons.items() if kind in has and ANSWER in has)


def entries(network: Graph, slices: Sequence[Slice], parts: Sequence[Part]) -> Entries:
    """Return the different entries of a core's tables, by resource."""
    found: dict[str, set[Any]] = {name: set() for name in DIFFERENT}
    for s in slices:
        neuron = network.population(s.population).neuron
        assert isinstance(neuron, IntegerNeuron)
        found["neuron_groups"].add(s.population)
        for table, value in neuron.profile().items():
            part = value if value.ndim == 0 else s.cut(value)
            mine = {(neuron.kind, entry) for entry in np.unique(part).tolist()}
            found[f"{table}_profiles"] |= mine
    for what in parts:
        found["synapse_formats"] |= what.memory.formats
    return {name: frozenset(values) for name, values in found.items()}
