"""Biases of neurons, to be held by the Affine or convolution before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population, Projection


@dataclass(frozen=True, eq=False)
class Biases:
    """A network without the populations that only bring a bias, and the biases."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    before: dict[str, Floats]
    """Population -> constant drive that its synapses can bring, one per neuron."""
    inside: dict[str, Floats]
    """Population -> what only the neurons can add: their current has a memory."""


def find_biases(network: Network) -> Biases:
    """Return the biases of a float network.

    A population that fires in every time step is a bias of the currents that it feeds; importers
    make one where a current with a memory gets a constant.
    """
    sources = {p.name for p in network.populations if _only_brings_a_bias(network, p)}
    before: dict[str, Floats] = {}
    inside: dict[str, Floats] = {}
    for projection in network.projections:
        if projection.source in sources:
            synapses: Any = projection.synapses
            total = synapses.wiring.matrix(synapses.weight).sum(axis=1)
            before[projection.target] = before.get(projection.target, 0.0) + np.asarray(total)
    populations = tuple(p for p in network.populations if p.name not in sources)
    for population in populations:
        neuron: Any = population.neuron
        bias = np.broadcast_to(getattr(neuron, "bias", 0.0), (population.size,))
        current = np.asarray(getattr(neuron, "current_decay", 1.0))
        holder = before if (current == 1).all() else inside
        if bias.any():
            holder[population.name] = holder.get(population.name, 0.0) + bias
    projections = tuple(p for p in network.projections if p.source not in sources)
    return Biases(populations, projections, before, inside)


def _only_brings_a_bias(network: Network, population: Population) -> bool:
    neuron: Any = population.neuron
    if population.name == network.output or network.into(population.name):
        return False
    if neuron.name not in ("integrate_fire", "cuba_lif") or neuron.reset != "hard":
        return False
    always = bool((neuron.bias > neuron.threshold).all()) and not np.any(neuron.initial)
    at_once = all(
        p.delay == 0 and p.port is None and network.own_delay(p) == 0
        for p in network.out_of(population.name)
    )
    return always and at_once and population.phase == 0
