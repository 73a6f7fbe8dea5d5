"""Analysis: prove that no accumulator, u or v leaves its width, or say which one can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.arrays import Bools
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork, Population, Projection
from snncompile.ir.reports import Bound
from snncompile.neurons.base import Effect, IntegerNeuron, Interval
from snncompile.reference.synapses import sum_at_ones
from snncompile.synapses.base import IntegerSynapses

LEARNED = {"mixed": (-256, 255), "positive": (255,)}
"""Ends of weights that learn, by the sign of the rule, and 0."""
Arriving = Sequence[tuple[IntegerSynapses, Interval]]
"""Synapses that end at a population, each with the smallest and largest payload of its source."""


def prove_bounds(network: IntegerNetwork, chip: Chip, steps: int | None) -> tuple[Bound, ...]:
    """Return a bound for the accumulator and each state variable of every population.

    Interval analysis: whatever the sources do, a neuron's accumulator lies between the sum of its
    negative weights and the sum of its positive ones; each neuron type derives the bounds of its
    states. Sound for every input and any number of samples (states are reset between them).

    Args:
        network: the integer network.
        chip: gives the width of the accumulator, if it is known.
        steps: time steps of one sample; None for any number.
    """
    return tuple(
        bound
        for population in network.populations
        for bound in prove_population_bounds(
            population,
            collect_arriving(network, population.name, network.into(population.name)),
            chip,
            steps,
            find_bias_limit(network, population.name),
            collect_sums(network, population.name, network.into(population.name)),
        )
    )


def prove_population_bounds(
    population: Population,
    arriving: Sequence[Arriving],
    chip: Chip,
    steps: int | None,
    bias_limit: int = 0,
    sums: Sequence[Arriving] | None = None,
) -> tuple[Bound, ...]:
    """Return the bounds of one population: accumulator, then its states in order.

    Args:
        population: one of the integer network.
        arriving: synapses that end at each input of its neurons; see `collect_arriving`.
        chip, steps: see `prove_bounds`.
        bias_limit: largest magnitude of a bias of the host, in the unit of accumulated weights.
        sums: of neurons that add up changes, the same with the bounds of all messages together;
            then no number of time steps changes the bounds. See `collect_sums`.
    """
    name, neuron = population.name, population.neuron
    assert isinstance(neuron, IntegerNeuron)
    x = add_arriving(population, arriving)
    bits = chip.formats.accumulator_bits.whole
    accumulators = (1 << (bits - 1)) - 1 if bits else None
    proved = [_make_bound(name, "accumulator", x, accumulators, "overflows")]
    if sums is not None:
        x, steps = add_arriving(population, sums), 1
    x = Interval(x.low - bias_limit, x.high + bias_limit)
    for quantity, interval in neuron.bounds(x, steps).items():
        proved.append(_make_bound(name, quantity, interval, *neuron.width(quantity)))
    return tuple(proved)


def find_silent_neurons(
    network: IntegerNetwork, population: Population, steps: int | None = None
) -> Bools:
    """Return True for each neuron that provably never fires, shape (n,).

    Args:
        network: the integer network.
        population: one of its populations.
        steps: time steps of one sample; None for any number.
    """
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    intervals = neuron.silent_within()
    if intervals is None:
        return np.zeros(population.size, np.bool_)
    arriving = collect_arriving(network, population.name, network.into(population.name))
    x, limit = add_arriving(population, arriving), find_bias_limit(network, population.name)
    bounds = neuron.bounds(Interval(x.low - limit, x.high + limit), steps)
    silent = np.ones(population.size, np.bool_)
    for quantity, inside in intervals.items():
        reached = bounds[quantity]
        silent &= (reached.low >= inside.low) & (reached.high <= inside.high)
    return silent


def find_bias_limit(network: Graph, name: str) -> int:
    """Return the largest magnitude of the host's biases of a population; 0 where it has none."""
    layer = network.input.find_host(name)
    return (layer.limit or 0) if layer else 0


