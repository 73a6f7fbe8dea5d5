"""Try whether a network fits a chip, which changes make it fit, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.cores import resources, usage
from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import FitError, InputError, SnnCompileError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network
from snncompile.ir.mapping import Mapping
from snncompile.option_signature import takes_options
from snncompile.options import Options, collect
from snncompile.passes.advice import remedies
from snncompile.passes.advice.input_messages import check_input_messages
from snncompile.passes.analysis import number_ranges
from snncompile.passes.equal_neurons import begin_design
from snncompile.passes.learning_chip import check_learning_chip
from snncompile.passes.partition.partition import cut_network
from snncompile.passes.pipeline import PassProgress, Pipeline, share_progress
from snncompile.passes.split_fan_in.split_fan_in import split_largest
from snncompile.reference.simulate import check_spikes

FEWER_BITS = (6, 4, 2)
BEFORE_PARTITION = Pipeline.default(Options()).until("partition").without(["measure"])
"""The passes before a network is cut."""
RETIME = Pipeline.parse("retime")


@dataclass(frozen=True)
class Trial:
    """One way to put the network on a chip."""

    chip: str
    what: str
    """`as it is`, or the change."""
    cores: int | None
    """None: it does not fit."""
    chips: int | None = None
    at_least: int | None = None
    """Cores that the scarcest resource alone takes."""
    scarcest: str = ""
    fullest: str = ""
    """Resource that is nearest to its limit on a core, with its share."""
    why: str = ""
    """The reason why it does not fit, or takes more cores than the lower bound."""
    accuracy: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the chip holds it."""
        return self.cores is not None


