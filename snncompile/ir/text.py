"""Networks as text: one line per fact, in a fixed order. Golden tests and `show` use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompile.ir.answer import SUM
from snncompile.synapses.base import IntegerSynapses

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph, Projection


def format_graph(graph: Graph) -> str:
    """Return the text form of a network."""
    lines = [f"input {graph.input.name} {format_shape(graph.input.shape)}{_format_payload(graph)}"]
    for p in graph.populations:
        phase = f" phase={p.phase}" if p.phase else ""
        lines.append(f"population {p.name} {format_shape(p.shape)} {p.neuron}{phase}")
    lines += [_format_projection(p) for p in graph.projections]
    answer = "" if graph.answer == SUM else f" answer={graph.answer}"
    return "\n".join([*lines, f"output {graph.output}{answer}"]) + "\n"


def _format_payload(graph: Graph) -> str:
    low, high = graph.input.payload
    payload = "" if (low, high) == (0, 1) else f" payload={low}..{high}"
    coding = graph.input.coding
    fed = ",".join(layer.target for layer in graph.input.host)
    return payload + (f" coding={coding}" if coding else "") + (f" host={fed}" if fed else "")


def format_shape(shape: tuple[int, ...]) -> str:
    """Return `28x28`."""
    return "x".join(map(str, shape))


def _format_projection(projection: Projection) -> str:
    weight = projection.synapses.weight
    synapses = projection.synapses
    port = "" if projection.port is None else f".{projection.port}"
    text = f"projection {projection.source} -> {projection.target}{port} {synapses.wiring}"
    if weight.size:
        text += f" weight=[{weight.min():g} .. {weight.max():g}]"
    if isinstance(synapses, IntegerSynapses):
        text += f" exponent={synapses.exponent} bits={synapses.bits}"
        text += "" if synapses.sum_bits is None else f" sum_bits={synapses.sum_bits}"
    text += f" delay={projection.delay}"
    if projection.rule is not None:
        text += f" learns {projection.rule}"
    if projection.learned is not None:
        text += f" steps={projection.learned.steps}"
    return text
