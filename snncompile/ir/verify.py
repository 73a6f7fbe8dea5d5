"""The rules of a well-formed network: one function per rule, one message each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from snncompile.errors import InputError
from snncompile.ir import view
from snncompile.ir.input import LARGEST_PAYLOAD
from snncompile.ir.verify_learning import check_learning

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.neurons.base import Neuron

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def check_graph(graph: Graph) -> None:
    """Raise InputError with the first broken rule."""
    for rule in RULES:
        for message in rule(graph):
            raise InputError(message)


def _check_names(graph: Graph) -> Iterator[str]:
    names = [graph.input.name, *(p.name for p in graph.populations)]
    for name in names:
        if not NAME.fullmatch(name):
            yield f"name {name!r}: use letters, digits and _, starting with a letter"
        if names.count(name) > 1:
            yield f"name {name!r} is used twice"
    if graph.output not in names[1:]:
        yield f"output {graph.output!r} is not a population; there are {', '.join(names[1:])}"


def _check_shapes(graph: Graph) -> Iterator[str]:
    shapes = {graph.input.name: graph.input.shape} | {p.name: p.shape for p in graph.populations}
    for name, shape in shapes.items():
        if not shape or min(shape) < 1:
            yield f"{name}: shape {shape} holds no neurons"


def _check_phases(graph: Graph) -> Iterator[str]:
    for population in graph.populations:
        if population.phase < 0:
            yield f"{population.name}: phase {population.phase} is before the first time step"


def _check_ends(graph: Graph) -> Iterator[str]:
    targets = {p.name for p in graph.populations}
    for projection in graph.projections:
        where = f"projection {projection.source} -> {projection.target}"
        if projection.source not in targets | {graph.input.name}:
            yield f"{where}: there is no population {projection.source!r}"
        if projection.target not in targets:
            yield f"{where}: there is no population {projection.target!r}"


def _check_kinds(graph: Graph) -> Iterator[str]:
    kind = type(graph).__name__
    for population in graph.populations:
        if not isinstance(population.neuron, graph.neuron_types):
            yield f"{population.name}: {type(population.neuron).__name__} has no place in {kind}"
    for projection in graph.projections:
        if not isinstance(projection.synapses, graph.synapse_types):
            synapses = type(projection.synapses).__name__
            where = f"projection {projection.source} -> {projection.target}"
            yield f"{where}: {synapses} has no place in {kind}"


def _check_parameters(graph: Graph) -> Iterator[str]:
    for population in graph.populations:
        for name in population.neuron.parameters():
            shape = getattr(population.neuron, name).shape
            if name in population.neuron.tables:
                continue
            if shape not in ((), (population.size,)):
                yield (
                    f"{population.name}: {name} has {shape[0]} values for {population.size} neurons"
                )


def _check_weights(graph: Graph) -> Iterator[str]:
    for projection in graph.projections:
        weight, wiring = projection.synapses.weight, projection.synapses.wiring
        where = f"projection {projection.source} -> {projection.target}"
        ends = (graph.end(projection.target).size, graph.end(projection.source).size)
        if (wiring.targets, wiring.sources) != ends:
            joins = (wiring.targets, wiring.sources)
            yield f"{where}: weights join (target, source) {joins}, the populations have {ends}"
        elif weight.dtype.kind == "f" and not np.isfinite(weight).all():
            yield f"{where}: {np.count_nonzero(~np.isfinite(weight))} weights are not finite"


def _check_spiking_sources(graph: Graph) -> Iterator[str]:
    for projection in graph.projections:
        source = graph.end(projection.source)
        if source is not graph.input and not graph.population(source.name).neuron.spikes:
            yield (
                f"projection {projection.source} -> {projection.target}:"
                f" {projection.source} is a readout and sends no spikes"
            )


def _check_payloads(graph: Graph) -> Iterator[str]:
    low, high = graph.input.payload
    if not (low % 1 == 0 and high % 1 == 0 and low <= 0 <= high):
        yield f"{graph.input.name}: payload {low}..{high} must be whole numbers around 0"
    elif max(-low, high) > LARGEST_PAYLOAD:
        yield f"{graph.input.name}: payload {low}..{high} is beyond +-{LARGEST_PAYLOAD}"


def _check_host(graph: Graph) -> Iterator[str]:
    sizes = {p.name: p.size for p in graph.populations}
    for layer in graph.input.host:
        where, wiring = f"host layer of {layer.target}", layer.synapses.wiring
        if layer.target not in sizes:
            yield f"{where}: there is no such population"
        elif (wiring.targets, wiring.sources) != (sizes[layer.target], graph.input.size):
            yield f"{where}: its weights do not join the input to the population"
        elif layer.bias.shape != (wiring.targets,) or not np.isfinite(layer.bias).all():
            yield f"{where}: expected one finite bias per neuron"
    if graph.input.host and graph.out_of(graph.input.name):
        yield f"{graph.input.name}: its values go to the host, it has no projections"


def _check_ports(graph: Graph) -> Iterator[str]:
    for projection in graph.projections:
        where = f"projection {projection.source} -> {projection.target}"
        neuron = graph.population(projection.target).neuron
        if projection.port is None and neuron.ports:
            known = _join_ports(neuron)
            yield f"{where}: {neuron.name} has several inputs; set port to one of {known}"
        elif projection.port is not None and projection.port not in neuron.ports:
            has = f"it has {_join_ports(neuron)}" if neuron.ports else "it has only one"
            yield f"{where}: {neuron.name} has no input {projection.port!r}; {has}"


def _join_ports(neuron: Neuron) -> str:
    return ", ".join(neuron.ports)


def _check_delays(graph: Graph) -> Iterator[str]:
    for projection in graph.projections:
        if projection.delay < 0 or graph.own_delay(projection) < 0:
            phases = f"{graph.phase(projection.source)} to {graph.phase(projection.target)}"
            yield (
                f"projection {projection.source} -> {projection.target}: delay {projection.delay}"
                f" cannot carry spikes from phase {phases}"
            )


def _check_loops(graph: Graph) -> Iterator[str]:
    instant = view.make_digraph(graph, lambda projection: graph.own_delay(projection) == 0)
    if not nx.is_directed_acyclic_graph(instant):
        loop = [edge[0] for edge in nx.find_cycle(instant)]
        path = " -> ".join([*loop, loop[0]])
        yield f"loop {path} has no delay; give one of its projections a delay of 1 or more"


RULES = (
    _check_names,
    _check_shapes,
    _check_phases,
    _check_ends,
    _check_kinds,
    _check_parameters,
    _check_weights,
    _check_spiking_sources,
    _check_payloads,
    _check_host,
    _check_ports,
    _check_delays,
    _check_loops,
    check_learning,
)
