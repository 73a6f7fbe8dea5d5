"""Content of a NIR file as plain records: nodes with their numbers, edges, metadata.

Read in nir 1.0.8 (`serialization.py`, `ir/*.py`); the package itself is not used, since it believes
the shapes in a file and rejects files that its own exporters write:

    version                           text
    node/type                         "NIRGraph"
    node/edges                        (edges, 2) names: source, target
    node/nodes/<name>/type            "LIF", "Affine", ...; a "NIRGraph" is nested
    node/nodes/<name>/<parameter>     numbers, or one text
    node/nodes/<name>/metadata/...    anything; a hint at most
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, Obstacle, UnsupportedError, raise_together
from snncompile.frontends.hdf5.read import Group, open_hdf5

GRAPH = "NIRGraph"
PASS = "Pass"
"""Kind of our own: the input or output of a nested graph."""
SEPARATOR = "/"
"""Between the names of nested graphs; no name in a file holds it."""
MOST_NODES = 10_000
MOST_EDGES = 100_000
MOST_LEVELS = 16
"""Nested graphs; a file can hold a graph inside itself."""
LONGEST_NAME = 80
"""Characters of a name in a message."""

FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (("weight", "bias", "stride", "padding", "dilation", "groups"), ("input_shape",)),
    "Conv2d": (("weight", "bias", "stride", "padding", "dilation", "groups"), ("input_shape",)),
    "SumPool2d": (("kernel_size", "stride", "padding"), ()),
    "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
}
"""Kind of node -> its required parameters, its optional ones."""

TEXTS = frozenset(["same", "valid"])
"""Words that may stand in the place of a number: a padding."""

Value = NDArray[Any] | str


@dataclass(frozen=True, eq=False)
class Node:
    """One node."""

    name: str
    """Path of names where graphs are nested, joined by slashes."""
    kind: str
    where: str
    """Start of a message: the file and the node."""
    values: Mapping[str, Value]
    metadata: Mapping[str, Value] = field(default_factory=dict)
    fixed_reset: str = ""
    """Its reset, if there is no choice."""

    def read_numbers(self, name: str) -> NDArray[Any]:
        """Return an array of finite numbers.

        Raises:
            InputError: it is a text.
        """
        value = self.values[name]
        if isinstance(value, str):
            raise InputError(f"{self.where}: {name} is {value!r}, expected numbers")
        return value

    def read_floats(self, name: str) -> NDArray[np.float64]:
        """Return an array of float64."""
        return self.read_numbers(name).astype(np.float64)

    def read_integers(self, name: str, low: int = -(2**31), high: int = 2**31) -> tuple[int, ...]:
        """Return whole numbers between two limits.

        Raises:
            InputError: a fraction, or outside.
        """
        array = self.read_numbers(name).reshape(-1)
        if (np.rint(array) != array).any() or (array < low).any() or (array > high).any():
            wrong = (np.rint(array) != array) | (array < low) | (array > high)
            raise InputError(
                f"{self.where}: {name} holds {array[wrong][0]:g}, expected whole numbers from"
                f" {low} to {high}"
            )
        return tuple(int(n) for n in array)


@dataclass(frozen=True, eq=False)
class NirGraph:
    """A graph without nested graphs."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Value]
    where: str
    """Name of the file."""
    major: int | None = None
    """First number of the release of nir that wrote it; None: the file does not say."""
    notes: tuple[str, ...] = ()
    """What had to be mended."""


def read_nir(path: str | Path) -> NirGraph:
    """Return the graph in a file; nested graphs are part of it, their names are paths.

    Raises:
        InputError: the file is damaged, or a value in it is malformed.
        UnsupportedError: a kind of node, or a parameter of one, is not known.
    """
    with open_hdf5(path) as root:
        if "node" not in root:
            raise InputError(f"{root.where}: has no group 'node', so it is no NIR file")
        top = root.open_group("node", root.where)
        kind = top.read_text("type")
        if kind != GRAPH:
            raise UnsupportedError(f"{root.where}: holds one {kind}, expected a {GRAPH}")
        content = _Content(root.where)
        edges = _read_graph(top, "", content)
        raise_together(content.unknown)
        major = _read_major(root)
        graph = NirGraph(
            content.nodes,
            tuple(edges),
            _read_metadata(top),
            root.where,
            major,
            tuple(content.notes),
        )
    return _flatten(graph)


@dataclass
class _Content:
    """What was found in a file so far."""

    file: str
    nodes: dict[str, Node] = field(default_factory=dict)
    unknown: list[UnsupportedError] = field(default_factory=list)
    """Reasons why nodes are not known."""
    notes: list[str] = field(default_factory=list)


def _read_major(root: Group) -> int | None:
    known = "version" in root and root.holds_text("version")
    first = root.read_text("version").partition(".")[0] if known else ""
    return int(first) if first.isascii() and first.isdigit() else None


