"""Layers of a torch module to a network: multiply linear layers out, translate neurons."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError, raise_together
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import Source
from snncompile.frontends.torch.drive_sum import DriveTerm, Sum
from snncompile.frontends.torch.dynamics import Dynamics
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.libraries.by_hand import FoundCell
from snncompile.frontends.torch.maxima import Maxima
from snncompile.frontends.torch.multiply_out import apply_layer, multiply_out, scale
from snncompile.frontends.torch.neuron_layer import CheckedAnswer, NeuronLayer, Rows
from snncompile.frontends.torch.potential_answer import can_follow, follow_potential
from snncompile.ir.answer import SUM, Answer
from snncompile.ir.graph import Input, Network, Population, Projection, Shape
from snncompile.ir.host_part import HostPart
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.dense import dense

ANSWER = "the answer"
"""Key of the name of a readout that follows potentials; no path has a space."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Origin of a population in the module, and its output to compare."""

    path: str
    """Neuron layer of the module, or the linear layer that ends it."""
    compared: Literal["output", "state"] | Rows
    """The output of the neuron layer, its potential, or the result of the linear layer."""
    calls: tuple[int, ...] = ()
    """Function calls that give the output, of a layer that is written out in the module's code."""


@dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """A network and the origins of its populations."""

    network: Network
    origins: dict[str, Origin]
    """Population -> its origin in the module. A population that makes a bias has none, nor has one
    that answers for all time steps."""
    checked: CheckedAnswer | None = None
    """The returned tensor that is the network's answer."""


def build_network(
    layers: LayerGraph, shape: Shape, title: str, host: HostPart | None = None
) -> ImportedNetwork:
    """Return the network.

    Args:
        layers: the layers of the module.
        shape: shape of the input of one time step.
        title: name of the network.
        host: the part of the module that stays on the host.

    Raises:
        UnsupportedError: a neuron layer has a feature that is not known.
    """
    names = _name_layers(layers)
    populations: list[Population] = []
    projections: list[Projection] = []
    origins: dict[str, Origin] = {}
    dynamics_of = _translate_layers(layers)
    maxima = Maxima(layers, names)
    for layer in layers.neurons:
        name = names[layer.path]
        if layer.maximum:
            more, arriving = maxima.add(layer, populations)
            populations += more
            projections += arriving
            continue
        dynamics = dynamics_of[layer.path]
        calls = layer.module.calls if isinstance(layer.module, FoundCell) else ()
        origin = Origin(layer.path, _choose_compared(layers, layer, dynamics), calls)
        if origin.compared != "answer":
            origins[name] = origin
        _check_fires(layer, dynamics, origin)
        drive = _find_drive(layers, layer, dynamics, readout=origin.compared != "output")
        drive, more, arriving = maxima.expand(drive, layer.path)
        populations += more
        projections += arriving
        more, arriving = _make_population(layer, dynamics, drive, origin, names)
        populations += more
        projections += arriving
        if _follows_potential(layers, layer, dynamics, origin):
            names[ANSWER] = _find_unused_name(f"{name}_potential", names)
            readout, follows, resets = follow_potential(
                dynamics, drive, names[ANSWER], name, populations[-1].shape
            )
            populations.append(readout)
            projections += [*_make_projections(follows, names[ANSWER], names), *resets]
    output = names.get(ANSWER, names[layers.output])
    answer, checked, notes = settle_answer(layers, names, origins.get(names[layers.output]))
    notes += tuple(
        f"{path} is left out: no layer reads it and forward does not return it"
        for path in layers.left_out
    )
    network = Network(
        input=Input("input", shape, host_part=host),
        populations=tuple(populations),
        projections=tuple(projections),
        output=output,
        title=title,
        notes=notes,
        answer=answer,
    )
    return ImportedNetwork(network, origins, checked)


