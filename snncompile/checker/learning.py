"""Rules of learning synapses on chips whose rows have a section `learning`.

Weight and tag are stored together, in rows without fillers; a source has several entries of input
axons for every projection and slice; all synapses of a core learn, by one epoch, or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from snncompile.errors import MappingError
from snncompile.hwmodels.limits import RowLearning
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.tables import AxonBlock, MemoryBlock


def read_bits(chip: Chip, p: Projection, s: Slice, block: MemoryBlock) -> int | None:
    """Return the bits of weight and tag; None for synapses that do not learn.

    Raises:
        MappingError: the block is written as learning synapses cannot be.
    """
    learning = _find_section(chip, p)
    if learning is None:
        return None
    bits, kinds = int(learning.synapse_bits.value or 0), learning.kinds
    where = f"synapses into {s.where} that learn"
    if block.format not in kinds or block.shared_sign or block.shared:
        raise MappingError(f"{where} need rows of their own and signs in {', '.join(kinds)}")
    if block.weight_bits != bits:
        raise MappingError(f"{where} have {block.weight_bits} bits, need {bits}")
    return bits


def count_entries(network: IntegerNetwork, chip: Chip, mapping: Mapping, axons: AxonBlock) -> int:
    """Return the entries of one input axon of a block: more than one if its synapses learn."""
    stored = [mapping.tables.memory[i] for i in axons.memory]
    sections = [_find_section(chip, network.projections[b.projection]) for b in stored]
    return max((int(s.axon_entries.value or 1) for s in sections if s is not None), default=1)


def check_learning(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Iterator[str]:
    """Yield what learns where nothing can, or in several ways on a core, and shared axons of it."""
    if chip.rows is None or chip.rows.learning is None:
        yield from _list_impossible(network, chip)
        return
    epochs: defaultdict[int, set[int | None]] = defaultdict(set)
    for block in mapping.tables.memory:
        rule = network.projections[block.projection].rule
        epochs[block.core].add(None if rule is None else rule.epoch)
        if rule is not None and rule.third_factor and not chip.rows.learning.third_factor:
            yield f"core {block.core} has a third factor of learning; the chip has none"
    yield from _list_mixed_cores(epochs)
    for axons in mapping.tables.axons:
        entries = count_entries(network, chip, mapping, axons)
        if entries > 1 and (len(axons.memory) > 1 or axons.grouped):
            yield f"axons of core {axons.core} from {axons.source} learn and are shared"


def _list_impossible(network: IntegerNetwork, chip: Chip) -> Iterator[str]:
    """Yield projections that learn on a chip that does not say what such a synapse takes."""
    if chip.headed_rows is not None and chip.headed_rows.learning_bits.whole:
        return
    for p in network.projections:
        if p.rule is not None:
            yield f"{p.source} -> {p.target} learns; the chip has no synapses that learn"


def _list_mixed_cores(epochs: dict[int, set[int | None]]) -> Iterator[str]:
    """Yield cores with several epochs; None is that of synapses that do not learn."""
    for core, of_core in epochs.items():
        if len(of_core) > 1 and None in of_core:
            yield f"core {core} has synapses that learn and others that do not"
        elif len(of_core) > 1:
            yield f"core {core} has {len(of_core)} learning epochs of 1"


def _find_section(chip: Chip, p: Projection) -> RowLearning | None:
    return None if p.rule is None or chip.rows is None else chip.rows.learning
