"""Try changes to a network that does not fit, and report the ones that help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import FitError, QuantizeError, SnnCompileError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.advice.input_messages import can_show
from snncompile.passes.analysis import number_ranges
from snncompile.passes.equal_neurons import use_equal_neurons
from snncompile.passes.split_fan_in.split_fan_in import add_sum_relays
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale
from snncompile.synapses.weight_formats import weight_step

Cut = Callable[[IntegerNetwork, Chip], tuple[Slice, ...]]
OTHER_BITS = (6, 5, 4, 3, 2)
LARGE, HUGE = 50_000, 1_000_000
"""Neurons above which only boards are tried, and above which nothing is, as it takes minutes."""
NOTHING = (
    "neither fewer weight bits nor more chips nor another known chip would do, and encodings and"
    " slices are the cheapest already"
)


def add_remedies(error: FitError, network: IntegerNetwork, chip: Chip, cut: Cut) -> FitError:
    """Return the error with a hint: the changes that were tried and fit."""
    large = explain_skipped(network)
    fits = [] if count_neurons(network) > HUGE else [*_try_more_chips(network, chip, cut)]
    if not large:
        fits = [
            *_try_fewer_bits(network, chip, cut),
            *_try_population_scales(network, chip, cut),
            *_try_hard_resets(network, chip, cut),
            *fits,
            *_try_other_chips(network, chip, cut),
        ]
    tried = "; ".join((*fits, large) if large else fits) or NOTHING
    return error.add_hint(tried)


def count_neurons(network: Graph) -> int:
    """Return the number of neurons of a network."""
    return sum(p.size for p in network.populations)


def explain_skipped(network: Graph) -> str:
    """Return a note on remedies skipped because the network is large; empty if none is."""
    count = count_neurons(network)
    if count > HUGE:
        return f"with {count:,} neurons nothing else was tried, to answer soon"
    if count > LARGE:
        return f"with {count:,} neurons only boards were tried, to answer soon"
    return ""


def _try_fewer_bits(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the largest smaller number of weight bits with which the network fits."""
    for bits in OTHER_BITS:
        fewer = reduce_bits(network, bits)
        if fewer and bits in chip.formats.weight_bits.values:
            cores = _count_cores(fewer, chip, cut)
            if cores:
                yield f"with {bits}-bit weights it takes {_format_cores(cores)}"
                return


