"""Run a network whose layers share one window layer by layer, in float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.conversion.ann import Layer
from snncompile.ir.graph import Network, Population
from snncompile.neurons.base import Neuron
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.reference.synapses import Apply, bind_weights

BATCH_BYTES = 2**27
"""Accumulated input of the samples run at a time."""
KEPT_BYTES = 2**30
"""Largest accumulated input that is kept while a layer is calibrated."""

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


def collect_drives(population: Population, into: Drives, spike_trains: Outputs) -> list[Tensor]:
    """Return the batches of `walk_drives` where all of them are small; else an empty list.

    A population that runs several times then adds up its input once.
    """
    train = next(iter(spike_trains.values()))
    if 4 * len(train) * train.shape[1] * population.size > KEPT_BYTES:
        return []
    return list(walk_drives(population, into, spike_trains))


def run_population(population: Population, drives: Iterable[Tensor]) -> Tensor:
    """Return the output of a population: int8 if it spikes, float32 if not."""
    return torch.cat([_run_batch(population, drive) for drive in drives])


def _run_batch(population: Population, drive: Tensor) -> Tensor:
    neuron = population.neuron.bind(lambda a: torch.tensor(a, dtype=torch.float32))
    state = neuron.begin(torch.zeros_like(drive[:, 0]))
    if compiled := _choose_kernel(population.neuron):
        kernel, names = compiled
        parameters = [np.broadcast_to(getattr(neuron, n), population.size) for n in names]
        out = np.empty(drive.shape, np.int8)
        start = np.array(state[0].expand(len(drive), -1).numpy())
        kernel(drive.contiguous().numpy(), start, np.stack(parameters), out)
        return torch.from_numpy(out)
    outputs = []
    for step in range(drive.shape[1]):
        state, output = neuron.step(state, drive[:, step])
        outputs.append(output.to(torch.int8 if neuron.spikes else torch.float32))
    return torch.stack(outputs, dim=1)


def _choose_kernel(neuron: Neuron) -> tuple[Any, tuple[str, ...]] | None:
    """Return the compiled steps of a neuron, and its parameters in their order."""
    if type(neuron) not in (IntegrateFire, SignedIntegrateFire):
        return None
    from snncompile.conversion import layer_kernels

    if isinstance(neuron, SignedIntegrateFire):
        return layer_kernels.run_signed, ("threshold", "bias", "negative_threshold")
    if neuron.reset != "soft":  # type: ignore[attr-defined]
        return None
    return layer_kernels.run_soft, ("threshold", "bias")


def keep_needed(spike_trains: Outputs, layers: tuple[Layer, ...]) -> Outputs:
    """Return the spike trains that the layers read."""
    sources = {term.source for layer in layers for term in layer.terms}
    return {name: train for name, train in spike_trains.items() if name in sources}
