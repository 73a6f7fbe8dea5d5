"""Give the first linear layer of an imported network to the host, as biases per sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import InputError, UnsupportedError
from snncompile.ir.coding import Coding
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.host import HostLayer
from snncompile.synapses.base import Synapses


def check_images(x: Floats) -> None:
    """Refuse a sample, shape (samples, steps, *shape), that is not one image in every step."""
    if not (x == x[:, :1]).all():
        raise InputError(
            'the sample changes from step to step, and input="biases" is for one image in every'
            ' step; give input="analog"'
        )


def move_to_host(network: Network, x: Floats) -> Network:
    """Return the network whose first linear layers the host computes.

    The projections of the input become layers of the host, with the biases of their targets.

    Args:
        network: imported; its input is not changed yet.
        x: the sample, shape (samples, steps, *shape), one image in every step.

    Raises:
        UnsupportedError: a bias of a neuron would not do what its input does.
    """
    source, images = network.input, x[:, 0].reshape(len(x), -1)
    leaving = network.out_of(source.name)
    counts = Counter(p.target for p in leaving)
    populations = {p.name: p for p in network.populations}
    layers = []
    for projection in leaving:
        population = populations[projection.target]
        _check_target(population, projection, counts[population.name])
        layer = _make_layer(population, projection)
        biases = layer.compute(images)
        layers.append(replace(layer, largest=float(np.abs(biases).max(initial=0.0))))
        neuron: Any = population.neuron
        silent = replace(neuron, bias=np.asarray(0.0))
        populations[population.name] = replace(population, neuron=silent)
    steps = x.shape[1]
    coding = Coding("biases", 1.0, steps, steps)
    fed = replace(source, coding=coding, host=tuple(layers))
    names = ", ".join(layer.target for layer in layers)
    note = (
        f"input: one image in every step; the host computes {names} without its neurons, and writes"
        f" {sum(populations[layer.target].size for layer in layers):,} biases per sample"
    )
    return replace(
        network,
        input=fed,
        populations=tuple(populations.values()),
        projections=tuple(p for p in network.projections if p.source != source.name),
        notes=(*network.notes, note),
    )


def _make_layer(population: Population, projection: Projection) -> HostLayer:
    neuron: Any = population.neuron
    bias = np.broadcast_to(np.asarray(neuron.bias, np.float64), (population.size,)).copy()
    synapses = projection.synapses
    assert isinstance(synapses, Synapses)
    return HostLayer(population.name, synapses, bias, 0.0)


def _check_target(population: Population, projection: Projection, count: int) -> None:
    """Refuse neurons of which a bias is another thing than an input in every step."""
    where, neuron = population.name, population.neuron
    memory = np.any(np.asarray(getattr(neuron, "current_decay", 1.0)) != 1)
    if neuron.ports or not hasattr(neuron, "bias") or memory:
        raise UnsupportedError(
            f"{where}: {neuron.kind} keeps its input in a current, or has no bias; biases per"
            ' sample need neurons whose potential takes the input at once; give input="analog"'
        )
    if count > 1 or projection.delay:
        raise UnsupportedError(
            f"{where}: the input reaches it on several ways or later; the host gives one bias per"
            ' neuron; give input="analog"'
        )
