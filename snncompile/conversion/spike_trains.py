"""Threshold balancing on real spike trains (Sengupta et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.conversion.ann import Layer
from snncompile.conversion.layerwise import (
    bind_drives,
    keep_needed,
    run_population,
    show,
    walk_drives,
)
from snncompile.conversion.scales import Per, Percentile
from snncompile.ir.graph import Network

SAMPLES = 32
"""Most calibration samples whose spikes are measured."""
INPUTS = 2**25
"""Most inputs of a layer that are measured: samples times time steps times neurons."""


@dataclass(frozen=True)
class SpikeTrains(Percentile):
    """The percentile of the inputs by spikes in one time step, layer after layer.

    The paper's threshold is the largest input of any time step, one per layer. Spikes coincide by
    chance, so it exceeds the largest activation, and rates are lower.
    """

    percent: float = 100.0
    per: Per = "layer"

    def measure(
        self,
        build: Callable[[dict[str, Floats]], Network],
        layers: tuple[Layer, ...],
        scales: dict[str, Floats],
        x: NDArray[np.float64],
    ) -> dict[str, Floats]:
        """Return the scales that make this input one threshold, at most the model's own cap.

        Args:
            build: returns the network for scales; its layers share one window (`Direct`).
            layers: the rectified layers, in order.
            scales: at the start.
            x: calibration samples.
        """
        network = build(scales)
        spike_trains = show(network, x[: _count_samples(network)])
        for i, layer in enumerate(layers):
            population, into = network.population(layer.name), bind_drives(network, layer.name)
            bias = torch.tensor(layer.bias / layer.spread_per_neuron(scales[layer.name]))
            arrived = torch.cat(
                [drive + bias for drive in walk_drives(population, into, spike_trains)]
            )
            steps = arrived.clamp(min=0).reshape(-1, *layer.shape)
            largest = self.choose(replace(layer, cap=inf), steps, levels=1)  # in thresholds so far
            own = np.minimum(scales[layer.name] * largest, layer.cap)
            scales = scales | {layer.name: own}
            network = build(scales)
            population, into = network.population(layer.name), bind_drives(network, layer.name)
            drives = walk_drives(population, into, spike_trains)
            spike_trains[layer.name] = run_population(population, drives)
            spike_trains = keep_needed(spike_trains, layers[i + 1 :])
        return scales


def _count_samples(network: Network) -> int:
    assert network.input.coding is not None
    largest = max(p.size for p in network.populations) * network.input.coding.steps
    return max(1, min(SAMPLES, INPUTS // largest))
