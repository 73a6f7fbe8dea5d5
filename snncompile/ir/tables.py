"""Tables of the cores of a mapped network: synaptic memory, input axons, output axons.

The tables are compact: a convolution's rows are not written out, they follow from its kernel and
the box it ends in. Every entry of the chip's tables is numbered nevertheless: the axon of neuron i
of a region is the first axon plus i, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.region import Region


@dataclass(frozen=True)
class MemoryBlock:
    """Words of a core that hold the synapses of one projection into one slice."""

    core: int
    projection: int
    """Number of the projection in the network."""
    slice: int
    """Number of the slice in the mapping."""
    first: int
    """First word."""
    words: int
    format: str
    """Format of the rows."""
    shared: bool
    """Whether sources with equal rows share them, each counting targets from its own base."""
    delay: int
    """Time steps from a spike of the source to its effect, 1 or more."""
    weight_bits: int = 0
    """Stored per weight, on Loihi 1 with the tag where it learns; 0: as many as the projection's
    weights have."""
    shared_sign: bool = False
    """Whether the synapses of a row with weights >= 0 and those < 0 are lists of their own, whose
    weights are stored without a sign."""
    columns: bool = False
    """Whether the rows of a convolution's sources that differ only along the first axis of space
    lie side by side, all as large as the largest; then columns share rows, single sources do not.
    """


@dataclass(frozen=True)
class AxonBlock:
    """Input axons of a core, one per neuron of a region, in rising order of the neurons.

    Neurons that share an axon have none of their own; shared ones follow at the end. On Loihi 2 the
    axons of a convolution are one per piece of the core's channels, for all neurons of the region;
    on Loihi 1 those of synapses that learn are two per neuron.
    """

    core: int
    source: str
    region: Region
    first: int
    """First input axon."""
    memory: tuple[int, ...]
    """Numbers of the memory blocks that hold the rows of the axons."""
    grouped: tuple[int, ...] = ()
    """Numbers of slices whose neurons in the region that send to no other core share population
    axons: one, or one for each column of a convolution. Their rows lie side by side, all as large
    as the largest."""
    size: int = 0
    """Number of axons; 0: as many as the region has neurons."""

    @property
    def count(self) -> int:
        """Number of axons."""
        return self.size or self.region.size


@dataclass(frozen=True, eq=False)
class Tables:
    """All cores' tables. `routes` has one line per (slice, axon block it sends to)."""

    memory: tuple[MemoryBlock, ...] = ()
    axons: tuple[AxonBlock, ...] = ()
    routes: NDArray[np.int32] | None = None
    """Shape (routes, 4): slice, axon block, neurons of the slice in its region, first output axon
    of the slice's core: each of these neurons has one, but for those that share one. On Loihi 2
    routes of one projection out of a slice have the same output axons."""

    def __eq__(self, other: object) -> bool:
        """Compare content."""
        if not isinstance(other, Tables):
            return NotImplemented
        same = (self.memory, self.axons) == (other.memory, other.axons)
        return same and np.array_equal(self.lines, other.lines)

    def __str__(self) -> str:
        """Text form, in numbers only; that of a Design has names instead."""
        return format_tables(self)

    @property
    def lines(self) -> NDArray[np.int32]:
        """The routes, an empty table if there are none."""
        return np.zeros((0, 4), np.int32) if self.routes is None else self.routes


def format_tables(
    tables: Tables,
    projections: Sequence[str] = (),
    slices: Sequence[str] = (),
    cores: Sequence[int] = (),
) -> str:
    """Return the text form of all tables.

    Args:
        tables: the tables.
        projections: name of each projection of the network; numbers are written if empty.
        slices: name of each slice of the mapping; numbers are written if empty.
        cores: core of each slice; not written if empty.
    """
    names = _Names(projections, slices)
    lines = [_format_memory(block, names) for block in tables.memory]
    lines += [_format_axons(block, tables, names) for block in tables.axons]
    for number, block, neurons, first in tables.lines.tolist():
        core = f"core {cores[number]}: " if cores else ""
        end = tables.axons[block]
        lines.append(
            f"{core}output axons from {first} for {neurons:,} neurons of {names.slice(number)}"
            f" to core {end.core}, input axons {_format_span(end.first, end.count)}"
        )
    return "".join(f"{line}\n" for line in lines)


class _Names:
    """Names of projections and slices."""

    def __init__(self, projections: Sequence[str], slices: Sequence[str]) -> None:
        """Take the names; without them numbers are written."""
        self._projections, self._slices = projections, slices

    def projection(self, number: int) -> str:
        return self._projections[number] if self._projections else f"projection {number}"

    def slice(self, number: int) -> str:
        return self._slices[number] if self._slices else f"slice {number}"


def _format_memory(block: MemoryBlock, names: _Names) -> str:
    bits = f", {block.weight_bits}-bit weights" if block.weight_bits else ""
    flags = {"shared rows": block.shared, "shared signs": block.shared_sign}
    flags["by columns"] = block.columns
    more = "".join(f", {flag}" for flag, on in flags.items() if on)
    return (
        f"core {block.core}: synapses {_format_span(block.first, block.words)} of"
        f" {names.projection(block.projection)} into {names.slice(block.slice)}: {block.format},"
        f" delay {block.delay}{bits}{more}"
    )


def _format_axons(block: AxonBlock, tables: Tables, names: _Names) -> str:
    ends = (tables.memory[number] for number in block.memory)
    rows = ", ".join(_format_span(end.first, end.words) for end in ends) or "none"
    groups = ", ".join(names.slice(number) for number in block.grouped)
    shared = f", population axons for {groups}" if groups else ""
    return (
        f"core {block.core}: input axons {_format_span(block.first, block.count)} of"
        f" {block.source}{block.region} to synapses {rows}{shared}"
    )


def _format_span(first: int, count: int) -> str:
    """Return `0..3`, `0` or `none`, with both ends in it."""
    if count < 2:
        return str(first) if count else "none"
    return f"{first}..{first + count - 1}"