def _follows_potential(
    layers: LayerGraph, layer: NeuronLayer, dynamics: Dynamics, origin: Origin
) -> bool:
    """Return whether the answer needs a readout that follows the potential of these neurons."""
    traced = layers.answer
    if traced is None or traced.state is None or traced.output != layer.path:
        return False
    potential = known_layers.find_neuron_library(layer.module).potential
    asked = traced.state == potential and dynamics.spikes and origin.compared == "output"
    return asked and can_follow(dynamics)


def settle_answer(
    layers: LayerGraph, names: dict[str | None, str], origin: Origin | None
) -> tuple[Answer, CheckedAnswer | None, tuple[str, ...]]:
    """Return the answer of the network, the returned tensor that it equals, and notes.

    A potential is an answer if the output population is a readout.
    """
    traced = layers.answer
    if traced is None:
        return SUM, None, ()
    reason = traced.reason
    known = origin is not None and (origin.compared == "state" or ANSWER in names)
    if traced.state and not known:
        reason = f"the {traced.kind} of the state {traced.state!r} of {traced.output}"
        reason += ", which no neuron of ours sends"
    if reason:
        output = names[layers.output]
        note = f"answer: forward returns {reason}; the prediction is the sum of {output} over time"
        return SUM, None, (note,)
    fixed = layers.steps if traced.depends_on_steps else None
    if traced.checked and traced.checked.columns:
        note = f"answer: forward returns parts of {traced.output}; the prediction is that of all"
        return Answer(traced.kind, fixed), traced.checked, (note,)
    return Answer(traced.kind, fixed), traced.checked, ()


def show_input(imported: ImportedNetwork, source: Input, note: str) -> ImportedNetwork:
    """Return the import with what its input lines carry, and a note that says it."""
    notes = (*imported.network.notes, note) if note else imported.network.notes
    return replace(imported, network=replace(imported.network, input=source, notes=notes))


def _translate_layers(layers: LayerGraph) -> dict[str, Dynamics]:
    """Return the dynamics of each neuron layer, by path."""
    dynamics_of: dict[str, Dynamics] = {}
    errors: list[UnsupportedError] = []
    for layer in layers.neurons:
        if layer.maximum:
            continue
        try:
            dynamics_of[layer.path] = _find_dynamics(layer)
        except UnsupportedError as error:
            errors.append(error)
    raise_together(errors)
    return dynamics_of


def _find_dynamics(layer: NeuronLayer) -> Dynamics:
    if layer.rows:  # its potential is the input of the same time step
        unit = np.asarray(1.0)
        return Dynamics(potential_decay=unit, threshold=unit, reset="none", spikes=False)
    library = known_layers.find_neuron_library(layer.module)
    dynamics = library.translate(layer.module, layer.path, layer.shape)
    return replace(dynamics, reset="none") if _never_fires(dynamics) else dynamics


def _never_fires(dynamics: Dynamics) -> bool:
    """Return whether the threshold is infinite, as in layers whose potential is the answer."""
    return bool(np.isinf(dynamics.threshold).all())


def _check_fires(layer: NeuronLayer, dynamics: Dynamics, origin: Origin) -> None:
    if _never_fires(dynamics) and dynamics.spikes and origin.compared == "output":
        raise UnsupportedError(
            f"{layer.path} never fires, its threshold is infinite; return its potential, in each"
            " time step or as a mean, sum or maximum over them, and nothing else of it"
        )


def _choose_compared(
    layers: LayerGraph, layer: NeuronLayer, dynamics: Dynamics
) -> Literal["output", "state"] | Rows:
    """Return the output to compare; a potential that the module returns is a readout."""
    if layer.rows:
        return layer.rows
    if layer.path != layers.output or not dynamics.spikes:
        return "output"
    potential = known_layers.find_neuron_library(layer.module).potential
    readout = layers.returns_only(potential) and dynamics.reset == "none"
    return "state" if readout else "output"


