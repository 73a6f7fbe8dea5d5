"""One scale per channel: every output channel of a population uses all bits of its weights."""

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
from snncompile.passes.analysis import number_ranges as formats
from snncompile.passes.quantize.adaptive_rounding import compensated, nearest
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.compose import composed
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.weight_formats import weight_step

SHARES = np.linspace(1.0, 0.75, 26)
"""Of the largest scale, tried per channel: one in which single weights round well is worth more
than the last bit."""
CUTTING = np.concatenate([SHARES, np.linspace(1.02, 1.6, 30)])
"""The same for few bits: to cut the largest weight may be worth finer steps for all others."""
FEW_BITS = 7
"""With so many or fewer, rounding is calibrated weight by weight."""
FINE_THRESHOLD = 64
"""A threshold mantissa this large rounds by less than 1 %."""
SIGNED = (-1, 1)
ROOM = 32.0
"""Thresholds that the potential of a neuron without a shorter memory should hold on both sides."""


@dataclass(frozen=True, eq=False)
class ChannelScale:
    """Scale of each channel, and the exponent of each projection."""

    scale: Floats
    """(channels,)"""
    exponents: tuple[int, ...]


def channelwise(network: Network, population: Population, chip: Chip) -> bool:
    """Whether a population can have one scale per channel.

    A convolution makes its channels, it sends spikes (a potential is compared with others, so all
    have one scale), and a core has threshold profiles for all of them.
    """
    profiles, channels = chip.core.threshold_profiles.whole, population.shape[0]
    made = any(
        isinstance(p.synapses.wiring, Convolution) and p.synapses.wiring.channels == channels
        for p in network.into(population.name)
    )
    neuron = population.neuron
    plain = isinstance(neuron, FloatNeuron) and neuron.input_shift == 6 and neuron.message_unit == 1
    plain = plain and hasattr(neuron, "threshold") and not neuron.ports
    return made and plain and neuron.spikes and (profiles is None or profiles >= channels)


def bits_of(network: Network, population: Population, chip: Chip, bits: int) -> tuple[int, ...]:
    """Return the bits of each projection's weights.

    One-to-one projections beside others, as shortcuts are, keep all that the chip has: one synapse
    of theirs weighs as much as all those of a kernel, and they are few.
    """
    into = network.into(population.name)
    widest = max(b for b in chip.formats.weight_bits.values if b <= formats.WIDEST)
    alone = [len(into) > 1 and p.synapses.wiring.synapses <= population.size for p in into]
    return tuple(widest if one else bits for one in alone)


def candidates(
    network: Network,
    population: Population,
    chip: Chip,
    bits: tuple[int, ...],
    spike_trains: SpikeTrains | None,
) -> Iterator[ChannelScale]:
    """Yield scales from large to small, each with the exponents that its weights then need.

    Args:
        network: the float network.
        population: one of its populations.
        chip: whose numbers they are.
        bits: of each projection's weights.
        spike_trains: outputs of the float network.
    """
    into = network.into(population.name)
    peaks = np.stack([_peaks(p, population) for p in into])
    cap = _cap(network, population, chip)
    # The one with most synapses per neuron decides: the bits of many weights matter most.
    main = int(np.argmax([p.synapses.wiring.synapses for p in into]))
    main_peaks = np.where(peaks[main] > 0, peaks[main], peaks.max(axis=0))
    tops, highest = [formats.top(b) for b in bits], chip.formats.weight_exponent_highest
    shares = CUTTING if spike_trains is not None and bits[main] <= FEW_BITS else SHARES
    with np.errstate(divide="ignore"):
        full = tops[main] * 64 / main_peaks
        most = min(tops) * 64 * 2.0**highest / peaks.max(axis=0)
    coarse = FINE_THRESHOLD * 64 / (np.minimum(full, cap) * _thresholds(population)).min()
    start = min(max(ceil(log2(coarse)), 0), highest)
    if network.payload(into[main].source) not in (BINARY, SIGNED):
        start = min(start, floor(log2(np.median(cap / full))))
    for exponent in range(
        max(start, chip.formats.weight_exponent_lowest), chip.formats.weight_exponent_lowest - 1, -1
    ):
        scale = np.minimum(np.minimum(full * 2.0**exponent, most), cap)
        exponents = tuple(
            _exponent(row * scale / 64 / top, exponent, chip)
            for row, top in zip(peaks, tops, strict=True)
        )
        tried = np.minimum(scale * shares[:, None], cap)
        errors = sum(
            _power(spike_trains, p.source)
            * _rounding(_units(p, population) / 64 / 2.0**e, tried, b)
            for p, e, b in zip(into, exponents, bits, strict=True)
        )
        best = np.argmin(errors, axis=0)
        yield ChannelScale(tried[best, np.arange(len(scale))], exponents)


def _peaks(projection: Projection, population: Population) -> Floats:
    """Return the largest weight of each channel."""
    rows = np.abs(_units(projection, population))
    return np.asarray(rows.max(axis=(1, 2), initial=0.0))


