"""Products of spikes: a * b fires for a + b > 1, (1 - a) * b fires for b - a > 0.

Other products are those of `products.py`. A product is noted as a sum that a layer of its own
takes, `Gate`: so everything that reads sums and layers reads products too. Its neurons keep nothing
from one time step to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.frontends.torch import products
from snncompile.frontends.torch.drive import Constant, Drive, Gather, Plus, Scaled, Source
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.linear_layers import Row
from snncompile.frontends.torch.sums import MULTIPLY, REVERSED, SUBTRACT
from snncompile.frontends.torch.values import (
    NOTHING,
    ConstantValues,
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    Origins,
    Shape,
    Summand,
    SumValues,
    Values,
)
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

Numbers = Callable[[Tensor], Tensor]
"""Returns the numbers of a tensor's values."""


class Gate(nn.Module):
    """Stands for a product of spikes; it is never called."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        """Sum above which the product is 1."""


AND, AND_NOT = Gate(1.5), Gate(0.5)
GATES: dict[str, nn.Module] = {
    "and(spikes)": AND,
    "and_not(spikes)": AND_NOT,
    products.PATH: products.MULTIPLY,
}
"""Name in messages -> the layer. Sums of spikes are whole numbers, the thresholds lie between."""


@dataclass(frozen=True, eq=False)
class Complement(SumValues):
    """1 - spikes, the sum of a constant and of the spikes times -1."""


def _translate(module: Any, where: str, shape: Shape) -> Affine:
    size = prod(shape)
    return Affine(Synapses(Scale(size), np.asarray(1.0)), np.zeros(size))


ROW = Row(None, _translate, maximum=True)
"""A product is, like a maximum, a population of its own."""


@dataclass(frozen=True)
class Products:
    """Finds products of spikes among the calls of functions."""

    origins: Origins
    numbers: Numbers
    is_maximum: Callable[[str], bool]
    """Whether the layer at a path takes a maximum."""

    def note_complement(self, name: str, args: Any, kwargs: Any, result: Any) -> Complement | None:
        """Return the values of 1 - spikes, or None if a call is something else."""
        if name not in SUBTRACT | REVERSED or len(args) != 2 or kwargs:
            return None
        whole, spikes = (args[1], args[0]) if name in REVERSED else args
        if not isinstance(spikes, Tensor) or not self._is_one(whole):
            return None
        own, shape = self.numbers(spikes), tuple(result.shape)
        if not self._are_spikes(own):
            return None
        constant = self.origins.add(
            ConstantValues(self.origins.next, (), torch.ones((), dtype=torch.float64))
        )
        plus, minus = torch.tensor([1.0, -1.0], dtype=torch.float64)
        terms = Summand(constant.numbers.expand(shape), plus), Summand(own.expand(shape), minus)
        values = Complement(self.origins.next, shape, terms)
        return self.origins.add(values)

    def note_product(self, name: str, args: Any, kwargs: Any, result: Any) -> LinearValues | None:
        """Return the values of a product of spikes, or None if a call is something else."""
        pair = len(args) == 2 and all(isinstance(a, Tensor) for a in args) and not kwargs
        if name not in MULTIPLY or not pair:
            return None
        first, second = (self.numbers(a).expand(result.shape) for a in args)
        if self._is_complement(first):
            first, second = second, first
        inverted = self._is_complement(second)
        if inverted:
            second = self._read_complement(second)
        if not (self._are_spikes(first) and self._are_spikes(second)):
            return self._note_values(self.numbers(args[0]), self.numbers(args[1]), result)
        axes = self._count_axes(first) or self._count_axes(second)
        return None if axes is None else self._add(first, second, axes, inverted=inverted)

    def _note_values(self, first: Tensor, second: Tensor, result: Tensor) -> LinearValues | None:
        """Return a product of sums of spikes; None if a factor is something else."""
        if not (self._are_sums(first) and self._are_sums(second)):
            return None
        axes = max(self._count_axes(first) or 0, self._count_axes(second) or 0)
        if not axes:
            return None
        shape, origins = tuple(result.shape), self.origins
        whole = first.expand(shape), second.expand(shape)
        rows, source = products.join_factors(*whole, axes)
        values = LinearValues(origins.next, shape, products.PATH, rows, source, source[1:])
        return origins.add(values)

    def _are_sums(self, numbers: Tensor) -> bool:
        """Return whether all values are sums of what the input and neurons send in one step."""
        if bool((numbers == NOTHING).any()) or not bool((numbers >= 0).any()):
            return False
        return all(map(_is_summand, self.origins.walk_sources(numbers)))

    def _add(self, first: Tensor, second: Tensor, axes: int, *, inverted: bool) -> LinearValues:
        """Return the values of a gate, whose samples have so many axes."""
        weights = torch.ones(()).double(), torch.tensor(-1.0 if inverted else 1.0).double()
        terms = tuple(Summand(n, w) for n, w in zip((first, second), weights, strict=True))
        shape, origins = tuple(first.shape), self.origins
        total = origins.add(SumValues(origins.next, shape, terms)).numbers
        sample = shape[len(shape) - axes :]
        path = "and_not(spikes)" if inverted else "and(spikes)"
        rows = total.reshape(-1, prod(sample))
        return origins.add(LinearValues(origins.next, shape, path, rows, sample, sample))

    def _is_one(self, value: Any) -> bool:
        if isinstance(value, Tensor):
            return bool((value == 1).all()) and bool((self.numbers(value) < 0).all())
        return bool(value == 1)

    def _are_spikes(self, numbers: Tensor) -> bool:
        """Return whether all values are what the input, neurons, gates or maxima of these send."""
        if bool((numbers < 0).any()):
            return False
        return all(self._sends_spikes(values) for values in self.origins.find_values(numbers))

    def _sends_spikes(self, values: Values) -> bool:
        if isinstance(values, NeuronValues):
            return values.state is None
        if isinstance(values, LinearValues):
            pooled = self.is_maximum(values.path) and self._are_spikes(values.inputs)
            return values.path in GATES or pooled
        return isinstance(values, InputValues)

    def _is_complement(self, numbers: Tensor) -> bool:
        if bool((numbers < 0).any()):
            return False
        return all(isinstance(values, Complement) for values in self.origins.find_values(numbers))

    def _read_complement(self, numbers: Tensor) -> Tensor:
        """Return the numbers of the spikes that complements are taken of."""
        spikes = torch.empty_like(numbers)
        for values in self.origins.find_values(numbers):
            assert isinstance(values, Complement)
            inside = (numbers >= values.start) & (numbers < values.stop)
            spikes[inside] = values.terms[1].numbers.reshape(-1)[numbers[inside] - values.start]
        return spikes

    def _count_axes(self, numbers: Tensor) -> int | None:
        """Return the number of last axes that hold the spikes of one sample and time step."""
        values = self.origins.find_values(numbers)[0]
        if isinstance(values, SumValues):
            counts = [self._count_axes(term.numbers) for term in values.terms]
            return max((count for count in counts if count), default=None)
        if isinstance(values, ConstantValues):
            return None
        if isinstance(values, InputValues):
            size = values.shape[-1]
        elif isinstance(values, LinearValues):
            size = prod(values.target_shape)
        else:
            size = prod(values.shape[1:])
        axes = range(numbers.ndim - 1, 0, -1)  # without that of samples
        sizes = {prod(numbers.shape[numbers.ndim - n :]): n for n in axes}
        return sizes.get(size)


def _is_summand(values: Values) -> bool:
    """Return whether values are what the input or a neuron sends, a sum, or behind a rectifier."""
    if isinstance(values, NeuronValues):
        return values.state is None
    if isinstance(values, FunctionValues):
        return values.is_rectifier
    return isinstance(values, InputValues | LinearValues | SumValues | ConstantValues)


def reads_spikes(drive: Drive) -> bool:
    """Return whether the sum of a gate is one of spikes only, each taken as it is."""
    terms = drive.terms if isinstance(drive, Plus) else ()
    return len(terms) == 2 and all(map(_is_spikes, terms))


def split_gate(drive: Drive, size: int, *, inverted: bool) -> tuple[Drive, Drive]:
    """Return the factors of a gate's product: its terms, the second one less than 1 if inverted."""
    assert isinstance(drive, Plus)
    first, second = drive.terms
    if inverted:  # 1 - b is the sum of 1 and of b times -1, which the gate has
        second = Plus((Constant(torch.ones(size, dtype=torch.float64)), second))
    return first, second


def make_gate_neuron(gate: Gate) -> FloatNeuron:
    """Return a neuron that fires above the threshold of a gate, and keeps nothing."""
    return CubaLif(np.asarray(1.0), np.asarray(1.0), np.asarray(gate.threshold))


def _is_spikes(drive: Drive) -> bool:
    if isinstance(drive, Scaled):
        drive = drive.of
    if not isinstance(drive, Gather):
        return isinstance(drive, Source)
    targets = torch.cat([s.target for s in drive.selections])
    plain = all(isinstance(s.of, Source) and bool((s.factor == 1).all()) for s in drive.selections)
    return plain and len(targets) == len(set(targets.tolist()))
