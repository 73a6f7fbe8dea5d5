"""A rectified network, multiplied out: the start of a conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf, prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snncompile.arrays import Floats
from snncompile.frontends.pool_currents import Windows
from snncompile.neurons.base import BINARY
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale

INPUT = "input"
"""Name of the input as a source."""
SUMS = "sums"
"""Kind of a curve that passes sums on as they are."""
SPARING_SUMS = "sums that spare synapses"
"""Kind of those without which the network would be the same, with more synapses."""
ROUNDING = 2.0**-30
"""Largest activation of a neuron over the sizes of all that it adds up, up to which it is rounding
errors of float64: more than a million times what one sum has."""
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
class Curve:
    """An activation of one variable that is no rectifier: a = function(z)."""

    kind: str
    """Class of the layer, or name of the function, for messages."""
    function: Callable[[Tensor], Tensor]
    """From z, float64 of shape (samples, *layer shape), to a of the same shape. It acts on each
    value alone; only its parameters may differ between channels (PReLU)."""

    def __call__(self, z: Tensor) -> Tensor:
        """Return the activations."""
        return self.function(z)


def pass_on(z: Tensor) -> Tensor:
    """Return sums as they are: the function of a curve of sums."""
    return z


@dataclass(frozen=True, eq=False)
class Maximum:
    """A maximum pool: a is the largest z of each window; z has a shape of its own."""

    kind: str
    """Class of the layer, or name of the function, for messages."""
    shape: Shape
    """Of z: (channels, *space)."""
    windows: Windows
    """One value per axis of space; a window may reach over the edges, where nothing counts."""

    def __call__(self, z: Tensor) -> Tensor:
        """Return the largest value of each window, from z (samples, *shape)."""
        w, space = self.windows, self.shape[1:]
        sides: list[int] = []
        for axis in reversed(range(len(space))):
            reach = (w.counts[axis] - 1) * w.stride[axis] + w.dilation[axis] * (w.kernel[axis] - 1)
            sides += [w.padding[axis], reach + 1 - space[axis] - w.padding[axis]]
        z = functional.pad(z, sides, value=-inf)
        pool = functional.max_pool1d if len(space) == 1 else functional.max_pool2d
        return pool(z, w.kernel, w.stride, 0, w.dilation)


@dataclass(frozen=True, eq=False)
class Product:
    """A product of two values, each z times the other sum: a gate, as of squeeze-and-excitation."""

    terms: tuple[LayerTerm, ...]
    """The other factor is the sum of these and `bias`."""
    bias: Floats
    """One per neuron."""
    kind: str = "product"
    unit: Floats = field(default_factory=lambda: np.ones(1))
    """The product of both sums that is an activation of 1; one for all or one per neuron."""


Operation = Curve | Maximum | Product


@dataclass(frozen=True, eq=False)
class MessageRange:
    """The numbers that the neurons of a layer may send."""

    low: int
    """Smallest message, 0 or less."""
    top: int
    """Largest message."""
    scale: Floats
    """Activation of the largest message, per channel or one for all."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: z = sum of W a + bias, and an activation of it.

    Rectifier (`operation` None)   a = z limited to 0..cap
    Curve                          a = function(z)
    Maximum                        a = the largest z of each window
    Product                        a = z * (sum of V a + other bias) / unit
    the last layer of a network    a = z
    """

    name: str
    shape: Shape
    """Of a."""
    terms: tuple[LayerTerm, ...]
    bias: Floats
    """One per value of z."""
    cap: float = inf
    """Largest activation that a rectifier of the model itself allows."""
    path: str = ""
    """Path of the rectifier, or of the last linear layer, in the model."""
    operation: Operation | None = field(default=None, kw_only=True)
    """What takes the place of a rectifier."""
    messages: MessageRange | None = field(default=None, kw_only=True)
    """What its neurons send, of a method that chooses a range for each layer."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the layers that it reads, a name per term."""
        other = self.operation.terms if isinstance(self.operation, Product) else ()
        return tuple(term.source for term in (*self.terms, *other))

    @property
    def kind(self) -> str:
        """Kind of the activation, for messages."""
        return "rectifier" if self.operation is None else self.operation.kind

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
        """Return the longest path from the input to each layer; the input's is 0.

        A maximum pool counts as part of the layer that it reads: no time passes in it.
        """
        depths = {INPUT: 0}
        for layer in self.layers:
            own = 0 if isinstance(layer.operation, Maximum) else 1
            depths[layer.name] = own + max((depths[name] for name in layer.sources), default=0)
        return depths

    @property
    def neurons(self) -> int:
        """Number of neurons of all layers."""
        return sum(layer.size for layer in self.layers)

    def compute_activations(self, x: NDArray[np.float64]) -> dict[str, Tensor]:
        """Return the activation of every layer, each (samples, *layer shape), float32.

        Channels of rectifiers whose activations are nothing but rounding errors are silent, 0.

        Args:
            x: shape (samples, *shape); computed in float64, in batches.
        """
        batch = max(1, min(BATCH, BATCH_VALUES // self.neurons))
        batches = [self._forward(torch.tensor(x[i : i + batch])) for i in range(0, len(x), batch)]
        values = {
            layer.name: torch.cat([batch_values[layer.name] for batch_values in batches])
            for layer in self.layers
        }
        self._silence_rounding(values, np.abs(x).max(axis=0, initial=0.0).reshape(-1))
        return {layer.name: values[layer.name].reshape(-1, *layer.shape) for layer in self.layers}

    def _silence_rounding(self, values: dict[str, Tensor], largest_input: Floats) -> None:
        """Set channels of rectifiers to 0 that hold rounding errors alone.

        As the difference of two equal sums does: its scale would make weights without end. What
        reads it alone holds rounding errors of the same sums.
        """
        sizes = {INPUT: torch.tensor(largest_input, dtype=torch.float64)[None]}
        for layer in self.rectified:
            value = values[layer.name]
            own = torch.maximum(value.amax(dim=0), -value.amin(dim=0)).double()[None]
            terms = tuple(LayerTerm(t.source, _take_sizes(t.synapses)) for t in layer.terms)
            sums = add_up(terms, np.abs(layer.bias), sizes)
            if isinstance(layer.operation, Maximum):
                own = activate(layer, sums, sizes)
            elif layer.operation is None:
                rounding = (own <= ROUNDING * sums).reshape(layer.channels, -1).all(dim=1)
                silent = rounding.repeat_interleave(layer.size // layer.channels)
                value[:, silent] = 0.0
                own = torch.where(silent, sums, own)
            sizes[layer.name] = own

    def _forward(self, x: Tensor) -> dict[str, Tensor]:
        values = {INPUT: x.double().flatten(1)}
        for layer in self.layers:
            last = layer is self.layers[-1]
            z = add_up(layer.terms, layer.bias, values)
            values[layer.name] = z if last else activate(layer, z, values)
        return {name: value.float() for name, value in values.items() if name != INPUT}


def _take_sizes(synapses: Synapses) -> Synapses:
    return replace(synapses, weight=np.abs(synapses.weight))


def add_up(terms: tuple[LayerTerm, ...], bias: Floats, values: dict[str, Tensor]) -> Tensor:
    """Return the sum of W a + bias, (samples, n), of activations (samples, size) by name."""
    z = torch.tensor(bias).expand(len(next(iter(values.values()))), -1)
    for term in terms:
        z = z + bind(term.synapses, BINARY)(values[term.source])
    return z


def activate(layer: Layer, z: Tensor, values: dict[str, Tensor]) -> Tensor:
    """Return the activations of a layer but the last, (samples, size), from its z."""
    operation = layer.operation
    if operation is None:
        return z.clamp(0, layer.cap)
    if isinstance(operation, Product):
        other = add_up(operation.terms, operation.bias, values)
        return z * other / torch.tensor(operation.unit)
    shape = operation.shape if isinstance(operation, Maximum) else layer.shape
    return operation(z.reshape(-1, *shape)).reshape(len(z), -1)


def normalize(ann: Ann, scales: dict[str, Floats], unit: float) -> Ann:
    """Return the network in which an activation of `scales` is 1; the last layer keeps its unit.

        W' = W scale_source / scale_target, bias' = bias / scale_target

    Both sums of a product keep their unit; the product is divided by its scale.

    Args:
        ann: the network.
        scales: per rectified layer, one per channel or one for all; a maximum pool keeps the
            scales of the layer that it reads, one to one.
        unit: input value that becomes 1.
    """
    factors = {INPUT: np.full(prod(ann.shape), unit)}
    factors |= {layer.name: layer.spread_per_neuron(scales[layer.name]) for layer in ann.rectified}
    return replace(ann, layers=tuple(_scale_layers(ann, factors)))


def _scale_layers(ann: Ann, factors: dict[str, Floats]) -> Iterator[Layer]:
    for layer in ann.layers:
        if isinstance(layer.operation, Maximum):
            yield layer
            continue
        own = factors.get(layer.name, np.ones(layer.size))
        if isinstance(layer.operation, Product):
            other = tuple(_scale_sources(layer.operation.terms, factors))
            product = replace(layer.operation, terms=other, unit=layer.operation.unit * own)
            first = tuple(_scale_sources(layer.terms, factors))
            yield replace(layer, terms=first, operation=product)
            continue
        terms = tuple(
            LayerTerm(t.source, _multiply(1 / own, t.synapses, factors[t.source]))
            for t in layer.terms
        )
        yield replace(layer, terms=terms, bias=layer.bias / own, cap=inf)


def _scale_sources(terms: tuple[LayerTerm, ...], factors: dict[str, Floats]) -> Iterator[LayerTerm]:
    for term in terms:
        diagonal = _make_diagonal(factors[term.source])
        yield LayerTerm(term.source, compose(term.synapses, diagonal))


def _multiply(target: Floats, synapses: Synapses, source: Floats) -> Synapses:
    """Return the weights times a factor per target and one per source."""
    return compose(_make_diagonal(target), compose(synapses, _make_diagonal(source)))


def _make_diagonal(factor: Floats) -> Synapses:
    return Synapses(Scale(len(factor), per_neuron=True), factor)
