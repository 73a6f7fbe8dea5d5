"""A rectified network, multiplied out: what a conversion starts from."""

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
from snncompile.synapses.compose import composed
from snncompile.synapses.scale import Scale

INPUT = "input"
"""Source of what the network sees."""
BATCH = 64
"""Most samples whose activations are computed at a time."""
BATCH_VALUES = 2**26
"""Activations that are computed at a time, 8 bytes each."""


@dataclass(frozen=True, eq=False)
class Term:
    """What one layer, or the input, brings to another."""

    source: str
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: z = sum of W a + bias; a = z limited to 0..cap, or a = z if it is the last."""

    name: str
    shape: Shape
    terms: tuple[Term, ...]
    bias: Floats
    """One per neuron."""
    cap: float = inf
    """Largest activation that the model itself allows."""
    path: str = ""
    """Where the rectifier, or the last linear layer, is in the model."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def channels(self) -> int:
        """Number of channels: the first axis."""
        return self.shape[0]

    def per_neuron(self, values: NDArray[np.float64]) -> Floats:
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

    def layer(self, name: str) -> Layer:
        """Return the layer called `name`."""
        return next(layer for layer in self.layers if layer.name == name)

    def levels(self) -> dict[str, int]:
        """Return the longest path from the input to each layer; the input's is 0."""
        levels = {INPUT: 0}
        for layer in self.layers:
            levels[layer.name] = 1 + max((levels[t.source] for t in layer.terms), default=0)
        return levels

    @property
    def neurons(self) -> int:
        """Number of neurons of all layers."""
        return sum(layer.size for layer in self.layers)

    def activations(self, x: NDArray[np.float64]) -> dict[str, Tensor]:
        """Return the activation of every layer, each (samples, *layer shape), float32.

        Args:
            x: shape (samples, *shape); computed in float64, some at a time.
        """
        batch = max(1, min(BATCH, BATCH_VALUES // self.neurons))
        parts = [self._forward(torch.tensor(x[i : i + batch])) for i in range(0, len(x), batch)]
        return {
            layer.name: torch.cat([part[layer.name] for part in parts]).reshape(-1, *layer.shape)
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


def normalized(ann: Ann, scales: dict[str, Floats], unit: float) -> Ann:
    """Return the network in which an activation of `scales` is 1; the last layer keeps its unit.

        W' = W scale_source / scale_target, bias' = bias / scale_target

    Args:
        ann: the network.
        scales: of each rectified layer, one per channel or one for all.
        unit: of the input.
    """
    factors = {INPUT: np.full(prod(ann.shape), unit)}
    factors |= {layer.name: layer.per_neuron(scales[layer.name]) for layer in ann.rectified}
    return replace(ann, layers=tuple(_scaled_layers(ann, factors)))


def _scaled_layers(ann: Ann, factors: dict[str, Floats]) -> Iterator[Layer]:
    for layer in ann.layers:
        own = factors.get(layer.name, np.ones(layer.size))
        terms = tuple(
            Term(t.source, _times(1 / own, t.synapses, factors[t.source])) for t in layer.terms
        )
        yield replace(layer, terms=terms, bias=layer.bias / own, cap=inf)


def _times(target: Floats, synapses: Synapses, source: Floats) -> Synapses:
    """Return the weights times a factor per target and one per source."""
    return composed(_diagonal(target), composed(synapses, _diagonal(source)))


def _diagonal(factor: Floats) -> Synapses:
    return Synapses(Scale(len(factor), per_neuron=True), factor)
