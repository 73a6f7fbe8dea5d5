"""Cut populations into slices and put slices on cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from snncompile.cores import axon_counts
from snncompile.cores.chip_rules import fit
from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import FitError, join_errors
from snncompile.hwmodels.schema import Chip
from snncompile.ir import view
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Shape
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.advice import remedies
from snncompile.passes.analysis.traffic import Rates, measure_rates
from snncompile.passes.base import Pass
from snncompile.passes.contracts import (
    find_wrong_slices,
    require_delays,
    require_integers,
)
from snncompile.passes.partition.cut_population import Cutter, work_of
from snncompile.passes.partition.least_traffic import Cut, nearest
from snncompile.passes.partition.pack_slices import packed
from snncompile.synapses.convolution import Convolution

Axons = dict[str, NDArray[np.int32]]
Known = dict[tuple[str, bytes], list[Slice]]
"""Slices of a population by its name and the output axons of its neurons."""
LOOSER = 1.1
"""Growth of the work that a core may have, until there are enough cores."""
MOST_NEURONS = 300_000
"""Above this the objective `traffic` cuts for few copies and does not try other cuts."""
BLOCKS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3), (2, 4), (4, 2), (4, 4))
"""Parts along the height and width of an image that cuts are tried with."""
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

    Requires: an integer network, retimed.
    Ensures: every neuron is in exactly one slice; no core exceeds a known limit.
    """

    objective: Literal["cores", "traffic", "latency"] = "cores"
    """`cores`: as few as possible; `traffic`: spikes travel as little as possible; `latency`: the
    work spread evenly over the cores of the chip."""
    share: bool = True
    """Whether slices of different populations may share a core."""

    name: ClassVar[str] = "partition"

    def requires(self, design: Design) -> str:
        """Ask for an integer network, retimed."""
        return require_integers(design) or require_delays(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise every neuron in one slice; `compile` lets the checker count every core."""
        wrong = find_wrong_slices(after)
        return f"that every neuron is in one slice: {wrong}" if wrong else ""

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        try:
            mapping = self._mapping(design)
        except FitError as error:
            every = collect_refusals(network, chip, self.objective, error)
            raise remedies.add_remedies(every, network, chip, cut) from None
        (largest, count), *_ = Counter(s.population for s in mapping.slices).most_common()
        what = f"{mapping.cores} of {_cores(chip)} cores, most for {largest} ({count})"
        return self.done(design, what, mapping=mapping)

    def _mapping(self, design: Design) -> Mapping:
        network, chip = design.network, design.chip
        assert isinstance(network, IntegerNetwork)
        if self.objective == "traffic":
            rate = measure_rates(network, design.calibration)
            return for_traffic(network, chip, rate, share=self.share)
        return Mapping(cut(network, chip, self.objective, share=self.share))


def collect_refusals(
    network: IntegerNetwork, chip: Chip, objective: str, first: FitError
) -> FitError:
    """Return the error with all populations of which one neuron does not fit a core.

    Large networks are not looked at again, nor chips with rules of their own.
    """
    if chip.encoding not in ENCODINGS or remedies.explain_skipped(network):
        return first
    cutting = _Cutting(network, chip, objective, axon_counts.entries_per_axon(chip))
    refusals = cutting.refusals()
    return join_errors(refusals) if len(refusals) > 1 else first


def for_traffic(network: IntegerNetwork, chip: Chip, rate: Rates, *, share: bool = True) -> Mapping:
    """Return slices on cores with sites: as spikes travel least, where that can be tried out.

    Large networks, those that one chip does not hold and chips with rules of their own are cut for
    few copies of spikes, and their cores have no sites yet.

    Raises:
        FitError: as `cut`.
    """
    few = sum(p.size for p in network.populations) <= MOST_NEURONS
    if few and chip.encoding in ENCODINGS:
        found = nearest(network, chip, rate, _cuts(network, chip), share=share)
        if found is not None:
            return found
    return Mapping(cut(network, chip, "traffic", share=share))


def _cuts(network: IntegerNetwork, chip: Chip) -> Iterator[Cut]:
    """Yield ways to cut the network: as for fewest cores, few copies, and along blocks of space."""
    entries = axon_counts.entries_per_axon(chip)
    known: Known = {}
    yield _Cutting(network, chip, "cores", entries, known=known).cut()
    yield _Cutting(network, chip, "traffic", entries, known=known).cut()
    if any(isinstance(p.synapses.wiring, Convolution) for p in network.projections):
        for blocks in BLOCKS:
            yield _Cutting(network, chip, "traffic", entries, blocks=blocks, known=known).cut()


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
    if objective == "latency":
        return _balanced(network, chip)
    placed = _fewest(network, chip, objective, axon_counts.entries_per_axon(chip), share)
    away = axon_counts.entries_per_axon(chip, other_chip=True)
    many = Mapping(tuple(placed)).cores > (chip.mesh.cores.whole or 0)
    if many and away > axon_counts.entries_per_axon(chip):
        placed = _fewest(network, chip, objective, away, share)  # whichever axon leaves its chip
    if Mapping(tuple(placed)).cores > _cores(chip):
        raise _too_many(network, chip, placed)
    return tuple(placed)


def _fewest(
    network: IntegerNetwork, chip: Chip, objective: str, entries: int, share: bool
) -> list[Slice]:
    """Return the slices on their cores: for `cores`, cut either way, whatever takes fewer.

    Tiles that listen to fewer neurons may save the cores of those that send: output axons bind.
    """
    ways = ("cores", "traffic") if objective == "cores" else (objective,)
    known: Known = {}
    found = [_Cutting(network, chip, way, entries, known=known).placed(share) for way in ways]
    return min(found, key=lambda slices: Mapping(tuple(slices)).cores)


def _balanced(network: IntegerNetwork, chip: Chip) -> tuple[Slice, ...]:
    """Return slices of about equal work, each on a core of its own, on all cores there are."""
    whole = [Slice.flat(p, 0, p.size, 0) for p in network.populations]
    work = sum(work_of(network, s) for s in whole) / max(1, _cores(chip))
    entries = axon_counts.entries_per_axon(chip, other_chip=chip.chips > 1)
    while True:
        cutting = _Cutting(network, chip, "latency", entries, work)
        placed = cutting.placed(False)
        if len(placed) <= _cores(chip):
            return tuple(placed)
        if work > sum(work_of(network, s) for s in whole):
            raise _too_many(network, chip, placed)
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
    """Most work of a slice; None: whatever fits."""
    blocks: Shape = ()
    """Parts along the axes of space into which slices of convolutions are cut at least."""
    known: Known = field(default_factory=dict)
    """What was found before and does not depend on the objective."""
    axons: Axons = field(init=False, default_factory=dict)
    found: dict[str, list[Slice]] = field(init=False, default_factory=dict)

    def placed(self, share: bool) -> list[Slice]:
        """Return all slices with their cores."""
        if self.work is not None:
            return [replace(s, core=core) for core, s in enumerate(self._slices())]
        return packed(self.network, self.chip, *self.cut(), share=share)

    def cut(self) -> Cut:
        """Return all slices, and what each takes on a core of its own."""
        slices = self._slices()
        cutters = {p.name: self._cutter(p) for p in self.network.populations}
        return slices, [cutters[s.population].used(s) for s in slices]

    def _slices(self) -> list[Slice]:
        for p in self.network.populations:
            self.axons[p.name] = np.zeros(p.size, np.int32)
        for names, loop in reversed(list(view.groups(self.network))):
            self._group(names, loop)
        return [s for p in self.network.populations for s in self.found[p.name]]

    def refusals(self) -> tuple[FitError, ...]:
        """Return why populations cannot be cut, in the order of the network."""
        errors: dict[str, FitError] = {}
        for p in self.network.populations:
            self.axons[p.name] = np.zeros(p.size, np.int32)
        for names, loop in reversed(list(view.groups(self.network))):
            try:
                self._group(names, loop)
            except FitError as error:
                errors[error.where] = error
        where = [f"population {p.name}" for p in self.network.populations]
        return tuple(errors[name] for name in where if name in errors)

    def _once(self, name: str) -> list[Slice]:
        """Cut a population; one that is cut alike for every objective only once."""
        cutter = self._cutter(self.network.population(name))
        if cutter.regular:
            return cutter.cut()
        key = name, self.axons[name].tobytes()
        if key not in self.known:
            self.known[key] = cutter.cut()
        return self.known[key]

    def _cutter(self, p: Population) -> Cutter:
        count = self.axons[p.name]
        return Cutter(self.network, self.chip, p, count, self.objective, self.work, self.blocks)

    def _group(self, names: tuple[str, ...], loop: bool) -> None:
        """Cut populations that feed each other, or one, and count the axons that lead to them."""
        before = {name: count.copy() for name, count in self.axons.items()} if loop else {}
        for _ in range(ROUNDS if loop else 1):
            last = {name: self.found.get(name) for name in names}
            for name in names:
                self.found[name] = self._once(name)
            self.axons.update((name, count.copy()) for name, count in before.items())
            for name in names:
                self._count(self.found[name])
            if all(self.found[name] == last[name] for name in names):
                break

    def _count(self, slices: list[Slice]) -> None:
        """Add the axons that lead to slices."""
        for s in slices:
            for heard in axon_counts.listening(self.network, self.chip, [s]):
                if heard.source in self.axons:
                    heard.region.count_in(self.axons[heard.source], self.entries)


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
