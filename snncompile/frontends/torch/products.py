"""Values on the way: products as neurons with two inputs, and rectifiers of currents.

A product, of a spike and a number or of two numbers, is noted as a layer that reads both factors,
one after the other; a rectifier is one that reads the values. Of spikes that are 0 or
1 there are gates, which any chip has; see `gates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product as pairs

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.drive import Drive, Gather, Selection
from snncompile.frontends.torch.drive_sum import Sum
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.linear_layers import Row
from snncompile.ir.graph import Network, Population, Projection, Shape
from snncompile.neurons.base import BINARY, FloatNeuron
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import Graded
from snncompile.neurons.product import PORTS, Product
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

PATH = "product(values)"
"""Name in messages."""
MARGIN = 1e-9
"""Share by which the limits of values exceed their bounds, which are sums of floats."""


class Multiply(nn.Module):
    """Stands for a product of values; it is never called."""


MULTIPLY = Multiply()
RECTIFIED = "relu(values)"
"""Name of a rectifier in messages."""


class Rectify(nn.Module):
    """Stands for a rectifier of sums of spikes; it is never called."""


RECTIFY = Rectify()


def _translate(module: nn.Module, where: str, shape: Shape) -> Affine:
    size = int(np.prod(shape))
    return Affine(Synapses(Scale(size), np.asarray(1.0)), np.zeros(size))


ROW = Row(None, _translate, maximum=True)
"""A product is, like a maximum, a population of its own."""


def pick_half(drive: Drive, size: int, half: int) -> Drive:
    """Return the first or second `size` values of a drive of twice as many."""
    everywhere, ones = torch.arange(2 * size), torch.ones(2 * size, dtype=torch.float64)
    whole = (Selection(drive, 2 * size, everywhere, everywhere, ones),)
    picked: list[Selection] = []
    for old in drive.selections if isinstance(drive, Gather) else whole:
        mask = old.target // size == half
        target = old.target[mask] - half * size
        if mask.any():
            picked.append(Selection(old.of, old.size, old.source[mask], target, old.factor[mask]))
    only = picked[0]
    plain = len(picked) == 1 and only.size == size and bool((only.factor == 1).all())
    if plain and torch.equal(only.source, only.target) and len(only.source) == size:
        return only.of
    return Gather(tuple(picked), size)


def join_factors(first: Tensor, second: Tensor, axes: int) -> tuple[Tensor, Shape]:
    """Return the numbers of both factors, one after the other, and the shape of a sample.

    Args:
        first, second: numbers of the factors, of one shape.
        axes: number of last axes of a sample.

    Returns:
        Shape (rows, 2 * size), and the shape of a row as a source: (2, *sample).
    """
    sample = tuple(first.shape[first.ndim - axes :])
    size = int(np.prod(sample))
    rows = torch.cat([first.reshape(-1, size), second.reshape(-1, size)], dim=1)
    return rows, (2, *sample)


def make_product(
    name: str, shape: Shape, factors: tuple[Sum, Sum], names: dict[str | None, str]
) -> tuple[Population, list[Projection]]:
    """Return the population of a product and the projections to it.

    Raises:
        UnsupportedError: a factor is a constant.
    """
    projections = [
        Projection(names[term.source.path], name, term.synapses, term.source.delay, port)
        for port, factor in zip(PORTS, factors, strict=True)
        for term in factor.terms
    ]
    biases = {
        f"bias_{port}": _shorten(factor.bias) for port, factor in zip(PORTS, factors, strict=True)
    }
    if not all(factor.terms for factor in factors):
        raise UnsupportedError(
            f"{name}: a factor of this product is the same in every step; make it a parameter"
        )
    return Population(name, shape, Product(whole=np.asarray(0.0), **biases)), projections


def make_rectifier(
    name: str, shape: Shape, drive: Sum, names: dict[str | None, str]
) -> tuple[Population, list[Projection]]:
    """Return the population of a rectifier of sums and the projections to it."""
    projections = [
        Projection(names[term.source.path], name, term.synapses, term.source.delay)
        for term in drive.terms
    ]
    zero, bias = np.asarray(0.0), _shorten(drive.bias)
    neuron = Graded(lowest=zero, whole=zero, bias=bias, values=np.asarray(1.0))
    return Population(name, shape, neuron), projections


def _shorten(bias: Floats) -> Floats:
    return bias if bias.any() else np.asarray(0.0)


def settle_values(network: Network) -> Network:
    """Return the network whose products and rectifiers have limits, and are whole where they can.

    What arrives is known once the input is: spikes, counts or analog values.
    """
    for population in network.populations:
        settled = _settle(network, population)
        if settled is not population:
            network = replace(
                network,
                populations=tuple(
                    settled if p.name == population.name else p for p in network.populations
                ),
            )
    return network


def _settle(network: Network, population: Population) -> Population:
    neuron = population.neuron
    if isinstance(neuron, Product):
        return _settle_product(network, population, neuron)
    if isinstance(neuron, Graded) and neuron.values:
        return _settle_rectifier(network, population, neuron)
    return population


def _settle_rectifier(network: Network, population: Population, neuron: Graded) -> Population:
    read = _read_factor(network, population, 0, neuron.bias)
    largest = max(0.0, float(np.max(read.ends[1]))) * (1.0 if read.whole else 1.0 + MARGIN)
    limited = replace(
        neuron,
        highest=np.asarray(min(largest, STATE_LIMIT - 1.0)),
        whole=np.asarray(float(read.whole)),
        values=np.asarray(float(not read.whole)),
    )
    return replace(population, neuron=limited)


def _settle_product(network: Network, population: Population, neuron: Product) -> Population:
    a, b = (
        _read_factor(network, population, number, bias)
        for number, bias in enumerate((neuron.bias_a, neuron.bias_b))
    )
    corners = [float(np.min(x * y)) for x, y in pairs(a.ends, b.ends)]
    corners += [float(np.max(x * y)) for x, y in pairs(a.ends, b.ends)]
    whole = a.whole and b.whole
    top, room = STATE_LIMIT - 1.0, 1.0 if whole else 1.0 + MARGIN
    lowest, highest = max(min(corners) * room, -top), min(max(corners) * room, top)
    limited = replace(
        neuron,
        lowest=np.asarray(min(lowest, 0.0)),
        highest=np.asarray(max(highest, 0.0)),
        whole=np.asarray(float(whole)),
    )
    return replace(population, neuron=limited)


@dataclass(frozen=True, eq=False)
class _Factor:
    """What can arrive at a port."""

    ends: tuple[Floats, Floats]
    """Lowest and highest sum of each neuron."""
    whole: bool
    """Whether all sums are whole numbers."""


def _read_factor(network: Network, population: Population, port: int, bias: Floats) -> _Factor:
    """Return the bounds of the sums at a port: those of its weights times what is sent."""
    lowest, highest = (np.zeros(population.size) + bias for _ in range(2))
    whole = _is_whole(bias)
    for p in network.into(population.name):
        if network.port(p) != port:
            continue
        assert isinstance(p.synapses, Synapses)
        unit = _find_unit(network, p.source)
        low, high = (float(end) * unit for end in network.payload(p.source))
        up, down = (_sum_up(p.synapses, sign) for sign in (1, -1))
        lowest, highest = lowest + up * low - down * high, highest + up * high - down * low
        whole &= unit == 1 and _is_whole(np.asarray(p.synapses.weight))
    return _Factor((lowest, highest), whole)


def _find_unit(network: Network, source: str) -> float:
    """Return the value of a message of 1."""
    if source == network.input.name:
        return network.input.unit
    neuron = network.population(source).neuron
    assert isinstance(neuron, FloatNeuron)
    return 1 / neuron.message_unit


def _sum_up(synapses: Synapses, sign: int) -> Floats:
    """Return the sum of the magnitudes of each target's weights of one sign."""
    weight = np.maximum(np.asarray(synapses.weight) * sign, 0.0)
    apply = bind(Synapses(synapses.wiring, weight), BINARY)
    ones = torch.ones((1, synapses.wiring.sources), dtype=torch.float64)
    return np.asarray(apply(ones)[0].numpy())


def _is_whole(numbers: Floats) -> bool:
    return bool((numbers % 1 == 0).all())
