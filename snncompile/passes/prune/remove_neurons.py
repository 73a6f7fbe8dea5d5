"""Take neurons out of an integer network: what is left keeps its weights and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from math import lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Array
from snncompile.ir.graph import Graph, IntegerNetwork, Population, Projection, Shape
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange, image_of
from snncompile.synapses.sparse import Sparse

Kept = Mapping[str, NDArray[np.int64]]
"""Flattened neurons of the input and of each population that stay, in rising order."""


def unit(graph: Graph, name: str) -> int | None:
    """Return how many neurons in a row have to stay or go together; None if all have to stay.

    Neurons before or behind a convolution go by whole channels, so that it stays a convolution. A
    convolution in groups has its channels tied to each other: they stay.
    """
    size = 1
    for p in graph.projections:
        wiring = p.synapses.wiring.plain
        if name not in (p.source, p.target) or not isinstance(wiring, Convolution):
            continue
        if wiring.groups > 1 or image_of(p.synapses.wiring) is None:
            return None
        if p.source == name:
            size = lcm(size, prod(wiring.source_shape[1:]))
        if p.target == name:
            size = lcm(size, prod(wiring.target_shape[1:]))
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
    wiring, weight = SHRINKERS[type(synapses.wiring)](
        synapses.wiring, synapses.weight, source, target
    )
    if not weight.any():
        return None
    if wiring is synapses.wiring:
        return projection
    return replace(projection, synapses=replace(synapses, wiring=wiring, weight=weight))


Weights = NDArray[np.int16]


def _dense(wiring: Dense, weight: Weights, source: Array, target: Array) -> tuple[Wiring, Weights]:
    if (len(target), len(source)) == weight.shape:
        return wiring, weight
    return Dense(len(target), len(source)), weight[np.ix_(target, source)]


def _convolution(
    wiring: Convolution, weight: Weights, source: Array, target: Array
) -> tuple[Wiring, Weights]:
    if (len(target), len(source)) == (wiring.targets, wiring.sources):
        return wiring, weight
    sources = _channels(source, prod(wiring.source_shape[1:]))
    targets = _channels(target, prod(wiring.target_shape[1:]))
    shape = (len(sources), *wiring.source_shape[1:])
    left = replace(wiring, source_shape=shape, channels=len(targets))
    return left, weight[np.ix_(targets, sources)]


def _channels(kept: Array, space: int) -> Array:
    return kept[::space] // space


def _sparse(
    wiring: Sparse, weight: Weights, source: Array, target: Array
) -> tuple[Wiring, Weights]:
    new_source, new_target = _numbers(source, wiring.sources), _numbers(target, wiring.targets)
    stay = (weight != 0) & (new_source[wiring.source] >= 0) & (new_target[wiring.target] >= 0)
    whole = (len(target), len(source)) == (wiring.targets, wiring.sources)
    if whole and stay.all():
        return wiring, weight
    ends = new_target[wiring.target[stay]], new_source[wiring.source[stay]]
    return Sparse(*ends, len(target), len(source)), weight[stay]


def _scale(wiring: Scale, weight: Weights, source: Array, target: Array) -> tuple[Wiring, Weights]:
    if len(source) == len(target) == wiring.size:
        return wiring, weight
    if np.array_equal(source, target):
        return Scale(len(source), wiring.per_neuron), weight[source] if weight.ndim else weight
    both = np.intersect1d(source, target)
    ends = _numbers(target, wiring.size)[both], _numbers(source, wiring.size)[both]
    values = np.broadcast_to(weight, (wiring.size,))[both]
    return Sparse(*ends, len(target), len(source)), values


def _source_range(
    wiring: SourceRange, weight: Weights, source: Array, target: Array
) -> tuple[Wiring, Weights]:
    if (len(target), len(source)) == (wiring.targets, wiring.sources):
        return wiring, weight
    begin, end = np.searchsorted(source, (wiring.first, wiring.stop)).tolist()
    inside = source[begin:end] - wiring.first
    part, left = SHRINKERS[type(wiring.part)](wiring.part, weight, inside, target)
    return SourceRange(part, begin, len(source)), left


def _numbers(kept: Array, size: int) -> Array:
    """Return the new number of each neuron, -1 for those that go."""
    numbers = np.full(size, -1)
    numbers[kept] = np.arange(len(kept))
    return numbers


SHRINKERS: dict[type, Any] = {
    Dense: _dense,
    Convolution: _convolution,
    Sparse: _sparse,
    Scale: _scale,
    SourceRange: _source_range,
}
"""Wiring to what is left of it: (wiring, weights, sources that stay, targets that stay)."""
