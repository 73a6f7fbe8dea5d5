"""Does a network fit, on what, and at what cost? Answered by trying; nothing is emitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import FitError, InputError, SnnCompileError
from snncompile.hwmodels import load as chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network
from snncompile.ir.mapping import Mapping
from snncompile.passes import remedies, usage
from snncompile.passes.accumulate import Accumulate
from snncompile.passes.lower_bound import lower_bound
from snncompile.passes.partition import cut
from snncompile.passes.prune import Prune
from snncompile.passes.quantize import Quantize
from snncompile.passes.retime import Retime
from snncompile.passes.synapse_memory import ENCODINGS
from snncompile.reference.simulate import check_spikes

FEWER_BITS = (6, 4, 2)


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


def fit(
    network: Network | IntegerNetwork,
    *,
    chip: str | Path | Chip,
    bits: int = 8,
    x: ArrayLike | None = None,
    label: ArrayLike | None = None,
    alone: bool = False,
) -> tuple[Trial, ...]:
    """Return what was tried: the network as it is and, if that does not fit, what may help.

    Args:
        network: from a frontend, or loaded from a folder.
        chip: name of a chip, path of a chip file, or a chip.
        bits: of a weight including its sign.
        x: spikes of shape (samples, steps, *input.shape); calibrates, and with `label` gives the
            accuracy of each trial that fits.
        label: class of each sample.
        alone: whether to look at this chip as it is and nothing else.

    Raises:
        InputError: no such chip, or the data has another shape.
    """
    if not isinstance(network, Graph):
        raise InputError(f"fit takes a network, got {type(network).__name__}; import it first")
    data = None if x is None else check_spikes(network, x)
    labels = None if label is None else np.asarray(label)
    target = chip if isinstance(chip, Chip) else _loaded(chip)
    first = _tried(network, target, bits, "as it is", data, labels)
    if first.fits or alone:
        return (first,)
    return (first, *_others(network, target, bits, data, labels))


def _others(
    network: Network | IntegerNetwork,
    chip: Chip,
    bits: int,
    data: NDArray[np.uint8] | None,
    labels: NDArray[np.int64] | None,
) -> Iterator[Trial]:
    large = remedies.left_out(network)
    if not large:
        yield from _changed(network, chip, bits, data, labels)
    boards = (chip.model_copy(update={"board": board}) for board in chip.boards)
    for larger in (board for board in boards if board.chips > chip.chips):
        if remedies.neurons(network) > remedies.HUGE:
            break
        trial = _tried(network, larger, bits, f"{larger.chips} chips", data, labels)
        yield trial
        if large and trial.fits:
            break
    if large:
        yield Trial(chip.name, "not tried", None, why=large)
        return
    for name in (name for name in chips.names() if name != chip.name):
        yield _tried(network, chips.load(name), bits, "another chip", data, labels)


def _changed(
    network: Network | IntegerNetwork,
    chip: Chip,
    bits: int,
    data: NDArray[np.uint8] | None,
    labels: NDArray[np.int64] | None,
) -> Iterator[Trial]:
    """Try the same chip with another network, or the network in other slices."""
    known = chip.formats.weight_bits.values
    for fewer in (b for b in FEWER_BITS if b < _bits(network, bits) and b in known):
        yield _tried(network, chip, fewer, f"{fewer}-bit weights", data, labels)
    if chip.encoding in ENCODINGS:
        yield Trial(chip.name, "other encodings and slices", None, why=remedies.TAKEN)
    if any(getattr(p.neuron, "reset", None) == "soft" for p in network.populations):
        yield _tried(network, chip, bits, "hard resets", data, labels, hard=True)


def _bits(network: Network | IntegerNetwork, bits: int) -> int:
    """Return the bits that the weights have, or will have."""
    if isinstance(network, Network):
        return bits
    return max((p.synapses.bits for p in network.projections), default=0)  # type: ignore[union-attr]


def _tried(
    network: Network | IntegerNetwork,
    chip: Chip,
    bits: int,
    what: str,
    data: NDArray[np.uint8] | None,
    labels: NDArray[np.int64] | None,
    *,
    hard: bool = False,
) -> Trial:
    name = chip.name if chip.board is None else f"{chip.name}:{chip.board}"
    try:
        if isinstance(network, IntegerNetwork) and what.endswith("-bit weights"):
            network = remedies.with_bits(network, bits) or network
        design = _integer(Design(network, chip, data), bits)
        assert isinstance(design.network, IntegerNetwork)
        if hard:
            hardened = remedies.with_hard_resets(design.network)
            design = replace(design, network=hardened or design.network)
        assert isinstance(design.network, IntegerNetwork)
        mapping = Mapping(cut(design.network, chip))
    except FitError as error:
        why = f"{error.where}: needs {error.need:,} {error.resource}, of {error.limit:,}"
        return Trial(name, what, None, why=why)
    except SnnCompileError as error:
        return Trial(name, what, None, why=str(error))
    return _measured(Trial(name, what, mapping.cores), design, mapping, labels)


def _integer(design: Design, bits: int) -> Design:
    for a_pass in (Retime(), Quantize(bits=bits), Prune(), Accumulate()):
        design = a_pass(design)
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
    limits = usage.limits(chip)
    shares = [
        (found.used[name] / most, usage.RESOURCES[name])
        for found in usage.usage(network, chip, mapping)
        for name, most in limits.items()
    ]
    share, name = max(shares, default=(0.0, "none"))
    return f"{name} {share:.0%}"


def _loaded(chip: str | Path) -> Chip:
    try:
        return chips.load(chip)
    except chips.ChipError as error:
        raise InputError(str(error)) from None
