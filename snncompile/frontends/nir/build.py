"""Build a network from a NIR graph and the assumptions about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError, list_briefly
from snncompile.frontends.nir.assumptions import Assumptions, Reading
from snncompile.frontends.nir.drive import (
    Drive,
    add_drives,
    apply_node,
    delay_drive,
    scale_drive,
    send_spikes,
)
from snncompile.frontends.nir.ends import End, Ends
from snncompile.frontends.nir.file import NirGraph, Node, shorten
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
    order_breadth_first,
    order_nodes,
)
from snncompile.frontends.nir.stateless_nodes import broadcast, translate_node
from snncompile.ir.graph import Input, Network, Population, Projection, Shape
from snncompile.neurons.base import BINARY, FloatNeuron
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.synapses.base import Synapses
from snncompile.synapses.dense import dense
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

LONGEST_DELAY = 2**20
"""Time steps."""
LONGEST_USUAL = 255
"""Time steps; a longer delay that is a whole number in the file may count time steps itself."""


class Builder:
    """A file on its way to a network."""

    def __init__(
        self, graph: NirGraph, reading: Reading, ends: Ends, input_shape: Shape | None
    ) -> None:
        """Order the nodes, find their shapes, and name the populations.

        Raises:
            InputError, UnsupportedError: no shape fits, or a loop holds no neuron.
        """
        self.graph, self.reading, self.ends = graph, reading, ends
        self.order = order_nodes(graph)
        self.shapes = find_shapes(graph, ends.inputs, input_shape)
        self.before: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.before[target].append(source)
        self.names = dict.fromkeys((node.name for node in ends.inputs), "input")
        for name in order_breadth_first(graph):
            if graph.nodes[name].kind in KINDS:
                self.names[name] = _make_name(name, set(self.names.values()))
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.notes = [*reading.list_notes(), *graph.notes]

    def build(self, loop_delay: int | Mapping[tuple[str, str], int], title: str) -> Network:
        """Return the network.

        Raises:
            InputError: a time constant or a delay is out of range.
            UnsupportedError: a feature of a node is not known.
        """
        arriving = self._find_drives()
        for name in order_breadth_first(self.graph):
            if self.graph.nodes[name].kind in KINDS:
                self._populate(self.graph.nodes[name], arriving[name])
        output = self._end(arriving)
        self._delay_loops(loop_delay)
        return Network(
            input=Input("input", self._find_input_shape()),
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            output=output,
            title=title,
            notes=tuple(self.notes),
        )

    def _find_input_shape(self) -> Shape:
        """Return the shape of the input; of several the sum of their sizes."""
        shapes = [self.shapes.out_of[node.name] for node in self.ends.inputs]
        for node, shape in zip(self.ends.inputs, shapes, strict=True):
            stored = node.read_integers("shape")
            if shape != stored:
                self.notes.append(
                    f"NIR: the {node.name} has shape {shape} without batch, the file says {stored}"
                )
        if len(shapes) == 1:
            return shapes[0]
        names = [node.name for node in self.ends.inputs]
        self.notes.append(f"NIR: the input is {_list_parts(names, map(prod, shapes))}")
        return (sum(map(prod, shapes)),)

    def _find_drives(self) -> dict[str, Drive]:
        """Return the drive of each node."""
        sends: dict[str, Drive] = {}
        for name in self.names:
            sends[name] = send_spikes(name, self.shapes.out_of[name])
        arriving: dict[str, Drive] = {}
        for name in self.order:
            node = self.graph.nodes[name]
            if node.kind == "Input":
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
        delay, assumed = broadcast(node, "delay", self.shapes.into[node.name]), self._assumed
        exact = delay * count_steps_per_unit(assumed.dt, assumed.describe_units()[1])
        steps = np.rint(exact)
        whole = delay.any() and (delay == np.rint(delay)).all()
        if whole and exact.max() > LONGEST_USUAL and "delay_unit" not in self.reading.set_by_user:
            raise InputError(
                f"{node.where}: a delay of {delay.max():g} is {exact.max():,.0f} time steps, or"
                " counts time steps itself; give delay_unit='steps', or 's' for seconds"
            )
        if not ((steps >= 0) & (steps <= LONGEST_DELAY)).all():
            raise InputError(
                f"{node.where}: a delay of {exact.flat[np.abs(exact).argmax()]:g} time steps is"
                f" outside 0..{LONGEST_DELAY:,}"
            )
        if (np.abs(steps - exact) > 1e-3).any():
            worst = exact.flat[np.abs(steps - exact).argmax()]
            self.notes.append(f"NIR: {node.name}: a delay of {worst:g} time steps was rounded")
        return steps.astype(np.int64)

    @property
    def _assumed(self) -> Assumptions:
        return self.reading.assumptions

    def _populate(self, node: Node, drive: Drive) -> None:
        """Add the population of a neuron node and the projections to it."""
        name, shape = self.names[node.name], self.shapes.out_of[node.name]
        dynamics = read_dynamics(node, shape, self.reading)
        exact = self._read_exact(node, dynamics, drive)
        if exact is not None:
            shape = read_shape(node, shape)
            dynamics = replace(dynamics, gain=np.asarray(1.0))
            if dynamics.bias_on_potential:  # it is the neuron's own
                drive = replace(drive, bias=np.zeros_like(drive.bias))
        drive = scale_drive(node, drive, dynamics.gain)
        bias = drive.bias if drive.bias.any() else np.asarray(0.0)
        if bias.any() and not dynamics.bias_on_potential:
            source = self._name_new(f"{name}_bias")
            self.populations.append(Population(source, (1,), _make_bias_neuron()))
            self.projections.append(Projection(source, name, dense(bias[:, None])))
            bias = np.asarray(0.0)
        own = exact or make_neuron(node, dynamics, bias, self.reading)
        self.populations.append(Population(name, shape, own))
        self._project(drive, node, name)

    def _project(self, drive: Drive, node: Node, name: str) -> None:
        """Add the projections of a drive to the population of a node."""
        for term in drive.terms:
            self._check_spikes(term.source, node)
            synapses, delay = term.synapses, term.delay
            if self.graph.nodes[term.source].kind != "Input":
                delay += self._assumed.spike_delay
            elif len(self.ends.inputs) > 1:
                first, total = self._find_lines(term.source)
                synapses = replace(synapses, wiring=SourceRange(synapses.wiring, first, total))
            self.projections.append(Projection(self.names[term.source], name, synapses, delay))

    def _find_lines(self, name: str) -> tuple[int, int]:
        """Return the first line of an input among those of all, and their number."""
        sizes = [prod(self.shapes.out_of[node.name]) for node in self.ends.inputs]
        index = [node.name for node in self.ends.inputs].index(name)
        return sum(sizes[:index]), sum(sizes)

    def _read_exact(self, node: Node, dynamics: Dynamics, drive: Drive) -> FloatNeuron | None:
        """Return the neuron of our own metadata, unless the file was changed since."""
        if not self.reading.exact:
            return None
        own = drive.bias if dynamics.bias_on_potential else np.asarray(0.0)
        neuron = read_neuron(node, dynamics, own)
        if neuron is None:
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

    def _end(self, arriving: Mapping[str, Drive]) -> str:
        """Return the population whose output is the network's; add one where there is none."""
        names = [self._end_in(end, arriving[end.node.name]) for end in self.ends.outputs]
        outputs = [end.node.name for end in self.ends.outputs]
        if len(set(names)) == 1:
            if len(names) > 1:
                self.notes.append(f"NIR: the outputs {', '.join(outputs)} are the same")
            return names[0]
        parts = [next(p for p in self.populations if p.name == name) for name in names]
        for population, output in zip(parts, outputs, strict=True):
            if population.neuron.payload != BINARY or not population.neuron.spikes:
                raise UnsupportedError(
                    f"{self.graph.nodes[output].where}: is one of {len(names)} outputs and not of"
                    f" spikes of 0 or 1; give output=, one of {list_briefly(outputs, 120)}"
                )
        sizes = [p.size for p in parts]
        self.notes.append(f"NIR: the output is {_list_parts(outputs, sizes)}")
        total, first, name = sum(sizes), 0, self._name_new("outputs")
        for population in parts:
            own = np.arange(population.size, dtype=np.int32)
            to = Sparse(first + own, own, total, population.size)
            ones = Synapses(to, np.ones(population.size))
            self.projections.append(Projection(population.name, name, ones))
            first += population.size
        self.populations.append(Population(name, (total,), _make_relay()))
        return name

    def _end_in(self, end: End, drive: Drive) -> str:
        """Return the population of one output; a readout of its drive where it has no neurons."""
        shape = self.shapes.into[end.node.name]
        if end.neurons is not None:
            name = self.names[end.neurons]
            if not self.reading.exact:  # metadata gave it its shape
                self.populations = [
                    replace(p, shape=shape) if p.name == name else p for p in self.populations
                ]
            return name
        name = self._name_new(end.node.name)
        bias = drive.bias if drive.bias.any() else np.asarray(0.0)
        unit = np.asarray(1.0)
        self.populations.append(Population(name, shape, Readout(unit, unit, bias)))
        self._project(drive, end.node, name)
        self.notes.append(f"NIR: {end.node.name} is no neuron; its values are read out")
        return name

    def _name_new(self, wanted: str) -> str:
        name = _make_name(wanted, {*self.names.values(), *(p.name for p in self.populations)})
        self.names[f"{wanted} of ours"] = name
        return name


def _list_parts(names: Sequence[str], sizes: Iterable[int]) -> str:
    return ", then ".join(f"{name} ({size})" for name, size in zip(names, sizes, strict=True))


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


def _make_relay() -> FloatNeuron:
    """Return a neuron that passes a spike on in the same time step."""
    return IntegrateFire(np.asarray(0.5), np.asarray(0.0), "hard")
