"""Least use of a core by the neurons of a population, on chips with headed rows.

No cut takes less: rows and kernels, and axons of all sources, are shared out over the most neurons
that a core can hold beside them.
"""

from __future__ import annotations

from math import prod

import numpy as np

from snncompile.cores import compartments, resources
from snncompile.cores.headed_rows import (
    HeadedRules,
    count_pieces,
    find_stored_bits,
    read_headed_rules,
)
from snncompile.cores.port_entries import sends_to_convolution
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

Use = dict[str, float]
"""By resource, of one neuron."""


def list_least_uses(network: IntegerNetwork, chip: Chip) -> dict[str, Use]:
    """Return the least use of all neurons of each population, by resource."""
    return {
        p.name: {name: p.size * used for name, used in _measure_neuron(network, chip, p).items()}
        for p in network.populations
    }


def _measure_neuron(network: IntegerNetwork, chip: Chip, population: Population) -> Use:
    assert chip.headed_rows is not None
    each = compartments.count_compartments_per_neuron(chip, population)
    limits = resources.read_core_limits(chip)
    largest = max(1, min(limits.get("compartments", population.size) // each, population.size))
    words = axons = 0.0
    for p in network.into(population.name):
        words_of_one, axons_of_one = _measure_projection(chip, p, largest, limits)
        words, axons = words + words_of_one, axons + axons_of_one
    outputs = sum(_count_outputs(p) for p in network.out_of(population.name))
    outputs += population.name == network.output
    memory = (chip.headed_rows.convolution_axon_memory.whole or 0) / largest
    memory *= sends_to_convolution(network, population.name)
    return {
        "compartments": each,
        "synapse_words": words,
        "axons_in": axons,
        "axons_out": outputs,
        "axon_memory": memory,
        "total_words": each + words + axons + outputs + memory,
    }


def _count_outputs(p: Projection) -> float:
    """Return the fewest output entries of a neuron: one for a pixel's channels, or one each.

    Of a range of the sources some neurons have none.
    """
    plain = p.synapses.wiring.plain
    if isinstance(plain, Convolution):
        return 1 / (p.synapses.wiring.sources / prod(plain.source_shape[1:]))
    return plain.sources / p.synapses.wiring.sources


def _measure_projection(
    chip: Chip, p: Projection, largest: int, limits: dict[str, int]
) -> tuple[float, float]:
    """Return the least words and input axons for one target neuron."""
    synapses, rules = p.synapses, read_headed_rules(chip)
    assert isinstance(synapses, IntegerSynapses)
    assert chip.headed_rows is not None
    bits = find_stored_bits(synapses, chip.headed_rows.weight_bits.values)
    wiring, delayed = synapses.wiring.plain, p.delay > 1
    if isinstance(wiring, Convolution):
        return _share_kernels(wiring, rules, bits, largest)
    if isinstance(wiring, Scale):
        return 0.0, 1 / largest
    if isinstance(wiring, Dense):
        return _share_rows(wiring, rules, bits, delayed, largest, limits)
    stored = len(wiring.pattern.indices) * (bits + rules.index_bits) / rules.word_bits
    sources = len(np.unique(wiring.pattern.indices))
    return stored / wiring.targets, sources / largest


def _share_kernels(
    wiring: Convolution, rules: HeadedRules, bits: int, largest: int
) -> tuple[float, float]:
    """Return words and input axons of a kernel, shared out over channels and pixels of a core."""
    pixels = prod(wiring.target_shape[1:])
    inner, outer = wiring.source_shape[0] // wiring.groups, wiring.channels // wiring.groups
    words = axons = float("inf")
    for channels in range(1, min(wiring.channels, largest) + 1):
        neurons = channels * max(1, min(pixels, largest // channels))
        taps = inner * -(-channels // outer) * prod(wiring.kernel)
        words = min(words, taps * rules.count_kernel_words(channels, bits) / neurons)
        axons = min(axons, count_pieces(channels) / neurons)
    return words, axons


def _share_rows(
    wiring: Dense,
    rules: HeadedRules,
    bits: int,
    delayed: bool,
    largest: int,
    limits: dict[str, int],
) -> tuple[float, float]:
    """Return words and input axons of dense rows, shared out over the targets of a core."""
    words = axons = float("inf")
    for neurons in range(1, largest + 1):
        stored = wiring.source * rules.count_row_words(neurons, bits, delayed=delayed)
        total = wiring.source + stored + 2 * neurons
        if neurons > 1 and (
            stored > limits.get("synapse_words", stored) or total > limits.get("total_words", total)
        ):
            break
        words, axons = min(words, stored / neurons), wiring.source / neurons
    return words, axons
