"""Neurons as NIR nodes, with what NIR cannot say as metadata.

In steps of dt (Euler), NIR's equations lose dt / tau of a state and add dt / tau * r times the
input, so

    tau = dt / decay,  r = w_in = 1 / decay,  v_leak = bias / decay

and the weights stay as they are. A decay of 0 would need an endless tau; it becomes 2^-40, which a
reader that knows the metadata takes back to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Population, Shape
from snncompile.neurons.base import Neuron

ALMOST_NONE = 2.0**-40
"""Share of a state lost in one time step where nothing is lost."""
KNOWN = "cuba_lif, integrate_fire, readout"
Node = dict[str, Any]


def neuron_node(population: Population, shape: Shape, dt: float) -> Node:
    """Return the node of a population.

    Args:
        population: of a float network.
        shape: of the node, the population's or flat.
        dt: seconds of one time step.

    Raises:
        UnsupportedError: NIR has no such neuron.
    """
    neuron = population.neuron
    if neuron.name not in NODES:
        raise UnsupportedError(
            f"{population.name}: NIR has no neuron like {neuron.kind}; it has those of {KNOWN}"
        )

    def full(value: Floats) -> Floats:
        return np.broadcast_to(value, (population.size,)).reshape(shape).astype(np.float64)

    made = NODES[neuron.name](neuron, full, dt)
    return made | {"metadata": _metadata(population, neuron)}


def _metadata(population: Population, neuron: Neuron) -> dict[str, Any]:
    """Return everything about the neurons, exactly."""
    values: dict[str, Any] = {name: getattr(neuron, name) for name in neuron.parameters()}
    reset = getattr(neuron, "reset", None)
    if reset is not None:
        values["reset"] = reset
    return values | {"neuron": neuron.name, "shape": np.array(population.shape)}


def _fires(node: Node, neuron: Any, full: Callable[[Floats], Floats]) -> Node:
    """Return the node of the same neuron that fires."""
    more = {"v_threshold": full(neuron.threshold), "v_reset": full(np.asarray(0.0))}
    return {**node, "type": FIRING[node["type"]], **more}


FIRING = {"I": "IF", "LI": "LIF", "CubaLI": "CubaLIF"}


def _integrate_fire(neuron: Any, full: Callable[[Floats], Floats], dt: float) -> Node:
    return _fires(_leaky(np.asarray(0.0), neuron.bias, full, dt), neuron, full)


def _cuba_lif(neuron: Any, full: Callable[[Floats], Floats], dt: float) -> Node:
    return _fires(_readout(neuron, full, dt), neuron, full)


def _readout(neuron: Any, full: Callable[[Floats], Floats], dt: float) -> Node:
    node = _leaky(neuron.potential_decay, neuron.bias, full, dt)
    if (neuron.current_decay == 1).all():
        return node
    if node["type"] == "I":
        node = _with_leak(neuron.potential_decay, neuron.bias, full, dt)
    current = np.maximum(full(neuron.current_decay), ALMOST_NONE)
    tau = node.pop("tau")
    return {**node, "type": "CubaLI", "tau_mem": tau, "tau_syn": dt / current, "w_in": 1 / current}


def _leaky(decay: Floats, bias: Floats, full: Callable[[Floats], Floats], dt: float) -> Node:
    if decay.any() or bias.any():
        return _with_leak(decay, bias, full, dt)
    return {"type": "I", "r": full(np.asarray(1 / dt))}


def _with_leak(decay: Floats, bias: Floats, full: Callable[[Floats], Floats], dt: float) -> Node:
    share = np.maximum(full(decay), ALMOST_NONE)
    return {"type": "LI", "tau": dt / share, "r": 1 / share, "v_leak": full(bias) / share}


NODES: dict[str, Callable[[Any, Callable[[Floats], Floats], float], Node]] = {
    "cuba_lif": _cuba_lif,
    "integrate_fire": _integrate_fire,
    "readout": _readout,
}
"""Neuron -> its node."""
