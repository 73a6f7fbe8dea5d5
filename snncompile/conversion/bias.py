"""Bias calibration: correct, layer by layer, the mean loss of few time steps.

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
from snncompile.conversion.layerwise import (
    Outputs,
    bind_drives,
    collect_drives,
    keep_needed,
    run_population,
    show,
    walk_drives,
)
from snncompile.ir.graph import Network, Population, Say

SAMPLES = 128, 32
"""Most calibration samples, more change a mean per channel little; and fewest, enough in any number
of time steps, as many time steps lose little."""
SAMPLE_STEPS = 4096
"""Samples times time steps to run, within these bounds of the samples."""
ROUNDS = 2
"""A bias moves only the rates of neurons that are active, so once is not enough."""


def calibrate_biases(
    network: Network,
    layers: tuple[Layer, ...],
    wanted: dict[str, Tensor],
    x: NDArray[np.float64],
    say: Say = lambda text, share: None,
) -> Network:
    """Return the network with biases calibrated for its number of steps.

    Args:
        network: its populations all have one window, in the same steps (`Direct`).
        layers: in order; a population each.
        wanted: activations to reach by the rates, between 0 and 1, those of the last layer as
            they are; shape (samples, *layer shape).
        x: the same samples.
        say: called before each layer, the shares being those of a conversion.
    """
    coding = network.input.coding
    assert coding is not None
    largest, smallest = SAMPLES
    x = x[: min(largest, max(smallest, SAMPLE_STEPS // coding.steps))]
    spike_trains = show(network, x)
    calibrated: dict[str, Population] = {}
    for i, layer in enumerate(layers):
        say(f"calibrating biases of {layer.name}", 0.8 + 0.2 * i / len(layers))
        population = network.population(layer.name)
        target = wanted[layer.name][: len(x)].flatten(1)
        new, train = _calibrate_layer(network, population, spike_trains, target)
        calibrated[layer.name], spike_trains[layer.name] = new, train
        spike_trains = keep_needed(spike_trains, layers[i + 1 :])
    populations = tuple(calibrated[p.name] for p in network.populations)
    note = f"convert: biases calibrated on {len(x)} samples"
    return replace(network, populations=populations, notes=(*network.notes, note))


def _calibrate_layer(
    network: Network, population: Population, spike_trains: Outputs, target: Tensor
) -> tuple[Population, Tensor]:
    """Return the population with its bias, and its output."""
    into = bind_drives(network, population.name)
    kept = collect_drives(population, into, spike_trains)

    def run() -> Tensor:
        return run_population(population, kept or walk_drives(population, into, spike_trains))

    train = run()
    for _ in range(ROUNDS):
        if population.neuron.spikes:
            got = train.float().mean(dim=1)
        else:  # one value, the sum of its window
            got = train.sum(dim=1) / float(population.neuron.window)  # type: ignore[attr-defined]
        missing = _average_channels((target - got).mean(dim=0).double().numpy(), population)
        bias = population.neuron.bias + missing  # type: ignore[attr-defined]
        population = replace(population, neuron=replace(population.neuron, bias=bias))  # type: ignore[call-arg]
        train = run()
    return population, train


def _average_channels(values: Floats, population: Population) -> Floats:
    rows = values.reshape(population.shape[0], -1)
    return np.repeat(rows.mean(axis=1), rows.shape[1])
