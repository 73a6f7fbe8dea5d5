"""Analysis: prove that no accumulator, u or v leaves its width, or say which one can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerDense, IntegerNetwork, Population, Projection
from snncompile.ir.reports import Bound
from snncompile.neurons.base import IntegerNeuron, Interval
from snncompile.neurons.fixed import STATE_LIMIT


def bounds(network: IntegerNetwork, chip: Chip, steps: int | None) -> tuple[Bound, ...]:
    """Return a bound for the accumulator and each state variable of every population.

    Interval analysis: whatever the sources do, a neuron's accumulator lies between the sum of its
    negative weights and the sum of its positive ones; each neuron type knows what its states make
    of that. Sound for every input and any number of samples (states are reset between them).

    Args:
        network: the integer network.
        chip: gives the width of the accumulator, if it is known.
        steps: time steps of one sample; None for any number.
    """
    return tuple(
        bound
        for population in network.populations
        for bound in population_bounds(population, network.into(population.name), chip, steps)
    )


def population_bounds(
    population: Population, into: Sequence[Projection], chip: Chip, steps: int | None
) -> tuple[Bound, ...]:
    """Return the bounds of one population: accumulator, then its states in order."""
    name, neuron = population.name, population.neuron
    assert isinstance(neuron, IntegerNeuron)
    x = accumulator(population.size, into)
    bits = chip.formats.accumulator_bits.whole
    accumulators = (1 << (bits - 1)) - 1 if bits else None
    found = [_bound(name, "accumulator", x, accumulators)]
    for state, interval in neuron.bounds(x, steps).items():
        quantity: Literal["u", "v"] = "u" if state == "u" else "v"
        found.append(_bound(name, quantity, interval, STATE_LIMIT - 1))
    return tuple(found)


def accumulator(size: int, into: Sequence[Projection]) -> Interval:
    """Return the lowest and highest accumulated weights of each neuron in one time step, (n,)."""
    low, high = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for projection in into:
        synapses = projection.synapses
        assert isinstance(synapses, IntegerDense)
        weight = synapses.weight.astype(np.int64)
        low += _shifted(np.minimum(weight, 0).sum(axis=1), synapses.exponent)
        high += _shifted(np.maximum(weight, 0).sum(axis=1), synapses.exponent)
    return Interval(low, high)


def _shifted(total: Any, exponent: int) -> Any:
    return total << exponent if exponent >= 0 else total >> -exponent


def _bound(
    population: str, quantity: Literal["accumulator", "u", "v"], x: Interval, limit: int | None
) -> Bound:
    low, high = np.atleast_1d(*np.broadcast_arrays(x.low, x.high))
    return Bound(
        population=population,
        quantity=quantity,
        low=_known(low.min()),
        high=_known(high.max()),
        limit=limit,
        neuron=int(np.maximum(-low, high).argmax()),
    )


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
