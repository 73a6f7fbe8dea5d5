"""The checker rule of `strips`: counts anew, and uses nothing of `strips_on_cores.py`."""

from __future__ import annotations

from collections.abc import Iterator

from snncompile.checker.chip_rules import refuse_excess
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping, Slice


def check(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Iterator[str]:
    """Yield every core that holds several populations, too many neurons or too many words."""
    for core, slices in mapping.by_core.items():
        if len(slices) > 1:
            yield f"core {core} holds {len(slices)} populations"
        neurons = sum(s.size for s in slices)
        words = sum(count_words(p, s, chip) for s in slices for p in network.into(s.population))
        yield from refuse_excess(core, "neurons", neurons, chip.core.compartments.whole)
        yield from refuse_excess(core, "words of strips", words, chip.core.synapse_words.whole)


def count_words(projection: Projection, s: Slice, chip: Chip) -> int:
    """Return the words of a projection's synapses into a slice, strip by strip."""
    synapses = projection.synapses
    rows = synapses.wiring.matrix(synapses.weight)
    head = chip.rule_limits["head_words"].whole or 0
    words = 0
    for neuron in s.neurons().tolist():
        strip = rows.data[rows.indptr[neuron] : rows.indptr[neuron + 1]]
        words += head + sum(weight != 0 for weight in strip.tolist())
    return words


check.count_words = count_words  # type: ignore[attr-defined]
