"""Give each neuron or channel a scale of its own, so that its weights use all their bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2

import numpy as np

from snncompile.arrays import Bools, Floats, Ints
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.passes.analysis.number_ranges import find_end
from snncompile.passes.quantize.best_rounding import choose_best
from snncompile.passes.quantize.grouped_input import GroupedInput, read_input
from snncompile.passes.quantize.profiles import choose_mantissas
from snncompile.passes.quantize.rounding import FEW_BITS
from snncompile.passes.quantize.scale_limits import FINE, UNIT, ScaleLimits, find_limits
from snncompile.reference.runner import SpikeTrains
from snncompile.synapses.weight_formats import weight_step

SHARES = np.linspace(1.0, 0.75, 26)
"""Shares of the largest scale tried for few bits: a scale in which single weights round well is
worth more than the last bit."""
CUTS = np.linspace(1.02, 2.0, 50)
"""Larger scales tried for few bits: to cut the largest weight may be worth finer steps for all."""
COARSE = 64
"""Smallest threshold mantissa that a proof is worth: below, decays and biases round by more than
1/4,096 of the threshold."""
SLACK = 0.75
"""Share of the largest scale that is as good as all: it costs less than half a bit."""
MAJORITY = 0.75
"""Share of the groups that an exponent suits; it is shared by all, and the others bear the loss."""
FREE = 2.0**1000
"""Scale that stands for no limit: weights of 0 have any scale."""
ANY_EXPONENT = 99
"""Exponent that stands for no limit."""


@dataclass(frozen=True, eq=False)
class GroupScales:
    """Scale of each neuron, and the exponent of each projection."""

    scale: Floats
    """(n,); integer potential per float potential."""
    exponents: tuple[int, ...]


def choose_scales(
    network: Network,
    population: Population,
    chip: Chip,
    groups: Ints,
    bits: tuple[int, ...],
    steps: int | None,
    spike_trains: SpikeTrains | None,
) -> GroupScales:
    """Return a scale for each neuron, the same for a whole group.

    Each group's scale puts its largest weight at the end of its range and its threshold on a whole
    mantissa. It depends on the group alone, but for the exponents of the projections, which go
    with the majority, and for the mantissas of a chip with few threshold profiles.

    Args:
        network: the float network.
        population: one of its populations, of neurons with a threshold.
        chip: gives the ranges of the integers, and the number of threshold profiles.
        groups: group of each neuron, shape (n,); see `group_neurons`.
        bits: of each projection's weights.
        steps: time steps of one sample, for the bounds; None for any number.
        spike_trains: outputs of the float network on the calibration data.
    """
    count = int(groups.max(initial=-1)) + 1
    into = network.into(population.name)
    inputs = [
        read_input(network, p, groups, count, b, spike_trains)
        for p, b in zip(into, bits, strict=True)
    ]
    limits = find_limits(network, population, chip, groups, inputs, steps)
    if not inputs:
        return _settle(limits.hard, (), groups)
    # The projection with most synapses per neuron decides: the bits of many weights matter most.
    main = int(np.argmax([p.synapses.wiring.synapses for p in into]))
    peaks = np.where(inputs[main].peaks > 0, inputs[main].peaks, _find_largest_peaks(inputs))
    full = inputs[main].top / np.where(peaks > 0, peaks, np.inf)
    full = np.where(full > 0, full, FREE)
    voters = _list_voters(population, groups, peaks, spike_trains)
    exponent = _choose_main_exponent(full, limits, voters, chip, _find_whole_exponent(bits))
    scale = np.minimum(full * 2.0**exponent, limits.hard)
    noise = [
        p.synapses.wiring.synapses * weight_step(b) ** 2 for p, b in zip(into, bits, strict=True)
    ]
    exponents = tuple(
        exponent
        if i == main
        else _choose_other_exponent(
            p, scale, voters, exponent, chip, noise_ratio=noise[i] / max(noise[main], 1)
        )
        for i, p in enumerate(inputs)
    )
    for p, e in zip(inputs, exponents, strict=True):
        scale = np.minimum(scale, p.top * 2.0**e / np.where(p.peaks > 0, p.peaks, 1 / FREE))
    profiles = chip.core.threshold_profiles.whole
    if profiles is not None and profiles < count:
        unit = limits.threshold / UNIT
        scale = choose_mantissas(scale, limits.hard, unit, bits[main], profiles)
    else:
        steps_kept = find_end(bits[main]) * scale / (full * 2.0**exponent)
        cuts = _list_cuts(bits[main], calibrated=spike_trains is not None)
        scale = choose_best(inputs, exponents, scale, steps_kept, limits, cuts)
    return _settle(scale, exponents, groups)


def _settle(scale: Floats, exponents: tuple[int, ...], groups: Ints) -> GroupScales:
    """Return the scales per neuron; a group that has no number at all gets 1."""
    return GroupScales(np.where(scale < FREE, scale, 1.0)[groups], exponents)


def _list_cuts(bits: int, *, calibrated: bool) -> Floats:
    """Return multiples of the largest scale to try besides those that keep weights whole."""
    if bits > FEW_BITS:
        return SHARES[:0]
    return np.concatenate([SHARES, CUTS]) if calibrated else SHARES


def _find_largest_peaks(inputs: list[GroupedInput]) -> Floats:
    return np.asarray(np.max([i.peaks for i in inputs], axis=0))


def _list_voters(
    population: Population, groups: Ints, peaks: Floats, spike_trains: SpikeTrains | None
) -> Bools:
    """Return the groups whose numbers decide on exponents: those with weights that ever fire."""
    voters: Bools = peaks > 0
    if spike_trains is not None:
        fired = (spike_trains[population.name] != 0).any(dim=1).any(dim=0).numpy()
        firing = np.bincount(groups, weights=fired, minlength=len(peaks)) > 0
        if (voters & firing).any():
            voters &= firing
    return voters


def _find_whole_exponent(bits: tuple[int, ...]) -> int:
    """Return the smallest exponent with which all sums of weights of these bits are whole.

    With a smaller one each time step cuts off half a unit on the average, a bias that phase codes
    double in every step: with exponents of -3, a quarter of the numbers that layers of ResNet-20
    sent were too small by 1.
    """
    return max((1 - weight_step(b).bit_length() for b in bits), default=0)


def _choose_main_exponent(
    full: Floats, limits: ScaleLimits, voters: Bools, chip: Chip, whole: int
) -> int:
    """Return the smallest exponent with fine thresholds, or the largest that costs no weight bits.

    Lower still where that proves the potentials, leaves thresholds that are not coarse and sums
    that are whole, which they are from the exponent `whole` on.
    """
    lowest, highest = chip.formats.weight_exponent_lowest, chip.formats.weight_exponent_highest
    if not voters.any():
        return min(max(0, lowest), highest)
    full, threshold = full[voters], limits.threshold[voters]
    free = _find_suited(limits.hard[voters] / full / SLACK)
    mantissa = np.log2(threshold * full / UNIT)
    fine, coarse = (ceil(_find_majority(log2(m) - mantissa) - 1e-9) for m in (FINE, COARSE))
    wanted = max(fine, min(0, highest))
    proved = _find_suited(limits.proved[voters] / full)
    if max(coarse, whole) <= proved < wanted:
        wanted = proved
    return int(min(max(min(wanted, free), lowest), highest))


def _find_suited(room: Floats) -> int:
    """Return the largest exponent that suits the majority.

    Args:
        room: largest scale of each group over its scale at exponent 0; 0: none suits.
    """
    with np.errstate(divide="ignore"):
        least = _find_majority(-np.log2(room))
    return floor(-least + 1e-9) if np.isfinite(least) else -int(np.sign(least)) * ANY_EXPONENT


def _find_majority(needs: Floats) -> float:
    """Return the number that is enough for the majority of needs."""
    return float(np.sort(needs)[ceil(len(needs) * MAJORITY) - 1])


def _choose_other_exponent(
    projection: GroupedInput,
    scale: Floats,
    voters: Bools,
    main: int,
    chip: Chip,
    *,
    noise_ratio: float,
) -> int:
    """Return the smallest exponent that holds the weights of the majority, or one less.

    One less cuts the scale of those whose weights it does not hold, which costs all their weights
    a part of a bit; where they are hardly larger than the main ones, it is worth a bit of these.

    Args:
        projection: any but the main one.
        scale: of each group, with which the main weights fit.
        voters: groups that decide.
        main: exponent of the main projection.
        chip: gives the range of exponents.
        noise_ratio: square of the rounding error over that of the main projection, at one exponent.
    """
    lowest, highest = chip.formats.weight_exponent_lowest, chip.formats.weight_exponent_highest
    heard = voters & (projection.peaks > 0)
    if not heard.any():
        return main
    need = np.log2(projection.peaks[heard] * scale[heard] / projection.top)
    smallest = max(min(0, main), lowest)
    wanted = int(min(max(ceil(_find_majority(need) - 1e-9), smallest), highest))
    lower = wanted - 1
    lost = np.maximum(need - lower, 0.0) - np.maximum(need - wanted, 0.0)
    noise = (1 + noise_ratio * 4.0 ** (e - main) for e in (wanted, lower))
    won = (log2(next(noise)) - log2(next(noise))) / 2
    return lower if lower >= smallest and lost.mean() < won - 1e-9 else wanted
