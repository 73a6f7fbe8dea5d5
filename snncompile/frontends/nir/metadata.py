"""Neurons from the metadata that our own writer adds to a NIR file (`backends/nir/neurons.py`).

Metadata is a hint: it is believed where it agrees with the numbers of NIR itself; a program that
changes the file changes those.
"""

from __future__ import annotations

from dataclasses import fields
from math import prod
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.frontends.nir.file import Node
from snncompile.frontends.nir.neurons import Dynamics
from snncompile.ir.graph import Shape
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout

KINDS: dict[str, type[FloatNeuron]] = {
    "cuba_lif": CubaLif,
    "integrate_fire": IntegrateFire,
    "readout": Readout,
}
NEAR = 1e-6
"""Largest difference of two numbers that agree, relative to the larger one or to 1."""


def read_neuron(node: Node, dynamics: Dynamics, bias: Floats) -> FloatNeuron | None:
    """Return the neuron that the metadata describes; None if it is missing or disagrees.

    Args:
        node: a neuron node.
        dynamics: its numbers.
        bias: constant drive of its potential by the nodes before it.
    """
    name = node.metadata.get("neuron")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = node.metadata.get(field.name)
        if isinstance(value, np.ndarray):
            values[field.name] = value.reshape(()) if value.size == 1 else value.reshape(-1)
        elif value is not None:
            values[field.name] = value
    try:
        neuron = kind(**values)
        agrees = _agrees(neuron, dynamics, bias)
    except (ValueError, TypeError):
        return None
    return neuron if agrees else None


def _agrees(neuron: Any, dynamics: Dynamics, bias: Floats) -> bool:
    none, all_ = np.asarray(0.0), np.asarray(1.0)
    pairs: list[tuple[Floats, Floats]] = [
        (getattr(neuron, "current_decay", all_), dynamics.current_decay),
        (getattr(neuron, "potential_decay", none), dynamics.potential_decay),
        (neuron.bias, dynamics.leak + bias),
        (all_, dynamics.gain),
    ]
    if dynamics.threshold is not None:
        pairs.append((getattr(neuron, "threshold", none), dynamics.threshold))
    return neuron.spikes == (dynamics.threshold is not None) and all(
        bool((np.abs(a - b) <= NEAR * np.maximum(np.abs(a), 1)).all()) for a, b in pairs
    )


def read_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape the metadata gives the population, if it holds as many neurons."""
    stored = node.metadata.get("shape")
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "iu":
        return shape
    own = tuple(int(n) for n in stored.reshape(-1))
    return own if own and min(own) > 0 and prod(own) == prod(shape) else shape
