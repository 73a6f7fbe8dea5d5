"""Neurons from the metadata that our own writer adds to a NIR file (`backends/nir/neurons.py`).

Metadata is a hint: it is believed where it agrees with the numbers of NIR itself, which whoever
changed the file will have changed.
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


def neuron_of(node: Node, made: Dynamics) -> FloatNeuron | None:
    """Return the neuron that the metadata describes, or None if there is none, or another one.

    Args:
        node: a neuron node.
        made: what its numbers say.
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
        agrees = _agrees(neuron, made)
    except (ValueError, TypeError):
        return None
    return neuron if agrees else None


def _agrees(neuron: Any, made: Dynamics) -> bool:
    none, all_ = np.asarray(0.0), np.asarray(1.0)
    pairs: list[tuple[Floats, Floats]] = [
        (getattr(neuron, "current_decay", all_), made.current_decay),
        (getattr(neuron, "potential_decay", none), made.potential_decay),
        (neuron.bias, made.leak),
        (all_, made.gain),
    ]
    if made.threshold is not None:
        pairs.append((getattr(neuron, "threshold", none), made.threshold))
    return neuron.spikes == (made.threshold is not None) and all(
        bool((np.abs(a - b) <= NEAR * np.maximum(np.abs(a), 1)).all()) for a, b in pairs
    )


def shape_of(node: Node, shape: Shape) -> Shape:
    """Return the shape the metadata gives the population, if it holds as many neurons."""
    said = node.metadata.get("shape")
    if not isinstance(said, np.ndarray) or said.dtype.kind not in "iu":
        return shape
    own = tuple(int(n) for n in said.reshape(-1))
    return own if own and min(own) > 0 and prod(own) == prod(shape) else shape
