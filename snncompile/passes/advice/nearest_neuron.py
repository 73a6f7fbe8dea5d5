"""Analysis: a neuron that the chip lacks, the nearest one it has, and what that would cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.cores.compartments import KEEPERS, compartments_per_neuron
from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Population
from snncompile.reference.backend import trains

NEAREST = {
    "delayed_hard": ("hard",),
    "delayed_soft": ("soft", "hard"),
    "strict_soft": ("soft", "delayed_soft", "hard"),
    "soft": ("delayed_soft", "hard"),
    "hard": ("soft", "delayed_soft"),
}
"""Reset -> others that come close, the closest first. Nothing comes close to no reset."""
MEANING = {
    "hard": "a spike clears the potential at once",
    "soft": "a spike subtracts the threshold at once",
    "delayed_soft": "a spike subtracts the threshold in the next time step",
}
SAMPLES = 16
"""Of the calibration data, to see what another reset changes."""


def check_neurons(network: Graph, chip: Chip, calibration: NDArray[Any] | None) -> None:
    """Refuse a network with a neuron that the chip lacks.

    Args:
        network: float or integer.
        chip: it is to run on.
        calibration: spikes of shape (samples, steps, *input.shape), or None.

    Raises:
        UnsupportedError: the message says what the chip has, what is nearest, and its cost.
    """
    for population in network.populations:
        try:
            compartments_per_neuron(chip, population)
        except UnsupportedError as error:
            nearest = _nearest(population, chip)
            if nearest is None:
                raise
            cost = _cost(network, population, nearest, chip, calibration)
            raise UnsupportedError(f"{error}; {cost}") from None


def _nearest(population: Population, chip: Chip) -> str | None:
    """Return the reset of the nearest neuron that the chip has."""
    kind = population.neuron.kind
    name, _, reset = kind.partition("/")
    others = () if kind in KEEPERS else NEAREST.get(reset, ())
    return next((other for other in others if f"{name}/{other}" in chip.neurons), None)


def _cost(
    network: Graph, population: Population, reset: str, chip: Chip, data: NDArray[Any] | None
) -> str:
    kind = f"{population.neuron.name}/{reset}"
    taken = chip.neurons[kind].whole or 1
    each = f"{taken} compartment{'s' * (taken > 1)} per neuron"
    text = f"train with the nearest, {kind} ({each}), where {MEANING[reset]}"
    if data is None:
        return f"{text}; give calibration data to see what it would change in this network"
    some = data[:SAMPLES]
    before = trains(network, some)[population.name]
    after = trains(_with_reset(network, population.neuron.kind, reset), some)[population.name]
    differ = int(np.count_nonzero(before != after))
    return (
        f"{text}; in this network it would change {differ:,} of the {before.size:,} outputs of"
        f" {population.name} on {len(some)} samples of the calibration data"
    )


def _with_reset(network: Graph, kind: str, reset: str) -> Graph:
    """Return a network whose neurons of one kind have another reset."""
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset=reset)) if p.neuron.kind == kind else p  # type: ignore[call-arg]
        for p in network.populations
    )
    return replace(network, populations=populations)
