"""Compare two runs of one network, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import IntegerNetwork

Trains = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Difference:
    """One output that differs."""

    sample: int
    step: int
    """Own time step of the population."""
    population: str
    neuron: int
    reference: int
    lava: int

    def __str__(self) -> str:
        """Where the two runs part."""
        return (
            f"sample {self.sample}, step {self.step}, population {self.population},"
            f" neuron {self.neuron}: the reference gives {self.reference}, Lava {self.lava}"
        )


@dataclass(frozen=True)
class Row:
    """Agreement of one population."""

    population: str
    outputs: int
    """Outputs that are not zero in the reference: spikes, or potentials of a readout."""
    differences: int


@dataclass(frozen=True)
class Verification:
    """Result of a comparison: what was compared, and the first difference."""

    samples: int
    steps: int
    rows: tuple[Row, ...]
    first: Difference | None

    @property
    def equal(self) -> bool:
        """Whether every output of every population is the same."""
        return self.first is None


def compare(network: IntegerNetwork, wanted: Trains, got: Trains) -> Verification:
    """Compare the outputs of all populations, each of shape (samples, steps, size).

    The first difference is the one of the earliest sample, then of the earliest step of the
    network, then of the first population in order.
    """
    rows, found = [], []
    for order, population in enumerate(network.populations):
        a, b = wanted[population.name], got[population.name]
        places = np.argwhere(a != b)
        rows.append(Row(population.name, int(np.count_nonzero(a)), len(places)))
        if len(places):
            sample, step, neuron = (int(i) for i in places[0])
            values = int(a[sample, step, neuron]), int(b[sample, step, neuron])
            difference = Difference(sample, step, population.name, neuron, *values)
            found.append(((sample, step + population.phase, order), difference))
    first = min(found, key=lambda pair: pair[0])[1] if found else None
    samples, steps = wanted[network.output].shape[:2]
    return Verification(samples, steps, tuple(rows), first)
