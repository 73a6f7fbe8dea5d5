"""Maximum pools of a module: of spikes, of several spikes in a time step, and of currents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import prod
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.pool_currents import (
    Pooled,
    Term,
    Windows,
    make_synapses,
    make_term,
    pool_currents,
)
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import Drive, Source, Through
from snncompile.frontends.torch.drive_sum import DriveTerm, Sum
from snncompile.frontends.torch.gates import (
    AND_NOT,
    Gate,
    make_gate_neuron,
    reads_spikes,
    split_gate,
)
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.multiply_out import multiply_out
from snncompile.frontends.torch.neuron_layer import NeuronLayer
from snncompile.frontends.torch.pooled_counts import make_counts
from snncompile.frontends.torch.products import (
    Multiply,
    Rectify,
    make_product,
    make_rectifier,
    pick_half,
)
from snncompile.ir.graph import Population, Projection, Shape
from snncompile.neurons.base import BINARY, FloatNeuron, Interval
from snncompile.neurons.graded import Graded
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.scale import Scale

Additions = tuple[list[Population], list[Projection]]
"""Populations and projections to add to the network."""


@dataclass(frozen=True, eq=False)
class Maxima:
    """The maximum pools of a module while its network is built.

    A maximum of currents has no population of its own: each neuron layer that reads it gets
    rectifiers, which share its scale.
    """

    layers: LayerGraph
    names: dict[str | None, str]
    """Name of the population of each layer; the rectifiers are added."""
    of_currents: dict[str | None, NeuronLayer] = field(default_factory=dict)
    """The maxima of currents so far, by path."""

    def add(self, layer: NeuronLayer, populations: Sequence[Population]) -> Additions:
        """Return the population of a product or of a maximum of spikes.

        A maximum of currents is kept for its readers.

        Args:
            layer: the maximum.
            populations: all populations before it.
        """
        if isinstance(layer.module, Gate):
            return self._add_gate(layer, layer.module, populations)
        if isinstance(layer.module, Multiply):
            return self._add_product(layer)
        if isinstance(layer.module, Rectify):
            return self._add_rectifier(layer)
        if layer.counts:
            return self._count(layer, populations)
        if layer.of_currents:
            self.of_currents[layer.path] = layer
            return [], []
        name, neurons = self.names[layer.path], {p.name: p.neuron for p in populations}
        drive = multiply_out(self.layers, layer.drive, 0)
        sources = {self.names[term.source.path] for term in drive.terms}
        payloads = [neurons[source].payload for source in sources if source in neurons]
        if all(payload == BINARY for payload in payloads):
            population = Population(name, layer.shape, _make_maximum_neuron())
            return [population], self._project(drive, name)
        _refuse_values(name, {s: neurons[s] for s in sources if s in neurons})
        low, high = (min(p.low for p in payloads), max(p.high for p in payloads))
        return self._pool_numbers(layer, Interval(low, high))

    def expand(self, drive: Sum, reader: str) -> tuple[Sum, list[Population], list[Projection]]:
        """Return the drive of a neuron layer with rectifiers in the place of maxima of currents.

        Args:
            drive: of the layer, multiplied out.
            reader: path of the layer, for messages.
        """
        terms: list[DriveTerm] = []
        populations: list[Population] = []
        projections: list[Projection] = []
        bias = drive.bias
        for term in drive.terms:
            layer = self.of_currents.get(term.source.path)
            if layer is None:
                terms.append(term)
                continue
            factor = _read_factor(layer, term, reader)
            pooled, own_bias = self._pool_currents(layer, factor)
            bias = bias + own_bias
            terms += self._list_terms(layer, pooled, np.sign(factor))
            populations += pooled.populations
            projections += pooled.projections
        return Sum(tuple(terms), bias), populations, projections

    def _add_gate(
        self, layer: NeuronLayer, gate: Gate, populations: Sequence[Population]
    ) -> Additions:
        """Return the population of a product of spikes."""
        name, neurons = self.names[layer.path], {p.name: p.neuron for p in populations}
        assert isinstance(layer.drive, Through)
        drive = multiply_out(self.layers, layer.drive, prod(layer.shape))
        sources = {self.names[term.source.path] for term in drive.terms}
        several = [s for s in sources if s in neurons and neurons[s].payload != BINARY]
        if several or not reads_spikes(layer.drive.of):
            factors = split_gate(layer.drive.of, prod(layer.shape), inverted=gate is AND_NOT)
            return self._multiply(layer, *factors)
        population = Population(name, layer.shape, make_gate_neuron(gate))
        return [population], self._project(drive, name)

    def _count(self, layer: NeuronLayer, populations: Sequence[Population]) -> Additions:
        """Return the population that counts the spikes of a pool's windows."""
        name, neurons = self.names[layer.path], {p.name: p.neuron for p in populations}
        drive = multiply_out(self.layers, layer.drive, prod(layer.shape))
        senders = [neurons[self.names[term.source.path]] for term in drive.terms]
        population, counted = make_counts(name, layer.shape, drive, senders)
        return [population], self._project(counted, name)

    def _add_product(self, layer: NeuronLayer) -> Additions:
        """Return the population of a product of values."""
        assert isinstance(layer.drive, Through)
        size = prod(layer.shape)
        halves = (pick_half(layer.drive.of, size, half) for half in (0, 1))
        return self._multiply(layer, *halves)

    def _add_rectifier(self, layer: NeuronLayer) -> Additions:
        """Return the population of a rectifier of sums."""
        assert isinstance(layer.drive, Through)
        drive = multiply_out(self.layers, layer.drive.of, prod(layer.shape))
        self._refuse_maxima(layer, drive)
        population, projections = make_rectifier(
            self.names[layer.path], layer.shape, drive, self.names
        )
        return [population], projections

    def _refuse_maxima(self, layer: NeuronLayer, drive: Sum) -> None:
        for term in drive.terms:
            if term.source.path in self.of_currents:
                raise UnsupportedError(
                    f"{self.names[layer.path]}: reads a maximum of currents, {term.source.path},"
                    " which has no neurons of its own; put the pool behind the neuron layer"
                )

    def _multiply(self, layer: NeuronLayer, first: Drive, second: Drive) -> Additions:
        """Return the population of the product of two drives."""
        name, size = self.names[layer.path], prod(layer.shape)
        factors = (multiply_out(self.layers, drive, size) for drive in (first, second))
        a, b = factors
        for factor in (a, b):
            self._refuse_maxima(layer, factor)
        population, projections = make_product(name, layer.shape, (a, b), self.names)
        return [population], projections

    def _project(self, drive: Sum, name: str) -> list[Projection]:
        """Return the projections of a drive to a population."""
        return [
            Projection(self.names[t.source.path], name, t.synapses, t.source.delay)
            for t in drive.terms
        ]

    def _pool_numbers(self, layer: NeuronLayer, payload: Interval) -> Additions:
        """Return the maximum of numbers of spikes: rectifiers, and a population that sends it."""
        name, terms, _ = self.names[layer.path], *self._read_terms(layer)
        pooled = pool_currents(
            terms,
            _read_windows(layer),
            self._name_rectifiers(layer),
            largest=payload.high - payload.low,
            whole=True,
        )
        neuron: FloatNeuron = Graded(lowest=payload.low, highest=payload.high)
        arriving = [Projection(t.source, name, make_synapses(t), t.delay) for t in pooled.terms]
        return (
            [*pooled.populations, Population(name, layer.shape, neuron)],
            [*pooled.projections, *arriving],
        )

    def _pool_currents(self, layer: NeuronLayer, factor: Floats) -> tuple[Pooled, Floats]:
        """Return the maximum of currents times a factor per channel, and its bias per neuron."""
        terms, bias = self._read_terms(layer)
        if (bias != bias[:, :1]).any():
            raise UnsupportedError(
                f"{layer.path}: a maximum is known of currents whose bias is the same in a whole"
                " channel; normalize behind the convolution, or pad after the normalization"
            )
        size = np.abs(factor)
        terms = [
            replace(t, weight=t.weight * size.reshape(-1, *(1,) * (t.weight.ndim - 1)))
            for t in terms
        ]
        of_neurons = np.repeat(bias[:, 0] * factor, prod(layer.shape[1:]))
        if not terms:
            return Pooled((), (), ()), of_neurons
        pooled = pool_currents(terms, _read_windows(layer), self._name_rectifiers(layer))
        return pooled, of_neurons

    def _read_terms(self, layer: NeuronLayer) -> tuple[list[Term], Floats]:
        """Return what a maximum is taken of: terms, and a bias per (channel, place)."""
        drive = layer.drive
        assert isinstance(drive, Through)
        inner = multiply_out(self.layers, drive.of, prod(drive.shape))
        try:
            terms = [
                make_term(self.names[t.source.path], t.source.delay, t.synapses, drive.shape)
                for t in inner.terms
            ]
        except UnsupportedError as error:
            raise UnsupportedError(f"{layer.path}: {error}") from None
        return terms, inner.bias.reshape(drive.shape[0], -1)

    def _list_terms(self, layer: NeuronLayer, pooled: Pooled, sign: Floats) -> list[DriveTerm]:
        """Return the terms of a maximum as those of a drive, times a sign per channel."""
        paths = {name: path for path, name in self.names.items()}
        signed = (
            replace(t, weight=t.weight * sign.reshape(-1, *(1,) * (t.weight.ndim - 1)) + 0.0)
            for t in pooled.terms
        )
        return [DriveTerm(Source(paths[t.source], t.delay), make_synapses(t)) for t in signed]

    def _name_rectifiers(self, layer: NeuronLayer) -> Callable[[], str]:
        """Return a function that returns new names: `pool_1`, `pool_2` and so on."""
        pool = self.names[layer.path]

        def choose() -> str:
            taken = set(self.names.values())
            name = next(n for n in (f"{pool}_{i}" for i in count(1)) if n not in taken)
            self.names[f"{layer.path}, {name}"] = name
            return name

        return choose


