"""The largest scales under which parameters, potentials and currents of a population fit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.neurons.base import FloatNeuron, Interval
from snncompile.neurons.fixed import STATE_LIMIT, STATE_SHIFT
from snncompile.passes.quantize.grouped_input import GroupedInput
from snncompile.passes.quantize.messages import find_message_unit
from snncompile.passes.quantize.weight_rows import list_rows

UNIT = 1 << STATE_SHIFT
"""Integer potential of a weight of 1, and of a threshold mantissa of 1."""
FINE = 256
"""Threshold mantissa from which on a larger scale adds nothing: with it the potential holds 512
thresholds, and a decay rounds by less than 1/16,000 of the threshold."""
ROOM = 32.0
"""Thresholds that the potential of a neuron that never forgets should hold on both sides."""


@dataclass(frozen=True, eq=False)
class ScaleLimits:
    """Largest scale of each group."""

    hard: Floats
    """Parameters and initial potentials fit, and no current wraps."""
    proved: Floats
    """The potential provably never saturates; infinite where no bound is known."""
    threshold: Floats
    """Largest threshold of each group, in the unit of the weights."""


def find_limits(
    network: Network,
    population: Population,
    chip: Chip,
    groups: Ints,
    inputs: list[GroupedInput],
    steps: int | None,
) -> ScaleLimits:
    """Return the largest scales under which parameters, potentials and currents fit."""
    neuron, count = population.neuron, int(groups.max(initial=-1)) + 1
    assert isinstance(neuron, FloatNeuron)
    size = population.size
    threshold = np.broadcast_to(neuron.threshold, (size,))  # type: ignore[attr-defined]
    potential = find_largest_potential(network, population)
    potential = ROOM * threshold if potential is None else potential
    largest = np.maximum(potential, np.abs(neuron.initial))
    hard = np.minimum(neuron.largest_scale(chip.formats), (STATE_LIMIT - 1) / largest)
    # A chip without any bias has a limit of 0: the neuron then says so itself.
    hard = _reduce(groups, np.broadcast_to(np.where(hard > 0, hard, np.inf), (size,)), count)
    highest = -_reduce(groups, -threshold, count)
    bounds = _Bounds(network, population, chip, groups, hard, inputs)
    # The input of one step must not wrap. That of many, all extreme, is not worth a coarse
    # threshold: a current that never forgets could have any size.
    at_once, _ = bounds.find_scales(1)
    if any(find_message_unit(network, p.source) > 1 for p in network.into(population.name)):
        at_once = np.full(count, np.inf)  # changes of values: no bound on them is known
    in_time, proved = bounds.find_scales(steps)
    wraps = np.minimum(at_once, np.maximum(in_time, FINE * UNIT / highest))
    return ScaleLimits(np.minimum(hard, wraps), proved, highest)


def raise_thresholds(neuron: Any, scale: Floats) -> Any:
    """Return the neuron with thresholds of at least a mantissa of 1, the smallest that there is."""
    if all(field.name != "threshold" for field in fields(neuron.integer)):
        return neuron
    return replace(neuron, threshold=np.maximum(neuron.threshold, UNIT / scale))


def _reduce(groups: Ints, values: Floats, count: int) -> Floats:
    """Return the smallest value of each group."""
    smallest = np.full(count, np.inf)
    np.minimum.at(smallest, groups, values)
    return smallest


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Bounds of a population at a trial scale; they grow with the scale."""

    network: Network
    population: Population
    chip: Chip
    groups: Ints
    trial: Floats
    inputs: list[GroupedInput]

    def find_scales(self, steps: int | None) -> tuple[Floats, Floats]:
        """Return the largest scales with which nothing wraps, and with which nothing saturates.

        Args:
            steps: time steps of one sample; None for any number.
        """
        groups, count = self.groups, len(self.trial)
        scale = np.where(np.isfinite(self.trial), self.trial, 1.0)
        neuron = raise_thresholds(self.population.neuron, scale[groups])
        low, high = _sum_inputs(self.network, self.population, groups, self.inputs, count)
        x = Interval((low * scale)[:, groups], (high * scale)[:, groups])
        x = x if neuron.ports else Interval(x.low[0], x.high[0])
        integer = neuron.quantize(scale[groups], self.chip.formats)
        bits = self.chip.formats.accumulator_bits.whole
        wraps = _scale_to(scale, x, groups, (1 << (bits - 1)) - 1 if bits else np.inf)
        proved = np.full(count, np.inf)
        for quantity, interval in integer.bounds(x, steps).items():
            limit, effect = integer.width(quantity)
            if effect == "wraps":
                wraps = np.minimum(wraps, _scale_to(scale, interval, groups, limit))
            elif effect == "saturates":
                proved = np.minimum(proved, _scale_to(scale, interval, groups, limit))
        return wraps, proved


def _scale_to(scale: Floats, interval: Interval, groups: Ints, limit: float) -> Floats:
    """Return the scale of each group with which a bound, that of `scale`, meets the limit."""
    reach = np.maximum(-np.asarray(interval.low, np.float64), interval.high)
    of_neurons = np.broadcast_to(reach, (*reach.shape[:-1], len(groups))).reshape(-1, len(groups))
    of_groups = -_reduce(groups, -of_neurons.max(axis=0), len(scale))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(of_groups > 0, scale * (limit / of_groups), np.inf)


def _sum_inputs(
    network: Network,
    population: Population,
    groups: Ints,
    inputs: list[GroupedInput],
    count: int,
) -> tuple[Floats, Floats]:
    """Return the extreme accumulated weights of a step at scale 1, shape (ports, groups)."""
    ports = max(1, len(population.neuron.ports))
    low, high = np.zeros((ports, count)), np.zeros((ports, count))
    for projection, read in zip(network.into(population.name), inputs, strict=True):
        port, rows = network.port(projection), read.rows
        up, down = (
            rows.sum(np.maximum(rows.values, 0)),
            rows.sum(np.minimum(rows.values, 0)),
        )
        largest, smallest = float(read.payload.high), float(read.payload.low)
        highest, lowest = np.zeros(count), np.zeros(count)
        np.maximum.at(highest, read.group, up * largest + down * smallest)
        np.minimum.at(lowest, read.group, down * largest + up * smallest)
        high[port] += highest / read.unit
        low[port] += lowest / read.unit
    return low, high


def find_largest_potential(network: Network, population: Population) -> Floats | None:
    """Return the largest potential of each neuron; None if its neuron type states no bound."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    if neuron.reach(np.asarray(0.0)) is None:
        return None
    drive = np.broadcast_to(np.abs(getattr(neuron, "bias", 0.0)), (population.size,))
    for p in network.into(population.name):
        rows = list_rows(p)
        largest = float(np.abs(network.payload(p.source)).max())
        sums = rows.sum(np.abs(rows.values)) * (largest / find_message_unit(network, p.source))
        drive = drive + np.repeat(sums, population.size // len(sums))
    return neuron.reach(drive)
