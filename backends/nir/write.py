"""Write a float network as a NIR file that nir 1.0.8 reads, type check and all.

NIR has no place for the time step, the kind of reset, the comparison, the initial potential; they
are metadata, which `snncompile/frontends/nir/from_nir.py` reads. Delays are Delay nodes. The
file is written with h5py, not with nir, whose `write` fails half-way at numbers without a shape.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import networkx as nx
import numpy as np

from snncompile.arrays import Floats
from snncompile.backends.nir.biases import Biases, find_biases
from snncompile.backends.nir.dialects import DIALECTS, Dialect, check_dialect, make_dialect_node
from snncompile.backends.nir.neurons import make_neuron_node
from snncompile.backends.nir.synapses import add_bias, keeps_shape, make_synapse_nodes
from snncompile.errors import InputError, UnsupportedError
from snncompile.files.hdf5 import write_hdf5
from snncompile.ir.graph import Network, Population, Projection, Shape
from snncompile.ir.plastic import refuse_rules
from snncompile.neurons.base import BINARY
from snncompile.synapses.dense import dense

if TYPE_CHECKING:
    from snncompile.program import Program

LOG = logging.getLogger(__name__)

VERSION = "1.0.8"
ORIGIN = "snncompile"
DT = 1e-4
"""Seconds of one time step, as in the other exporters."""
Node = dict[str, Any]


def emit_program(program: Program, path: Path, reader: str | None = None) -> None:
    """Write the float network of a Program, in the dialect of a reader if given; see `write_nir`.

    Raises:
        UnsupportedError: it was imported as integers, whose rounding NIR cannot hold.
    """
    if program.source is None:
        raise UnsupportedError(
            f"{program.network.title}: was imported as an integer network, NIR has no place for its"
            " rounding; a .net file holds it"
        )
    write_nir(program.source, path, reader=reader)


def write_nir(
    network: Network, path: str | Path, dt: float | None = None, reader: str | None = None
) -> None:
    """Write a network to a NIR file; it is written aside and renamed.

    Args:
        network: a float network.
        path: the file.
        dt: seconds of one time step, the unit of the time constants; 1e-4 if not given.
        reader: "snntorch", "norse", "sinabs" or "spyx": in numbers that this importer reads as they
            are meant, with its time step. None: NIR's equations, and metadata.

    Raises:
        InputError: dt is not positive, or the file cannot be written, or there is no such reader.
        UnsupportedError: a part of the network has no place in such a file, or the reader has no
            such neuron; the message names it.
    """
    if reader not in (None, *DIALECTS):
        raise InputError(f"no reader {reader!r} of NIR files; known: {', '.join(DIALECTS)}")
    dialect = None if reader is None else DIALECTS[reader]
    if dialect is not None and dt not in (None, dialect.dt):
        raise InputError(f"{dialect.reader} reads a time step of {dialect.dt:g} s, not {dt!r}")
    dt = dialect.dt if dialect else DT if dt is None else dt
    if not 0 < dt < float("inf"):
        raise InputError(f"dt must be a positive number of seconds, got {dt!r}")
    graph = make_graph(network, dt, dialect)
    if network.input.host_part:
        LOG.warning("%s: %s", network.title, network.input.host_part.describe_left_out())
    write_hdf5(Path(path), lambda file: _put(file, {"version": VERSION, "node": graph}))


def make_graph(network: Network, dt: float, dialect: Dialect | None = None) -> Node:
    """Return the graph as nested dictionaries, as in the file.

    Raises:
        UnsupportedError: see `write_nir`.
    """
    refuse_rules(network, "NIR")
    if network.input.host or network.input.payload != BINARY:
        raise UnsupportedError(f"{network.input.name}: NIR has no place for its numbers")
    biases = find_biases(network)
    for projection in biases.projections:
        _check_projection(network, projection)
    shapes = _choose_shapes(network)
    first = {"type": "Input", "shape": np.array(network.input.shape)}
    nodes: dict[str, Node] = {network.input.name: first}
    edges: list[tuple[str, str]] = []
    waiting = dict(biases.before)
    """Population -> bias that no node holds yet."""
    for index, projection in enumerate(_join_all(network, biases)):
        between = _make_nodes_between(network, projection, shapes, dt, dialect)
        target = projection.target
        if target in waiting and add_bias(between, waiting[target], shapes[target]):
            del waiting[target]
        path = [f"{projection.source}.{target}.{index}.{i + 1}" for i in range(len(between))]
        nodes.update(zip(path, between, strict=True))
        edges += zip([projection.source, *path], [*path, target], strict=True)
    for population in biases.populations:
        bias = waiting.get(population.name, biases.inside.get(population.name, np.asarray(0.0)))
        shape = shapes[population.name]
        nodes[population.name] = _make_neurons(population, shape, dt, bias, dialect)
    output = "output" if "output" not in nodes else "output."
    nodes[output] = {"type": "Output", "shape": np.array(shapes[network.output])}
    edges.append((network.output, output))
    graph: Node = {"type": "NIRGraph", "nodes": nodes, "edges": edges}
    if dialect is not None:
        check_dialect(nodes, edges, {p.name for p in biases.populations}, dialect)
        return graph
    return graph | {"metadata": {"origin": ORIGIN, "dt": dt, "comparison": ">"}}


def _make_neurons(
    population: Population, shape: Shape, dt: float, bias: Floats, dialect: Dialect | None
) -> Node:
    if dialect is None:
        return make_neuron_node(population, shape, dt, bias)
    if bias.any():
        raise UnsupportedError(f"{population.name}: {dialect.reader} has no place for its bias")
    return make_dialect_node(population, shape, dialect)


def _check_projection(network: Network, projection: Projection) -> None:
    if projection.port is not None:
        raise UnsupportedError(
            f"projection {projection.source} -> {projection.target}: NIR has no neuron with an"
            f" input {projection.port!r}"
        )
    if network.phase(projection.target):
        raise UnsupportedError(
            f"{projection.target}: starts in time step {network.phase(projection.target)}, NIR"
            " cannot say that; write the network that was imported"
        )


def _join_all(network: Network, biases: Biases) -> tuple[Projection, ...]:
    """Return the projections, with some of weight 0 so that the input reaches all populations.

    nir adds an input of its own for other nodes, or none at all.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from([network.input.name, *(p.name for p in biases.populations)])
    graph.add_edges_from((p.source, p.target) for p in biases.projections)
    reached = {network.input.name, *nx.descendants(graph, network.input.name)}
    more = []
    for p in biases.populations:
        if p.name not in reached:
            reached |= {p.name, *nx.descendants(graph, p.name)}
            none = dense(np.zeros((p.size, network.input.size)))
            more.append(Projection(network.input.name, p.name, none))
    return (*biases.projections, *more)


