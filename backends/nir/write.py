"""Write a float network as a NIR file that nir 1.0.8 reads, type check and all.

NIR has no place for the time step, the kind of reset, the comparison, the initial potential; they
are metadata, which `snncompile/frontends/nir/from_nir.py` reads. Delays are Delay nodes. The
file is written with h5py, not with nir, whose `write` fails half-way at numbers without a shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import networkx as nx
import numpy as np

from snncompile.backends.nir.neurons import make_neuron_node
from snncompile.backends.nir.synapses import keeps_shape, make_synapse_nodes
from snncompile.errors import InputError, UnsupportedError
from snncompile.files.hdf5 import write_hdf5
from snncompile.ir.graph import Network, Projection, Shape
from snncompile.neurons.base import BINARY
from snncompile.synapses.dense import dense

if TYPE_CHECKING:
    from snncompile.program import Program

VERSION = "1.0.8"
ORIGIN = "snncompile"
DT = 1e-4
"""Seconds of one time step, as in the other exporters."""
Node = dict[str, Any]


def emit_program(program: Program, path: Path) -> None:
    """Write the float network of a Program; see `write_nir`.

    Raises:
        UnsupportedError: it was imported as integers, whose rounding NIR cannot hold.
    """
    if program.source is None:
        raise UnsupportedError(
            f"{program.network.title}: was imported as an integer network, NIR has no place for its"
            " rounding; a .net file holds it"
        )
    write_nir(program.source, path)


def write_nir(network: Network, path: str | Path, dt: float = DT) -> None:
    """Write a network to a NIR file; it is written aside and renamed.

    Args:
        network: a float network.
        path: the file.
        dt: seconds of one time step, the unit of the time constants.

    Raises:
        InputError: dt is not positive, or the file cannot be written.
        UnsupportedError: a part of the network has no place in such a file; the message names it.
    """
    if not 0 < dt < float("inf"):
        raise InputError(f"dt must be a positive number of seconds, got {dt!r}")
    graph = make_graph(network, dt)
    write_hdf5(Path(path), lambda file: _put(file, {"version": VERSION, "node": graph}))


def make_graph(network: Network, dt: float) -> Node:
    """Return the graph as nested dictionaries, as in the file.

    Raises:
        UnsupportedError: see `write_nir`.
    """
    if network.input.host or network.input.payload != BINARY:
        raise UnsupportedError(f"{network.input.name}: NIR has no place for its numbers")
    shapes = _choose_shapes(network)
    nodes: dict[str, Node] = {
        network.input.name: {"type": "Input", "shape": np.array(network.input.shape)}
    }
    edges: list[tuple[str, str]] = []
    for population in network.populations:
        nodes[population.name] = make_neuron_node(population, shapes[population.name], dt)
    for index, projection in enumerate(_join_all(network)):
        _check_projection(network, projection)
        path = [projection.source]
        for node in _make_nodes_between(network, projection, shapes, dt):
            name = f"{projection.source}.{projection.target}.{index}.{len(path)}"
            nodes[name] = node
            path.append(name)
        edges += zip(path, [*path[1:], projection.target], strict=True)
    output = "output" if "output" not in nodes else "output."
    nodes[output] = {"type": "Output", "shape": np.array(shapes[network.output])}
    edges.append((network.output, output))
    metadata = {"origin": ORIGIN, "dt": dt, "comparison": ">"}
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges, "metadata": metadata}


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


def _join_all(network: Network) -> tuple[Projection, ...]:
    """Return the projections, with some of weight 0 so that the input reaches all populations.

    nir adds an input of its own for other nodes, or none at all.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from([network.input.name, *(p.name for p in network.populations)])
    graph.add_edges_from((p.source, p.target) for p in network.projections)
    reached = {network.input.name, *nx.descendants(graph, network.input.name)}
    more = []
    for p in network.populations:
        if p.name not in reached:
            reached |= {p.name, *nx.descendants(graph, p.name)}
            none = dense(np.zeros((p.size, network.input.size)))
            more.append(Projection(network.input.name, p.name, none))
    return (*network.projections, *more)


def _make_nodes_between(
    network: Network, projection: Projection, shapes: Mapping[str, Shape], dt: float
) -> list[Node]:
    source, target = shapes[projection.source], shapes[projection.target]
    delay = network.own_delay(projection)
    nodes = make_synapse_nodes(projection, source, target)
    if delay:
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
