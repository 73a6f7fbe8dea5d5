"""Integers that stand for values which are sent: of an analog input, the changes of sigma-delta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.accumulate import Accumulate
from snncompile.neurons.base import FloatNeuron, Interval
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.product import Product
from snncompile.synapses.base import Synapses

SMALLEST_THRESHOLD = 2.0**-8
"""Smallest threshold, as a share of the largest value that one source sends, that sets the unit of
messages. A message of 64 for that share takes an exponent of 7, with any number of bits."""


def find_unit(network: Network, projection: Projection) -> float:
    """Return the value of a weight of 1 at scale 1: target's input shift times source's message."""
    target = network.population(projection.target).neuron
    assert isinstance(target, FloatNeuron)
    return float(find_message_unit(network, projection.source) << target.input_shift)


def find_message_unit(network: Network, name: str) -> int:
    """Return the integer that stands for an output of 1.0 of a population or the input."""
    end = network.end(name)
    neuron = end.neuron if isinstance(end, Population) else None
    return neuron.message_unit if isinstance(neuron, FloatNeuron) else 1


def state_in_messages(network: Network) -> Network:
    """Return the same network for the whole numbers that its input sends for analog values."""
    unit = network.input.unit
    if unit == 1:
        return network
    projections = tuple(
        replace(p, synapses=Synapses(p.synapses.wiring, np.asarray(p.synapses.weight * unit)))
        if p.source == network.input.name
        else p
        for p in network.projections
    )
    return replace(network, projections=projections)


def state_in_natural_values(network: Network) -> tuple[Network, dict[str, float]]:
    """Return the same network in units in which populations send values of about 1.

    So their messages, in which 1.0 is a fixed integer, do not depend on the unit in which the
    network states its numbers. A natural value is what the neuron says, or the threshold of a
    population, the smallest value that it sends; without one, its largest weight times the natural
    value of the source.

    Args:
        network: the float network.

    Returns:
        The network, and the natural value of each population that sends values.
    """
    values = {
        p.name: _find_natural_value(network, p.name, ())
        for p in network.populations
        if find_message_unit(network, p.name) > 1
    }
    if not values:
        return network, values
    populations = tuple(
        replace(p, neuron=p.neuron.rescale(1 / values[p.name])) if p.name in values else p  # type: ignore[attr-defined]
        for p in network.populations
    )
    projections = tuple(
        _restate(p, network.population(p.target).neuron, values)  # type: ignore[arg-type]
        for p in network.projections
    )
    restated = replace(network, populations=populations, projections=projections)
    return _limit_relays(restated), values


def _limit_relays(network: Network) -> Network:
    """Return the network whose relays of values have the limits of what they pass on.

    A neuron with limits in its own unit has other messages in another unit.
    """
    for p in network.populations:
        if isinstance(p.neuron, Accumulate) and p.neuron.values:
            (into,) = network.into(p.name)
            low, high = find_message_limits(network.payload(into.source))
            relay = replace(p, neuron=replace(p.neuron, lowest=low, most=high))
            populations = (
                relay if other.name == p.name else other for other in network.populations
            )
            network = replace(network, populations=tuple(populations))
    return network


def find_message_limits(payload: Interval) -> tuple[Floats, Floats]:
    """Return the limits of a relay of values, one beyond what rounding them can bring."""
    low = max(1.0 - STATE_LIMIT, float(payload.low) - 1)
    return np.asarray(low), np.asarray(min(STATE_LIMIT - 1.0, float(payload.high) + 1))


def _restate(projection: Projection, target: FloatNeuron, values: dict[str, float]) -> Projection:
    """Return the projection between ends whose values are restated."""
    factor = values.get(projection.source, 1.0)
    if target.unit_of_inputs:
        factor /= values.get(projection.target, 1.0)
    synapses = projection.synapses
    return replace(
        projection,
        synapses=Synapses(synapses.wiring, np.asarray(synapses.weight * factor, np.float64)),
    )


def _find_natural_value(network: Network, name: str, above: tuple[str, ...]) -> float:
    """Return the natural value of a population; 1 of spikes, and where a loop leads back."""
    if name in above or find_message_unit(network, name) == 1:
        return 1.0
    neuron = network.population(name).neuron
    assert isinstance(neuron, FloatNeuron)
    if neuron.natural_value is not None:
        return neuron.natural_value
    thresholds = np.asarray(getattr(neuron, "threshold", 0.0))
    threshold = float(np.median(thresholds[thresholds > 0])) if thresholds.any() else 0.0
    into = [p for p in network.into(name) if p.source not in (*above, name)]
    values = [
        float(np.abs(p.synapses.weight).max(initial=0.0))
        * _find_natural_value(network, p.source, (*above, name))
        for p in into
    ]
    if isinstance(neuron, Product):
        return _multiply_largest(neuron, [network.port(p) for p in into], values)
    largest = max(values, default=0.0)
    if threshold:
        return max(threshold, largest * SMALLEST_THRESHOLD)
    return largest or 1.0


def _multiply_largest(neuron: Product, ports: list[int], values: list[float]) -> float:
    """Return the natural value of a product: that of its inputs, multiplied."""
    largest = [float(np.abs(bias).max()) for bias in (neuron.bias_a, neuron.bias_b)]
    for port, value in zip(ports, values, strict=True):
        largest[port] = max(largest[port], value)
    return largest[0] * largest[1] * float(neuron.factor.max()) or 1.0