def _read_windows(layer: NeuronLayer) -> Windows:
    """Return the windows of a pool; its row in the table has them as a convolution."""
    row, drive = known_layers.find_linear(layer.module), layer.drive
    assert row is not None
    assert isinstance(drive, Through)
    w: Any = row.translate(layer.module, layer.path, drive.shape).synapses.wiring
    return Windows(w.kernel, w.stride, w.padding, w.dilation, layer.shape[1:])


def _read_factor(layer: NeuronLayer, term: DriveTerm, reader: str) -> Floats:
    """Return the factor of each channel between a maximum and the neuron layer that reads it."""
    shape: Shape = layer.shape
    if isinstance(term.synapses.wiring, Scale) and not term.source.delay:
        each = np.broadcast_to(term.synapses.weight, (prod(shape),)).reshape(shape[0], -1)
        if (each == each[:, :1]).all():
            return np.asarray(each[:, 0])
    raise UnsupportedError(
        f"{reader} gets a maximum of currents, {layer.path}, through other layers; between the pool"
        " and the neurons only batch normalization is known: put the pool behind the neuron layer"
    )


def _refuse_values(name: str, senders: dict[str, Any]) -> None:
    """Refuse the maximum of what neurons send as values, which have no whole numbers."""
    for source, neuron in senders.items():
        if neuron.message_unit > 1:
            raise UnsupportedError(
                f"{name}: a maximum is known of spikes and of currents, {source} sends values; put"
                " the pool before it"
            )


def _make_maximum_neuron() -> FloatNeuron:
    """Return a neuron that fires whenever a spike arrives, by a weight of 1, and keeps nothing."""
    return IntegrateFire(np.asarray(0.5), np.asarray(0.0), "hard")
