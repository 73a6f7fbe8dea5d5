"""Analysis: find the nearest neuron of the chip to one that it lacks, and the cost of using it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import Obstacle, UnsupportedError, raise_together
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Population
from snncompile.neurons.base import Neuron
from snncompile.neurons.resets import MEANING
from snncompile.passes.equal_neurons import find_equal_neuron, use_equal_neurons
from snncompile.reference.backend import spike_trains

SAMPLES = 16
"""Samples of the calibration data that show the effect of another reset."""


def check_neurons(network: Graph, chip: Chip, calibration: NDArray[Any] | None) -> None:
    """Refuse a network with a neuron that the chip lacks, if none of the chip equals it.

    Args:
        network: float or integer.
        chip: the chip that it is to run on.
        calibration: spikes of shape (samples, steps, *input.shape), or None.

    Raises:
        UnsupportedError: the message names, for each such neuron, its first population, the neurons
            that the chip has, the nearest, and its cost.
    """
    network = use_equal_neurons(network, chip)
    populations: dict[str, list[Population]] = {}
    for population in network.populations:
        populations.setdefault(population.neuron.kind, []).append(population)
    errors: list[UnsupportedError] = []
    for population, *others in populations.values():
        try:
            count_compartments_per_neuron(chip, population)
        except UnsupportedError as error:
            where = ", ".join(f"population {p.name}" for p in (population, *others))
            nearest = _find_nearest(population.neuron, chip)
            cost = nearest and _describe_cost(network, population, nearest, chip, calibration)
            message = f"{error}; {cost}" if cost else str(error)
            errors.append(UnsupportedError(message, Obstacle(message, where, hint=cost or "")))
    raise_together(errors)


def _find_nearest(neuron: Neuron, chip: Chip) -> Neuron | None:
    """Return the nearest neuron that the chip has, itself or as an equal."""
    equals = (find_equal_neuron(other, chip) for other in neuron.alternatives())
    return next((equal for equal in equals if equal is not None), None)


def _describe_cost(
    network: Graph,
    population: Population,
    nearest: Neuron,
    chip: Chip,
    calibration: NDArray[Any] | None,
) -> str:
    taken = chip.neurons[nearest.kind].whole or 1
    each = f" ({taken} compartments per neuron)" if taken > 1 else ""
    text = f"train with the nearest, {nearest.kind}{each}"
    meaning = MEANING.get(getattr(nearest, "reset", ""))
    if meaning:
        text += f", where {meaning}"
    if calibration is None:
        return f"{text}; give calibration data to see the effect on this network"
    samples = calibration[:SAMPLES]
    before = spike_trains(network, samples)[population.name]
    after = spike_trains(_substitute(network, population.neuron.kind, chip), samples)[
        population.name
    ]
    differ = int(np.count_nonzero(before != after))
    return (
        f"{text}; in this network it would change {differ:,} of the {before.size:,} outputs of"
        f" {population.name} on {len(samples)} calibration samples"
    )


def _substitute(network: Graph, kind: str, chip: Chip) -> Graph:
    """Return the network with neurons of one kind replaced by the nearest of the chip."""
    populations = tuple(
        replace(p, neuron=_find_nearest(p.neuron, chip) or p.neuron) if p.neuron.kind == kind else p
        for p in network.populations
    )
    return replace(network, populations=populations)
