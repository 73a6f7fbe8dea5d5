"""Proofs that a process of Lava's own computes a population exactly."""

from __future__ import annotations

from itertools import product

import numpy as np

from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.neurons.product import IntegerProduct
from snncompile.passes.analysis.bounds import add_arriving, collect_arriving


def needs_no_limits(network: IntegerNetwork, population: Population) -> bool:
    """Whether products provably stay within their limits; Lava's `ProdNeuron` has none."""
    neuron = population.neuron
    assert isinstance(neuron, IntegerProduct)
    into = network.into(population.name)
    x = add_arriving(population, collect_arriving(network, population.name, into))
    low, high = x.low.astype(np.float64), x.high.astype(np.float64)
    ends = [a * b for a, b in product((low[0], high[0]), (low[1], high[1]))]
    inside = (np.min(ends, axis=0) >= neuron.lowest) & (np.max(ends, axis=0) <= neuron.highest)
    return bool(inside.all())
