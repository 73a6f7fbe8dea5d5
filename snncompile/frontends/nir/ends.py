"""Inputs and outputs of a NIR graph: where the network's answer comes from."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import PASS, NirGraph, Node
from snncompile.frontends.nir.neurons import KINDS

PASSING = (PASS, "Flatten", "Output")
"""Kinds of nodes that change no value."""


@dataclass(frozen=True)
class End:
    """An output of the graph."""

    node: Node
    """The Output node."""
    neurons: str | None
    """Neuron node whose output it is; None: a sum or a linear map of the outputs of neurons."""


@dataclass(frozen=True)
class Ends:
    """Inputs and outputs of a graph, in the order of their names."""

    inputs: tuple[Node, ...]
    outputs: tuple[End, ...]


def find_ends(graph: NirGraph, output: str | None = None) -> Ends:
    """Return the inputs, and the outputs or the one of that name.

    Raises:
        InputError: there is no such output.
        UnsupportedError: the graph has no input, no output or no neurons.
    """
    nodes = graph.nodes.values()
    for kind in ("Input", "Output"):
        if not any(node.kind == kind for node in nodes):
            raise UnsupportedError(f"{graph.where}: has no node {kind}")
    if not any(node.kind in KINDS for node in nodes):
        raise UnsupportedError(f"{graph.where}: holds no neurons")
    outputs = [node for node in nodes if node.kind == "Output"]
    wanted = [node for node in outputs if output in (None, node.name)]
    if not wanted:
        names = ", ".join(node.name for node in outputs)
        raise InputError(f"{graph.where}: has no output {output!r}; it has {names}")
    ends = tuple(End(node, _find_neurons(graph, node)) for node in wanted)
    return Ends(tuple(node for node in nodes if node.kind == "Input"), ends)


def _find_neurons(graph: NirGraph, node: Node) -> str | None:
    """Return the neuron node that an output leads back to unchanged, if it does."""
    name = node.name
    while graph.nodes[name].kind in PASSING:
        before = [source for source, target in graph.edges if target == name]
        if len(before) != 1:
            return None
        name = before[0]
    return name if graph.nodes[name].kind in KINDS else None