def add_arriving(population: Population, arriving: Sequence[Arriving]) -> Interval:
    """Return the accumulated weights of one time step as `IntegerNeuron.bounds` takes them."""
    sums = [bound_accumulator(population.size, port) for port in arriving]
    x = Interval(np.stack([p.low for p in sums]), np.stack([p.high for p in sums]))
    return x if population.neuron.ports else Interval(x.low[0], x.high[0])


def bound_accumulator(size: int, arriving: Arriving) -> Interval:
    """Return the lowest and highest accumulated weights of each neuron in one time step, (n,)."""
    low, high = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for synapses, payload in arriving:
        wiring, weight = synapses.wiring, synapses.weight
        up = sum_at_ones(wiring, np.maximum(weight, 0))
        down = sum_at_ones(wiring, np.minimum(weight, 0))
        largest, smallest = int(payload.high), int(payload.low)
        lowest, highest = down * largest + up * smallest, up * largest + down * smallest
        lowest, highest = (_shift(end, synapses.exponent) for end in (lowest, highest))
        if synapses.sum_bits is not None:
            half = 1 << (synapses.sum_bits - 1)
            wraps = (lowest < -half) | (highest >= half)
            lowest, highest = np.where(wraps, -half, lowest), np.where(wraps, half - 1, highest)
        low += lowest
        high += highest
    return Interval(low, high)


def find_wrap(graph: Graph, projection: Projection) -> int | None:
    """Return the bits to which the sums of a projection may wrap; None where they cannot."""
    synapses = projection.synapses
    if not isinstance(synapses, IntegerSynapses) or synapses.sum_bits is None:
        return None
    whole = replace(synapses, sum_bits=None)
    reach = bound_accumulator(whole.wiring.targets, [(whole, graph.payload(projection.source))])
    half = 1 << (synapses.sum_bits - 1)
    fits = (reach.low >= -half) & (reach.high < half)
    return None if fits.all() else synapses.sum_bits


def collect_arriving(graph: Graph, name: str, projections: Sequence[Projection]) -> list[Arriving]:
    """Return the integer synapses and payloads at each input of a population's neurons.

    Args:
        graph: gives payloads and ports; the source network while the integer one is being made.
        name: of the population.
        projections: all projections that end at it; float ones are ignored.
    """
    ports = range(max(1, len(graph.population(name).neuron.ports)))
    return [
        [
            (synapses, graph.payload(p.source))
            for p in projections
            if graph.port(p) == port
            for synapses in _list_extremes(p)
        ]
        for port in ports
    ]


def _list_extremes(projection: Projection) -> list[IntegerSynapses]:
    """Return the integer synapses; of those that learn, all at their ends, which add up."""
    synapses = projection.synapses
    if not isinstance(synapses, IntegerSynapses):
        return []
    if projection.rule is None:
        return [synapses]
    ends = LEARNED[projection.rule.sign]
    return [replace(synapses, weight=np.full_like(synapses.weight, end)) for end in ends]


def collect_sums(
    graph: Graph, name: str, projections: Sequence[Projection]
) -> list[Arriving] | None:
    """Return what arrives in a whole sample at neurons that add up changes.

    None of other neurons, and where the sum of a source's messages has no bound.
    """
    if not graph.population(name).neuron.adds_up:
        return None
    arriving = []
    for p in projections:
        sums = find_message_sum(graph, p.source)
        if sums is None:
            return None
        if isinstance(p.synapses, IntegerSynapses):
            arriving.append((p.synapses, sums))
    return [arriving]


def find_message_sum(graph: Graph, source: str) -> Interval | None:
    """Return the interval of the sum of all messages of a source; None: not known."""
    end = graph.end(source)
    return end.neuron.message_sum if isinstance(end, Population) else None


def _shift(total: Any, exponent: int) -> Any:
    return total << exponent if exponent >= 0 else total >> -exponent


def _make_bound(
    population: str, quantity: str, x: Interval, limit: int | None, effect: Effect
) -> Bound:
    low, high = np.atleast_1d(*np.broadcast_arrays(x.low, x.high))
    return Bound(
        population=population,
        quantity=quantity,
        low=_hide_infinite(low.min()),
        high=_hide_infinite(high.max()),
        limit=limit,
        effect=effect,
        neuron=int(np.maximum(-low, high).argmax()) % low.shape[-1],
    )


def _hide_infinite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
