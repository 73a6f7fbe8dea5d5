"""Scales of products: any for each of the two sums, because the factor makes up for both.

Each channel has the largest scale at each port with which its weights fit and its sum provably
stays within 24 bits:

    a = sum of rint(weight * scale a) * x, plus rint(bias a * scale a)      b alike
    output = clamp((a * b * m + 2^(n - 1)) >> n)
    m / 2^n = factor * message / (scale a * scale b)

A port whose weights are small whole numbers has the scale 1: so products of these are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.product import LARGEST_SHIFT, Product
from snncompile.passes.analysis.bounds import bound_accumulator
from snncompile.passes.quantize.choice import Choice
from snncompile.passes.quantize.errors import measure_output_error, report_errors
from snncompile.passes.quantize.graded import (
    FACTOR_BITS,
    TRIES,
    are_small_and_whole,
    choose_scales,
    shrink_room,
)
from snncompile.passes.quantize.grouped_input import choose_bits, read_input
from snncompile.passes.quantize.messages import find_message_unit
from snncompile.passes.quantize.rounding import round_weights
from snncompile.passes.quantize.weight_rows import group_neurons
from snncompile.reference.runner import SpikeTrains
from snncompile.synapses.base import IntegerSynapses

Rounded = tuple[tuple[Projection, ...], Floats]
"""The projections of a port as integers, and the scale of each neuron."""


def quantize_product(
    network: Network,
    population: Population,
    chip: Chip,
    bits: int,
    spike_trains: SpikeTrains | None,
) -> Choice:
    """Return a population of products and its projections as integers.

    Args:
        network: the float network.
        population: one of its populations.
        chip: gives the ranges of the integers.
        bits: of a weight.
        spike_trains: outputs of the float network on the calibration data.

    Raises:
        QuantizeError: no scale keeps a sum within 24 bits, or the factor leaves its range.
    """
    neuron = population.neuron
    assert isinstance(neuron, Product)
    ports = [
        _Port(network, population, number, bias, chip, bits)
        for number, bias in enumerate((neuron.bias_a, neuron.bias_b))
    ]
    none = np.full(population.size, np.inf)
    rounded = [port.round(none) for port in ports]
    # The factor, m / 2^47 at least, needs m of 15 bits.
    largest = neuron.factor * neuron.message_unit * 2.0 ** (LARGEST_SHIFT - FACTOR_BITS)
    excess = rounded[0][1] * rounded[1][1] / largest
    if (excess > 1).any():
        share = np.sqrt(np.maximum(excess, 1.0))
        rounded = [
            port.round(scale / share) for port, (_, scale) in zip(ports, rounded, strict=True)
        ]
    (of_a, scale_a), (of_b, scale_b) = rounded
    integer = neuron.quantize_ports(_simplify(scale_a), _simplify(scale_b))
    new = iter(of_a), iter(of_b)
    projections = tuple(next(new[network.port(p)]) for p in network.into(population.name))
    integers = replace(population, neuron=integer), projections
    reports = [
        report_errors(port.alone, population, (integers[0], own), scale, None)
        for port, (own, scale) in zip(ports, rounded, strict=True)
    ]
    report = max(reports, key=lambda r: r.weight_error).model_copy(
        update={
            "scale": float(np.median(scale_a * scale_b)),
            "output_error": measure_output_error(network, population, integers, 1.0, spike_trains),
        }
    )
    return Choice(*integers, report, scale_a * scale_b)


@dataclass(frozen=True, eq=False)
class _Port:
    """One of the inputs of a population of products."""

    network: Network
    population: Population
    number: int
    bias: Floats
    chip: Chip
    bits: int

    @property
    def alone(self) -> Network:
        """The network without the projections that end at the other port."""
        into = self.network.into(self.population.name)
        kept = (
            p
            for p in self.network.projections
            if p not in into or self.network.port(p) == self.number
        )
        return replace(self.network, projections=tuple(kept))

    def round(self, largest: Floats) -> Rounded:
        """Return the projections as integers.

        Args:
            largest: largest scale of each neuron.
        """
        alone = self.alone
        into = alone.into(self.population.name)
        groups = group_neurons(alone, self.population)
        count = int(groups.max(initial=-1)) + 1
        each = choose_bits(alone, self.population, self.chip, self.bits)
        inputs = [
            read_input(alone, p, groups, count, b, None) for p, b in zip(into, each, strict=True)
        ]
        weights = [np.asarray(p.synapses.weight, np.float64) for p in into]
        spikes = all(find_message_unit(alone, p.source) == 1 for p in into)
        if spikes and are_small_and_whole((*weights, self.bias)):
            largest = np.minimum(largest, 1.0)
        cap = np.full(count, np.inf)
        np.minimum.at(cap, groups, largest)
        room = np.ones(count)
        for tried in range(TRIES):
            scale, exponents = choose_scales(
                self.population, self.bias, cap, self.chip, groups, inputs, room
            )
            projections = tuple(
                replace(p, synapses=round_weights(p, scale[groups] / i.unit, e, b))
                for p, i, e, b in zip(into, inputs, exponents, each, strict=True)
            )
            excess = self._measure_excess(alone, projections, scale[groups])
            if (excess <= 1).all():
                return projections, scale[groups]
            of_groups = np.ones(count)
            np.maximum.at(of_groups, groups, excess)
            room = shrink_room(room, of_groups, tried)
        raise QuantizeError(
            f"population {self.population.name}: its sums need more than 24 bits at any scale; give"
            " it fewer or smaller weights, or messages of fewer bits"
        )

    def _measure_excess(
        self, alone: Network, projections: tuple[Projection, ...], scale: Floats
    ) -> Floats:
        """Return the largest sum of each neuron over the width of a potential."""
        arriving = [
            (p.synapses, alone.payload(p.source))
            for p in projections
            if isinstance(p.synapses, IntegerSynapses)
        ]
        x, bias = bound_accumulator(self.population.size, arriving), np.rint(self.bias * scale)
        return np.asarray(np.maximum(-(x.low + bias), x.high + bias) / (STATE_LIMIT - 1))


def _simplify(scale: Floats) -> Floats:
    """Return one number where all scales are equal."""
    return np.asarray(scale[0]) if (scale == scale[:1]).all() else scale
