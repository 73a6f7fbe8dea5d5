"""Run a network whose layers share one window layer by layer, in float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.conversion.ann import Layer
from snncompile.ir.graph import Network, Population
from snncompile.reference.synapses import Apply, bind_weights

BATCH_BYTES = 2**27
"""Accumulated input of the samples run at a time."""

Drives = list[tuple[str, Apply]]
"""Inputs of a population: sources and synapses."""
Outputs = dict[str, Tensor]
"""Outputs of sources, each (samples, steps, size)."""


def show(network: Network, x: NDArray[np.float64]) -> Outputs:
    """Return the samples as the network's input, the first of its spike trains."""
    coding = network.input.coding
    assert coding is not None
    values = network.input.present(x).reshape(-1, coding.steps, network.input.size)
    return {network.input.name: torch.tensor(values)}


def bind_drives(network: Network, name: str) -> Drives:
    """Return the inputs of a population."""
    result = []
    for projection in network.into(name):
        weight = torch.tensor(projection.synapses.weight, dtype=torch.float32)
        result.append((projection.source, bind_weights(projection.synapses.wiring, weight)))
    return result


def walk_drives(population: Population, into: Drives, spike_trains: Outputs) -> Iterator[Tensor]:
    """Yield the accumulated input of a population, (batch, steps, size), batch after batch."""
    train = next(iter(spike_trains.values()))
    size = max(1, BATCH_BYTES // (4 * train.shape[1] * population.size))
    for start in range(0, len(train), size):
        samples = slice(start, start + size)
        yield sum((apply(spike_trains[source][samples]) for source, apply in into), torch.zeros(()))


def run_population(population: Population, into: Drives, spike_trains: Outputs) -> Tensor:
    """Return the output of a population: int8 if it spikes, float32 if not."""
    batches = []
    for drive in walk_drives(population, into, spike_trains):
        neuron = population.neuron.bind(lambda a: torch.tensor(a, dtype=torch.float32))
        state = neuron.begin(torch.zeros_like(drive[:, 0]))
        outputs = []
        for step in range(drive.shape[1]):
            state, output = neuron.step(state, drive[:, step])
            outputs.append(output.to(torch.int8 if neuron.spikes else torch.float32))
        batches.append(torch.stack(outputs, dim=1))
    return torch.cat(batches)


def keep_needed(spike_trains: Outputs, layers: tuple[Layer, ...]) -> Outputs:
    """Return the spike trains that the layers read."""
    sources = {term.source for layer in layers for term in layer.terms}
    return {name: train for name, train in spike_trains.items() if name in sources}
