"""What each reader of NIR files makes of them, and a file that it reads as it was meant.

Read in, and run with, snntorch 1.0.0 `import_nir.py`, norse 1.1.0 `import_nir.py`, sinabs 3.1.3
`nir.py`; read in spyx 1.0.0 `nir.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError, list_briefly
from snncompile.ir.graph import Population, Shape

ALMOST_NONE = 2.0**-40
"""Share of a state lost in one time step where nothing is lost; 0 beside 1 in float32."""
Node = dict[str, Any]
STATELESS = frozenset(["Input", "Output", "Affine", "Conv2d", "Flatten"])


@dataclass(frozen=True)
class Dialect:
    """A reader of NIR files."""

    reader: str
    """Its name and release."""
    dt: float
    """Seconds of a time step that it assumes."""
    resets: tuple[str, ...]
    """Kinds of neurons that it has, with their resets."""
    make: Callable[[Any, Callable[[Floats], Floats], float], Node]
    """From a neuron without bias, a function that fills a shape, and dt: its node."""
    stateless: frozenset[str] = STATELESS
    """Nodes without state that it reads."""
    flat: bool = False
    """Whether neurons have to have one axis."""
    one_threshold: bool = False
    """Whether all neurons of a population need the same threshold."""
    loops: bool = False
    """Whether it runs a recurrent layer. There the loop has a second matrix, the identity: of a
    loop of one matrix snnTorch sends the layer's input through that matrix, too."""
    joins: bool = False
    """Whether a node may have several sources."""
    note: str = ""
    """What its user has to do to get the same spikes; empty: nothing."""


def make_dialect_node(population: Population, shape: Shape, dialect: Dialect) -> Node:
    """Return the node of a population for a reader; its bias is elsewhere.

    Raises:
        UnsupportedError: the reader has no such neuron or reset.
    """
    neuron: Any = population.neuron
    kind = f"{neuron.name}/{neuron.reset}" if hasattr(neuron, "reset") else neuron.name
    current = not (np.asarray(getattr(neuron, "current_decay", 1.0)) == 1).all()
    full = f"{kind} with a memory of the current" if current else kind
    if full not in dialect.resets:
        raise UnsupportedError(
            f"{population.name}: {dialect.reader} has no {full} when it reads NIR; it has"
            f" {', '.join(dialect.resets)}"
        )
    if dialect.flat and len(shape) > 1:
        raise UnsupportedError(
            f"{population.name}: {dialect.reader} reads neurons of one axis only, not of shape"
            f" {shape}"
        )
    if np.any(neuron.initial):
        raise UnsupportedError(
            f"{population.name}: {dialect.reader} starts at a potential of 0, not another"
        )
    threshold = np.asarray(getattr(neuron, "threshold", 0.0))
    if dialect.one_threshold and (threshold != threshold.flat[0]).any():
        raise UnsupportedError(
            f"{population.name}: {dialect.reader} takes one threshold for all neurons of a layer"
        )
    if np.any(getattr(neuron, "lowest", -np.inf) > -1e299):
        raise UnsupportedError(f"{population.name}: NIR has no lowest potential")

    def fill(value: Floats) -> Floats:
        return np.broadcast_to(value, (population.size,)).reshape(shape).astype(np.float32)

    return dialect.make(neuron, fill, dialect.dt)


def check_dialect(
    nodes: Mapping[str, Node], edges: list[tuple[str, str]], neurons: set[str], dialect: Dialect
) -> None:
    """Refuse nodes, loops and sums that a reader does not run.

    Raises:
        UnsupportedError: there is one; the message names it.
    """
    for name, node in nodes.items():
        if name not in neurons and node["type"] not in dialect.stateless:
            known = ", ".join(sorted(dialect.stateless))
            raise UnsupportedError(
                f"{name}: {dialect.reader} reads no {node['type']}; it reads {known}"
            )
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    for loop in nx.strongly_connected_components(graph):
        layers = sorted(loop & neurons)
        if len(loop) > 1 and not dialect.loops:
            raise UnsupportedError(f"{layers[0]}: {dialect.reader} runs no loops when it reads NIR")
        if len(layers) > 1:
            raise UnsupportedError(
                f"{list_briefly(layers, 120)}: {dialect.reader} runs loops of one layer only, not"
                f" of {len(layers)}"
            )
        for name in sorted(loop):
            sources = set(graph.predecessors(name)) - loop
            if len(sources) > 1 and not dialect.joins:
                raise UnsupportedError(
                    f"{name}: {dialect.reader} takes one source per layer, not {len(sources)}"
                )


