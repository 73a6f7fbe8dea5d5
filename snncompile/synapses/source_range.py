"""A wiring that begins at some of the sources: one part of a split projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.synapses.base import IntegerSynapses, Shape, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import AnySynapses, Sparse


@dataclass(frozen=True, eq=False)
class SourceRange(Wiring):
    """Source neuron i of `part` is source neuron `first + i`; the others have no synapse.

    A dense wiring or a convolution keeps its kind when its sources are split, without unrolling.
    A convolution is split between channels.
    """

    part: Wiring
    first: int
    sources_in_all: int

    kind: ClassVar[str] = "source_range"

    def __post_init__(self) -> None:
        """Refuse a part that is no wiring or a range itself, and a range outside the sources."""
        if not isinstance(self.part, Wiring) or isinstance(self.part, SourceRange):
            raise ValueError("source_range: its part has to be a wiring that is no range itself")
        if not 0 <= self.first <= self.sources_in_all - self.part.sources:
            raise ValueError(
                f"source_range: {self.part.sources} sources from {self.first} on are outside"
                f" 0..{self.sources_in_all - 1}"
            )

    @property
    def sources(self) -> int:
        """Number of source neurons, including those without a synapse."""
        return self.sources_in_all

    @property
    def targets(self) -> int:
        """Number of target neurons."""
        return self.part.targets

    @property
    def weight_shape(self) -> Shape:
        """Shape of the weights of `part`."""
        return self.part.weight_shape

    @property
    def stop(self) -> int:
        """One past the last source with a synapse."""
        return self.first + self.part.sources

    @property
    def plain(self) -> Wiring:
        """The wiring of the range itself."""
        return self.part

    def __str__(self) -> str:
        """Text form: `dense 10x8 from 8:16 of 20`."""
        return f"{self.part} from {self.first}:{self.stop} of {self.sources_in_all}"

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.part.synapses

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron."""
        return self.part.fan_in

    @property
    def units(self) -> tuple[int, int] | None:
        """Units of the range; None where the range or all sources are not whole units."""
        units = self.part.units
        if units is None or self.first % units[0] or self.sources_in_all % units[0]:
            return None
        return units

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]] | None:
        """Return the remaining range, which may begin earlier."""
        if (len(target), len(source)) == (self.targets, self.sources):
            return self, weight
        begin, end = np.searchsorted(source, (self.first, self.stop)).tolist()
        left = self.part.keep(weight, source[begin:end] - self.first, target)
        return left and (SourceRange(left[0], begin, len(source)), left[1])

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons."""
        count = np.zeros(self.sources_in_all, np.int64)
        count[self.first : self.stop] = self.part.fan_out(targets)
        return count

    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a sparse matrix."""
        return self._shift(self.part.matrix(weight))

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        return self._shift(self.part.rows(weight, targets))

    def _shift(self, matrix: csr_array) -> csr_array:
        """Return synapses of the range, with sources counted from the first of all."""
        parts = (matrix.data, matrix.indices + self.first, matrix.indptr)
        return csr_array(parts, shape=(matrix.shape[0], self.sources))


def count_splits(wiring: Wiring) -> int:
    """Return the number of parts into which the sources split without unrolling; 1 for none.

    A dense wiring between any two neurons, a convolution between channels.
    """
    plain = wiring.plain
    if isinstance(plain, Dense):
        return plain.source
    if isinstance(plain, Convolution) and plain.groups == 1:
        return plain.source_shape[0]
    return 1


def split(synapses: IntegerSynapses, count: int) -> tuple[IntegerSynapses, ...]:
    """Return the synapses of about equal parts of the sources, in order, each with its range.

    Args:
        synapses: of a wiring that can be split.
        count: of parts, at most `count_splits` of the wiring.
    """
    limit, wiring = count_splits(synapses.wiring), synapses.wiring
    edges = [limit * i // count for i in range(count + 1)]
    assert 1 <= count <= limit
    first = wiring.first if isinstance(wiring, SourceRange) else 0
    size = wiring.plain.sources // limit
    parts = []
    for start, stop in pairwise(edges):
        narrow = _narrow(wiring.plain, stop - start)
        source_range = SourceRange(narrow, first + start * size, wiring.sources)
        parts.append(replace(synapses, wiring=source_range, weight=synapses.weight[:, start:stop]))
    return tuple(parts)


def split_list(synapses: AnySynapses, per_range: int) -> tuple[AnySynapses, ...]:
    """Return the synapses of a sparse wiring by ranges of sources, in order; none is empty.

    Args:
        synapses: of a `Sparse` wiring.
        per_range: sources of a range.
    """
    wiring = synapses.wiring
    assert isinstance(wiring, Sparse)
    order = np.argsort(wiring.source, kind="stable")
    target, source = wiring.target[order], wiring.source[order]
    weight, parts = synapses.weight[order], []
    for first in range(0, wiring.sources, per_range):
        size = min(per_range, wiring.sources - first)
        begin, end = np.searchsorted(source, (first, first + size))
        if begin < end:
            narrow = Sparse(target[begin:end], source[begin:end] - first, wiring.targets, size)
            whole = SourceRange(narrow, first, wiring.sources)
            parts.append(replace(synapses, wiring=whole, weight=weight[begin:end]))
    return tuple(parts)


def _narrow(wiring: Wiring, count: int) -> Wiring:
    """Return a wiring with fewer sources, or source channels."""
    if isinstance(wiring, Dense):
        return Dense(wiring.target, count)
    assert isinstance(wiring, Convolution)
    return replace(wiring, source_shape=(count, *wiring.source_shape[1:]))


def find_image(wiring: Wiring) -> tuple[Shape, int] | None:
    """Return the shape of all sources as a convolution sees them, and the first channel it reads.

    None if it is no convolution, or begins inside a channel.
    """
    if not isinstance(wiring.plain, Convolution):
        return None
    space = wiring.plain.source_shape[1:]
    first = wiring.first if isinstance(wiring, SourceRange) else 0
    if first % prod(space) or wiring.sources % prod(space):
        return None
    return (wiring.sources // prod(space), *space), first // prod(space)
