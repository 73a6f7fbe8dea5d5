"""Remove neurons from an integer network; the others keep their weights and parameters."""

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

Neurons = NDArray[np.int64]
Kept = Mapping[str, NDArray[np.int64]]
"""Flattened neurons of the input and of each population that stay, in rising order."""


def find_unit_size(graph: Graph, name: str) -> int | None:
    """Return the number of neurons in a row that stay or go together; None if all have to stay.

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


def remove_neurons(network: IntegerNetwork, kept: Kept) -> IntegerNetwork:
    """Return the network of the kept neurons, without synapses of weight zero that can go: whole
    projections, and single ones of sparse wirings.

    Args:
        network: the network that loses neurons.
        kept: whole units of each population; all of the input and of the output population.
    """
    populations = tuple(
        _cut_population(network, p, kept[p.name]) for p in network.populations if len(kept[p.name])
    )
    projections = tuple(
        smaller
        for p in network.projections
        if len(kept[p.source]) and len(kept[p.target])
        if (smaller := _cut_projection(p, kept[p.source], kept[p.target])) is not None
    )
    return replace(network, populations=populations, projections=projections)


def _cut_population(
    network: IntegerNetwork, population: Population, kept: NDArray[np.int64]
) -> Population:
    if len(kept) == population.size:
        return population
    neuron = population.neuron
    per_neuron: dict[str, Any] = {}
    for field in fields(neuron):
        value = getattr(neuron, field.name)
        if field.name in neuron.tables:
            continue
        if isinstance(value, np.ndarray) and value.ndim == 1:
            per_neuron[field.name] = value[kept]
    shape = _cut_shape(population.shape, kept)
    return replace(population, shape=shape, neuron=replace(neuron, **per_neuron))


def _cut_shape(shape: Shape, kept: NDArray[np.int64]) -> Shape:
    """Return (remaining channels, *space) if whole channels went, else (remaining neurons,)."""
    space = prod(shape[1:])
    _, left = np.unique(kept // space, return_counts=True)
    return (len(left), *shape[1:]) if (left == space).all() else (len(kept),)


def _cut_projection(
    projection: Projection, source: NDArray[np.int64], target: NDArray[np.int64]
) -> Projection | None:
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if not synapses.weight.any():
        return None
    kept = _keep_synapses(synapses, source, target)
    if not kept.weight.any():
        return None
    return projection if kept is synapses else replace(projection, synapses=kept)


def _keep_synapses(synapses: IntegerSynapses, source: Neurons, target: Neurons) -> IntegerSynapses:
    """Return the synapses between neurons that stay, as they are if all of them do."""
    kept = synapses.wiring.keep(synapses.weight, source, target)
    if kept is None:
        each = unroll(synapses.wiring)
        kept = each.wiring.keep(each.weights(synapses.weight), source, target)
        if kept[0] is each.wiring:
            return synapses
    wiring, weight = kept
    if wiring is synapses.wiring:
        return synapses
    return replace(synapses, wiring=wiring, weight=weight)


def count_weights(synapses: Synapses | IntegerSynapses) -> int:
    """Return the number of weights; of a wiring that cannot be pruned as such, of synapses."""
    wiring = synapses.wiring.plain
    every = np.arange(wiring.sources), np.arange(wiring.targets)
    alone = wiring.keep(np.ones(synapses.weight.shape), *every) is None
    return wiring.synapses if alone else synapses.weight.size