def shorten(name: str) -> str:
    """Return a name for a message: on one line, and not too long."""
    text = repr(name)[1:-1]
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def _read_graph(
    group: Group, prefix: str, content: _Content, level: int = 0
) -> list[tuple[str, str]]:
    """Add the nodes of a graph, or the reasons why they are not known; return its edges.

    Both have the names of the whole file.
    """
    if level > MOST_LEVELS:
        raise InputError(f"{group.where}: graphs are nested more than {MOST_LEVELS} deep")
    inner = group.open_group("nodes", group.where)
    own, nodes = [f"{prefix}{name}" for name in inner.list_names()], content.nodes
    edges = [_prefix_edge(prefix, edge) for edge in group.read_pairs("edges", MOST_EDGES)]
    edges = _rename_ends(edges, own, content)
    for name, path in zip(inner.list_names(), own, strict=True):
        if len(nodes) >= MOST_NODES:
            raise InputError(f"{content.file}: holds more than {MOST_NODES:,} nodes")
        where = f"{content.file}: node {shorten(path)}"
        node = inner.open_group(name, where)
        kind = node.read_text("type")
        if kind == GRAPH:
            edges += _read_graph(node, f"{path}{SEPARATOR}", content, level + 1)
            nodes[path] = Node(path, GRAPH, where, {})
        else:
            nodes[path] = _read_known_node(node, path, kind, content.unknown)
    for edge in edges:
        for end in edge:
            if end not in nodes:
                raise InputError(f"{group.where}: an edge names {shorten(end)!r}, which is no node")
    return edges


def _rename_ends(
    edges: list[tuple[str, str]], own: list[str], content: _Content
) -> list[tuple[str, str]]:
    """Return the edges of a nested graph, with the one name mended that nir 0.2 wrote wrongly.

    There the neuron of lif1/lif1 is called lif1/lif by its edges. Only where one name is no node,
    and one node has no edge, that node is meant.
    """
    ends = {end for edge in edges for end in edge}
    missing, alone = sorted(ends - set(own)), sorted(set(own) - ends)
    if SEPARATOR not in "".join(own) or (len(missing), len(alone)) != (1, 1):
        return edges
    content.notes.append(f"NIR: an edge names {missing[0]}, which is read as {alone[0]}")
    rename = {missing[0]: alone[0]}
    return [(rename.get(a, a), rename.get(b, b)) for a, b in edges]


def _prefix_edge(prefix: str, edge: tuple[str, str]) -> tuple[str, str]:
    return f"{prefix}{edge[0]}", f"{prefix}{edge[1]}"


def _read_known_node(group: Group, name: str, kind: str, unknown: list[UnsupportedError]) -> Node:
    """Return a node; without values if it is not known, with the reason added to `unknown`."""
    try:
        return _read_node(group, name, kind)
    except UnsupportedError as error:
        unknown.append(error)
        return Node(name, kind, group.where, {})


def _read_node(group: Group, name: str, kind: str) -> Node:
    if kind not in FIELDS:
        known = ", ".join(sorted([*FIELDS, GRAPH]))
        message = f"{group.where}: {shorten(kind)} is not known; known: {known}"
        raise UnsupportedError(message, Obstacle(message, group.where, hint=f"known: {known}"))
    needed, optional = FIELDS[kind]
    present = group.list_names()
    for key in needed:
        if key not in present:
            raise InputError(f"{group.where}: {kind} has no {key}")
    for key in present:
        if key not in ("type", "metadata", *needed, *optional):
            raise UnsupportedError(
                f"{group.where}: {shorten(key)!r} of {kind} is not known; known:"
                f" {', '.join([*needed, *optional])}"
            )
    values = {key: _read_value(group, key) for key in (*needed, *optional) if key in present}
    return Node(name, kind, group.where, values, _read_metadata(group))


def _read_value(group: Group, key: str) -> Value:
    if not group.holds_text(key):
        return group.read_numbers(key)
    text = group.read_text(key)
    if text not in TEXTS:
        raise InputError(f"{group.where}: {key} is {shorten(text)!r}, expected numbers")
    return text


def _read_metadata(group: Group) -> dict[str, Value]:
    """Return the numbers and texts of the metadata; other values are ignored."""
    if not group.holds_group("metadata"):
        return {}
    inner = group.open_group("metadata", group.where)
    result: dict[str, Value] = {}
    for key in inner.list_names():
        if inner.holds_text(key):
            result[key] = inner.read_text(key)
        elif inner.holds_numbers(key):
            result[key] = inner.read_numbers(key)
    return result


def _flatten(graph: NirGraph) -> NirGraph:
    """Return the graph with edges to the nodes in nested graphs.

        a -> sub, sub -> b     becomes     a -> sub/input, sub/output -> b

    The ends of nested graphs pass their values on.
    """
    inner = [name for name, node in graph.nodes.items() if node.kind == GRAPH]
    entry = {name: _find_end(graph, name, "Input") for name in inner}
    leave = {name: _find_end(graph, name, "Output") for name in inner}
    edges = tuple((leave.get(a, a), entry.get(b, b)) for a, b in graph.edges)
    ends = {*entry.values(), *leave.values()}
    nodes = {
        name: replace(node, kind=PASS) if name in ends else node
        for name, node in graph.nodes.items()
        if node.kind != GRAPH
    }
    return _check_edges(replace(graph, nodes=nodes, edges=edges))


def _find_end(graph: NirGraph, name: str, kind: str) -> str:
    """Return the one input (or output) of a nested graph."""
    paths = [
        path
        for path, node in graph.nodes.items()
        if node.kind == kind and path.rpartition(SEPARATOR)[0] == name
    ]
    if len(paths) != 1:
        raise UnsupportedError(
            f"{graph.nodes[name].where}: a nested graph with {len(paths)} nodes of kind {kind}"
            " is not known, only with one"
        )
    return paths[0]


def _check_edges(graph: NirGraph) -> NirGraph:
    """Return the graph; refuse a repeated edge."""
    seen = set()
    for edge in graph.edges:
        if edge in seen:
            a, b = map(shorten, edge)
            raise InputError(f"{graph.where}: the edge from {a} to {b} is there twice")
        seen.add(edge)
    return graph
