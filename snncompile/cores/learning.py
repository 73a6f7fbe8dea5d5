"""Resources that learning synapses take of a core whose rows have a section `learning`.

All synapses of such a core learn, by one epoch, or none does. A projection that learns has input
axons of its own, several entries each; weight and tag of a synapse are stored side by side.
"""

from __future__ import annotations

from dataclasses import replace

from snncompile.cores.memory_words import Memory
from snncompile.hwmodels.limits import RowLearning
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Projection


def find_row_learning(chip: Chip, projection: Projection) -> RowLearning | None:
    """Return the numbers of a chip's learning rows, if the projection learns in such rows."""
    if projection.rule is None or chip.rows is None:
        return None
    return chip.rows.learning


def mark_formats(memory: Memory, projection: Projection) -> Memory:
    """Return the memory with formats of its own for the rule: a format names how it learns."""
    if projection.rule is None:
        return memory
    own = frozenset((*form, repr(projection.rule)) for form in memory.formats)
    return replace(memory, formats=own)


def find_epochs(network: Graph, chip: Chip) -> dict[str, int]:
    """Return the epoch of every population whose synapses learn, where cores have one epoch."""
    return {
        p.target: p.rule.epoch
        for p in network.plastic
        if p.rule is not None and find_row_learning(chip, p) is not None
    }
