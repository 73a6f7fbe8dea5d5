"""Neurons as NIR nodes, with metadata for properties that NIR lacks.

In steps of dt (Euler), NIR's equations lose dt / tau of a state and add dt / tau * r times the
input, so

    tau = dt / decay,  r = w_in = 1 / decay

and the weights stay unchanged. A bias is in the Affine or convolution before the neurons
(`biases.py`), for readers refuse or ignore v_leak; only where none can hold it is
v_leak = bias / decay. A decay of 0 would need an infinite tau; it becomes 2^-40, which a
reader that knows the metadata takes back to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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


def make_neuron_node(population: Population, shape: Shape, dt: float, bias: Floats) -> Node:
    """Return the node of a population.

    Args:
        population: of a float network.
        shape: of the node, the population's or flat.
        dt: seconds of one time step.
        bias: what no node before the neurons holds.

    Raises:
        UnsupportedError: NIR has no such neuron.
    """
    neuron = population.neuron
    if neuron.name not in NODES:
        raise UnsupportedError(
            f"{population.name}: NIR has no neuron like {neuron.kind}; it has {KNOWN}"
        )

    def fill(value: Floats) -> Floats:
        return np.broadcast_to(value, (population.size,)).reshape(shape).astype(np.float64)

    own: Any = neuron
    node = NODES[neuron.name](replace(own, bias=bias), fill, dt)
    return node | {"metadata": _make_metadata(population, neuron)}


def _make_metadata(population: Population, neuron: Neuron) -> dict[str, Any]:
    """Return all parameters of the neurons, exactly."""
    values: dict[str, Any] = {name: getattr(neuron, name) for name in neuron.parameters()}
    reset = getattr(neuron, "reset", None)
    if reset is not None:
        values["reset"] = reset
    return values | {"neuron": neuron.name, "shape": np.array(population.shape)}


def _add_threshold(node: Node, neuron: Any, fill: Callable[[Floats], Floats]) -> Node:
    """Return the node of the same neuron with a threshold."""
    more = {"v_threshold": fill(neuron.threshold), "v_reset": fill(np.asarray(0.0))}
    return {**node, "type": FIRING[node["type"]], **more}


FIRING = {"I": "IF", "LI": "LIF", "CubaLI": "CubaLIF"}


def _translate_integrate_fire(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    return _add_threshold(_make_integrator(np.asarray(0.0), neuron.bias, fill, dt), neuron, fill)


def _translate_cuba_lif(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    return _add_threshold(_translate_readout(neuron, fill, dt), neuron, fill)


def _translate_readout(neuron: Any, fill: Callable[[Floats], Floats], dt: float) -> Node:
    node = _make_integrator(neuron.potential_decay, neuron.bias, fill, dt)
    if (neuron.current_decay == 1).all():
        return node
    if node["type"] == "I":
        node = _make_leaky(neuron.potential_decay, neuron.bias, fill, dt)
    current = np.maximum(fill(neuron.current_decay), ALMOST_NONE)
    tau = node.pop("tau")
    return {**node, "type": "CubaLI", "tau_mem": tau, "tau_syn": dt / current, "w_in": 1 / current}


def _make_integrator(
    decay: Floats, bias: Floats, fill: Callable[[Floats], Floats], dt: float
) -> Node:
    if decay.any() or bias.any():
        return _make_leaky(decay, bias, fill, dt)
    return {"type": "I", "r": fill(np.asarray(1 / dt))}


def _make_leaky(decay: Floats, bias: Floats, fill: Callable[[Floats], Floats], dt: float) -> Node:
    share = np.maximum(fill(decay), ALMOST_NONE)
    return {"type": "LI", "tau": dt / share, "r": 1 / share, "v_leak": fill(bias) / share}


NODES: dict[str, Callable[[Any, Callable[[Floats], Floats], float], Node]] = {
    "cuba_lif": _translate_cuba_lif,
    "integrate_fire": _translate_integrate_fire,
    "readout": _translate_readout,
}
"""Neuron -> its node."""