def _read_decays(neuron: Any) -> tuple[Floats, Floats]:
    none, all_ = np.asarray(0.0), np.asarray(1.0)
    return getattr(neuron, "current_decay", all_), getattr(neuron, "potential_decay", none)


def _fire(node: Node, neuron: Any, fill: Callable[[Floats], Floats]) -> Node:
    none = fill(np.asarray(0.0))
    return {**node, "v_threshold": fill(neuron.threshold), "v_reset": none, "v_leak": none}


def _make_scaled(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    """Return a node whose input is added as it is: r = tau / dt, w_in = tau_syn / dt."""
    current, potential = _read_decays(neuron)
    tau = fill(dt / np.maximum(potential, ALMOST_NONE))
    if (current == 1).all():
        return _fire({"type": "LIF", "tau": tau, "r": tau / np.float32(dt)}, neuron, fill)
    syn = fill(dt / np.maximum(current, ALMOST_NONE))
    inputs = {"tau_syn": syn, "w_in": syn / np.float32(dt)}
    node = {"type": "CubaLIF", "tau_mem": tau, "r": tau / np.float32(dt), **inputs}
    return _fire(node, neuron, fill)


def _make_current_based(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    """Return a CubaLIF in any case: norse ignores r of a LIF."""
    node = _make_scaled(neuron, fill, dt)
    if node["type"] == "LIF":
        node["type"], node["tau_mem"] = "CubaLIF", node.pop("tau")
        node |= {"tau_syn": fill(np.asarray(dt)), "w_in": fill(np.asarray(1.0))}
    return node


def _make_exponential(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    """Return a node with tau in time steps, exp(-1 / tau) = 1 - decay; r is not used."""
    _, potential = _read_decays(neuron)
    share = np.clip(potential, ALMOST_NONE, 1 - ALMOST_NONE)
    tau, unit, zero = fill(-1 / np.log1p(-share)), fill(np.asarray(1.0)), fill(np.asarray(0.0))
    if not neuron.spikes:
        return {"type": "LI", "tau": tau, "r": unit, "v_leak": zero}
    node = _fire({"type": "LIF", "tau": tau, "r": unit}, neuron, fill)
    if neuron.name != "multi_spike_lif":  # sinabs fires at the threshold, too
        node["v_threshold"] = np.nextafter(node["v_threshold"], np.float32(np.inf))
    return node


def _make_spyx(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    """Return a node with r = beta, as spyx writes it; it reads tau and the threshold only."""
    _, potential = _read_decays(neuron)
    node = _make_scaled(neuron, fill, dt)
    node["r"] = fill(1 - np.asarray(potential))
    node.pop("w_in", None)
    return node


UNBATCHED = "a network that flattens images takes one sample at a time, without an axis for samples"
HARD = ("cuba_lif/hard", "integrate_fire/hard")
DIALECTS = {
    "snntorch": Dialect(
        "snnTorch 1.0.0",
        1e-4,
        (*HARD, "cuba_lif/hard with a memory of the current"),
        _make_scaled,
        one_threshold=True,
        loops=True,
        joins=True,
        note=UNBATCHED,
    ),
    "norse": Dialect(
        "norse 1.1.0",
        1e-3,
        (*HARD, "cuba_lif/hard with a memory of the current"),
        _make_current_based,
        stateless=STATELESS | {"SumPool2d"},
        loops=True,
        note=UNBATCHED,
    ),
    "sinabs": Dialect(
        "sinabs 3.1.3",
        1.0,
        (*HARD, "cuba_lif/soft", "integrate_fire/soft", "multi_spike_lif/soft",
         "multi_spike_lif/hard", "readout"),
        _make_exponential,
        flat=True,
        stateless=STATELESS | {"SumPool2d"},
        note="of layers with one spike per step set spike_fn=SingleSpike, of hard resets also"
        " reset_fn=MembraneReset()",
    ),
    "spyx": Dialect(
        "spyx 1.0.0",
        1.0,
        ("cuba_lif/delayed_soft", "integrate_fire/soft", "integrate_fire/delayed_soft",
         "cuba_lif/soft with a memory of the current"),
        _make_spyx,
        stateless=STATELESS - {"Flatten"},  # it flattens images with the channels last
        note="every layer fires one time step later than here",
    ),
}  # fmt: skip
"""Reader -> its dialect."""