@takes_options("bits")
def fit(
    network: Network | IntegerNetwork,
    *,
    chip: str | Path | Chip,
    x: ArrayLike | None = None,
    label: ArrayLike | None = None,
    alone: bool = False,
    progress: PassProgress | None = None,
    **single: Any,
) -> tuple[Trial, ...]:
    """Return the trials: the network as it is and, if that does not fit, with likely remedies.

    Args:
        network: from a frontend, or loaded from a folder.
        chip: name of a chip, path of a chip file, or a chip.
        x: spikes of shape (samples, steps, *input.shape); calibrates, and with `label` gives the
            accuracy of each trial that fits.
        label: class of each sample.
        alone: whether to try only this chip and the network as it is.
        progress: called before each pass of each trial with (pass, share of the passes done).
        **single: one entry per option, from `Options`.

    Raises:
        InputError: no such chip, or the data has another shape.
    """
    if not isinstance(network, Graph):
        raise InputError(f"fit takes a network, got {type(network).__name__}; import it first")
    spikes = None if x is None else check_spikes(network, x)
    labels = None if label is None else np.asarray(label)
    inputs = _Inputs(network, collect(single).quantize.bits, spikes, labels, progress)
    target = chip if isinstance(chip, Chip) else _load_chip(chip)
    whole = Change("as it is", target)
    others = [] if alone else _list_others(inputs, target)
    first = _try(inputs.share(0, 1 + len(others)), whole)
    if first.fits or alone:
        return (first,)
    return (first, *_try_others(inputs, target, others))


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Inputs that all trials share."""

    network: Network | IntegerNetwork
    bits: int | None
    """Bits of a weight; None: what each chip has."""
    spikes: NDArray[np.uint8] | None
    labels: NDArray[np.int64] | None
    progress: PassProgress | None = None

    def share(self, number: int, count: int) -> _Inputs:
        """Return the inputs of one of several trials, which reports the share of all."""
        return replace(self, progress=share_progress(self.progress, number, count))


@dataclass(frozen=True)
class Change:
    """A change of the network or chip that may make it fit."""

    title: str
    chip: Chip
    bits: int | None = None
    """Bits of a weight, if fewer."""
    hard: bool = False
    """Whether soft resets become hard ones."""
    split: bool = False
    """Whether the sources of the largest neuron are split over two cores."""
    objective: str = "cores"
    """Objective of the partition."""


def _list_others(inputs: _Inputs, chip: Chip) -> list[Change]:
    """Return the changes to try, fewer for large networks: the network, boards, other chips."""
    large = remedies.explain_skipped(inputs.network)
    boards: list[Change] = []
    if remedies.count_neurons(inputs.network) <= remedies.HUGE:
        larger = (chip.model_copy(update={"board": board}) for board in chip.boards)
        boards = [Change(f"{c.chips} chips", c) for c in larger if c.chips > chip.chips]
    if large:
        return boards
    names = (name for name in chips.list_names() if name != chip.name)
    others = (Change("another chip", chips.load_chip(name)) for name in names)
    return [*_list_changes(inputs, chip), *boards, *others]


def _try_others(inputs: _Inputs, chip: Chip, changes: list[Change]) -> Iterator[Trial]:
    """Yield the trials; of a large network up to the first that fits."""
    large = remedies.explain_skipped(inputs.network)
    for number, change in enumerate(changes, 1):
        trial = _try(inputs.share(number, 1 + len(changes)), change)
        yield trial
        if large and trial.fits:
            break
    if large:
        yield Trial(chip.name, "not tried", None, why=large)


def _list_changes(inputs: _Inputs, chip: Chip) -> Iterator[Change]:
    """Yield the same chip with another network, or the network in other rows and slices."""
    known = chip.formats.weight_bits.values
    now = _count_bits(inputs.network, inputs.bits or number_ranges.choose_default_bits(chip))
    for fewer in (b for b in FEWER_BITS if b < now and b in known):
        yield Change(f"{fewer}-bit weights", chip, bits=fewer)
    if any(getattr(p.neuron, "reset", None) == "soft" for p in inputs.network.populations):
        yield Change("hard resets", chip, hard=True)
    if chip.rows is not None:
        for kind in chip.rows.kinds:
            rows = chip.rows.model_copy(update={"kinds": (kind,)})
            yield Change(f"all rows {kind}", chip.model_copy(update={"rows": rows}))
    if chip.encoding in ENCODINGS:
        yield Change("slices with few input axons", chip, objective="traffic")
        yield Change("slices of equal work", chip, objective="latency")
        yield Change("sources split", chip, split=True)


def _count_bits(network: Network | IntegerNetwork, bits: int) -> int:
    """Return the bits that the weights have, or will have."""
    if isinstance(network, Network):
        return bits
    return max((p.synapses.bits for p in network.projections), default=0)  # type: ignore[union-attr]


def _try(inputs: _Inputs, change: Change) -> Trial:
    chip = change.chip
    name = chip.full_name
    try:
        design = _make_design(inputs, change)
        assert isinstance(design.network, IntegerNetwork)
        mapping = Mapping(cut_network(design.network, chip, change.objective))
    except FitError as error:
        why = f"{error.where}: needs {error.need:,} {error.resource}, of {error.limit:,}"
        return Trial(name, change.title, None, why=why)
    except SnnCompileError as error:
        return Trial(name, change.title, None, why=str(error))
    return _measure(Trial(name, change.title, mapping.cores), design, mapping, inputs.labels)


def _make_design(inputs: _Inputs, change: Change) -> Design:
    """Return the design with the integer network of a trial."""
    network = inputs.network
    if isinstance(network, IntegerNetwork) and change.bits is not None:
        network = remedies.reduce_bits(network, change.bits) or network
    check_input_messages(network, change.chip)
    check_learning_chip(network, change.chip)
    passes = BEFORE_PARTITION.change("quantize", bits=change.bits or inputs.bits)
    design = passes.run(begin_design(network, change.chip, inputs.spikes), inputs.progress)
    integers = design.network
    assert isinstance(integers, IntegerNetwork)
    if change.hard:
        design = replace(design, network=remedies.harden_resets(integers) or integers)
    if change.split:
        design = RETIME.run(replace(design, network=split_largest(integers, change.chip)))
    return design


def _measure(
    trial: Trial, design: Design, mapping: Mapping, labels: NDArray[np.int64] | None
) -> Trial:
    network, chip = design.network, design.chip
    assert isinstance(network, IntegerNetwork)
    accuracy = None
    if labels is not None and design.calibration is not None:
        accuracy = network.run(design.calibration).accuracy(labels)
    chips_used = -(-mapping.cores // (chip.mesh.cores.whole or 1))
    trial = replace(trial, accuracy=accuracy, chips=chips_used)
    if chip.encoding not in ENCODINGS:
        return trial
    least = compute_lower_bound(network, chip, mapping)
    return replace(
        trial,
        at_least=least.cores,
        scarcest=least.resource,
        fullest=_find_fullest(network, chip, mapping),
        why=least.above,
    )


def _find_fullest(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> str:
    limits = resources.read_core_limits(chip)
    shares = [
        (core.used[name] / limit, resources.RESOURCES[name])
        for core in usage.measure_usage(network, chip, mapping)
        for name, limit in limits.items()
    ]
    share, name = max(shares, default=(0.0, "none"))
    return f"{name} {share:.0%}"


def _load_chip(chip: str | Path) -> Chip:
    try:
        return chips.load_chip(chip)
    except chips.ChipError as error:
        raise InputError(str(error)) from None
