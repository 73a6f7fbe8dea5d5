"""The chip rule of `strips`: a neuron's synapses are a strip of words on its core.

A strip is a head of some words and one word for each weight other than zero, for each projection
into the neuron.
"""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores.chip_rules.base import Fitted, FittedCore, require
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Slice

NEURONS, WORDS = "neurons", "words of strips"


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return the network on cores of one population each, filled one after the other.

    Raises:
        UnsupportedError: the chip lacks a neuron.
        FitError: one neuron has too many words, or there are too few cores.
    """
    places, words = chip.core.compartments.whole or 0, chip.core.synapse_words.whole or 0
    cores: list[FittedCore] = []
    for population in network.populations:
        count_compartments_per_neuron(chip, population)
        strips = _measure_strips(network, chip, population)
        where, hint = f"population {population.name}", "use fewer weights per neuron"
        require(where, "words for one neuron", int(strips.max()), words, hint)
        for start, stop in _cut(strips, places, words):
            used = {NEURONS: stop - start, WORDS: int(strips[start:stop].sum())}
            cores.append(
                FittedCore(
                    slices=(Slice.from_range(population, start, stop, len(cores)),),
                    used=used,
                    available={NEURONS: places, WORDS: words},
                    standard={"compartments": used[NEURONS], "synapse_words": used[WORDS]},
                    number=len(cores),
                )
            )
    available = (chip.mesh.cores.whole or 0) * chip.chips
    require(f"network {network.title}", "cores", len(cores), available, "use fewer neurons")
    return Fitted(tuple(cores), {}, {})


def count_words(projection: Projection, s: Slice, chip: Chip) -> int:
    """Return the words of a projection's synapses into a slice."""
    return int(s.cut(_measure_heads_and_weights(projection, chip)).sum())


fill_cores.count_words = count_words  # type: ignore[attr-defined]


def _measure_heads_and_weights(projection: Projection, chip: Chip) -> Ints:
    """Return the words of each target of a projection, shape (targets,)."""
    synapses = projection.synapses
    matrix = synapses.wiring.matrix(synapses.weight)
    weights = np.asarray((matrix != 0).sum(axis=1), np.int64)
    return weights + (chip.rule_limits["head_words"].whole or 0)


def _measure_strips(network: IntegerNetwork, chip: Chip, population: Population) -> Ints:
    """Return the words of each neuron of a population, shape (n,)."""
    words = np.zeros(population.size, np.int64)
    for projection in network.into(population.name):
        words += _measure_heads_and_weights(projection, chip)
    return words


def _cut(strips: Ints, places: int, words: int) -> list[tuple[int, int]]:
    """Return ranges of neurons that fit a core each: as many as it has places and words for."""
    ranges, start = [], 0
    for neuron in range(1, len(strips) + 1):
        last = neuron == len(strips)
        if last or neuron - start == places or strips[start : neuron + 1].sum() > words:
            ranges.append((start, neuron))
            start = neuron
    return ranges
