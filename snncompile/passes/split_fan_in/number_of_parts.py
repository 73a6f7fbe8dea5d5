"""Analysis: choose the number of parts of a dense projection's sources that takes fewest cores."""

from __future__ import annotations

from math import ceil

from snncompile.cores import axon_counts, resources
from snncompile.cores.memory_words import RowKind, choose_memory
from snncompile.cores.weight_bits import WeightBits
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Projection
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import Dense

MORE = 8
"""Largest number of parts that is tried, as a multiple of the needed number."""


def choose_number_of_parts(chip: Chip, projection: Projection, needed: int, allowed: int) -> int:
    """Return a number of parts from `needed` to `allowed`; `needed` if the wiring is not dense.

    Many sources and few targets on a core waste words, and each source sends to many cores. With
    more parts a core holds more targets of fewer sources. Counts the cores of the relays, and the
    cores of the sources if output axons are scarce there.
    """
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    plain = synapses.wiring.plain
    if not isinstance(plain, Dense):
        return needed
    last = max(needed, min(allowed, MORE * needed, plain.source))
    counts = range(needed, last + 1)
    return min(counts, key=lambda count: _count_cores(chip, plain, synapses.bits, count))


def _count_cores(chip: Chip, wiring: Dense, bits: int, count: int) -> int:
    limits = resources.read_core_limits(chip)
    targets = _count_targets(limits, chip, wiring.target, ceil(wiring.source / count), bits)
    cores = ceil(wiring.target / targets)
    if chip.headed_rows is not None:
        return count * cores  # output entries do not grow with the cores
    entries = wiring.source * cores * axon_counts.count_entries_per_axon(chip)
    return count * cores + ceil(entries / limits.get("axons_out", entries))


def _count_targets(
    limits: dict[str, int], chip: Chip, targets: int, sources: int, bits: int
) -> int:
    """Return the largest number of targets with `sources` sources on one core; 1 if none fits."""
    low, high = 1, max(1, min(targets, limits.get("compartments", targets)))
    while low < high:
        middle = (low + high + 1) // 2
        words = choose_memory(
            chip, (RowKind(((0, middle),), sources),), WeightBits(bits), False
        ).words
        total = sources + words + 2 * middle  # each target is a neuron with an output entry
        fits = words <= limits.get("synapse_words", words) and total <= limits.get(
            "total_words", total
        )
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
