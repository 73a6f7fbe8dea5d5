"""When a network does not fit: try what a user could change, and say what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from snncompile.errors import FitError, QuantizeError, SnnCompileError
from snncompile.hwmodels import load as chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes import formats
from snncompile.passes.synapse_memory import ENCODINGS
from snncompile.synapses.base import IntegerSynapses

Cut = Callable[[IntegerNetwork, Chip], tuple[Slice, ...]]
OTHER_BITS = (6, 5, 4, 3, 2)


def explained(error: FitError, network: IntegerNetwork, chip: Chip, cut: Cut) -> FitError:
    """Return the error with what was tried and fits as its hint."""
    fits = [*_fewer_bits(network, chip, cut), *_other_chips(network, chip, cut)]
    tried = "; ".join(fits) or "neither fewer weight bits nor another chip we know would do"
    hint = "; ".join(part for part in (error.hint, tried) if part)
    return FitError(
        where=error.where, resource=error.resource, need=error.need, limit=error.limit, hint=hint
    )


def _fewer_bits(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the most weight bits, below those there are, with which the network fits."""
    for bits in OTHER_BITS:
        fewer = _with_bits(network, bits)
        if fewer and bits in chip.formats.weight_bits.values:
            cores = _cores(fewer, chip, cut)
            if cores:
                yield f"with {bits}-bit weights it takes {cores} core{'s' * (cores > 1)}"
                return


def _other_chips(network: IntegerNetwork, chip: Chip, cut: Cut) -> Iterator[str]:
    """Yield the chips with a memory of words on which the network fits."""
    for name in chips.names():
        if name != chip.name:
            other = chips.load(name)
            tried = other.encoding in ENCODINGS and _has_formats(other, network)
            cores = _cores(network, other, cut) if tried else None
            if cores:
                yield f"on {name} it takes {cores} core{'s' * (cores > 1)}"


def _has_formats(chip: Chip, network: IntegerNetwork) -> bool:
    try:
        formats.check(network, chip)
    except QuantizeError:
        return False
    return True


def _with_bits(network: IntegerNetwork, bits: int) -> IntegerNetwork | None:
    """Return the network with fewer weight bits; None if it has no more than that already."""
    projections = []
    for p in network.projections:
        assert isinstance(p.synapses, IntegerSynapses)
        fewer = replace(p.synapses, bits=min(bits, p.synapses.bits))
        projections.append(replace(p, synapses=fewer))
    if all(p.synapses.bits <= bits for p in network.projections):  # type: ignore[union-attr]
        return None
    return replace(network, projections=tuple(projections))


def _cores(network: IntegerNetwork, chip: Chip, cut: Cut) -> int | None:
    """Return the number of cores the network takes on a chip; None if it does not fit."""
    try:
        return Mapping(cut(network, chip)).cores
    except SnnCompileError:
        return None
