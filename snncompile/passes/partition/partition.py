"""Cut populations into slices and put slices on cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from snncompile.cores import axon_counts, usage
from snncompile.cores.chip_rules import fill_cores
from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import FitError, join_errors, list_briefly
from snncompile.hwmodels.schema import Chip
from snncompile.ir import view
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Shape
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.advice import remedies
from snncompile.passes.analysis.traffic import Rates, measure_rates
from snncompile.passes.partition.base import CuttingPass
from snncompile.passes.partition.cut_population import Cutter, count_work
from snncompile.passes.partition.least_traffic import Cut, find_least_traffic
from snncompile.passes.partition.pack_slices import choose_cores, pack
from snncompile.synapses.convolution import Convolution

Axons = dict[str, NDArray[np.int32]]
Known = dict[tuple[str, bytes], list[Slice]]
"""Slices of a population, by its name and the output axons of its neurons."""
LOOSER = 1.1
"""Growth of a core's largest work, until there are enough cores."""
MOST_NEURONS = 300_000
"""Above this number the objective `traffic` cuts for few copies and tries no other cuts."""
BLOCKS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3), (2, 4), (4, 2), (4, 4))
"""Parts along the height and width of an image that are tried."""
ROUNDS, MOST_ROUNDS = 4, 64
"""Cuts of a loop of populations, if all slices fit then; most settle after two."""


