"""Weights of a projection to integers and back, with a scale per neuron."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import BINARY
from snncompile.passes.analysis import number_ranges
from snncompile.passes.quantize.adaptive_rounding import round_by_inputs, round_to_nearest
from snncompile.passes.quantize.messages import find_unit
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.weight_formats import weight_step

FEW_BITS = 7
"""Weights of at most this number of bits are rounded one by one on the calibration data."""


def round_weights(
    projection: Projection,
    scale: Floats,
    exponent: int,
    bits: int,
    spike_trains: SpikeTrains | None = None,
) -> IntegerSynapses:
    """Return the weights of a projection as integers.

    Args:
        projection: with float weights.
        scale: integer weights * 2^exponent per unit of the float ones, one per neuron.
        exponent: of the weights.
        bits: of a weight.
        spike_trains: outputs of the float network, if few bits are to be rounded by them.
    """
    assert isinstance(projection.synapses, Synapses)
    diagonal = Synapses(Scale(len(scale), per_neuron=True), scale / 2.0**exponent)
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
    groups: Ints,
    spike_trains: SpikeTrains,
) -> Floats:
    """Return the mean input that rounding adds to each neuron, the same for a whole group.

    Args:
        network: the float network.
        population: one of its populations.
        integers: its projections as integers.
        scale: one per neuron.
        groups: group of each neuron.
        spike_trains: outputs of the float network.
    """
    total = np.zeros(population.size)
    for old, new in zip(network.into(population.name), integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        weight = convert_to_real(new.synapses, scale / find_unit(network, old))
        real = Synapses(new.synapses.wiring, weight)
        mean = spike_trains[old.source].double().mean(dim=(0, 1))
        for synapses, sign in ((real, 1), (old.synapses, -1)):
            total += sign * bind(synapses, BINARY)(mean[None])[0].numpy()
    mean_of_group = np.bincount(groups, total) / np.bincount(groups)
    return np.asarray(mean_of_group[groups])
