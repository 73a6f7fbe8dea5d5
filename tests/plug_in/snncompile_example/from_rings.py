"""A frontend: rings of `divide_fire` neurons, from a text file.

    size 12
    0.6 0.5 -0.2    threshold 1.0 divisor 2
    0.9 0.4         threshold 0.8 divisor 1

The first line says how many neurons each ring has. Each further line is a ring: its weights, then
the parameters of its neurons.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snncompile.errors import InputError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.synapses.base import Synapses
from snncompile_example.divide_fire import DivideFire
from snncompile_example.ring import Ring


def read(path: str) -> Network:
    """Return the network of a file.

    Raises:
        InputError: the file says something else.
    """
    first, *lines = Path(path).read_text(encoding="utf-8").splitlines()
    try:
        size = int(first.removeprefix("size "))
        layers = [_read_layer(line, size) for line in lines]
    except ValueError as error:
        raise InputError(f"{path}: {error}; see snncompile_example.from_rings") from None
    names = ["input", *(f"ring{i + 1}" for i in range(len(layers)))]
    populations = [
        Population(name, (size,), neuron)
        for name, (neuron, _) in zip(names[1:], layers, strict=True)
    ]
    projections = [
        Projection(source, target, synapses)
        for source, target, (_, synapses) in zip(names[:-1], names[1:], layers, strict=True)
    ]
    return Network(Input("input", (size,)), tuple(populations), tuple(projections), names[-1])


def _read_layer(line: str, size: int) -> tuple[DivideFire, Synapses]:
    weights, _, parameters = line.partition(" threshold ")
    threshold, _, divisor = parameters.partition(" divisor ")
    weight = np.array([float(word) for word in weights.split()])
    neuron = DivideFire(np.array(float(threshold)), np.array(float(divisor)))
    return neuron, Synapses(Ring(size, len(weight)), weight)


read.suffixes = (".rings",)  # type: ignore[attr-defined]
