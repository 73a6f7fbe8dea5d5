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
"""Accumulated input of the samples that are run at a time."""

Drives = list[tuple[str, Apply]]
"""What brings input to a population: source and synapses."""
SpikeTrains = dict[str, Tensor]
"""Outputs of sources, each (samples, steps, size)."""


def shown(network: Network, x: NDArray[np.float64]) -> SpikeTrains:
    """Return what the network is shown of samples, as the first of its spike trains."""
    coding = network.input.coding
    assert coding is not None
    values = network.input.present(x).reshape(-1, coding.steps, network.input.size)
    return {network.input.name: torch.tensor(values)}


def drives(network: Network, name: str) -> Drives:
    """Return what ends at a population."""
    made = []
    for projection in network.into(name):
        weight = torch.tensor(projection.synapses.weight, dtype=torch.float32)
        made.append((projection.source, bind_weights(projection.synapses.wiring, weight)))
    return made


def arriving(population: Population, into: Drives, spike_trains: SpikeTrains) -> Iterator[Tensor]:
    """Yield the input of a population, (some samples, steps, size), in the order of the samples."""
    train = next(iter(spike_trains.values()))
    size = max(1, BATCH_BYTES // (4 * train.shape[1] * population.size))
    for start in range(0, len(train), size):
        part = slice(start, start + size)
        yield sum((apply(spike_trains[source][part]) for source, apply in into), torch.zeros(()))


def sent(population: Population, into: Drives, spike_trains: SpikeTrains) -> Tensor:
    """Return what a population sends: int8 if it spikes, float32 if not."""
    parts = []
    for drive in arriving(population, into, spike_trains):
        neuron = population.neuron.bind(lambda a: torch.tensor(a, dtype=torch.float32))
        state = neuron.begin(torch.zeros_like(drive[:, 0]))
        outputs = []
        for step in range(drive.shape[1]):
            state, output = neuron.step(state, drive[:, step])
            outputs.append(output.to(torch.int8 if neuron.spikes else torch.float32))
        parts.append(torch.stack(outputs, dim=1))
    return torch.cat(parts)


def needed(spike_trains: SpikeTrains, layers: tuple[Layer, ...]) -> SpikeTrains:
    """Return the spike trains that layers still read."""
    sources = {term.source for layer in layers for term in layer.terms}
    return {name: train for name, train in spike_trains.items() if name in sources}