def _try_population_scales(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the cores that one scale per population takes on a crossbar.

    There a source takes an axon for each bit of its weights; with a scale of its own a neuron of
    small weights has as many bits as the others.
    """
    level = level_scales(network) if chip.crossbar is not None else None
    cores = _count_cores(level, chip, cut) if level else None
    if cores:
        yield f"with scales=population it takes about {_format_cores(cores)}"


def level_scales(network: IntegerNetwork) -> IntegerNetwork | None:
    """Return the network with the weights that one scale per population would give, about.

    Thresholds of a population are taken to differ by their scales alone: all become the lowest, and
    weights shrink with them. None if no population has several.
    """
    lowest: dict[str, NDArray[np.float64]] = {}
    populations = []
    for p in network.populations:
        threshold = np.asarray(getattr(p.neuron, "threshold", 0))
        if threshold.ndim and (threshold != threshold[0]).any():
            lowest[p.name] = threshold.min() / threshold
            p = replace(p, neuron=replace(p.neuron, threshold=threshold.min()))  # type: ignore[call-arg]
        populations.append(p)
    if not lowest:
        return None
    projections = tuple(
        replace(p, synapses=_shrink(p.synapses, lowest[p.target])) if p.target in lowest else p
        for p in network.projections
    )
    return replace(network, populations=tuple(populations), projections=projections)


def _shrink(synapses: Any, share: NDArray[np.float64]) -> IntegerSynapses:
    """Return the synapses with the weights of each target times its share, rounded."""
    floats = Synapses(synapses.wiring, synapses.weight.astype(np.float64))
    scaled = compose(Synapses(Scale(len(share), per_neuron=True), share), floats)
    step = weight_step(synapses.bits)
    weight = (np.rint(scaled.weight / step) * step).astype(synapses.weight.dtype)
    shrunk: IntegerSynapses = replace(synapses, wiring=scaled.wiring, weight=weight)
    return shrunk


def _try_hard_resets(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the cores that hard resets take, where soft ones cost the chip more."""
    hard = harden_resets(network)
    cores = _count_cores(hard, chip, cut) if hard else None
    if cores:
        yield f"with hard resets it takes {_format_cores(cores)}"


def _try_more_chips(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the smallest board of the chip on which the network fits."""
    for board in sorted(chip.boards, key=lambda name: chip.boards[name].chips.whole or 0):
        larger = chip.model_copy(update={"board": board})
        cores = _count_cores(network, larger, cut) if larger.chips > chip.chips else None
        if cores:
            yield f"on {chip.name}:{board} ({larger.chips} chips) it takes {_format_cores(cores)}"
            return


def harden_resets(network: IntegerNetwork) -> IntegerNetwork | None:
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


def _format_cores(cores: int) -> str:
    return f"{cores} core{'s' * (cores > 1)}"


def _try_other_chips(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the chips with a memory of words on which the network fits."""
    for name in chips.list_names():
        if name != chip.name:
            other = chips.load_chip(name)
            tried = other.encoding in ENCODINGS and _has_formats(other, network)
            tried = tried and can_show(other, network)
            cores = _count_cores(share_thresholds(network, other), other, cut) if tried else None
            if cores:
                yield f"on {name} it takes {_format_cores(cores)}"


def _has_formats(chip: Chip, network: IntegerNetwork) -> bool:
    try:
        number_ranges.check_ranges(network, chip)
    except QuantizeError:
        return False
    return True


def share_thresholds(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with as many thresholds per population as a core of the chip has profiles.

    Quantize for that chip groups neurons so; here only their number counts, not the thresholds.
    """
    profiles = chip.core.threshold_profiles.whole
    if profiles is None:
        return network
    populations = []
    for p in network.populations:
        each = np.unique(getattr(p.neuron, "threshold", 0))
        if len(each) > profiles:
            group = np.searchsorted(each, p.neuron.threshold) * profiles // len(each)  # type: ignore[attr-defined]
            first = each[-(-np.arange(profiles) * len(each) // profiles)]
            p = replace(p, neuron=replace(p.neuron, threshold=first[group]))  # type: ignore[call-arg]
        populations.append(p)
    return replace(network, populations=tuple(populations))


def reduce_bits(network: IntegerNetwork, bits: int) -> IntegerNetwork | None:
    """Return the network with weights rounded to fewer bits; None if they have no more already."""
    if all(p.synapses.bits <= bits for p in network.projections):  # type: ignore[union-attr]
        return None
    projections = []
    for p in network.projections:
        assert isinstance(p.synapses, IntegerSynapses)
        fewer = _round_weights(p.synapses, bits) if p.synapses.bits > bits else p.synapses
        projections.append(replace(p, synapses=fewer))
    return replace(network, projections=tuple(projections))


def _round_weights(synapses: IntegerSynapses, bits: int) -> IntegerSynapses:
    step, top = weight_step(bits), number_ranges.find_top(bits)
    weight = np.clip(np.rint(synapses.weight / step) * step, -top - step, top)
    return replace(synapses, weight=weight.astype(synapses.weight.dtype), bits=bits)


def _count_cores(network: IntegerNetwork, chip: Chip, cut: Cut) -> int | None:
    """Return the number of cores the network takes on a chip; None if it does not fit."""
    try:
        equal = use_equal_neurons(network, chip)
        return Mapping(cut(add_sum_relays(equal, chip), chip)).cores
    except SnnCompileError:
        return None
