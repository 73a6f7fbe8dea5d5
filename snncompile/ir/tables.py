"""What is written into a mapped network's cores: synaptic memory, input axons, output axons.

The tables are compact: a convolution's rows are not written out, they follow from its kernel and
the box it ends in. Every entry of the chip's tables is numbered nevertheless: the axon of neuron i
of a region is the first axon plus i, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.region import Region


@dataclass(frozen=True)
class MemoryBlock:
    """Words of a core that hold the synapses of one projection into one slice."""

    core: int
    projection: int
    """Place of the projection in the network."""
    slice: int
    """Place of the slice in the mapping."""
    first: int
    """First word."""
    words: int
    format: str
    """How the rows are written."""
    shared: bool
    """Whether sources with equal rows share them, each counting targets from its own base."""
    delay: int
    """Time steps from a spike of the source to its effect, 1 or more."""
    weight_bits: int = 0
    """Stored per weight; 0: as many as the projection's weights have."""
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

    Neurons that share an axon have none of their own; shared ones follow at the end.
    """

    core: int
    source: str
    region: Region
    first: int
    """First input axon."""
    memory: tuple[int, ...]
    """Places of the memory blocks in which the axons find their rows."""
    grouped: tuple[int, ...] = ()
    """Places of slices whose neurons in the region that send to no other core share population
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
    of the slice's core: each of these neurons has one, but for those that share one."""

    def __eq__(self, other: object) -> bool:
        """Compare content."""
        if not isinstance(other, Tables):
            return NotImplemented
        same = (self.memory, self.axons) == (other.memory, other.axons)
        return same and np.array_equal(self.lines, other.lines)

    def __str__(self) -> str:
        """Text form, in numbers only; that of a Design has names instead."""
        from snncompile.ir import table_text

        return table_text.tables_text(self)

    @property
    def lines(self) -> NDArray[np.int32]:
        """The routes, an empty table if there are none."""
        return np.zeros((0, 4), np.int32) if self.routes is None else self.routes
