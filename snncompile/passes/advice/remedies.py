"""When a network does not fit: try what a user could change, and say what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import FitError, QuantizeError, SnnCompileError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.analysis import number_ranges as formats
from snncompile.passes.split_fan_in.split_fan_in import accumulated
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.weight_formats import weight_step

Cut = Callable[[IntegerNetwork, Chip], tuple[Slice, ...]]
OTHER_BITS = (6, 5, 4, 3, 2)
LARGE, HUGE = 50_000, 1_000_000
"""Neurons above which only boards are tried, and above which nothing is: it would take minutes."""
TAKEN = (
    "every slice has its cheapest encoding already, and of slices that fill cores and slices that"
    " listen to few neurons those that take fewer cores"
)
NOTHING = f"neither fewer weight bits nor more chips nor another chip we know would do; {TAKEN}"


def explained(error: FitError, network: IntegerNetwork, chip: Chip, cut: Cut) -> FitError:
    """Return the error with what was tried and fits as its hint."""
    large = left_out(network)
    fits = [] if neurons(network) > HUGE else [*_more_chips(network, chip, cut)]
    if not large:
        fits = [
            *_fewer_bits(network, chip, cut),
            *_hard_reset(network, chip, cut),
            *fits,
            *_other_chips(network, chip, cut),
        ]
    tried = "; ".join((*fits, large) if large else fits) or NOTHING
    return error.add_hint(tried)


def neurons(network: Graph) -> int:
    """Return how many neurons a network has."""
    return sum(p.size for p in network.populations)


def left_out(network: Graph) -> str:
    """Return what is not tried because the network is large; empty if all is."""
    count = neurons(network)
    if count > HUGE:
        return f"with {count:,} neurons nothing else was tried, to answer soon"
    if count > LARGE:
        return f"with {count:,} neurons only boards were tried, to answer soon"
    return ""


def _fewer_bits(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the most weight bits, below those there are, with which the network fits."""
    for bits in OTHER_BITS:
        fewer = with_bits(network, bits)
        if fewer and bits in chip.formats.weight_bits.values:
            cores = _cores(fewer, chip, cut)
            if cores:
                yield f"with {bits}-bit weights it takes {_counted(cores)}"
                return


def _hard_reset(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield what hard resets take, where soft ones cost the chip more."""
    hard = with_hard_resets(network)
    cores = _cores(hard, chip, cut) if hard else None
    if cores:
        yield f"with hard resets it takes {_counted(cores)}"


def _more_chips(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the smallest board of the chip on which the network fits."""
    for board in sorted(chip.boards, key=lambda name: chip.boards[name].chips.whole or 0):
        larger = chip.model_copy(update={"board": board})
        cores = _cores(network, larger, cut) if larger.chips > chip.chips else None
        if cores:
            yield f"on {chip.name}:{board} ({larger.chips} chips) it takes {_counted(cores)}"
            return


def with_hard_resets(network: IntegerNetwork) -> IntegerNetwork | None:
    """Return the network with hard resets in place of soft ones; None if it has no soft ones."""
    if not any(getattr(p.neuron, "reset", None) == "soft" for p in network.populations):
        return None
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset="hard"))  # type: ignore[call-arg]
        if getattr(p.neuron, "reset", None) == "soft"
        else p
        for p in network.populations
    )
    return replace(network, populations=populations)


def _counted(cores: int) -> str:
    return f"{cores} core{'s' * (cores > 1)}"


def _other_chips(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the chips with a memory of words on which the network fits."""
    for name in chips.list_names():
        if name != chip.name:
            other = chips.load_chip(name)
            tried = other.encoding in ENCODINGS and _has_formats(other, network)
            cores = _cores(network, other, cut) if tried else None
            if cores:
                yield f"on {name} it takes {_counted(cores)}"


def _has_formats(chip: Chip, network: IntegerNetwork) -> bool:
    try:
        formats.check(network, chip)
    except QuantizeError:
        return False
    return True


def with_bits(network: IntegerNetwork, bits: int) -> IntegerNetwork | None:
    """Return the network with rounded weights of fewer bits; None if it has no more already."""
    if all(p.synapses.bits <= bits for p in network.projections):  # type: ignore[union-attr]
        return None
    projections = []
    for p in network.projections:
        assert isinstance(p.synapses, IntegerSynapses)
        fewer = _rounded(p.synapses, bits) if p.synapses.bits > bits else p.synapses
        projections.append(replace(p, synapses=fewer))
    return replace(network, projections=tuple(projections))


def _rounded(synapses: IntegerSynapses, bits: int) -> IntegerSynapses:
    step, top = weight_step(bits), formats.top(bits)
    weight = np.clip(np.rint(synapses.weight / step) * step, -top - step, top)
    return replace(synapses, weight=weight.astype(synapses.weight.dtype), bits=bits)


def _cores(network: IntegerNetwork, chip: Chip, cut: Cut) -> int | None:
    """Return the number of cores the network takes on a chip; None if it does not fit."""
    try:
        return Mapping(cut(accumulated(network, chip), chip)).cores
    except SnnCompileError:
        return None
