"""Scales of graded neurons: any weights, because the factor of the neuron makes up for the scale.

A graded neuron sends whole numbers, so its scale is not that of its messages. Each channel has the
largest scale with which its weights fit and its sum provably stays within the width of a potential:

    w = rint(weight * scale)        8 bits, the exponent loses no bit of w * x
    b = rint(bias * scale)
    output = clamp(((sum of w * x) + b) * m + 2^(n - 1)) >> n        m / 2^n = factor / scale
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import LARGEST_SHIFT, Graded
from snncompile.passes.analysis.bounds import (
    add_arriving,
    collect_arriving,
    collect_sums,
    find_message_sum,
)
from snncompile.passes.analysis.number_ranges import USUAL_BITS, find_end
from snncompile.passes.quantize.best_rounding import measure_rounding
from snncompile.passes.quantize.choice import Choice
from snncompile.passes.quantize.errors import report_errors
from snncompile.passes.quantize.group_scales import CUTS, SHARES
from snncompile.passes.quantize.grouped_input import GroupedInput, choose_bits, read_input
from snncompile.passes.quantize.joint_exponents import (
    ROUNDING,
    choose_exponents,
    divide,
    find_exact_powers,
    round_to_steps,
)
from snncompile.passes.quantize.rounding import FEW_BITS, measure_shift, round_weights
from snncompile.passes.quantize.weight_rows import group_neurons
from snncompile.reference.runner import SpikeTrains

FACTOR_BITS = 15
"""Bits of the multiplier of a factor; see `neurons.graded.round_factor`."""
TRIES = 8
"""Most scales tried until the sums of rounded weights provably fit."""
SAFETY = 0.999
"""Share of a width that the next scale may use; its square after that, and so on."""
TRIED = np.concatenate([[1.0], SHARES, CUTS])
"""Multiples of the largest scale tried for few bits."""


def has_free_scale(network: Network, population: Population) -> bool:
    """Whether a population sends whole numbers and has weights that are none, or large.

    Small whole weights, as those of rectifiers of whole numbers, have the scale 1.
    """
    neuron = population.neuron
    if not isinstance(neuron, Graded) or neuron.sends_currents:
        return False
    if neuron.values:
        return True
    weights = [np.asarray(p.synapses.weight, np.float64) for p in network.into(population.name)]
    whole = are_small_and_whole(weights) and are_whole(neuron.bias)
    return not whole or bool((neuron.factor != 1).any())


def are_small_and_whole(weights: Sequence[Floats]) -> bool:
    """Whether weights are whole numbers that 8 bits hold."""
    small = all(np.abs(w).max(initial=0.0) <= find_end(USUAL_BITS) for w in weights)
    return small and all(map(are_whole, weights))


def are_whole(numbers: Floats) -> bool:
    """Whether numbers are whole, but for the rounding of floats."""
    return bool((np.abs(numbers - np.rint(numbers)) < ROUNDING).all())


def quantize_graded(
    network: Network,
    population: Population,
    chip: Chip,
    bits: int,
    spike_trains: SpikeTrains | None,
) -> Choice:
    """Return a graded population and its projections as integers.

    Args:
        network: the float network.
        population: one of its populations; see `has_free_scale`.
        chip: gives the ranges of the integers.
        bits: of a weight.
        spike_trains: outputs of the float network on the calibration data.

    Raises:
        QuantizeError: no scale keeps its sums within the width of a potential.
    """
    groups = group_neurons(network, population)
    each = choose_bits(network, population, chip, bits)
    count = int(groups.max(initial=-1)) + 1
    into = network.into(population.name)
    neuron = population.neuron
    assert isinstance(neuron, Graded)
    # Changes are no values, so they do not tell which weights matter.
    arrived = None if neuron.adds_up else spike_trains
    inputs = [
        _read_sums(network, population, read_input(network, p, groups, count, b, arrived), p.source)
        for p, b in zip(into, each, strict=True)
    ]
    room, largest = np.ones(count), np.full(count, np.inf)
    # The factor, m / 2^31 at least, needs m of 15 bits.
    cap = neuron.factor * neuron.message_unit * 2.0 ** (LARGEST_SHIFT - FACTOR_BITS)
    np.minimum.at(largest, groups, np.broadcast_to(cap, groups.shape))
    for tried in range(TRIES):
        scale, exponents = choose_scales(
            population, neuron.bias, largest, chip, groups, inputs, room, cut=arrived is not None
        )
        projections = tuple(
            replace(p, synapses=round_weights(p, scale[groups] / i.unit, e, b, arrived))
            for p, i, e, b in zip(into, inputs, exponents, each, strict=True)
        )
        corrected = _correct_bias(network, population, projections, scale, groups, spike_trains)
        floats = corrected.neuron
        assert isinstance(floats, Graded)
        integer = floats.quantize(_simplify(scale[groups]), chip.formats)
        integers = replace(population, neuron=integer), projections
        excess = _measure_excess(network, integers, groups, count)
        if (excess <= 1).all():
            report = report_errors(network, corrected, integers, scale[groups], spike_trains)
            return Choice(*integers, report, scale[groups])
        room = shrink_room(room, excess, tried)
    raise QuantizeError(
        f"population {population.name}: its sums need more than 24 bits at any scale; give it fewer"
        " or smaller weights, or messages of fewer bits"
    )


def shrink_room(room: Floats, excess: Floats, tried: int) -> Floats:
    """Return the share of a width for the next scale of each group: less where its sum is too wide.

    Equal weights, as of a pool, round up together until the scale is so small that all round down.
    A sum that is hardly too wide says nothing about how small that is, so steps grow.

    Args:
        room: the share so far.
        excess: largest sum of each group over the width.
        tried: number of scales tried before.
    """
    return np.where(excess > 1, room / np.maximum(excess, 1.0) * SAFETY ** (2**tried), room)


def _read_sums(
    network: Network, population: Population, read: GroupedInput, source: str
) -> GroupedInput:
    """Return a projection with the bounds of all messages together, where they are added up."""
    sums = find_message_sum(network, source) if population.neuron.adds_up else None
    return read if sums is None else replace(read, payload=sums)


def _correct_bias(
    network: Network,
    population: Population,
    projections: tuple[Projection, ...],
    scale: Floats,
    groups: Ints,
    spike_trains: SpikeTrains | None,
) -> Population:
    """Return the float population with a bias that makes up for the mean error of the weights."""
    if spike_trains is None or not projections:
        return population
    if population.neuron.adds_up:
        sources = {p.source for p in projections}
        spike_trains = {s: spike_trains[s].double().cumsum(dim=1) for s in sources}
    shift = measure_shift(network, population, projections, scale[groups], groups, spike_trains)
    neuron = population.neuron
    assert isinstance(neuron, Graded)
    return replace(population, neuron=replace(neuron, bias=neuron.bias - shift))


def _measure_excess(
    network: Network, integers: tuple[Population, tuple[Projection, ...]], groups: Ints, count: int
) -> Floats:
    """Return the largest sum of each group over the width of a potential."""
    population, projections = integers
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    sums = collect_sums(network, population.name, projections)
    arriving = sums or collect_arriving(network, population.name, projections)
    reached, *_ = neuron.bounds(add_arriving(population, arriving), 1).values()
    excess = np.zeros(count)
    largest = np.maximum(-np.asarray(reached.low), reached.high) / (STATE_LIMIT - 1)
    np.maximum.at(excess, groups, np.broadcast_to(largest, groups.shape))
    return excess


def choose_scales(
    population: Population,
    bias: Floats,
    largest: Floats,
    chip: Chip,
    groups: Ints,
    inputs: list[GroupedInput],
    room: Floats,
    *,
    cut: bool = False,
) -> tuple[Floats, tuple[int, ...]]:
    """Return the integer sum per float sum of each group, and the exponent of each projection.

    Args:
        population: whose neurons need no scale in particular.
        bias: added to its sums.
        largest: largest scale of each group.
        chip: gives the range of exponents.
        groups: group of each neuron.
        inputs: the projections that end at it.
        room: share of the width of a potential to use, one per group.
        cut: whether weights of few bits may be cut where that rounds the others better.
    """
    scale = limit = np.minimum(_limit_scales(bias, groups, inputs, room), largest)
    exponents: tuple[int, ...] = ()
    if inputs:
        # The projection with most weights of a neuron decides: their bits matter most.
        main = int(np.argmax([p.rows.counts.max(initial=0) for p in inputs]))
        exponents, scale = choose_exponents(inputs, limit, chip)
        if cut and inputs[main].bits <= FEW_BITS:
            scale = _choose_best(inputs, exponents, scale, limit)
        for p, e in zip(inputs, exponents, strict=True):
            if p is not inputs[main]:
                scale, _ = round_to_steps(scale, p, e, find_exact_powers(p, len(scale)))
    scale = np.where(np.isfinite(scale), scale, 1.0)
    if not (scale > 0).all():
        raise QuantizeError(f"population {population.name}: its weights and biases leave no scale")
    return scale, exponents


def _choose_best(
    inputs: list[GroupedInput], exponents: Sequence[int], scale: Floats, limit: Floats
) -> Floats:
    """Return the scales, within a limit, under which what arrives is rounded best."""
    known = np.isfinite(scale)
    tried = np.minimum(np.where(known, scale, 1.0) * TRIED[:, None], limit)
    errors = np.zeros(tried.shape)
    for p, exponent in zip(inputs, exponents, strict=True):
        errors += measure_rounding(p, tried / p.unit / 2.0**exponent)[0]
    best = tried[errors.argmin(axis=0), np.arange(len(scale))]
    return np.where(known, best, scale)


def _limit_scales(bias: Floats, groups: Ints, inputs: list[GroupedInput], room: Floats) -> Floats:
    """Return the largest scale with which no sum leaves the share `room` of 24 bits."""
    count = len(room)
    low, high = np.zeros(count), np.zeros(count)
    for p in inputs:
        up = p.rows.sum(np.maximum(p.rows.values, 0.0)) / p.unit
        down = p.rows.sum(np.minimum(p.rows.values, 0.0)) / p.unit
        largest, smallest = float(p.payload.high), float(p.payload.low)
        highest, lowest = np.zeros(count), np.zeros(count)
        np.maximum.at(highest, p.group, up * largest + down * smallest)
        np.minimum.at(lowest, p.group, down * largest + up * smallest)
        high, low = high + highest, low + lowest
    own = np.zeros(count)
    np.maximum.at(own, groups, np.broadcast_to(np.abs(bias), groups.shape))
    return divide(room * (STATE_LIMIT - 1.0), np.maximum(high, -low) + own)


def _simplify(scale: Floats) -> Floats:
    """Return one number where all scales are equal."""
    return np.asarray(scale[0]) if scale.size and (scale == scale[:1]).all() else scale
