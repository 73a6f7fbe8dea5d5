"""Import a NIR file: the network in it, and the assumptions made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.assumptions import Reading, choose_reading
from snncompile.frontends.nir.drive import (
    Drive,
    add_drives,
    apply_node,
    delay_drive,
    scale_drive,
    send_spikes,
)
from snncompile.frontends.nir.file import PASS, NirGraph, Node, read_nir, shorten
from snncompile.frontends.nir.metadata import read_neuron, read_shape
from snncompile.frontends.nir.neurons import (
    KINDS,
    Dynamics,
    count_steps_per_unit,
    make_neuron,
    read_dynamics,
)
from snncompile.frontends.nir.node_order import (
    add_loop_delays,
    find_shapes,
    fuse_thresholds,
    order_breadth_first,
    order_nodes,
)
from snncompile.frontends.nir.stateless_nodes import broadcast, translate_node
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
    """Return the network in a NIR file; its `notes` list the assumptions.

    Args:
        path: the file.
        origin: its writer: "nir", "snntorch", "spikingjelly", "norse" or "sinabs", which sets the
            assumptions; "auto" finds the writer by the numbers of the file.
        dt, reset, comparison, if_r, tau_unit, method, start, w_in, r, spikes_per_step: one
            assumption each, instead of the origin's, see
            `snncompile.frontends.nir.assumptions.Assumptions`; `reset` may be one per neuron
            node.
        loop_delay: time steps that a loop without a Delay takes. They are on the connections from
            a neuron back to one that the input reaches no later. Or one number per
            (source, target) of such a connection, by the names of the neuron nodes.
        input_shape: shape of one time step of one sample, if the file holds another one; leading
            axes that the next node cannot take are left out anyway.
        title: name of the network in reports; the name of the file if not given.

    Raises:
        InputError: the file is damaged, or a value in it or an argument is malformed.
        UnsupportedError: a node or a feature of one is not known.
    """
    graph = fuse_thresholds(read_nir(path))
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
    reading = choose_reading(graph, origin, given)
    return _Builder(graph, reading, input_shape).build(loop_delay, title or Path(path).stem)


class _Builder:
    """A file on its way to a network."""

    def __init__(self, graph: NirGraph, reading: Reading, input_shape: Shape | None) -> None:
        self.graph, self.reading = graph, reading
        self.input, self.output = _find_only(graph, "Input"), _find_only(graph, "Output")
        self.order = order_nodes(graph)
        self.shapes = find_shapes(graph, self.input, input_shape)
        self.before: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.before[target].append(source)
        self.names = {self.input.name: "input"}
        for name in order_breadth_first(graph):
            if graph.nodes[name].kind in KINDS:
                self.names[name] = _make_name(name, set(self.names.values()))
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.notes = list(reading.list_notes())

    def build(self, loop_delay: int | Mapping[tuple[str, str], int], title: str) -> Network:
        """Return the network."""
        arriving = self._find_drives()
        for name in order_breadth_first(self.graph):
            if self.graph.nodes[name].kind in KINDS:
                self._populate(self.graph.nodes[name], arriving[name])
        self._delay_loops(loop_delay)
        self._shape_output()
        shape = self.shapes.out_of[self.input.name]
        if shape != self.input.read_integers("shape"):
            stored = self.input.read_integers("shape")
            self.notes.append(
                f"NIR: the input has shape {shape} without batch, the file says {stored}"
            )
        return Network(
            input=Input("input", shape),
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            output=self.names[self._find_output_neuron()],
            title=title,
            notes=tuple(self.notes),
        )

    def _find_drives(self) -> dict[str, Drive]:
        """Return the drive of each node."""
        sends: dict[str, Drive] = {}
        for name in [self.input.name, *(n for n in self.names if n != self.input.name)]:
            sends[name] = send_spikes(name, self.shapes.out_of[name])
        arriving: dict[str, Drive] = {}
        for name in self.order:
            node = self.graph.nodes[name]
            if name == self.input.name:
                continue
            arriving[name] = add_drives(sends[source] for source in self.before[name])
            if name not in sends:
                sends[name] = self._apply(node, arriving[name])
        return arriving

    def _apply(self, node: Node, drive: Drive) -> Drive:
        """Return a drive after a node without state."""
        if node.kind == "Delay":
            return delay_drive(node, drive, self._round_delay(node))
        return apply_node(node, translate_node(node, self.shapes.into[node.name]), drive)

    def _round_delay(self, node: Node) -> NDArray[np.int64]:
        """Return a delay in time steps, the nearest whole number."""
        delay = broadcast(node, "delay", self.shapes.into[node.name])
        exact = delay * count_steps_per_unit(self.reading.assumptions)
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
        """Add the population of a neuron node and the projections to it."""
        name, shape = self.names[node.name], self.shapes.out_of[node.name]
        dynamics = read_dynamics(node, shape, self.reading)
        exact = self._read_exact(node, dynamics, drive)
        if exact is not None:
            shape = read_shape(node, shape)
            dynamics = replace(dynamics, gain=np.asarray(1.0))
        drive = scale_drive(node, drive, dynamics.gain)
        bias = drive.bias if drive.bias.any() else np.asarray(0.0)
        if bias.any() and not dynamics.bias_on_potential:
            source = _make_name(f"{name}_bias", {*self.names.values()})
            self.names[source] = source
            self.populations.append(Population(source, (1,), _make_bias_neuron()))
            self.projections.append(Projection(source, name, dense(bias[:, None])))
            bias = np.asarray(0.0)
        own = exact or make_neuron(node, dynamics, bias, self.reading)
        self.populations.append(Population(name, shape, own))
        for term in drive.terms:
            self._check_spikes(term.source, node)
            self.projections.append(
                Projection(self.names[term.source], name, term.synapses, term.delay)
            )

    def _read_exact(self, node: Node, dynamics: Dynamics, drive: Drive) -> FloatNeuron | None:
        """Return the neuron of our own metadata, unless the file was changed since."""
        if not self.reading.exact:
            return None
        neuron = read_neuron(node, dynamics)
        if neuron is None or drive.bias.any():
            self.notes.append(f"NIR: {node.name} was changed by others, its metadata is not used")
            return None
        return neuron

    def _check_spikes(self, source: str, target: Node) -> None:
        if self.graph.nodes[source].kind in ("I", "LI", "CubaLI"):
            raise UnsupportedError(
                f"{target.where}: gets the potential of {shorten(source)}"
                f" ({self.graph.nodes[source].kind}); only spikes can be sent, put a Threshold"
                " after it"
            )

    def _delay_loops(self, delay: int | Mapping[tuple[str, str], int]) -> None:
        path = {name: node for node, name in self.names.items()}
        steps = delay
        if not isinstance(delay, int):
            steps = {(self.names.get(a, a), self.names.get(b, b)): n for (a, b), n in delay.items()}
        rank = {p.name: i for i, p in enumerate(self.populations)}
        self.projections, changed = add_loop_delays(self.projections, rank, steps)
        for a, b in changed:
            self.notes.append(
                f"NIR: the loop through {path[a]} -> {path[b]} has no Delay; that connection takes"
                " loop_delay time steps"
            )

    def _find_output_neuron(self) -> str:
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
        """Give the last population the shape of the output after Flatten nodes."""
        name, shape = self.names[self._find_output_neuron()], self.shapes.into[self.output.name]
        if self.reading.exact:  # metadata gave it its shape
            return
        self.populations = [
            replace(p, shape=shape) if p.name == name else p for p in self.populations
        ]


def _find_only(graph: NirGraph, kind: str) -> Node:
    """Return the one node of a kind."""
    nodes = [node for node in graph.nodes.values() if node.kind == kind]
    if len(nodes) != 1:
        raise UnsupportedError(f"{graph.where}: has {len(nodes)} nodes {kind}, only one is known")
    return nodes[0]


def _make_name(path: str, taken: set[str]) -> str:
    """Return a population's name: the node's, with _ for characters that no name can hold."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", path) or "_"
    name = name if name[0].isascii() and name[0].isalpha() else f"layer_{name.lstrip('_')}"
    number, result = 1, name
    while result in taken:
        number += 1
        result = f"{name}_{number}"
    return result


def _make_bias_neuron() -> FloatNeuron:
    """Return a neuron that fires in each of its time steps: the bias of a current."""
    return IntegrateFire(np.asarray(1.0), np.asarray(2.0), "hard")
