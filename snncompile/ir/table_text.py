"""Tables of a mapping as text: one line per block of synapses, block of input axons and route."""

from __future__ import annotations

from collections.abc import Sequence

from snncompile.ir.tables import AxonBlock, MemoryBlock, Tables


def tables_text(
    tables: Tables,
    projections: Sequence[str] = (),
    slices: Sequence[str] = (),
    cores: Sequence[int] = (),
) -> str:
    """Return the text form of all tables.

    Args:
        tables: what to write.
        projections: what each projection of the network is called; their numbers if none.
        slices: what each slice of the mapping is called; their numbers if none.
        cores: core of each slice; not written if there are none.
    """
    names = _Names(projections, slices)
    lines = [_memory(block, names) for block in tables.memory]
    lines += [_axons(block, tables, names) for block in tables.axons]
    for place, block, neurons, first in tables.lines.tolist():
        core = f"core {cores[place]}: " if cores else ""
        to = tables.axons[block]
        lines.append(
            f"{core}output axons from {first} for {neurons:,} neurons of {names.slice(place)}"
            f" to core {to.core}, input axons {_span(to.first, to.count)}"
        )
    return "".join(f"{line}\n" for line in lines)


class _Names:
    """What projections and slices are called."""

    def __init__(self, projections: Sequence[str], slices: Sequence[str]) -> None:
        """Take the names; without them, numbers do."""
        self._projections, self._slices = projections, slices

    def projection(self, number: int) -> str:
        return self._projections[number] if self._projections else f"projection {number}"

    def slice(self, place: int) -> str:
        return self._slices[place] if self._slices else f"slice {place}"


def _memory(block: MemoryBlock, names: _Names) -> str:
    bits = f", {block.weight_bits}-bit weights" if block.weight_bits else ""
    flags = {"shared rows": block.shared, "shared signs": block.shared_sign}
    flags["by columns"] = block.columns
    more = "".join(f", {flag}" for flag, on in flags.items() if on)
    return (
        f"core {block.core}: synapses {_span(block.first, block.words)} of"
        f" {names.projection(block.projection)} into {names.slice(block.slice)}: {block.format},"
        f" delay {block.delay}{bits}{more}"
    )


def _axons(block: AxonBlock, tables: Tables, names: _Names) -> str:
    ends = (tables.memory[number] for number in block.memory)
    rows = ", ".join(_span(end.first, end.words) for end in ends) or "none"
    groups = ", ".join(names.slice(place) for place in block.grouped)
    shared = f", population axons for {groups}" if groups else ""
    return (
        f"core {block.core}: input axons {_span(block.first, block.count)} of"
        f" {block.source}{block.region} to synapses {rows}{shared}"
    )


def _span(first: int, count: int) -> str:
    """Return `0..3`, `0` or `none`, with both ends in it."""
    if count < 2:
        return str(first) if count else "none"
    return f"{first}..{first + count - 1}"
