"""Populations that can never fire, whatever the input: a sign of a wrong time step or gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population
from snncompile.neurons.base import BINARY
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses

ROUNDING = 1e-9
"""Relative; a potential that only meets the threshold never goes above it."""


def list_silent(network: Network) -> list[str]:
    """Return the names of the populations of spiking neurons that can never fire.

    The largest potential is that of positive synapses which all carry their largest value in every
    time step, with a bias: u = x / current_decay, v = (u + bias) / potential_decay.
    """
    largest = {id(p): _add_positive(p.synapses) for p in network.projections}
    alive = {network.input.name: float(network.input.payload.high)}
    waiting = [p for p in network.populations if p.neuron.spikes]
    alive |= {p.name: 0.0 for p in network.populations if not p.neuron.spikes}
    changed = True
    while changed:
        changed = False
        for population in waiting:
            into = [p for p in network.into(population.name) if p.source in alive]
            drive = sum((alive[p.source] * largest[id(p)] for p in into), np.zeros(population.size))
            if _can_fire(population, drive):
                alive[population.name] = float(population.neuron.payload.high)
                changed = True
        waiting = [p for p in waiting if p.name not in alive]
    return [p.name for p in waiting]


def _add_positive(synapses: Any) -> Floats:
    """Return the sum of the positive weights of each target."""
    positive = Synapses(synapses.wiring, np.maximum(synapses.weight, 0.0))
    ones = torch.ones(positive.wiring.sources, dtype=torch.float64)
    result: Floats = bind(positive, BINARY)(ones).numpy()
    return result


def _can_fire(population: Population, drive: Floats) -> bool:
    neuron: Any = population.neuron
    current = _accumulate(drive, getattr(neuron, "current_decay", np.asarray(1.0)))
    none = np.asarray(0.0)
    potential = _accumulate(current + neuron.bias, getattr(neuron, "potential_decay", none))
    highest = np.maximum(potential, neuron.initial)
    return bool((highest > neuron.threshold * (1 - ROUNDING)).any())


def _accumulate(drive: Floats, decay: Floats) -> Floats:
    """Return the largest sum of a drive that loses a share in each time step."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = drive / np.broadcast_to(decay, drive.shape)
    return np.where(drive > 0, total, np.maximum(drive, 0.0))
