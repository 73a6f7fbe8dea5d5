"""Types of floats that hold the numbers of an integer network exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from snncompile.errors import UnsupportedError
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.reference.synapses import EXACT_FLOAT32, EXACT_FLOAT64
from snncompile.synapses.base import IntegerSynapses

LARGEST_WEIGHT = 256
"""Magnitude that no weight of any number of bits exceeds."""


@dataclass(frozen=True, eq=False)
class Types:
    """Types of floats that hold every number exactly, by name."""

    outputs: dict[str, torch.dtype]
    drives: dict[str, torch.dtype]
    """Of the accumulated input."""


def find_sum_type(network: IntegerNetwork, projection: Projection) -> torch.dtype:
    """Return the type in which weights of any value add up exactly."""
    return _choose_type(_bound_sum(network, projection), projection.target)


def _bound_sum(network: IntegerNetwork, projection: Projection) -> int:
    low, high = network.payload(projection.source)
    fan_in = int(projection.synapses.wiring.fan_in.max(initial=0))
    return LARGEST_WEIGHT * fan_in * max(-int(low), int(high))


def find_exact_types(network: IntegerNetwork) -> Types:
    """Return types for weights of any value.

    Raises:
        UnsupportedError: sums leave what float64 holds exactly.
    """
    low, high = network.input.payload
    outputs = {network.input.name: _choose_type(max(-int(low), int(high)), network.input.name)}
    drives = {}
    for p in network.populations:
        host = network.input.find_host(p.name)
        arriving = host.limit or 0 if host else 0
        for q in network.into(p.name):
            assert isinstance(q.synapses, IntegerSynapses)
            arriving += (_bound_sum(network, q) + 1) << max(q.synapses.exponent, 0)
        drives[p.name] = _choose_type(arriving, p.name)
        outputs[p.name] = choose_output_type(p)
    return Types(outputs, drives)


def choose_output_type(population: Population) -> torch.dtype:
    """Return the type of the output of a population."""
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    if not neuron.spikes and neuron.width(neuron.potential).effect == "overflows":
        return torch.float64
    low, high = neuron.payload
    return _choose_type(max(-int(low), int(high)), population.name)


def _choose_type(largest: int, name: str) -> torch.dtype:
    """Return the narrowest type that holds integers up to `largest` exactly."""
    if largest > EXACT_FLOAT64:
        raise UnsupportedError(
            f"population {name}: sums reach {largest:.1e}, training holds 2^53 exactly; send"
            " smaller numbers, or use fewer sources"
        )
    return torch.float32 if largest <= EXACT_FLOAT32 else torch.float64
