"""Correct the bias of readouts by the mean error of their potentials on the calibration data."""

from __future__ import annotations

from dataclasses import replace

from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.neurons.base import FloatNeuron
from snncompile.passes.quantize.errors import Integers, replay_integers
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.simulate import replay


def correct_readout_bias(
    network: Network,
    population: Population,
    integers: Integers,
    scale: float,
    chip: Chip,
    spike_trains: SpikeTrains | None,
) -> tuple[Population, Integers]:
    """Return a readout, as floats and integers, with the right potentials on the average.

    Rounded weights are off by sums that are nearly the same for all samples, and answers differ by
    less than these sums: without the correction they shift the answers. A readout is linear, so the
    response to a bias of 1 gives the bias that fits the mean error best, over all time steps:

        bias = bias - sum(error * response) / sum(response^2)

    Populations that send spikes, and chips without room for the bias, stay as they are.
    """
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    if spike_trains is None or neuron.spikes or not hasattr(neuron, "bias"):
        return population, integers
    measured = replay_integers(network, population, integers, spike_trains).double() / scale
    error = (measured - spike_trains[population.name]).mean(dim=0)
    plain = replace(population, neuron=replace(neuron, bias=1.0, initial=0.0))  # type: ignore[call-arg]
    response = replay(plain, (), measured[:1].shape)[0]
    power = response.square().sum(dim=0)
    shift = ((error * response).sum(dim=0) / power.clamp(min=1e-300)).numpy()
    corrected = replace(neuron, bias=neuron.bias - shift)  # type: ignore[call-arg]
    try:
        integer = corrected.quantize(scale, chip.formats)
    except QuantizeError:  # no room for the bias
        return population, integers
    return replace(population, neuron=corrected), (
        replace(integers[0], neuron=integer),
        integers[1],
    )
