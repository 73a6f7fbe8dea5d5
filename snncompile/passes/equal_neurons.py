"""Replace neurons that a chip lacks by others of it that do the same, bit for bit.

A neuron states what equals it (`Neuron.equals`): a current-based neuron whose current has no memory
and whose potential has no leak is integrate-and-fire, an adaptive one whose threshold never rises
and a refractory one that never rests are current-based. It comes before the first pass, since all
of them ask the chip about its own neurons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network
from snncompile.neurons.base import Neuron

AnyGraph = TypeVar("AnyGraph", bound=Graph)


def begin_design(
    network: Network | IntegerNetwork, chip: Chip, calibration: NDArray[Any] | None = None
) -> Design:
    """Return the design that the first pass gets: the network with neurons of the chip.

    The log has the notes of the network, and a line for each kind of neuron that was replaced.

    Args:
        network: float or integer.
        chip: the chip that it is to run on.
        calibration: spikes of shape (samples, steps, *input.shape), or None.
    """
    equal = use_equal_neurons(network, chip)
    pairs: dict[tuple[str, str], list[str]] = {}
    for before, after in zip(network.populations, equal.populations, strict=True):
        if after is not before:
            pairs.setdefault((before.neuron.kind, after.neuron.kind), []).append(before.name)
    lines = (
        f"neurons: {before} is {after} here, bit for bit, in {', '.join(names)}"
        for (before, after), names in pairs.items()
    )
    return Design(equal, chip, calibration, log=(*network.notes, *lines))


def use_equal_neurons(network: AnyGraph, chip: Chip) -> AnyGraph:
    """Return the network with an equal neuron of the chip for each that the chip lacks."""
    lacking = {
        p.name: find_equal_neuron(p.neuron, chip)
        for p in network.populations
        if p.neuron.kind not in chip.neurons
    }
    equals = {name: neuron for name, neuron in lacking.items() if neuron is not None}
    populations = tuple(
        replace(p, neuron=equals[p.name]) if p.name in equals else p for p in network.populations
    )
    return replace(network, populations=populations) if equals else network


def find_equal_neuron(neuron: Neuron, chip: Chip) -> Neuron | None:
    """Return a neuron of the chip that does the same: itself, an equal, or an equal of an equal.

    None if there is none.
    """
    known, queue = {neuron.kind}, [neuron]
    for candidate in queue:
        if candidate.kind in chip.neurons:
            return candidate
        new = [equal for equal in candidate.equals() if equal.kind not in known]
        known |= {equal.kind for equal in new}
        queue += new
    return None
