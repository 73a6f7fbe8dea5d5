"""Check that every number of an integer network is in the chip's ranges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.weight_formats import weight_step

USUAL_BITS = 8
"""Bits of a weight where nobody asks for another number."""
WIDEST = 9
"""Largest number of bits of an integer weight; a chip's file may list more."""


def find_top(bits: int) -> int:
    """Return the largest weight that both signs have: 254 for 8 bits."""
    return find_end(bits) * weight_step(bits)


def find_end(bits: int) -> int:
    """Return the largest weight that both signs have, in steps: 127 for 8 bits."""
    return (1 << (bits - 1)) - 1


def choose_default_bits(chip: Chip) -> int:
    """Return 8 bits of a weight, or the most below that the chip has."""
    return max(b for b in chip.formats.weight_bits.values if 2 <= b <= USUAL_BITS)


def check_bits(bits: int, chip: Chip) -> None:
    """Refuse a number of weight bits that the chip lacks or that has no sign."""
    choices = [b for b in chip.formats.weight_bits.values if 2 <= b <= WIDEST]
    if bits not in choices:
        known = ", ".join(map(str, choices))
        raise QuantizeError(f"{chip.name} has no signed {bits}-bit weights; choose from {known}")


def check_ranges(network: IntegerNetwork, chip: Chip) -> None:
    """Raise QuantizeError for the first number outside the chip's ranges."""
    for population in network.populations:
        for message in _check_neuron(population, chip):
            raise QuantizeError(f"population {population.name}: {message} of {chip.name}")
    for projection in network.projections:
        for message in _check_synapses(projection, chip):
            where = f"projection {projection.source} -> {projection.target}"
            raise QuantizeError(f"{where}: {message} of {chip.name}")


def _check_neuron(population: Population, chip: Chip) -> Iterator[str]:
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    ranges = neuron.ranges(chip.formats)
    for name in neuron.parameters():
        if name not in ranges:
            continue
        value, (low, high) = getattr(neuron, name), ranges[name]
        if value.min() < low or value.max() > high:
            worst = value.min() if value.min() < low else value.max()
            yield f"{name} {worst} is outside {low}..{high}"


def _check_synapses(projection: Projection, chip: Chip) -> Iterator[str]:
    synapses, formats = projection.synapses, chip.formats
    assert isinstance(synapses, IntegerSynapses)
    low, high = formats.weight_exponent_lowest, formats.weight_exponent_highest
    if not low <= synapses.exponent <= high:
        yield f"weight exponent {synapses.exponent} is outside {low}..{high}"
    choices = tuple(b for b in formats.weight_bits.values if b <= WIDEST)
    if synapses.bits not in choices:
        yield f"{synapses.bits}-bit weights are not among {choices}"
    weight = synapses.weight
    if not weight.size:
        return
    if weight.min() < -256 or weight.max() > 255:
        yield f"weights {weight.min()}..{weight.max()} are outside -256..255"
    step = 1 if projection.rule else weight_step(synapses.bits)
    if np.any(weight % step):
        yield f"weights of {synapses.bits} bits must be multiples of {step}"