def _units(projection: Projection, population: Population) -> Floats:
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
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    found = np.zeros((population.size, int(place.max(initial=0)) + 1))
    found[rows, place] = values
    return found.reshape(channels, -1, found.shape[1])


def _exponent(share: Floats, lowest: int, chip: Chip) -> int:
    """Return the smallest exponent, from `lowest` on, that holds weights of this many tops."""
    largest = float(share.max(initial=0.0))
    need = ceil(log2(largest) - 1e-9) if largest > 0 else lowest
    return min(max(need, lowest), chip.formats.weight_exponent_highest)


def room(network: Network, population: Population) -> Floats | None:
    """Return the potential per neuron that v must hold; None if its neuron type says nothing."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    if neuron.reach(np.asarray(0.0)) is None:
        return None
    drive = np.broadcast_to(np.abs(getattr(neuron, "bias", 0.0)), (population.size,))
    for p in network.into(population.name):
        sums = np.abs(_units(p, population)).sum(axis=2)  # (channels, neurons of them)
        channels = sums.max(axis=1, initial=0.0) * float(np.abs(network.payload(p.source)).max())
        drive = drive + np.repeat(channels, population.size // len(channels))
    return neuron.reach(drive)


def _cap(network: Network, population: Population, chip: Chip) -> Floats:
    """Return the largest scale per channel with which parameters and potentials fit."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    threshold = _thresholds(population)
    held = room(network, population)
    held = ROOM * threshold if held is None else _per_channel(population, held)
    scale = np.broadcast_to(neuron.largest_scale(chip.formats), (population.size,))
    parameters = scale.reshape(population.shape[0], -1).min(axis=1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(parameters, (STATE_LIMIT - 1) / held))


def _thresholds(population: Population) -> Floats:
    return _per_channel(population, population.neuron.threshold)  # type: ignore[attr-defined]


def _per_channel(population: Population, values: Any) -> Floats:
    """Return the largest magnitude of each channel."""
    wide = np.broadcast_to(np.abs(values), (population.size,))
    return np.asarray(wide.reshape(population.shape[0], -1).max(axis=1))


def _power(spike_trains: SpikeTrains | None, source: str) -> float:
    """Return the mean square of what a source sends; 1 if it is not known."""
    return (
        1.0 if spike_trains is None else float(spike_trains[source].double().square().mean()) + 1e-9
    )


def _rounding(units: Floats, scales: Floats, bits: int) -> Floats:
    """Return the mean squared rounding error for each scale, (scales, channels)."""
    errors, step, top = [], weight_step(bits), formats.top(bits)
    for scale in scales:
        own = units * scale[:, None, None]
        wrong = (nearest(own / step, top // step) * step - own) / scale[:, None, None]
        errors.append((wrong**2).sum(axis=2).mean(axis=1))
    return np.asarray(errors)


def integers(
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
    scaled = composed(diagonal, projection.synapses)
    top, step = formats.top(bits), weight_step(bits)
    if spike_trains is not None and bits <= FEW_BITS and isinstance(scaled.wiring, Convolution):
        rates = spike_trains[projection.source].double().mean(dim=1)
        rounded = compensated(scaled.wiring, scaled.weight / step, rates, top // step)
    else:
        rounded = nearest(scaled.weight / step, top // step)
    return IntegerSynapses(scaled.wiring, (rounded * step).astype(np.int16), exponent, bits)


def real_weight(synapses: IntegerSynapses, scale: Floats | float) -> Floats:
    """Return what integer weights stand for.

    Args:
        synapses: the integer weights.
        scale: integer weights per unit of the float ones; one for all targets or one per neuron.
    """
    unit = np.asarray(2.0**synapses.exponent / scale)
    weight = synapses.weight.astype(np.float64)
    if not unit.ndim:
        return np.asarray(weight * unit)
    diagonal = Synapses(Scale(len(unit), per_neuron=True), unit)
    made: Floats = composed(diagonal, Synapses(synapses.wiring, weight)).weight
    return made


def shift(
    network: Network,
    population: Population,
    made: tuple[Projection, ...],
    scale: Floats,
    spike_trains: SpikeTrains,
) -> Floats:
    """Return what rounded weights add to the input of each neuron on average, alike in a channel.

    Args:
        network: the float network.
        population: one of its populations.
        made: its projections as integers.
        scale: one per neuron.
        spike_trains: outputs of the float network.
    """
    total = np.zeros(population.size)
    for old, new in zip(network.into(population.name), made, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        real = Synapses(new.synapses.wiring, real_weight(new.synapses, scale / 64))
        mean = spike_trains[old.source].double().mean(dim=(0, 1))
        for synapses, sign in ((real, 1), (old.synapses, -1)):
            total += sign * bind(synapses, BINARY)(mean[None])[0].numpy()
    rows = total.reshape(population.shape[0], -1)
    return np.repeat(rows.mean(axis=1), rows.shape[1])