def _make_nodes_between(
    network: Network,
    projection: Projection,
    shapes: Mapping[str, Shape],
    dt: float,
    dialect: Dialect | None,
) -> list[Node]:
    source, target = shapes[projection.source], shapes[projection.target]
    delay = network.own_delay(projection)
    nodes = make_synapse_nodes(projection, source, target)
    back = dialect is not None and projection.source == projection.target and delay == 1
    if back:  # readers take a time step for a loop; see `Dialect.loops`
        size = int(np.prod(target))
        nodes.append({"type": "Affine", "weight": np.eye(size), "bias": np.zeros(size)})
    elif delay:
        nodes.insert(0, {"type": "Delay", "delay": np.full(source, delay * dt)})
    return nodes


def _choose_shapes(network: Network) -> dict[str, Shape]:
    """Return the shape of each node: its own if its inputs keep it, else flat.

    NIR has nothing that gives a flat value a shape.
    """
    shapes = {network.input.name: network.input.shape} | {
        p.name: p.shape for p in network.populations
    }
    changed = True
    while changed:
        changed = False
        for p in network.populations:
            into = network.into(p.name)
            whole = bool(into) and all(
                keeps_shape(q, shapes[q.source], shapes[p.name]) for q in into
            )
            if len(shapes[p.name]) > 1 and not whole:
                shapes[p.name], changed = (p.size,), True
    return shapes


def _put(group: Any, tree: Mapping[str, Any]) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _put(group.create_group(name), value)
        elif isinstance(value, str) or name == "edges":
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        else:
            group.create_dataset(name, data=value)
