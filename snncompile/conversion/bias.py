"""Bias calibration: make up, layer by layer, for what few time steps lose on average.

After light calibration of Li et al. 2021: with the calibrated layers before it, the mean rate of
each channel is compared with the mean activation, and the difference is added to the bias.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Layer
from snncompile.conversion.layerwise import SpikeTrains, drives, needed, sent, shown
from snncompile.ir.graph import Network, Population

SAMPLES = 128, 32
"""More calibration samples than the first change a mean per channel little; the second is enough in
any number of time steps, for what many of them lose is little."""
SAMPLE_STEPS = 4096
"""Samples times time steps that are run, between these."""
ROUNDS = 2
"""A bias moves only the rates of neurons that are active, so once is not enough."""


def calibrated(
    network: Network, layers: tuple[Layer, ...], wanted: dict[str, Tensor], x: NDArray[np.float64]
) -> Network:
    """Return the network with biases calibrated for its number of steps.

    Args:
        network: whose populations all have one window, in the same steps (`Direct`).
        layers: in order; a population each.
        wanted: activations that the rates stand for, between 0 and 1, those of the last layer as
            they are; shape (samples, *layer shape).
        x: the same samples.
    """
    coding = network.input.coding
    assert coding is not None
    most, least = SAMPLES
    x = x[: min(most, max(least, SAMPLE_STEPS // coding.steps))]
    spike_trains = shown(network, x)
    made: dict[str, Population] = {}
    for i, layer in enumerate(layers):
        population = network.population(layer.name)
        target = wanted[layer.name][: len(x)].flatten(1)
        new, train = _layer(network, population, spike_trains, target)
        made[layer.name], spike_trains[layer.name] = new, train
        spike_trains = needed(spike_trains, layers[i + 1 :])
    populations = tuple(made[p.name] for p in network.populations)
    note = f"convert: biases calibrated on {len(x)} samples"
    return replace(network, populations=populations, notes=(*network.notes, note))


def _layer(
    network: Network, population: Population, spike_trains: SpikeTrains, target: Tensor
) -> tuple[Population, Tensor]:
    """Return the population with its bias, and what it then sends."""
    into = drives(network, population.name)
    train = sent(population, into, spike_trains)
    for _ in range(ROUNDS):
        if population.neuron.spikes:
            got = train.float().mean(dim=1)
        else:  # one value, the sum of its window
            got = train.sum(dim=1) / float(population.neuron.window)  # type: ignore[attr-defined]
        missing = _per_channel((target - got).mean(dim=0).double().numpy(), population)
        bias = population.neuron.bias + missing  # type: ignore[attr-defined]
        population = replace(population, neuron=replace(population.neuron, bias=bias))  # type: ignore[call-arg]
        train = sent(population, into, spike_trains)
    return population, train


def _per_channel(values: Floats, population: Population) -> Floats:
    rows = values.reshape(population.shape[0], -1)
    return np.repeat(rows.mean(axis=1), rows.shape[1])
