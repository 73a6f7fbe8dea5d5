"""The projections that end at a population, seen from the groups of its neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.passes.analysis import number_ranges
from snncompile.passes.quantize.messages import find_unit
from snncompile.passes.quantize.weight_rows import WeightRows, list_rows
from snncompile.reference.runner import SpikeTrains

SMALLEST = 2.0**-900
"""Weights up to this are taken for 0: their scale would leave the range of floats."""


@dataclass(frozen=True, eq=False)
class GroupedInput:
    """One projection, seen from the groups of its target."""

    rows: WeightRows
    group: Ints
    """Group of each row."""
    unit: float
    """Integer potential of an integer weight of 1 at scale 1; see `find_unit`."""
    peaks: Floats
    """Largest weight of each group, over `unit`."""
    payload: Interval
    bits: int

    @property
    def top(self) -> int:
        """Largest integer weight."""
        return number_ranges.find_top(self.bits)


def choose_bits(network: Network, population: Population, chip: Chip, bits: int) -> tuple[int, ...]:
    """Return the bits of each projection's weights.

    One-to-one projections beside others, such as shortcuts, keep all bits of the chip: one of their
    synapses weighs as much as a whole kernel, and they are few.
    """
    into = network.into(population.name)
    widest = max(b for b in chip.formats.weight_bits.values if b <= number_ranges.WIDEST)
    alone = [len(into) > 1 and p.synapses.wiring.synapses <= population.size for p in into]
    return tuple(widest if is_alone else bits for is_alone in alone)


def read_input(
    network: Network,
    projection: Projection,
    groups: Ints,
    count: int,
    bits: int,
    spike_trains: SpikeTrains | None,
) -> GroupedInput:
    """Return a projection, seen from the groups of its target.

    Args:
        network: the float network.
        projection: one of its projections.
        groups: group of each target neuron, shape (n,).
        count: number of groups.
        bits: of a weight.
        spike_trains: outputs of the float network on the calibration data.
    """
    rows = list_rows(projection, _measure_power(spike_trains, projection.source))
    group = groups[rows.neuron]
    peaks, unit = np.zeros(count), find_unit(network, projection)
    np.maximum.at(peaks, group, rows.find_peaks())
    return GroupedInput(
        rows,
        group,
        unit,
        np.where(peaks > SMALLEST, peaks, 0.0) / unit,
        network.payload(projection.source),
        bits,
    )


def _measure_power(spike_trains: SpikeTrains | None, source: str) -> Floats | None:
    """Return the mean square of the output of each source; None if it is not known."""
    if spike_trains is None:
        return None
    return np.asarray(spike_trains[source].double().square().mean(dim=(0, 1)).numpy())
