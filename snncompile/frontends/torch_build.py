"""Layers of a torch module to a network: multiply linear layers out, translate neurons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from snncompile.errors import UnsupportedError
from snncompile.frontends import torch_layers
from snncompile.frontends.torch_graph import Drive, LayerGraph, NeuronLayer, Plus, Source
from snncompile.frontends.torch_linear import LINEAR
from snncompile.ir.graph import Input, Network, Population, Projection, Shape
from snncompile.neurons.base import FloatNeuron, Floats, Interval
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import composed, merged
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale


@dataclass(frozen=True, eq=False)
class Imported:
    """A network and where its populations come from."""

    network: Network
    paths: dict[str, str]
    """Population -> neuron layer of the module."""


@dataclass(frozen=True, eq=False)
class _Term:
    """What one source brings to a drive."""

    source: str | None
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class _Sum:
    """A drive multiplied out: the sum of its terms, plus a bias."""

    terms: tuple[_Term, ...]
    bias: Floats
    """One per target neuron."""


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
    projections = [Projection(names[term.source], name, term.synapses) for term in drive.terms]
    bias = drive.bias
    populations = []
    none = np.asarray(0.0)
    if bias.any() and not dynamics.bias_on_potential:
        source = _unused(f"{name}_bias", names)
        populations.append(Population(source, (1,), _every_step()))
        projections.append(Projection(source, name, dense(bias[:, None])))
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


def _multiplied_out(layers: LayerGraph, drive: Drive, size: int) -> _Sum:
    """Return a drive of `size` values without linear layers in a row and without sums."""
    if isinstance(drive, Source):
        one_to_one = Synapses(Scale(size), np.asarray(1.0))
        return _Sum((_Term(drive.path, one_to_one),), np.zeros(size))
    if isinstance(drive, Plus):
        return _summed([_multiplied_out(layers, term, size) for term in drive.terms])
    module = layers.linear[drive.path]
    layer = LINEAR[type(module)].translate(module, drive.path, drive.shape)
    inner = _multiplied_out(layers, drive.of, layer.synapses.wiring.sources)
    try:
        terms = [_Term(t.source, composed(layer.synapses, t.synapses)) for t in inner.terms]
    except UnsupportedError as error:
        raise UnsupportedError(f"{drive.path}: {error}") from None
    return _Sum(tuple(terms), _applied(layer.synapses, inner.bias) + layer.bias)


def _applied(synapses: Synapses, bias: Floats) -> Floats:
    """Return what a constant becomes; padding makes it differ from neuron to neuron."""
    if not bias.any():
        return np.zeros(synapses.wiring.targets)
    apply = bind(synapses, Interval(0, 1))
    result: Floats = apply(torch.tensor(bias)).numpy()
    return result


def _summed(sums: list[_Sum]) -> _Sum:
    """Return one sum; what comes from the same source is one term if it keeps its structure."""
    terms: list[_Term] = []
    for new in (term for one in sums for term in one.terms):
        for i, old in enumerate(terms):
            both = merged(old.synapses, new.synapses) if old.source == new.source else None
            if both is not None:
                terms[i] = _Term(old.source, both)
                break
        else:
            terms.append(new)
    return _Sum(tuple(terms), np.sum([one.bias for one in sums], axis=0))


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
