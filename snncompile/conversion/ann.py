"""A rectified network, multiplied out: the start of a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.neurons.base import BINARY
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale

INPUT = "input"
"""Name of the input as a source."""
BATCH = 64
"""Most samples computed at a time."""
BATCH_VALUES = 2**26
"""Most activations computed at a time, 8 bytes each."""


@dataclass(frozen=True, eq=False)
class LayerTerm:
    """Synapses from one layer, or the input, to another."""

    source: str
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: z = sum of W a + bias; a = z limited to 0..cap, or a = z if it is the last."""

    name: str
    shape: Shape
    terms: tuple[LayerTerm, ...]
    bias: Floats
    """One per neuron."""
    cap: float = inf
    """Largest activation that the model itself allows."""
    path: str = ""
    """Path of the rectifier, or of the last linear layer, in the model."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def channels(self) -> int:
        """Number of channels: the first axis."""
        return self.shape[0]

    def spread_per_neuron(self, values: NDArray[np.float64]) -> Floats:
        """Return one value per neuron for one value per channel, or for one for all."""
        wide = np.broadcast_to(values, (self.channels,))
        return np.repeat(wide, self.size // self.channels)


@dataclass(frozen=True, eq=False)
class Ann:
    """Layers in an order in which each comes after its sources; the last one is not rectified."""

    shape: Shape
    """Of one sample of the input."""
    layers: tuple[Layer, ...]
    title: str

    @property
    def rectified(self) -> tuple[Layer, ...]:
        """All layers but the last."""
        return self.layers[:-1]

    def find_layer(self, name: str) -> Layer:
        """Return the layer called `name`."""
        return next(layer for layer in self.layers if layer.name == name)

    def find_depths(self) -> dict[str, int]:
        """Return the longest path from the input to each layer; the input's is 0."""
        depths = {INPUT: 0}
        for layer in self.layers:
            depths[layer.name] = 1 + max((depths[t.source] for t in layer.terms), default=0)
        return depths

    @property
    def neurons(self) -> int:
        """Number of neurons of all layers."""
        return sum(layer.size for layer in self.layers)

    def compute_activations(self, x: NDArray[np.float64]) -> dict[str, Tensor]:
        """Return the activation of every layer, each (samples, *layer shape), float32.

        Args:
            x: shape (samples, *shape); computed in float64, in batches.
        """
        batch = max(1, min(BATCH, BATCH_VALUES // self.neurons))
        batches = [self._forward(torch.tensor(x[i : i + batch])) for i in range(0, len(x), batch)]
        return {
            layer.name: torch.cat([batch_values[layer.name] for batch_values in batches]).reshape(
                -1, *layer.shape
            )
            for layer in self.layers
        }

    def _forward(self, x: Tensor) -> dict[str, Tensor]:
        values = {INPUT: x.double().flatten(1)}
        for layer in self.layers:
            z = torch.tensor(layer.bias).expand(len(x), -1)
            for term in layer.terms:
                z = z + bind(term.synapses, BINARY)(values[term.source])
            last = layer is self.layers[-1]
            values[layer.name] = z if last else z.clamp(0, layer.cap)
        return {name: value.float() for name, value in values.items() if name != INPUT}


def normalize(ann: Ann, scales: dict[str, Floats], unit: float) -> Ann:
    """Return the network in which an activation of `scales` is 1; the last layer keeps its unit.

        W' = W scale_source / scale_target, bias' = bias / scale_target

    Args:
        ann: the network.
        scales: per rectified layer, one per channel or one for all.
        unit: input value that becomes 1.
    """
    factors = {INPUT: np.full(prod(ann.shape), unit)}
    factors |= {layer.name: layer.spread_per_neuron(scales[layer.name]) for layer in ann.rectified}
    return replace(ann, layers=tuple(_scale_layers(ann, factors)))


def _scale_layers(ann: Ann, factors: dict[str, Floats]) -> Iterator[Layer]:
    for layer in ann.layers:
        own = factors.get(layer.name, np.ones(layer.size))
        terms = tuple(
            LayerTerm(t.source, _multiply(1 / own, t.synapses, factors[t.source]))
            for t in layer.terms
        )
        yield replace(layer, terms=terms, bias=layer.bias / own, cap=inf)


def _multiply(target: Floats, synapses: Synapses, source: Floats) -> Synapses:
    """Return the weights times a factor per target and one per source."""
    return compose(_make_diagonal(target), compose(synapses, _make_diagonal(source)))


def _make_diagonal(factor: Floats) -> Synapses:
    return Synapses(Scale(len(factor), per_neuron=True), factor)
