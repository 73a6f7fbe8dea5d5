"""Does a network fit, on what, and at what cost? Answered by trying; nothing is emitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.cores import resources, usage
from snncompile.cores.lower_bound import lower_bound
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
from snncompile.passes.partition.partition import cut
from snncompile.passes.pipeline import PassProgress, Pipeline
from snncompile.passes.split_fan_in.split_fan_in import split_largest
from snncompile.reference.simulate import check_spikes

FEWER_BITS = (6, 4, 2)
BEFORE_PARTITION = Pipeline.default(Options()).until("partition")
"""What a network goes through before it is cut."""
RETIME = Pipeline.parse("retime")


@dataclass(frozen=True)
class Trial:
    """One way to put the network on a chip."""

    chip: str
    what: str
    """`as it is`, or what was changed."""
    cores: int | None
    """None: it does not fit."""
    chips: int | None = None
    at_least: int | None = None
    """Cores that the scarcest resource alone takes."""
    scarcest: str = ""
    fullest: str = ""
    """Resource that is nearest to its end on a core, with its share."""
    why: str = ""
    """Why it does not fit, or what keeps the cores above the lower bound."""
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
    """Return what was tried: the network as it is and, if that does not fit, what may help.

    Args:
        network: from a frontend, or loaded from a folder.
        chip: name of a chip, path of a chip file, or a chip.
        x: spikes of shape (samples, steps, *input.shape); calibrates, and with `label` gives the
            accuracy of each trial that fits.
        label: class of each sample.
        alone: whether to look at this chip as it is and nothing else.
        progress: called before each pass of each trial with (pass, share of them that are done).
        **single: one entry per option, from `Options`.

    Raises:
        InputError: no such chip, or the data has another shape.
    """
    if not isinstance(network, Graph):
        raise InputError(f"fit takes a network, got {type(network).__name__}; import it first")
    data = None if x is None else check_spikes(network, x)
    labels = None if label is None else np.asarray(label)
    given = _Given(network, collect(single).quantize.bits, data, labels, progress)
    target = chip if isinstance(chip, Chip) else _loaded(chip)
    first = _tried(given, Way("as it is", target))
    if first.fits or alone:
        return (first,)
    return (first, *_others(given, target))


@dataclass(frozen=True, eq=False)
class _Given:
    """What does not change from trial to trial."""

    network: Network | IntegerNetwork
    bits: int
    data: NDArray[np.uint8] | None
    labels: NDArray[np.int64] | None
    progress: PassProgress | None = None


@dataclass(frozen=True)
class Way:
    """What is done to a network so that it may fit, and with which chip."""

    what: str
    chip: Chip
    bits: int | None = None
    """Of a weight, where they are fewer."""
    hard: bool = False
    """Whether soft resets become hard ones."""
    split: bool = False
    """Whether the sources of the largest neuron are split over two cores."""
    objective: str = "cores"
    """Of the cut."""


def _others(given: _Given, chip: Chip) -> Iterator[Trial]:
    large = remedies.explain_skipped(given.network)
    if not large:
        yield from (_tried(given, way) for way in _changed(given, chip))
    boards = (chip.model_copy(update={"board": board}) for board in chip.boards)
    for larger in (board for board in boards if board.chips > chip.chips):
        if remedies.count_neurons(given.network) > remedies.HUGE:
            break
        trial = _tried(given, Way(f"{larger.chips} chips", larger))
        yield trial
        if large and trial.fits:
            break
    if large:
        yield Trial(chip.name, "not tried", None, why=large)
        return
    for name in (name for name in chips.list_names() if name != chip.name):
        yield _tried(given, Way("another chip", chips.load_chip(name)))


def _changed(given: _Given, chip: Chip) -> Iterator[Way]:
    """Yield the same chip with another network, or the network in other rows and slices."""
    known = chip.formats.weight_bits.values
    for fewer in (b for b in FEWER_BITS if b < _bits(given.network, given.bits) and b in known):
        yield Way(f"{fewer}-bit weights", chip, bits=fewer)
    if any(getattr(p.neuron, "reset", None) == "soft" for p in given.network.populations):
        yield Way("hard resets", chip, hard=True)
    if chip.rows is not None:
        for kind in chip.rows.kinds:
            rows = chip.rows.model_copy(update={"kinds": (kind,)})
            yield Way(f"all rows {kind}", chip.model_copy(update={"rows": rows}))
    if chip.encoding in ENCODINGS:
        yield Way("slices that hear few", chip, objective="traffic")
        yield Way("slices of equal work", chip, objective="latency")
        yield Way("sources split", chip, split=True)


def _bits(network: Network | IntegerNetwork, bits: int) -> int:
    """Return the bits that the weights have, or will have."""
    if isinstance(network, Network):
        return bits
    return max((p.synapses.bits for p in network.projections), default=0)  # type: ignore[union-attr]


def _tried(given: _Given, way: Way) -> Trial:
    chip = way.chip
    name = chip.name if chip.board is None else f"{chip.name}:{chip.board}"
    try:
        design = _made(given, way)
        assert isinstance(design.network, IntegerNetwork)
        mapping = Mapping(cut(design.network, chip, way.objective))
    except FitError as error:
        why = f"{error.where}: needs {error.need:,} {error.resource}, of {error.limit:,}"
        return Trial(name, way.what, None, why=why)
    except SnnCompileError as error:
        return Trial(name, way.what, None, why=str(error))
    return _measured(Trial(name, way.what, mapping.cores), design, mapping, given.labels)


def _made(given: _Given, way: Way) -> Design:
    """Return the integer network that a trial is about."""
    network, bits = given.network, way.bits or given.bits
    if isinstance(network, IntegerNetwork) and way.bits is not None:
        network = remedies.reduce_bits(network, bits) or network
    passes = BEFORE_PARTITION.change("quantize", bits=bits)
    design = passes.run(Design(network, way.chip, given.data), given.progress)
    made = design.network
    assert isinstance(made, IntegerNetwork)
    if way.hard:
        design = replace(design, network=remedies.harden_resets(made) or made)
    if way.split:
        design = RETIME.run(replace(design, network=split_largest(made, way.chip)))
    return design


def _measured(
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
    least = lower_bound(network, chip, mapping)
    return replace(
        trial,
        at_least=least.cores,
        scarcest=least.resource,
        fullest=_fullest(network, chip, mapping),
        why=least.above,
    )


def _fullest(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> str:
    limits = resources.limits(chip)
    shares = [
        (found.used[name] / most, resources.RESOURCES[name])
        for found in usage.usage(network, chip, mapping)
        for name, most in limits.items()
    ]
    share, name = max(shares, default=(0.0, "none"))
    return f"{name} {share:.0%}"


def _loaded(chip: str | Path) -> Chip:
    try:
        return chips.load_chip(chip)
    except chips.ChipError as error:
        raise InputError(str(error)) from None