@dataclass(frozen=True)
class Partition(CuttingPass):
    """Cut every population into slices that fit a core, and let small slices share one.

        conv 32x10x10, core of 1024        ->      conv[0:10, 0:10, 0:10] on core 0, ...
        dense 10                                   conv[30:32, 0:10, 0:10] on core 3
                                                   dense[0:10] on core 3

    A neuron needs one output axon per core that it has synapses on, so populations are cut from the
    output back to the input. A convolution is cut into boxes of channels x height x width, whose
    receptive fields overlap; its kernels are stored once per slice.

    Requires: an integer network, retimed.
    Ensures: every neuron is in exactly one slice; no core exceeds a known limit.
    """

    objective: Literal["cores", "traffic", "latency"] = "cores"
    """`cores`: as few cores as possible; `traffic`: spikes travel as little as possible; `latency`:
    spread the work evenly over the cores of the chip."""
    share: bool = True
    """Whether slices of different populations may share a core."""

    name: ClassVar[str] = "partition"
    advise: ClassVar[bool] = True
    """Whether a refusal names changes that would fit; trying them takes time."""

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        try:
            mapping, unshared = self._make_mapping(design)
        except FitError as error:
            refusal = collect_refusals(network, chip, self.objective, error)
            if not self.advise:
                raise refusal from None
            raise remedies.add_remedies(refusal, network, chip, cut_network) from None
        (largest, count), *_ = Counter(s.population for s in mapping.slices).most_common()
        apart = "" if unshared is None else f" ({unshared} without sharing)"
        message = (
            f"{mapping.cores} of {_count_cores(chip)} cores{apart}, most for {largest} ({count})"
        )
        return self.done(design, message, mapping=mapping)

    def _make_mapping(self, design: Design) -> tuple[Mapping, int | None]:
        """Return the mapping, and its cores without sharing where sharing is only assumed."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        if self.objective == "traffic":
            rate = measure_rates(network, design.calibration)
            mapping = cut_for_traffic(network, chip, rate, share=self.share)
            assumed = self.share and chip.headed_rows is not None
            return mapping, _count_unshared(network, chip, mapping) if assumed else None
        slices, unshared = _cut_and_count(network, chip, self.objective, share=self.share)
        return Mapping(slices), unshared


@dataclass(frozen=True)
class PartitionQuickly(Partition):
    """Partition without advice in refusals, for a search that tries changes of its own."""

    advise: ClassVar[bool] = False


def collect_refusals(
    network: IntegerNetwork, chip: Chip, objective: str, first: FitError
) -> FitError:
    """Return the error for all populations with a neuron that does not fit a core.

    Large networks and chips with rules of their own keep the first error.
    """
    if chip.encoding not in ENCODINGS or remedies.explain_skipped(network):
        return first
    cutting = _Cutting(network, chip, objective, axon_counts.count_entries_per_axon(chip))
    refusals = cutting.list_refusals()
    return join_errors(refusals) if len(refusals) > 1 else first


def cut_for_traffic(
    network: IntegerNetwork, chip: Chip, rate: Rates, *, share: bool = True
) -> Mapping:
    """Return slices on cores with sites: of all cuts, the one whose spikes travel least.

    Large networks, networks on several chips, and those on chips with rules of their own are cut
    for few copies of spikes; their cores have no sites yet.

    Raises:
        FitError: as `cut`.
    """
    few = sum(p.size for p in network.populations) <= MOST_NEURONS
    if few and chip.encoding in ENCODINGS:
        mapping = find_least_traffic(network, chip, rate, _list_cuts(network, chip), share=share)
        if mapping is not None:
            return mapping
    return Mapping(cut_network(network, chip, "traffic", share=share))


def _list_cuts(network: IntegerNetwork, chip: Chip) -> Iterator[Cut]:
    """Yield cuts of the network: for fewest cores, for few copies, and along blocks of space."""
    entries = axon_counts.count_entries_per_axon(chip)
    known: Known = {}
    yield _Cutting(network, chip, "cores", entries, known=known).cut()
    yield _Cutting(network, chip, "traffic", entries, known=known).cut()
    if any(isinstance(p.synapses.wiring, Convolution) for p in network.projections):
        for blocks in BLOCKS:
            yield _Cutting(network, chip, "traffic", entries, blocks=blocks, known=known).cut()


def cut_network(
    network: IntegerNetwork, chip: Chip, objective: str = "cores", *, share: bool = True
) -> tuple[Slice, ...]:
    """Return the slices of a network with their cores.

    Raises:
        FitError: one neuron does not fit a core, or there are too few cores.
        UnsupportedError: the chip lacks a neuron.
    """
    return _cut_and_count(network, chip, objective, share=share)[0]


def _cut_and_count(
    network: IntegerNetwork, chip: Chip, objective: str, *, share: bool
) -> tuple[tuple[Slice, ...], int | None]:
    """Return the slices with their cores, and the cores without sharing where that is assumed."""
    if chip.encoding not in ENCODINGS:
        return fill_cores(network, chip).slices, None
    if objective == "latency":
        return _cut_evenly(network, chip), None
    placed, unshared = _cut_and_pack(
        network, chip, objective, axon_counts.count_entries_per_axon(chip), share
    )
    away = axon_counts.count_entries_per_axon(chip, other_chip=True)
    many = Mapping(tuple(placed)).cores > (chip.mesh.cores.whole or 0)
    if many and away > axon_counts.count_entries_per_axon(chip):
        # Any axon may leave its chip.
        placed, unshared = _cut_and_pack(network, chip, objective, away, share)
    if Mapping(tuple(placed)).cores > _count_cores(chip):
        raise _explain_too_many(network, chip, placed)
    return tuple(placed), unshared


def _cut_and_pack(
    network: IntegerNetwork, chip: Chip, objective: str, entries: int, share: bool
) -> tuple[list[Slice], int | None]:
    """Return the slices on their cores; for `cores`, of both ways to cut the one with fewer.

    Tiles with fewer sources may save cores of the sources, where output axons are scarce. The cores
    without sharing are counted too where a chip only assumes that cores can be shared.
    """
    objectives = ("cores", "traffic") if objective == "cores" else (objective,)
    known: Known = {}
    cuttings = [_Cutting(network, chip, tried, entries, known=known) for tried in objectives]
    results = [cutting.pack(share) for cutting in cuttings]
    placed = min(results, key=lambda slices: Mapping(tuple(slices)).cores)
    if not share or chip.headed_rows is None:
        return placed, None
    return placed, min(Mapping(tuple(cutting.pack(False))).cores for cutting in cuttings)


def _count_unshared(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> int:
    """Return the cores that slices take if each core holds one population."""
    used = [
        usage.measure_core(network, chip, [s], axon_counts.list_input_axons(network, chip, [s]), {})
        for s in mapping.slices
    ]
    core_of = choose_cores(network, chip, mapping.slices, used, share=False)
    return int(core_of.max(initial=-1)) + 1


def _cut_evenly(network: IntegerNetwork, chip: Chip) -> tuple[Slice, ...]:
    """Return slices of about equal work, each on a core of its own, on all cores of the chip."""
    whole = [Slice.from_range(p, 0, p.size, 0) for p in network.populations]
    work = sum(count_work(network, s) for s in whole) / max(1, _count_cores(chip))
    entries = axon_counts.count_entries_per_axon(chip, other_chip=chip.chips > 1)
    while True:
        cutting = _Cutting(network, chip, "latency", entries, work)
        placed = cutting.pack(False)
        if len(placed) <= _count_cores(chip):
            return tuple(placed)
        if work > sum(count_work(network, s) for s in whole):
            raise _explain_too_many(network, chip, placed)
        work *= LOOSER


@dataclass(frozen=True, eq=False)
class _Cutting:
    """One way through a network, from the output back to the input."""

    network: IntegerNetwork
    chip: Chip
    objective: str
    entries: int
    """Output entries that an axon takes."""
    work: float | None = None
    """Largest work of a slice; None: no limit."""
    blocks: Shape = ()
    """Least number of parts of convolutions along the axes of space."""
    known: Known = field(default_factory=dict)
    """Slices that do not depend on the objective, of earlier cuts."""
    axons: Axons = field(init=False, default_factory=dict)
    slices: dict[str, list[Slice]] = field(init=False, default_factory=dict)

    def pack(self, share: bool) -> list[Slice]:
        """Return all slices with their cores."""
        if self.work is not None:
            return [replace(s, core=core) for core, s in enumerate(self._cut_all())]
        return pack(self.network, self.chip, *self.cut(), share=share)

    def cut(self) -> Cut:
        """Return all slices, and the use of each on a core of its own."""
        return self._cut

    @cached_property
    def _cut(self) -> Cut:
        slices = self._cut_all()
        cutters = {p.name: self._make_cutter(p) for p in self.network.populations}
        return slices, [cutters[s.population].count_used(s) for s in slices]

    def _cut_all(self) -> list[Slice]:
        for p in self.network.populations:
            self.axons[p.name] = np.zeros(p.size, np.int32)
        for names, loop in reversed(list(view.order_populations(self.network))):
            self._cut_group(names, loop)
        return [s for p in self.network.populations for s in self.slices[p.name]]

    def list_refusals(self) -> tuple[FitError, ...]:
        """Return the errors of populations that cannot be cut, in the order of the network."""
        errors: dict[str, FitError] = {}
        for p in self.network.populations:
            self.axons[p.name] = np.zeros(p.size, np.int32)
        for names, loop in reversed(list(view.order_populations(self.network))):
            try:
                self._cut_group(names, loop)
            except FitError as error:
                errors[error.where] = error
        where = [f"population {p.name}" for p in self.network.populations]
        return tuple(errors[name] for name in where if name in errors)

    def _cut_population(self, name: str) -> list[Slice]:
        """Cut a population; only once if every objective cuts it alike."""
        cutter = self._make_cutter(self.network.population(name))
        if cutter.regular:
            return cutter.cut()
        key = name, self.axons[name].tobytes()
        if key not in self.known:
            self.known[key] = cutter.cut()
        return self.known[key]

    def _make_cutter(self, p: Population) -> Cutter:
        count = self.axons[p.name]
        return Cutter(self.network, self.chip, p, count, self.objective, self.work, self.blocks)

    def _cut_group(self, names: tuple[str, ...], loop: bool) -> None:
        """Cut a population, or a loop of them, and count the axons that lead to them."""
        before = {name: count.copy() for name, count in self.axons.items()} if loop else {}
        for number in range(MOST_ROUNDS if loop else 1):
            last = {name: self.slices.get(name) for name in names}
            for name in names:
                self.slices[name] = self._cut_population(name)
            self.axons.update((name, count.copy()) for name, count in before.items())
            for name in names:
                self._count_axons(self.slices[name])
            if all(self.slices[name] == last[name] for name in names):
                break
            if number + 1 >= ROUNDS and all(map(self._all_fit, names)):
                break

    def _all_fit(self, name: str) -> bool:
        """Return whether all slices of a population fit, with the axons that lead from them now."""
        cutter = self._make_cutter(self.network.population(name))
        return all(map(cutter.fits, self.slices[name]))

    def _count_axons(self, slices: list[Slice]) -> None:
        """Add the axons that lead to slices."""
        if self.chip.headed_rows is not None:
            return  # output entries do not grow with the destinations
        for s in slices:
            for heard in axon_counts.list_input_axons(self.network, self.chip, [s]):
                if heard.source in self.axons:
                    heard.region.count_in(self.axons[heard.source], self.entries)


def _count_cores(chip: Chip) -> int:
    return (chip.mesh.cores.whole or 0) * chip.chips


def _explain_too_many(network: IntegerNetwork, chip: Chip, slices: list[Slice]) -> FitError:
    need = {
        p.name: len({s.core for s in slices if s.population == p.name}) for p in network.populations
    }
    largest = max(need, key=need.__getitem__)
    parts = list_briefly([f"{name} {count}" for name, count in need.items()])
    return FitError(
        where=f"network {network.title}, population {largest} above all",
        resource=f"cores ({parts})",
        need=len({s.core for s in slices}),
        limit=_count_cores(chip),
        hint="",
    )
