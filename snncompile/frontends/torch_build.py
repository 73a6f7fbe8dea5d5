"""Layers of a torch module to a network: multiply linear layers out, translate neurons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import numpy as np

from snncompile.errors import UnsupportedError
from snncompile.frontends import torch_layers
from snncompile.frontends.torch_graph import (
    INPUT,
    Drive,
    LayerGraph,
    NeuronLayer,
    Plus,
    Source,
    Through,
)
from snncompile.ir.graph import Dense, Input, Network, Population, Projection, Shape
from snncompile.neurons.base import FloatNeuron, Floats
from snncompile.neurons.integrate_fire import IntegrateFire

LARGEST_IDENTITY = 4096
"""Neurons that may be fed one to one, without a linear layer: that takes a dense unit matrix."""


@dataclass(frozen=True, eq=False)
class Imported:
    """A network and where its populations come from."""

    network: Network
    paths: dict[str, str]
    """Population -> neuron layer of the module."""


@dataclass(frozen=True, eq=False)
class _Affine:
    """A drive multiplied out: sum of weights[source] @ spikes of source, plus bias."""

    weights: dict[str | None, Floats | None]
    """None for one to one."""
    bias: Floats | None = None


def build(layers: LayerGraph, shape: Shape, title: str) -> Imported:
    """Return the network.

    Args:
        layers: the layers of the module.
        shape: shape of the input of one time step.
        title: name of the network.

    Raises:
        UnsupportedError: a neuron layer has a feature that is not known.
    """
    names = _names(layers)
    populations: list[Population] = []
    projections: list[Projection] = []
    for layer in layers.neurons:
        more, arriving = _population(layers, layer, names)
        populations += more
        projections += arriving
    network = Network(
        input=Input("input", shape),
        populations=tuple(populations),
        projections=tuple(projections),
        output=names[layers.output],
        title=title,
    )
    return Imported(network, {names[layer.path]: layer.path for layer in layers.neurons})


def _population(
    layers: LayerGraph, layer: NeuronLayer, names: dict[str | None, str]
) -> tuple[list[Population], list[Projection]]:
    """Return the population of a neuron layer, with what drives it."""
    library = torch_layers.library(layer.module)
    dynamics = library.translate(layer.module, layer.path, layer.shape)
    name, size = names[layer.path], prod(layer.shape)
    drive = _multiplied_out(layers, layer.drive, size)
    projections = [
        Projection(names[source], name, Dense(_weights(matrix, size, source, layer.path)))
        for source, matrix in drive.weights.items()
    ]
    bias = np.zeros(size) if drive.bias is None else drive.bias
    populations = []
    none = np.asarray(0.0)
    if bias.any() and not dynamics.bias_on_potential:
        source = _unused(f"{name}_bias", names)
        populations.append(Population(source, (1,), _every_step()))
        projections.append(Projection(source, name, Dense(bias[:, None])))
        bias = none
    readout = layer.path == layers.output and layers.returns_only_potential
    make = dynamics.readout if readout and dynamics.reset == "none" else dynamics.neuron
    populations.append(Population(name, layer.shape, make(bias if bias.any() else none)))
    return populations, projections


def _every_step() -> FloatNeuron:
    """Return a neuron that fires in each of its time steps.

    A current has memory, so its bias is an input that is always there; no neuron has a bias of
    its current.
    """
    return IntegrateFire(np.asarray(1.0), np.asarray(2.0), "hard")


def _weights(matrix: Floats | None, size: int, source: str | None, path: str) -> Floats:
    if matrix is not None:
        return matrix
    if size > LARGEST_IDENTITY:
        raise UnsupportedError(
            f"{path} is fed by {source or INPUT} without a linear layer between; that is known up"
            f" to {LARGEST_IDENTITY:,} neurons, here are {size:,}"
        )
    return np.eye(size)


def _multiplied_out(layers: LayerGraph, drive: Drive, size: int) -> _Affine:
    """Return a drive of `size` values without linear layers in a row and without sums."""
    if isinstance(drive, Source):
        return _Affine({drive.path: None})
    if isinstance(drive, Plus):
        return _summed([_multiplied_out(layers, term, size) for term in drive.terms], size)
    assert isinstance(drive, Through)
    module = layers.linear[drive.path]
    weight, bias = torch_layers.LINEAR[type(module)](module)
    inner = _multiplied_out(layers, drive.of, weight.shape[1])
    weights: dict[str | None, Floats | None] = {
        source: weight if matrix is None else weight @ matrix
        for source, matrix in inner.weights.items()
    }
    return _Affine(weights, bias if inner.bias is None else weight @ inner.bias + bias)


def _summed(terms: list[_Affine], size: int) -> _Affine:
    weights: dict[str | None, Floats | None] = {}
    bias = np.zeros(size)
    for term in terms:
        bias = bias if term.bias is None else bias + term.bias
        for source, matrix in term.weights.items():
            if source in weights:
                both = (np.eye(size) if m is None else m for m in (weights[source], matrix))
                matrix = np.add(*both)
            weights[source] = matrix
    return _Affine(weights, bias)


def _names(layers: LayerGraph) -> dict[str | None, str]:
    """Return a name per neuron layer: its path as an identifier, numbered where two are equal."""
    names: dict[str | None, str] = {None: "input"}
    for layer in layers.neurons:
        name = re.sub(r"[^A-Za-z0-9_]", "_", layer.path)
        name = name if name[0].isalpha() else f"layer_{name.lstrip('_')}"
        names[layer.path] = _unused(name, names)
    return names


def _unused(name: str, names: dict[str | None, str]) -> str:
    """Return the name, or the first of name_2, name_3, ... that is free."""
    taken, number, result = set(names.values()), 1, name
    while result in taken:
        number += 1
        result = f"{name}_{number}"
    return result
