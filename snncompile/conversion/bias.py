"""Bias calibration: make up, layer by layer, for what few time steps lose on average.

After light calibration of Li et al. 2021: with the calibrated layers before it, the mean rate of
each channel is compared with the mean activation, and the difference is added to the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.conversion.ann import Layer
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import Floats
from snncompile.reference.synapses import BINDERS, Apply

SAMPLES = 128
"""More calibration samples than these change a mean per channel little."""
ROUNDS = 2
"""A bias moves only the rates of neurons that are active, so once is not enough."""
BATCH_BYTES = 2**27
"""Accumulated input of the samples that are run at a time."""


def calibrated(
    network: Network, layers: tuple[Layer, ...], wanted: dict[str, Tensor], x: NDArray[np.float64]
) -> Network:
    """Return the network with biases calibrated for its number of steps.

    Args:
        network: whose populations all have one window, in the same steps (`Direct`).
        layers: of the normalized network, in order; a population each.
        wanted: activations that the rates stand for, between 0 and 1, those of the last layer as
            they are; shape (samples, *layer shape).
        x: the same samples.
    """
    coding = network.input.coding
    assert coding is not None
    shown = network.input.present(x[:SAMPLES]).reshape(-1, coding.steps, network.input.size)
    trains = {network.input.name: torch.tensor(shown)}
    made: dict[str, Population] = {}
    for i, layer in enumerate(layers):
        population = network.population(layer.name)
        target = wanted[layer.name][:SAMPLES].flatten(1)
        new, train = _layer(network, population, trains, target)
        made[layer.name], trains[layer.name] = new, train
        later = {term.source for other in layers[i + 1 :] for term in other.terms}
        trains = {name: trains[name] for name in trains if name in later}
    populations = tuple(made[p.name] for p in network.populations)
    note = f"convert: biases calibrated on {len(shown)} samples"
    return replace(network, populations=populations, notes=(*network.notes, note))


def _layer(
    network: Network, population: Population, trains: dict[str, Tensor], target: Tensor
) -> tuple[Population, Tensor]:
    """Return the population with its bias, and what it then sends."""
    drives = [_bound(p) for p in network.into(population.name)]
    train = _run(population, drives, trains)
    for _ in range(ROUNDS):
        if population.neuron.spikes:
            got = train.float().mean(dim=1)
        else:  # one value, the sum of its window
            got = train.sum(dim=1) / float(population.neuron.window)  # type: ignore[attr-defined]
        missing = _per_channel((target - got).mean(dim=0).double().numpy(), population)
        bias = population.neuron.bias + missing  # type: ignore[attr-defined]
        population = replace(population, neuron=replace(population.neuron, bias=bias))  # type: ignore[call-arg]
        train = _run(population, drives, trains)
    return population, train


def _bound(projection: Projection) -> tuple[str, Apply]:
    wiring = projection.synapses.wiring
    weight = torch.tensor(projection.synapses.weight, dtype=torch.float32)
    return projection.source, BINDERS[type(wiring)](wiring, weight)


def _per_channel(values: Floats, population: Population) -> Floats:
    rows = values.reshape(population.shape[0], -1)
    return np.repeat(rows.mean(axis=1), rows.shape[1])


def _run(
    population: Population, drives: list[tuple[str, Apply]], trains: dict[str, Tensor]
) -> Tensor:
    """Return what a population sends, in float32: int8 if it spikes."""
    parts = []
    for part in _batches(population, trains):
        drive = sum((apply(trains[source][part]) for source, apply in drives), torch.zeros(()))
        neuron = population.neuron.bind(lambda a: torch.tensor(a, dtype=torch.float32))
        state = neuron.begin(torch.zeros_like(drive[:, 0]))
        outputs = []
        for step in range(drive.shape[1]):
            state, output = neuron.step(state, drive[:, step])
            outputs.append(output.to(torch.int8 if neuron.spikes else torch.float32))
        parts.append(torch.stack(outputs, dim=1))
    return torch.cat(parts)


def _batches(population: Population, trains: dict[str, Tensor]) -> Iterator[slice]:
    train = next(iter(trains.values()))
    size = max(1, BATCH_BYTES // (4 * train.shape[1] * population.size))
    for start in range(0, len(train), size):
        yield slice(start, start + size)