def _find_drive(
    layers: LayerGraph, layer: NeuronLayer, dynamics: Dynamics, *, readout: bool
) -> Sum:
    """Return the drive of the neurons of a layer."""
    size = prod(layer.shape)
    inner = size if dynamics.input is None else dynamics.input.synapses.wiring.sources
    total = multiply_out(layers, layer.drive, inner)
    if dynamics.input:
        total = apply_layer(dynamics.input, total, layer.path)
    if dynamics.recurrent:
        own = (DriveTerm(Source(layer.path, 1), dynamics.recurrent.synapses),)
        total = Sum((*total.terms, *own), total.bias + dynamics.recurrent.bias)
    if readout or not dynamics.spikes:
        total = scale(total, np.asarray(dynamics.gain))
    return _delay(total, dynamics.delay) if dynamics.delay else total


def _delay(drive: Sum, steps: int) -> Sum:
    """Return a drive whose terms arrive later; its bias is made by a neuron that starts late."""
    terms = (
        replace(t, source=replace(t.source, delay=t.source.delay + steps)) for t in drive.terms
    )
    return replace(drive, terms=tuple(terms))


def _make_population(
    layer: NeuronLayer,
    dynamics: Dynamics,
    drive: Sum,
    origin: Origin,
    names: dict[str | None, str],
) -> tuple[list[Population], list[Projection]]:
    """Return the population of a neuron layer and the projections to it."""
    name = names[layer.path]
    projections = _make_projections(drive, name, names)
    bias, populations = drive.bias, []
    constants = {} if dynamics.late_bias is None else {1: dynamics.late_bias}
    late = layer.module.late if isinstance(layer.module, FoundCell) else dynamics.delay
    if bias.any() and (late or not dynamics.bias_on_potential):
        constants[late], bias = bias, np.zeros(1)
    for delay, constant in sorted(constants.items()):
        source = _find_unused_name(f"{name}_{'late_' * delay}bias", names)
        names[f"{layer.path}, {source}"] = source
        populations.append(Population(source, (1,), _make_bias_neuron()))
        projections.append(Projection(source, name, dense(constant[:, None]), delay))
    spikes = dynamics.spikes and origin.compared == "output"
    make = dynamics.make_neuron if spikes else dynamics.make_readout
    populations.append(Population(name, _find_shape(layer, dynamics), make(_shorten(bias))))
    return populations, projections


def _find_shape(layer: NeuronLayer, dynamics: Dynamics) -> Shape:
    """Return the shape of the neurons: that of their input, unless the layer has weights for it."""
    if dynamics.input is None:
        return layer.shape
    return (dynamics.input.synapses.wiring.targets,)


def _make_projections(drive: Sum, name: str, names: dict[str | None, str]) -> list[Projection]:
    return [
        Projection(names[term.source.path], name, term.synapses, term.source.delay)
        for term in drive.terms
    ]


def _shorten(bias: Floats) -> Floats:
    return bias if bias.any() else np.asarray(0.0)


def _make_bias_neuron() -> FloatNeuron:
    """Return a neuron that fires in each of its time steps.

    A current has memory, so its bias is an input in every time step; no neuron has a bias of
    its current.
    """
    return IntegrateFire(np.asarray(1.0), np.asarray(2.0), "hard")


def _name_layers(layers: LayerGraph) -> dict[str | None, str]:
    """Return a name per neuron layer: its path as an identifier, numbered where two are equal."""
    names: dict[str | None, str] = {None: "input"}
    for layer in layers.neurons:
        name = re.sub(r"[^A-Za-z0-9_]", "_", layer.path)
        name = name if name[0].isalpha() else f"layer_{name.lstrip('_')}"
        names[layer.path] = _find_unused_name(name, names)
    return names


def _find_unused_name(name: str, names: dict[str | None, str]) -> str:
    """Return the name, or the first of name_2, name_3, ... that is free."""
    taken, number, result = set(names.values()), 1, name
    while result in taken:
        number += 1
        result = f"{name}_{number}"
    return result
