"""Analysis: neurons that are too large for a core, and how large the sums of their parts can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snncompile.cores import resources
from snncompile.cores.memory_words import ENCODINGS
from snncompile.cores.port_entries import count_input_entries
from snncompile.cores.synapses_of_slice import Demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Population, Projection
from snncompile.ir.mapping import Slice
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import Interval
from snncompile.reference.synapses import bound_sums
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import count_splits
from snncompile.synapses.weight_formats import weight_step

LIMITS = ("axons_in", "synapse_words", "total_words")
"""Resources of a core that a single neuron can exceed."""


def has_sum_relays(chip: Chip) -> bool:
    """Whether neurons of a chip can add up parts of a sum for others."""
    return chip.encoding in ENCODINGS and IntegerAccumulate.name in chip.neurons


def read_limits(chip: Chip) -> dict[str, int]:
    """Return the limits of a core that a single neuron can exceed."""
    return {k: v for k, v in resources.read_core_limits(chip).items() if k in LIMITS}


def find_largest(population: Population, into: Sequence[Projection]) -> Slice:
    """Return the neuron with most synapses, as a box of a convolution where one leads to it."""
    fan_in = np.zeros(population.size, np.int64)
    for p in into:
        fan_in += p.synapses.wiring.fan_in
    neuron = int(fan_in.argmax())
    plain = (p.synapses.wiring.plain for p in into)
    shape = next((w.target_shape for w in plain if isinstance(w, Convolution)), (population.size,))
    start = tuple(int(i) for i in np.unravel_index(neuron, shape))
    return Slice(population.name, shape, start, tuple(i + 1 for i in start), 0)


def measure_share(axons: int, words: int, limits: dict[str, int]) -> float:
    """Return the use of the scarcer resource, as a share of the core's limit."""
    used = {"axons_in": axons, "synapse_words": words, "total_words": axons + words}
    return max((used[name] / limit for name, limit in limits.items()), default=0.0)


def count_axons(entry: Demand) -> int:
    """Return the input axons of a projection into a slice."""
    if entry.chip.headed_rows is not None:
        return count_input_entries(entry)
    return entry.region.size


def can_split(chip: Chip, entry: Demand) -> bool:
    """Whether relays save a projection anything: sparse ones of some chips keep all sources."""
    wiring = entry.projection.synapses.wiring
    keeps_sources = chip.headed_rows is not None and count_splits(wiring) == 1
    return not isinstance(wiring, Scale) and not (keeps_sources and count_axons(entry) > 1)


def shift_to_whole(synapses: IntegerSynapses) -> IntegerSynapses:
    """Return the synapses with the exponent that makes whole numbers of the weights' multiples."""
    return replace(synapses, exponent=1 - weight_step(synapses.bits).bit_length())


def is_rounded(synapses: IntegerSynapses) -> bool:
    """Whether parts of a sum have to be added up before it loses bits.

    Parts of a list come from one population of relays, over one projection, which adds them up.
    """
    several = count_splits(synapses.wiring) > 1
    return several and synapses.exponent < shift_to_whole(synapses).exponent


def bound_parts(synapses: IntegerSynapses, payload: Interval) -> Interval:
    """Return the smallest and largest sum of some of the sources, in whole numbers."""
    whole = shift_to_whole(synapses)
    reach = bound_sums(whole, payload)
    lowest, highest = int(reach.low.min(initial=0)), int(reach.high.max(initial=0))
    return Interval(min(0, lowest >> -whole.exponent), max(0, highest >> -whole.exponent))
