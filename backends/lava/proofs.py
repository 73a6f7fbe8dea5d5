"""Proofs that a process of Lava's own computes a population exactly."""

from __future__ import annotations

from itertools import product

import numpy as np

from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.neurons.base import Interval
from snncompile.neurons.product import IntegerProduct
from snncompile.passes.analysis.bounds import add_arriving, collect_arriving


def needs_no_limits(network: IntegerNetwork, population: Population) -> bool:
    """Whether products provably stay within their limits; Lava's `ProdNeuron` has none."""
    into = network.into(population.name)
    x = add_arriving(population, collect_arriving(network, population.name, into))
    return stays_within(population, x)


def stays_within(population: Population, x: Interval) -> bool:
    """Whether products of sums in some intervals, of shape (2, n), stay within their limits."""
    neuron = population.neuron
    assert isinstance(neuron, IntegerProduct)
    low, high = x.low.astype(np.float64), x.high.astype(np.float64)
    ends = [a * b for a, b in product((low[0], high[0]), (low[1], high[1]))]
    inside = (np.min(ends, axis=0) >= neuron.lowest) & (np.max(ends, axis=0) <= neuron.highest)
    return bool(inside.all())
