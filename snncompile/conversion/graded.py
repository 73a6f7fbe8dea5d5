"""Graded messages: every neuron sends its activation as one number of a few bits, in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann, Layer, Maximum, Product
from snncompile.conversion.graded_layers import Table, prepare_layers, refine_table
from snncompile.conversion.message_ranges import (
    LEAST_TOP,
    choose_message_ranges,
    summarize_activations,
)
from snncompile.conversion.method import Method, Plan
from snncompile.conversion.scales import LEAST, Scales
from snncompile.frontends.pool_currents import (
    Pooled,
    make_one_to_one,
    make_synapses,
    pool_currents,
)
from snncompile.ir.answer import Answer
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons import product
from snncompile.neurons.base import FloatNeuron, Interval
from snncompile.neurons.graded import Graded
from snncompile.neurons.readout import Readout
from snncompile.neurons.window_readout import WindowReadout

MOST_BITS = 8
"""More would take bits of the weights: sums of some 2,500 inputs fill 24 bits with 8 and 8."""


@dataclass(frozen=True)
class GradedMessages(Method):
    """A network of k-bit activations: one time step and at most one message per neuron.

    After SDANN (arXiv 2505.12221). A layer sends its activations in units of its scale /
    (2^bits - 1), rounded to the nearest: from 0 to 2^bits - 1, and below 0 where its activation
    has a sign. Rectifiers and sums are limits, other activations tables, products neurons with two
    inputs, maximum pools are exact.
    """

    bits: int | Literal["sums"] = 8
    """Bits of the largest message, 1 to 8. "sums": of each layer as many, 8 to 14, as suit the sums
    of its readers, and with room above what calibration has seen; see `message_ranges.py`."""
    scales: Scales = LEAST
    """Activation of the largest message of rectifiers."""

    name: ClassVar[str] = "graded"
    suits_library: ClassVar[bool] = True
    codings: ClassVar[tuple[Kind, ...]] = ("constant", "analog")
    default_steps: ClassVar[int] = 1
    longest_window: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        if self.bits not in ("sums", *range(1, MOST_BITS + 1)):
            raise ValueError(f"bits must be between 1 and {MOST_BITS} or 'sums', got {self.bits!r}")

    @property
    def top(self) -> int:  # type: ignore[override]
        """Largest message; of layers of different ones, the smallest that is."""
        return LEAST_TOP if self.bits == "sums" else (1 << self.bits) - 1

    @property
    def label(self) -> str:
        """Name and bits of a message."""
        return f"{self.name} {'bits by sums' if self.bits == 'sums' else f'{self.bits} bits'}"

    def prepare(self, ann: Ann, x: NDArray[np.float64]) -> Ann:
        """Return the network in rectifiers, tables and maxima."""
        return prepare_layers(ann, x, self.top, exact=self.bits == "sums")

    def find_top(self, layer: Layer) -> int:
        """Return the largest message of a layer."""
        return self.top if layer.messages is None else layer.messages.top

    def choose_messages(
        self, ann: Ann, activations: dict[str, Tensor], unit: float, payload: Interval
    ) -> Ann:
        """Return the network with the range of each layer's messages, as its readers allow it."""
        if self.bits != "sums":
            return ann
        seen = {
            layer.name: summarize_activations(layer, activations[layer.name], self.scales)
            for layer in ann.rectified
            if not isinstance(layer.operation, Maximum)
        }
        ranges = choose_message_ranges(ann, seen, unit, payload)
        layers: dict[str, Layer] = {}
        for layer in ann.layers:
            if isinstance(layer.operation, Maximum):  # of a table: what its entries reach
                messages = layers[layer.terms[0].source].messages
                layers[layer.name] = replace(layer, messages=messages)
            else:
                layers[layer.name] = _refine(replace(layer, messages=ranges.get(layer.name)))
        return replace(ann, layers=tuple(layers.values()))

    def plan(self, ann: Ann, steps: int) -> Plan:
        """Return one step: no layer keeps anything."""
        return Plan(steps, steps)

    def count_levels(self, steps: int) -> int:
        """Return the largest message."""
        return self.top

    def choose_scales(
        self, ann: Ann, activations: dict[str, Tensor], levels: int
    ) -> dict[str, Floats]:
        """Return the activation of the largest message of each layer, per channel or for all.

        A table has its own, a maximum that of what it compares.
        """
        scales: dict[str, Floats] = {}
        for layer in ann.rectified:
            if isinstance(layer.operation, Table):
                scales[layer.name] = np.array([layer.operation.unit * self.find_top(layer)])
            elif isinstance(layer.operation, Maximum):
                scales[layer.name] = scales[layer.terms[0].source]
            elif layer.messages is not None:
                scales[layer.name] = layer.messages.scale
            elif layer.operation is not None:  # a product or a sum: of both signs
                sizes = activations[layer.name].abs()
                scales[layer.name] = self.scales.choose(layer, sizes, levels)
            else:
                scales[layer.name] = self.scales.choose(layer, activations[layer.name], levels)
        return scales

    def build_populations(self, ann: Ann, steps: int) -> tuple[Population, ...]:
        """Return a population per layer, and the rectifiers of maxima."""
        populations: list[Population] = []
        for layer in ann.rectified:
            if isinstance(layer.operation, Maximum):
                low, high = self._find_range(ann, layer)
                relays = self._pool(ann, layer).populations
                sender = Graded(lowest=np.asarray(low), highest=np.asarray(high))
                pool = Population(layer.name, layer.shape, sender)
                populations += (self.finish(p, exact=True) for p in (*relays, pool))
                continue
            neuron = self._make_neuron(layer)
            populations.append(self.finish(Population(layer.name, layer.shape, neuron)))
        return (*populations, self.make_answer(ann.layers[-1]))

    def build_projections(self, ann: Ann, steps: int) -> tuple[Projection, ...]:
        """Return the projections, those of maxima over their rectifiers."""
        return tuple(self._connect(ann))

    def finish(self, population: Population, *, exact: bool = False) -> Population:
        """Return a population as it sends its messages: as they are."""
        return population

    def finish_network(self, network: Network) -> Network:
        """Return the network; of frames, one per step, the answer is that of the last one.

        An integrator with a potential of 12 bits of decay answers in each step: it keeps 1 / 4096
        of the answer before.
        """
        if network.input.coding is None or network.input.coding.kind != "analog":
            return network
        *rest, last = network.populations
        assert isinstance(last.neuron, WindowReadout)
        all_lost = np.asarray(1.0)
        answer = replace(last, neuron=Readout(all_lost, all_lost, last.neuron.bias))
        return replace(network, populations=(*rest, answer), answer=Answer("last"))

    def make_answer(self, layer: Layer) -> Population:
        """Return the population of the last layer: its sums are the answer."""
        readout: FloatNeuron = WindowReadout(np.asarray(1.0), bias=layer.bias)
        return Population(layer.name, layer.shape, readout)

    def _make_neuron(self, layer: Layer) -> Graded | product.Product:
        """Return the neurons of a layer; its sums are in units of its smallest message.

        Those of a product are in the model's unit.
        """
        table, top = layer.operation, np.asarray(float(self.find_top(layer)))
        lowest = -top if layer.messages is None else np.asarray(float(layer.messages.low))
        if isinstance(table, Product):
            return product.Product(
                1 / table.unit, lowest, top, bias_a=layer.bias, bias_b=table.bias
            )
        if not isinstance(table, Table):
            lowest = np.asarray(0.0) if table is None else lowest
            return Graded(lowest=lowest, highest=top, bias=layer.bias)
        return Graded(
            factor=np.asarray(table.unit / table.step),
            lowest=np.asarray(float(table.lowest)),
            highest=np.asarray(float(table.highest)),
            table=table.entries.astype(np.float64),
            bias=layer.bias,
        )

    def _connect(self, ann: Ann) -> Iterator[Projection]:
        for layer in ann.layers:
            if isinstance(layer.operation, Product):
                for port, terms in zip(
                    product.PORTS, (layer.terms, layer.operation.terms), strict=True
                ):
                    for term in terms:
                        yield Projection(term.source, layer.name, term.synapses, port=port)
                continue
            if not isinstance(layer.operation, Maximum):
                for term in layer.terms:
                    yield Projection(term.source, layer.name, term.synapses)
                continue
            pooled = self._pool(ann, layer)
            yield from pooled.projections
            for t in pooled.terms:
                yield Projection(t.source, layer.name, make_synapses(t), t.delay)

    def _find_range(self, ann: Ann, pool: Layer) -> tuple[float, float]:
        """Return the smallest and largest message that a maximum compares."""
        source = ann.find_layer(pool.terms[0].source)
        if isinstance(source.operation, Maximum):
            return self._find_range(ann, source)
        payload = self._make_neuron(source).payload
        return float(payload.low), float(payload.high)

    def _pool(self, ann: Ann, pool: Layer) -> Pooled:
        """Return the rectifiers of a maximum of whole numbers, and the terms of its sum."""
        assert isinstance(pool.operation, Maximum)
        low, high = self._find_range(ann, pool)
        shape = pool.operation.shape
        term = make_one_to_one(pool.terms[0].source, 0, shape, np.ones(shape[0]))
        names = _name_rectifiers({layer.name for layer in ann.layers}, pool.name)
        return pool_currents([term], pool.operation.windows, names, largest=high - low, whole=True)


def _refine(layer: Layer) -> Layer:
    """Return a layer with a table for the messages that were chosen, if it has a table.

    Its largest message is then the largest entry: curves may have a limit below the room.
    """
    if layer.messages is None or not isinstance(layer.operation, Table):
        return layer
    unit = float(layer.messages.scale.item()) / layer.messages.top
    table = refine_table(layer, unit, layer.messages.top)
    top = max(1, int(np.abs(table.entries).max()))
    messages = replace(layer.messages, top=top, scale=np.array([unit * top]))
    return replace(layer, operation=table, messages=messages)


def _name_rectifiers(taken: set[str], pool: str) -> Callable[[], str]:
    """Return a function that returns new names: `pool_1`, `pool_2` and so on."""
    names: Any = (name for i in count(1) if (name := f"{pool}_{i}") not in taken)
    return lambda: str(next(names))
