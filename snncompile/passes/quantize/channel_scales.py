"""Give each channel a scale, so that every output channel uses all bits of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, log2
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import BINARY, FloatNeuron
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis import number_ranges
from snncompile.passes.quantize.adaptive_rounding import round_by_inputs, round_to_nearest
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.weight_formats import weight_step

SHARES = np.linspace(1.0, 0.75, 26)
"""Shares of the largest scale tried per channel: a scale in which single weights round well is
worth more than the last bit."""
CUTTING = np.concatenate([SHARES, np.linspace(1.02, 1.6, 30)])
"""The same for few bits: to cut the largest weight may be worth finer steps for all others."""
FEW_BITS = 7
"""Weights of at most this number of bits are rounded one by one on the calibration data."""
FINE_THRESHOLD = 64
"""A threshold mantissa this large rounds by less than 1 %."""
SIGNED = (-1, 1)
ROOM = 32.0
"""Thresholds that the potential of a neuron that never forgets should hold on both sides."""


@dataclass(frozen=True, eq=False)
class ChannelScale:
    """Scale of each channel, and the exponent of each projection."""

    scale: Floats
    """(channels,)"""
    exponents: tuple[int, ...]


def has_channel_scales(network: Network, population: Population, chip: Chip) -> bool:
    """Whether a population can have one scale per channel.

    It can if a convolution makes its channels, it sends spikes (potentials are compared with each
    other, so they share one scale), and a core has threshold profiles for all channels.
    """
    profiles, channels = chip.core.threshold_profiles.whole, population.shape[0]
    convolved = any(
        isinstance(p.synapses.wiring, Convolution) and p.synapses.wiring.channels == channels
        for p in network.into(population.name)
    )
    neuron = population.neuron
    plain = isinstance(neuron, FloatNeuron) and neuron.input_shift == 6 and neuron.message_unit == 1
    plain = plain and hasattr(neuron, "threshold") and not neuron.ports
    return convolved and plain and neuron.spikes and (profiles is None or profiles >= channels)


def choose_bits(network: Network, population: Population, chip: Chip, bits: int) -> tuple[int, ...]:
    """Return the bits of each projection's weights.

    One-to-one projections beside others, such as shortcuts, keep all bits of the chip: one of their
    synapses weighs as much as a whole kernel, and they are few.
    """
    into = network.into(population.name)
    widest = max(b for b in chip.formats.weight_bits.values if b <= number_ranges.WIDEST)
    alone = [len(into) > 1 and p.synapses.wiring.synapses <= population.size for p in into]
    return tuple(widest if is_alone else bits for is_alone in alone)


def list_scales(
    network: Network,
    population: Population,
    chip: Chip,
    bits: tuple[int, ...],
    spike_trains: SpikeTrains | None,
) -> Iterator[ChannelScale]:
    """Yield scales from large to small, each with the exponents of its weights.

    Args:
        network: the float network.
        population: one of its populations.
        chip: gives the ranges of the integers.
        bits: of each projection's weights.
        spike_trains: outputs of the float network.
    """
    into = network.into(population.name)
    peaks = np.stack([_find_peaks(p, population) for p in into])
    cap = _find_largest_scales(network, population, chip)
    # The projection with most synapses per neuron decides: the bits of many weights matter most.
    main = int(np.argmax([p.synapses.wiring.synapses for p in into]))
    main_peaks = np.where(peaks[main] > 0, peaks[main], peaks.max(axis=0))
    tops, highest = [number_ranges.find_top(b) for b in bits], chip.formats.weight_exponent_highest
    shares = CUTTING if spike_trains is not None and bits[main] <= FEW_BITS else SHARES
    with np.errstate(divide="ignore"):
        full = tops[main] * 64 / main_peaks
        largest = min(tops) * 64 * 2.0**highest / peaks.max(axis=0)
    coarse = FINE_THRESHOLD * 64 / (np.minimum(full, cap) * _find_thresholds(population)).min()
    start = min(max(ceil(log2(coarse)), 0), highest)
    if network.payload(into[main].source) not in (BINARY, SIGNED):
        start = min(start, floor(log2(np.median(cap / full))))
    for exponent in range(
        max(start, chip.formats.weight_exponent_lowest), chip.formats.weight_exponent_lowest - 1, -1
    ):
        scale = np.minimum(np.minimum(full * 2.0**exponent, largest), cap)
        exponents = tuple(
            _choose_exponent(row * scale / 64 / top, exponent, chip)
            for row, top in zip(peaks, tops, strict=True)
        )
        tried = np.minimum(scale * shares[:, None], cap)
        errors = sum(
            _measure_power(spike_trains, p.source)
            * _measure_rounding(_split_by_channel(p, population) / 64 / 2.0**e, tried, b)
            for p, e, b in zip(into, exponents, bits, strict=True)
        )
        best = np.argmin(errors, axis=0)
        yield ChannelScale(tried[best, np.arange(len(scale))], exponents)


def _find_peaks(projection: Projection, population: Population) -> Floats:
    """Return the largest weight of each channel."""
    rows = np.abs(_split_by_channel(projection, population))
    return np.asarray(rows.max(axis=(1, 2), initial=0.0))


def _split_by_channel(projection: Projection, population: Population) -> Floats:
    """Return the weights by channel, (channels, neurons with weights of their own, weights)."""
    synapses, channels = projection.synapses, population.shape[0]
    weight, wiring = synapses.weight.astype(np.float64), synapses.wiring
    if isinstance(wiring, Convolution):
        if wiring.channels == channels:
            return weight.reshape(channels, 1, -1)
    elif isinstance(wiring, Dense):
        return weight.reshape(channels, -1, weight.shape[1])
    elif isinstance(wiring, Scale):
        return np.broadcast_to(weight, (population.size,)).reshape(channels, -1, 1)
    matrix = wiring.matrix(weight).tocoo()
    order = np.argsort(matrix.row, kind="stable")
    rows, values = matrix.row[order], matrix.data[order]
    column = np.arange(len(rows)) - np.searchsorted(rows, rows)
    padded = np.zeros((population.size, int(column.max(initial=0)) + 1))
    padded[rows, column] = values
    return padded.reshape(channels, -1, padded.shape[1])


def _choose_exponent(share: Floats, lowest: int, chip: Chip) -> int:
    """Return the smallest exponent, from `lowest` on, that holds weights `share` times the top."""
    largest = float(share.max(initial=0.0))
    need = ceil(log2(largest) - 1e-9) if largest > 0 else lowest
    return min(max(need, lowest), chip.formats.weight_exponent_highest)


def find_largest_potential(network: Network, population: Population) -> Floats | None:
    """Return the largest potential of each neuron; None if its neuron type states no bound."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    if neuron.reach(np.asarray(0.0)) is None:
        return None
    drive = np.broadcast_to(np.abs(getattr(neuron, "bias", 0.0)), (population.size,))
    for p in network.into(population.name):
        sums = np.abs(_split_by_channel(p, population)).sum(axis=2)  # (channels, neurons of them)
        channels = sums.max(axis=1, initial=0.0) * float(np.abs(network.payload(p.source)).max())
        drive = drive + np.repeat(channels, population.size // len(channels))
    return neuron.reach(drive)


def _find_largest_scales(network: Network, population: Population, chip: Chip) -> Floats:
    """Return the largest scale of each channel under which parameters and potentials fit."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    threshold = _find_thresholds(population)
    potential = find_largest_potential(network, population)
    potential = ROOM * threshold if potential is None else _find_largest(population, potential)
    scale = np.broadcast_to(neuron.largest_scale(chip.formats), (population.size,))
    parameters = scale.reshape(population.shape[0], -1).min(axis=1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(parameters, (STATE_LIMIT - 1) / potential))


def _find_thresholds(population: Population) -> Floats:
    return _find_largest(population, population.neuron.threshold)  # type: ignore[attr-defined]


def _find_largest(population: Population, values: Any) -> Floats:
    """Return the largest magnitude of each channel."""
    wide = np.broadcast_to(np.abs(values), (population.size,))
    return np.asarray(wide.reshape(population.shape[0], -1).max(axis=1))


def _measure_power(spike_trains: SpikeTrains | None, source: str) -> float:
    """Return the mean square of a source's outputs; 1 if they are not known."""
    return (
        1.0 if spike_trains is None else float(spike_trains[source].double().square().mean()) + 1e-9
    )


def _measure_rounding(units: Floats, scales: Floats, bits: int) -> Floats:
    """Return the mean squared rounding error for each scale, (scales, channels)."""
    errors, step, top = [], weight_step(bits), number_ranges.find_top(bits)
    for scale in scales:
        own = units * scale[:, None, None]
        wrong = (round_to_nearest(own / step, top // step) * step - own) / scale[:, None, None]
        errors.append((wrong**2).sum(axis=2).mean(axis=1))
    return np.asarray(errors)


def round_weights(
    projection: Projection,
    scale: Floats,
    exponent: int,
    bits: int,
    size: int,
    spike_trains: SpikeTrains | None = None,
) -> IntegerSynapses:
    """Return the weights of a projection as integers.

    Args:
        projection: with float weights.
        scale: one per neuron.
        exponent: of the weights.
        bits: of a weight.
        size: of the target.
        spike_trains: outputs of the float network, if few bits are to be rounded by them.
    """
    assert isinstance(projection.synapses, Synapses)
    diagonal = Synapses(Scale(size, per_neuron=True), scale / 64 / 2.0**exponent)
    scaled = compose(diagonal, projection.synapses)
    top, step = number_ranges.find_top(bits), weight_step(bits)
    if spike_trains is not None and bits <= FEW_BITS and isinstance(scaled.wiring, Convolution):
        rates = spike_trains[projection.source].double().mean(dim=1)
        rounded = round_by_inputs(scaled.wiring, scaled.weight / step, rates, top // step)
    else:
        rounded = round_to_nearest(scaled.weight / step, top // step)
    return IntegerSynapses(scaled.wiring, (rounded * step).astype(np.int16), exponent, bits)


def convert_to_real(synapses: IntegerSynapses, scale: Floats | float) -> Floats:
    """Return the float weights that integer weights stand for.

    Args:
        synapses: the integer weights.
        scale: integer weights per unit of the float ones; one for all targets or one per neuron.
    """
    unit = np.asarray(2.0**synapses.exponent / scale)
    weight = synapses.weight.astype(np.float64)
    if not unit.ndim:
        return np.asarray(weight * unit)
    diagonal = Synapses(Scale(len(unit), per_neuron=True), unit)
    real: Floats = compose(diagonal, Synapses(synapses.wiring, weight)).weight
    return real


def measure_shift(
    network: Network,
    population: Population,
    integers: tuple[Projection, ...],
    scale: Floats,
    spike_trains: SpikeTrains,
) -> Floats:
    """Return the mean input that rounding adds to each neuron, the same for a whole channel.

    Args:
        network: the float network.
        population: one of its populations.
        made: its projections as integers.
        scale: one per neuron.
        spike_trains: outputs of the float network.
    """
    total = np.zeros(population.size)
    for old, new in zip(network.into(population.name), integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        real = Synapses(new.synapses.wiring, convert_to_real(new.synapses, scale / 64))
        mean = spike_trains[old.source].double().mean(dim=(0, 1))
        for synapses, sign in ((real, 1), (old.synapses, -1)):
            total += sign * bind(synapses, BINARY)(mean[None])[0].numpy()
    rows = total.reshape(population.shape[0], -1)
    return np.repeat(rows.mean(axis=1), rows.shape[1])
