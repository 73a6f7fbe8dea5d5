"""Take neurons out of an integer network: what is left keeps its weights and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from math import lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import Graph, IntegerNetwork, Population, Projection, Shape
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.sparse import unroll

Places = NDArray[np.int64]
Kept = Mapping[str, NDArray[np.int64]]
"""Flattened neurons of the input and of each population that stay, in rising order."""


def unit(graph: Graph, name: str) -> int | None:
    """Return how many neurons in a row have to stay or go together; None if all have to stay.

    Neurons before or behind a convolution go by whole channels, so that it stays a convolution. A
    convolution in groups has its channels tied to each other: they stay.
    """
    size = 1
    for p in graph.projections:
        if name not in (p.source, p.target):
            continue
        units = p.synapses.wiring.units
        if units is None:
            return None
        if p.source == name:
            size = lcm(size, units[0])
        if p.target == name:
            size = lcm(size, units[1])
    return size


def shrunk(network: IntegerNetwork, kept: Kept) -> IntegerNetwork:
    """Return the network without the other neurons and without synapses of weight zero that stand
    alone: whole projections, and those of sparse wirings.

    Args:
        network: of which neurons go.
        kept: whole units of each population; all of the input and of the output population.
    """
    populations = tuple(
        _population(network, p, kept[p.name]) for p in network.populations if len(kept[p.name])
    )
    projections = tuple(
        made
        for p in network.projections
        if len(kept[p.source]) and len(kept[p.target])
        if (made := _projection(p, kept[p.source], kept[p.target])) is not None
    )
    return replace(network, populations=populations, projections=projections)


def _population(
    network: IntegerNetwork, population: Population, kept: NDArray[np.int64]
) -> Population:
    if len(kept) == population.size:
        return population
    neuron = population.neuron
    per_neuron: dict[str, Any] = {}
    for field in fields(neuron):
        value = getattr(neuron, field.name)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            per_neuron[field.name] = value[kept]
    shape = _shape(population.shape, kept, unit(network, population.name) or 1)
    return replace(population, shape=shape, neuron=replace(neuron, **per_neuron))


def _shape(shape: Shape, kept: NDArray[np.int64], size: int) -> Shape:
    """Return (channels left, *space) if channels went, else (neurons left,)."""
    space = prod(shape[1:])
    return (len(kept) // space, *shape[1:]) if size % space == 0 else (len(kept),)


def _projection(
    projection: Projection, source: NDArray[np.int64], target: NDArray[np.int64]
) -> Projection | None:
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if not synapses.weight.any():
        return None
    left = _keep(synapses, source, target)
    if not left.weight.any():
        return None
    return projection if left is synapses else replace(projection, synapses=left)


def _keep(synapses: IntegerSynapses, source: Places, target: Places) -> IntegerSynapses:
    """Return the synapses between neurons that stay, as they are if all of them do."""
    left = synapses.wiring.keep(synapses.weight, source, target)
    if left is None:
        each = unroll(synapses.wiring)
        left = each.wiring.keep(each.weights(synapses.weight), source, target)
        if left[0] is each.wiring:
            return synapses
    wiring, weight = left
    if wiring is synapses.wiring:
        return synapses
    return replace(synapses, wiring=wiring, weight=weight)


def count_weights(synapses: Synapses | IntegerSynapses) -> int:
    """Return the number of weights; of a wiring that cannot be pruned as such, of synapses."""
    wiring = synapses.wiring.plain
    every = np.arange(wiring.sources), np.arange(wiring.targets)
    alone = wiring.keep(synapses.weight, *every) is None
    return wiring.synapses if alone else synapses.weight.size
