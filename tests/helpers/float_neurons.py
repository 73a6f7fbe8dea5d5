"""Random float neurons of every kind in the registry, and networks of one of them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from snncompile import registry
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.readout import Readout
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

RANGES = {
    "threshold": (0.3, 3.0),
    "negative_threshold": (-3.0, -0.2),
    "threshold_step": (0.0, 0.6),
    "subtracted": (0.0, 1.5),
    "bias": (-0.2, 0.3),
    "initial": (0.0, 0.25),
    "lowest": (-4.0, 0.0),
}
STEPS = {
    "window": (2, 2),
    "start": (0, 0),
    "once": (0, 0),
    "doubling": (0, 0),
    "most": (3, 3),
    "members": (3, 3),
}
STEPS |= {"refractory": (0, 3)}
WIRINGS = ("dense", "sparse", "convolution", "recurrent", "shortcut")
NEURONS = 12
"""Neurons of a drawn population: 3 channels of 4."""


def neuron(rng: np.random.Generator, kind: str, size: int = NEURONS) -> FloatNeuron:
    """Return a neuron of a kind of chip files ("cuba_lif/soft"), with parameters per neuron."""
    name, _, reset = kind.partition("/")
    make = registry.load("neurons", name)
    if make.ports:
        period, decay = rng.uniform(4, 20, size), rng.uniform(0, 0.3, size)
        return make.of(period, decay, rng.uniform(*RANGES["threshold"], size))
    values = {f.name: value(rng, f.name, size) for f in fields(make) if f.name != "reset"}
    return make(**values, **({"reset": reset} if reset else {}))


def value(rng: np.random.Generator, name: str, size: int):
    """Return one number per neuron; steps are the same for all."""
    if name in STEPS:
        low, high = STEPS[name]
        return float(rng.integers(low, high + 1))
    if name.endswith("decay"):
        return float(rng.choice([0.0, 1.0, rng.uniform(0.05, 0.9)]))
    return rng.uniform(*RANGES[name], size)


def network(rng: np.random.Generator, kind: str, wiring: str) -> Network:
    """Return one population behind an input, with a readout behind it where it sends values."""
    cell = neuron(rng, kind)
    convolved = wiring in ("convolution", "shortcut")
    shape = (3, 2, 2) if convolved else (NEURONS,)
    source = (3, 2, 2) if wiring == "shortcut" else (2, 2, 2)
    synapses = [("input", draw_synapses(rng, wiring, int(np.prod(source))), 0)]
    if wiring == "recurrent" and cell.spikes:
        synapses.append(("a", dense(rng.normal(0, 0.2, (NEURONS, NEURONS))), 1))
    if wiring == "shortcut":
        channels = np.repeat(rng.normal(0, 1, 3), 4)
        synapses.append(("input", Synapses(Scale(NEURONS, per_neuron=True), channels), 0))
    ports = cell.ports or (None,)
    projections = [
        Projection(start, "a", each, delay, port=port)
        for start, each, delay in synapses
        for port in ports
    ]
    populations = [Population("a", shape, cell)]
    output = "a"
    if sends_values(cell):
        populations.append(Population("b", (3,), Readout(1.0, 0.0)))
        projections.append(Projection("a", "b", dense(rng.normal(0, 0.3, (3, NEURONS)))))
        output = "b"
    return Network(Input("input", source), tuple(populations), tuple(projections), output)


def sends_values(cell: FloatNeuron) -> bool:
    """Whether spikes carry numbers in the unit of the weights."""
    return cell.message_unit > 1


def draw_synapses(rng: np.random.Generator, wiring: str, sources: int) -> Synapses:
    if wiring in ("convolution", "shortcut"):
        kernel = Convolution((sources // 4, 2, 2), 3, (3, 3), (1, 1), (1, 1), (1, 1))
        return Synapses(kernel, rng.normal(0, 0.4, kernel.weight_shape))
    weight = rng.normal(0, 0.4, (NEURONS, sources))
    if wiring != "sparse":
        return dense(weight)
    target, source = np.nonzero(rng.random(weight.shape) < 0.6)
    return Synapses(Sparse(target, source, NEURONS, sources), weight[target, source])
