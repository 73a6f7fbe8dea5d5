"""Import a NIR file: the network in it, and what had to be assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.assumptions import Reading, reading
from snncompile.frontends.nir.drive import Drive, added, delayed, scaled, sent, through
from snncompile.frontends.nir.file import PASS, NirGraph, Node, read_nir, shown
from snncompile.frontends.nir.metadata import neuron_of, shape_of
from snncompile.frontends.nir.neurons import KINDS, Dynamics, dynamics, neuron, steps_per_unit
from snncompile.frontends.nir.node_order import fused, order, reached, shapes, with_loop_delays
from snncompile.frontends.nir.stateless_nodes import applied, broadcast
from snncompile.ir.graph import Input, Network, Population, Projection, Shape
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.dense import dense

LONGEST_DELAY = 2**20
"""Time steps."""
PASSING = (PASS, "Flatten")
"""Kinds of nodes that change no value."""


def from_nir(
    path: str | Path,
    *,
    origin: str = "auto",
    dt: float | None = None,
    reset: str | Mapping[str, str] = "auto",
    comparison: str = "auto",
    if_r: str = "auto",
    tau_unit: str = "auto",
    method: str = "auto",
    start: str = "auto",
    w_in: str = "auto",
    r: str = "auto",
    spikes_per_step: str = "auto",
    loop_delay: int | Mapping[tuple[str, str], int] = 1,
    input_shape: Shape | None = None,
    title: str | None = None,
) -> Network:
    """Return the network in a NIR file; its `notes` say what was assumed.

    Args:
        path: the file.
        origin: who wrote it: "nir", "snntorch", "spikingjelly", "norse" or "sinabs", which sets
            what the file does not say; "auto" finds out by its numbers.
        dt, reset, comparison, if_r, tau_unit, method, start, w_in, r, spikes_per_step: one
            assumption each in the place of the origin's, see
            `snncompile.frontends.nir.assumptions.Assumptions`; `reset` may be one per neuron
            node.
        loop_delay: time steps that a loop without a Delay takes. They are on the connections from
            a neuron back to one that the input reaches no later. Or one number per
            (source, target) of such a connection, by the names of the neuron nodes.
        input_shape: shape of one time step of one sample, if the file holds another one; leading
            axes that the next node cannot take are left out anyway.
        title: name of the network in reports; the name of the file if not given.

    Raises:
        InputError: the file is damaged, or a value in it or an argument is not what it should be.
        UnsupportedError: a node or a feature of one is not known.
    """
    graph = fused(read_nir(path))
    given = {
        "dt": dt,
        "reset": reset,
        "comparison": comparison,
        "if_r": if_r,
        "tau_unit": tau_unit,
        "method": method,
        "start": start,
        "w_in": w_in,
        "r": r,
        "spikes_per_step": spikes_per_step,
    }
    found = reading(graph, origin, given)
    return _Builder(graph, found, input_shape).network(loop_delay, title or Path(path).stem)


class _Builder:
    """A file on its way to a network."""

    def __init__(self, graph: NirGraph, found: Reading, input_shape: Shape | None) -> None:
        self.graph, self.reading = graph, found
        self.input, self.output = _only(graph, "Input"), _only(graph, "Output")
        self.order = order(graph)
        self.shapes = shapes(graph, self.input, input_shape)
        self.before: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.before[target].append(source)
        self.names = {self.input.name: "input"}
        for name in reached(graph):
            if graph.nodes[name].kind in KINDS:
                self.names[name] = _identifier(name, set(self.names.values()))
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.notes = list(found.notes())

    def network(self, loop_delay: int | Mapping[tuple[str, str], int], title: str) -> Network:
        """Return the network."""
        arriving = self._arriving()
        for name in reached(self.graph):
            if self.graph.nodes[name].kind in KINDS:
                self._populate(self.graph.nodes[name], arriving[name])
        self._delay_loops(loop_delay)
        self._shape_output()
        shape = self.shapes.out_of[self.input.name]
        if shape != self.input.integers("shape"):
            said = self.input.integers("shape")
            self.notes.append(
                f"NIR: the input has shape {shape} without batch, the file says {said}"
            )
        return Network(
            input=Input("input", shape),
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            output=self.names[self._output_neuron()],
            title=title,
            notes=tuple(self.notes),
        )

    def _arriving(self) -> dict[str, Drive]:
        """Return what arrives at each node."""
        sends: dict[str, Drive] = {}
        for name in [self.input.name, *(n for n in self.names if n != self.input.name)]:
            sends[name] = sent(name, self.shapes.out_of[name])
        arriving: dict[str, Drive] = {}
        for name in self.order:
            node = self.graph.nodes[name]
            if name == self.input.name:
                continue
            arriving[name] = added(sends[source] for source in self.before[name])
            if name not in sends:
                sends[name] = self._passed(node, arriving[name])
        return arriving

    def _passed(self, node: Node, drive: Drive) -> Drive:
        """Return what a node without state makes of a drive."""
        if node.kind == "Delay":
            return delayed(node, drive, self._steps(node))
        return through(node, applied(node, self.shapes.into[node.name]), drive)

    def _steps(self, node: Node) -> NDArray[np.int64]:
        """Return a delay in time steps, the nearest whole number."""
        delay = broadcast(node, "delay", self.shapes.into[node.name])
        exact = delay * steps_per_unit(self.reading.assumptions)
        steps = np.rint(exact)
        if not ((steps >= 0) & (steps <= LONGEST_DELAY)).all():
            raise InputError(
                f"{node.where}: a delay of {exact.flat[np.abs(exact).argmax()]:g} time steps is"
                f" outside 0..{LONGEST_DELAY:,}"
            )
        if (np.abs(steps - exact) > 1e-3).any():
            worst = exact.flat[np.abs(steps - exact).argmax()]
            self.notes.append(f"NIR: {node.name}: a delay of {worst:g} time steps was rounded")
        return steps.astype(np.int64)

    def _populate(self, node: Node, drive: Drive) -> None:
        """Add the population of a neuron node, and what drives it."""
        name, shape = self.names[node.name], self.shapes.out_of[node.name]
        made = dynamics(node, shape, self.reading)
        exact = self._exact(node, made, drive)
        if exact is not None:
            shape = shape_of(node, shape)
            made = replace(made, gain=np.asarray(1.0))
        drive = scaled(node, drive, made.gain)
        bias = drive.bias if drive.bias.any() else np.asarray(0.0)
        if bias.any() and not made.bias_on_potential:
            source = _identifier(f"{name}_bias", {*self.names.values()})
            self.names[source] = source
            self.populations.append(Population(source, (1,), _every_step()))
            self.projections.append(Projection(source, name, dense(bias[:, None])))
            bias = np.asarray(0.0)
        own = exact or neuron(node, made, bias, self.reading)
        self.populations.append(Population(name, shape, own))
        for term in drive.terms:
            self._check_spikes(term.source, node)
            self.projections.append(
                Projection(self.names[term.source], name, term.synapses, term.delay)
            )

    def _exact(self, node: Node, made: Dynamics, drive: Drive) -> FloatNeuron | None:
        """Return the neuron of our own metadata, if the file was not changed since."""
        if not self.reading.exact:
            return None
        found = neuron_of(node, made)
        if found is None or drive.bias.any():
            self.notes.append(f"NIR: {node.name} was changed by others, its metadata is not used")
            return None
        return found

    def _check_spikes(self, source: str, target: Node) -> None:
        if self.graph.nodes[source].kind in ("I", "LI", "CubaLI"):
            raise UnsupportedError(
                f"{target.where}: gets the potential of {shown(source)}"
                f" ({self.graph.nodes[source].kind}); only spikes can be sent, put a Threshold"
                " after it"
            )

    def _delay_loops(self, delay: int | Mapping[tuple[str, str], int]) -> None:
        path = {name: node for node, name in self.names.items()}
        steps = delay
        if not isinstance(delay, int):
            steps = {(self.names.get(a, a), self.names.get(b, b)): n for (a, b), n in delay.items()}
        rank = {p.name: i for i, p in enumerate(self.populations)}
        self.projections, changed = with_loop_delays(self.projections, rank, steps)
        for a, b in changed:
            self.notes.append(
                f"NIR: the loop through {path[a]} -> {path[b]} has no Delay; that connection takes"
                " loop_delay time steps"
            )

    def _output_neuron(self) -> str:
        """Return the neuron node whose output is the network's."""
        name = self.output.name
        while self.graph.nodes[name].kind not in KINDS:
            if self.graph.nodes[name].kind not in (*PASSING, "Output"):
                raise UnsupportedError(
                    f"{self.graph.nodes[name].where}: {self.graph.nodes[name].kind} after the last"
                    " neurons is not known; end with neurons, for example LI"
                )
            if len(self.before[name]) != 1:
                raise UnsupportedError(
                    f"{self.graph.nodes[name].where}: the output is a sum of"
                    f" {len(self.before[name])} nodes, only one is known"
                )
            name = self.before[name][0]
            if name == self.input.name:
                raise UnsupportedError(f"{self.graph.where}: holds no neurons")
        return name

    def _shape_output(self) -> None:
        """Give the last population the shape that the output has after Flatten nodes."""
        name, shape = self.names[self._output_neuron()], self.shapes.into[self.output.name]
        if self.reading.exact:  # metadata gave it its shape
            return
        self.populations = [
            replace(p, shape=shape) if p.name == name else p for p in self.populations
        ]


def _only(graph: NirGraph, kind: str) -> Node:
    """Return the one node of a kind."""
    found = [node for node in graph.nodes.values() if node.kind == kind]
    if len(found) != 1:
        raise UnsupportedError(f"{graph.where}: has {len(found)} nodes {kind}, only one is known")
    return found[0]


def _identifier(path: str, taken: set[str]) -> str:
    """Return a name for a population: the node's, with _ for what no name can hold."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", path) or "_"
    name = name if name[0].isascii() and name[0].isalpha() else f"layer_{name.lstrip('_')}"
    number, result = 1, name
    while result in taken:
        number += 1
        result = f"{name}_{number}"
    return result


def _every_step() -> FloatNeuron:
    """Return a neuron that fires in each of its time steps: the bias of a current."""
    return IntegrateFire(np.asarray(1.0), np.asarray(2.0), "hard")
