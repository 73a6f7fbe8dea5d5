"""Cut populations into slices and put slices on cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir import view
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes import remedies, usage
from snncompile.passes.base import Pass
from snncompile.passes.fit import fit
from snncompile.passes.packing import packed
from snncompile.passes.synapse_memory import ENCODINGS
from snncompile.passes.tiling import Cutter

Axons = dict[str, NDArray[np.int32]]
ROUNDS = 4
"""Times a loop of populations is cut before the last cut is taken; most settle after two."""


@dataclass(frozen=True)
class Partition(Pass):
    """Cut every population into slices that fit a core, and let small slices share one.

        conv 32x10x10, core of 1024        ->      conv[0:10, 0:10, 0:10] on core 0, ...
        dense 10                                   conv[30:32, 0:10, 0:10] on core 3
                                                   dense[0:10] on core 3

    A neuron needs one output axon per core that it has synapses on, so populations are cut from the
    output back to the input. A convolution is cut into boxes of channels x height x width, whose
    receptive fields overlap; its kernels are stored once per slice.

    Requires: an integer network.
    Ensures: every neuron is in exactly one slice; no core exceeds a known limit.
    """

    objective: str = "cores"
    """`cores`: as few as possible; `traffic`: as few copies of spikes as possible; `latency`: the
    work spread evenly over the cores of the chip."""
    share: bool = True
    """Whether slices of different populations may share a core."""

    name: ClassVar[str] = "partition"

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        try:
            slices = cut(network, chip, self.objective, share=self.share)
        except FitError as error:
            raise remedies.explained(error, network, chip, cut) from None
        mapping = Mapping(slices)
        (largest, count), *_ = Counter(s.population for s in slices).most_common()
        what = f"{mapping.cores} of {_cores(chip)} cores, most for {largest} ({count})"
        return self.done(design, what, mapping=mapping)


def cut(
    network: IntegerNetwork, chip: Chip, objective: str = "cores", *, share: bool = True
) -> tuple[Slice, ...]:
    """Return the slices of a network with their cores.

    Raises:
        FitError: one neuron does not fit a core, or there are too few cores.
        UnsupportedError: the chip lacks a neuron.
    """
    if chip.encoding not in ENCODINGS:
        return fit(network, chip).slices
    axons: Axons = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    found: dict[str, list[Slice]] = {}
    for names, loop in reversed(list(view.groups(network))):
        _cut_group(network, chip, objective, names, loop, axons, found)
    slices = [s for p in network.populations for s in found[p.name]]
    cutters = {p.name: Cutter(network, chip, p, axons[p.name]) for p in network.populations}
    placed = packed(
        network, chip, slices, [cutters[s.population].used(s) for s in slices], share=share
    )
    cores = Mapping(tuple(placed)).cores
    if cores > _cores(chip):
        raise _too_many(network, chip, placed)
    return tuple(placed)


def _cut_group(
    network: IntegerNetwork,
    chip: Chip,
    objective: str,
    names: Iterable[str],
    loop: bool,
    axons: Axons,
    found: dict[str, list[Slice]],
) -> None:
    """Cut the populations of a loop, or one population, and count the axons that they listen to."""
    before = {name: count.copy() for name, count in axons.items()} if loop else axons
    for _ in range(ROUNDS if loop else 1):
        last = {name: list(found.get(name, ())) for name in names}
        for name in names:
            population = network.population(name)
            found[name] = Cutter(network, chip, population, axons[name], objective).cut()
        if loop:
            for name, count in before.items():
                axons[name] = count.copy()
        for name in names:
            _count(network, chip, found[name], axons)
        if all(found[name] == last[name] for name in names):
            break


def _count(network: IntegerNetwork, chip: Chip, slices: list[Slice], axons: Axons) -> None:
    """Add the axons that lead to slices."""
    for s in slices:
        for heard in usage.listening(network, chip, [s]):
            if heard.source in axons:
                heard.region.count_in(axons[heard.source])


def _cores(chip: Chip) -> int:
    return (chip.mesh.cores.whole or 0) * chip.chips


def _too_many(network: IntegerNetwork, chip: Chip, slices: list[Slice]) -> FitError:
    need = {
        p.name: len({s.core for s in slices if s.population == p.name}) for p in network.populations
    }
    largest = max(need, key=need.__getitem__)
    parts = ", ".join(f"{name} {count}" for name, count in need.items())
    return FitError(
        where=f"network {network.title}, population {largest} above all",
        resource=f"cores ({parts})",
        need=len({s.core for s in slices}),
        limit=_cores(chip),
        hint="",
    )
