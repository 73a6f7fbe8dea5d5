"""Converted networks of neurons that processes of Lava's own library compute.

    integrate-and-fire, soft reset      ->   hard reset
    changes of graded_delta, rectified  ->   sigma_delta, in 1/64 of its unit
    changes of the input                ->   delta

A rectifier of `sigma_delta` has no upper limit. Tables and maxima stay `graded_delta`, and what has
no process in the library is what the backend lists.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncompile.conversion.method import Method
from snncompile.errors import InputError
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import Neuron
from snncompile.neurons.delta import Delta
from snncompile.neurons.graded_delta import GradedDelta
from snncompile.neurons.sigma_delta import SigmaDelta
from snncompile.passes.quantize.library_processes import use_hard_resets
from snncompile.synapses.base import Synapses

WITHOUT_PROCESS = ("graded", "graded_delta", "window_readout")
"""Neurons of conversions for which the library has no process: they multiply, look up or count."""


def check_library(method: Method) -> None:
    """Refuse a method of whose networks nothing can be processes of the library.

    Raises:
        InputError: names the methods that can be.
    """
    if not method.suits_library:
        raise InputError(
            f"{method.name}: no process of Lava's library computes its neurons; with"
            " processes='library' take method='balance' or 'sigma_delta' ('graded' for its"
            " convolutions)"
        )


def use_library_neurons(network: Network) -> Network:
    """Return the network with neurons of Lava's library where its layers can be of them.

    A note names those that cannot.
    """
    network, _ = use_hard_resets(network)
    populations = tuple(_exchange(p) for p in network.populations)
    units = {p.name: _find_unit(p.neuron) for p in populations}
    units[network.input.name] = 1
    projections = tuple(_rescale(p, units) for p in network.projections)
    notes = network.notes + tuple(_describe_others(populations))
    return replace(network, populations=populations, projections=projections, notes=notes)


def _describe_others(populations: tuple[Population, ...]) -> list[str]:
    """Return a note on the populations that remain without a process of the library."""
    others = [
        f"{p.name} ({p.neuron.kind})" for p in populations if p.neuron.name in WITHOUT_PROCESS
    ]
    if not others:
        return []
    return [
        f"convert: Lava's library has no process for {', '.join(others)}: written for Loihi 2,"
        " these need microcode, as layers behind them may"
    ]


def _exchange(population: Population) -> Population:
    """Return the population with the neuron of the library, or as it is."""
    neuron = population.neuron
    if not isinstance(neuron, GradedDelta) or neuron.table.size or (neuron.factor != 1).any():
        return population
    unit = SigmaDelta.message_unit
    if not neuron.adds_up:
        return replace(population, neuron=Delta(neuron.least / unit))
    if np.any(neuron.lowest):
        return population
    sigma_delta = SigmaDelta(neuron.least / unit, neuron.bias / unit)
    return replace(population, neuron=sigma_delta)


def _find_unit(neuron: Neuron) -> int:
    """Return the messages of a value of 1 in the unit that the neuron's sums have."""
    return SigmaDelta.message_unit if isinstance(neuron, Delta | SigmaDelta) else 1


def _rescale(projection: Projection, units: dict[str, int]) -> Projection:
    """Return the projection with weights for the units of both ends."""
    synapses = projection.synapses
    assert isinstance(synapses, Synapses), "a conversion has floats"
    factor = units[projection.source] / units[projection.target]
    if factor == 1:
        return projection
    return replace(projection, synapses=replace(synapses, weight=synapses.weight * factor))
