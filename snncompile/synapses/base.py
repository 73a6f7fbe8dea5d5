"""The interface of a wiring: the source, the target and the weight of every synapse.

A new wiring is a frozen dataclass (`eq=False`) under `Wiring`, and a row in the table `wirings` of
the registry or an entry point of the group `snncompile.wirings`; nothing else. It has to offer

    kind                       its row in the registry
    sources, targets           numbers of neurons
    weight_shape               shape of the array of weights; several synapses may share a weight
    matrix(weight)             all synapses, a csr_array of shape (target, source): each entry is
                               one of the weights as it is, those of zero too; columns of a row rise
    its fields                 whole numbers, tuples of these, arrays of numbers, another wiring:
                               files hold the fields by name and build the wiring from them

Everything else follows from the matrix: code without a faster way for a wiring unrolls it synapse
by synapse (`sparse.unroll`) and treats it as a `Sparse`. A wiring may also offer

    synapses, fan_in, fan_out  to count them without unrolling
    rows                       to unroll those of some targets only
    units, keep                to keep its kind where neurons are pruned; else it becomes `Sparse`
    regular                    to be cut into ranges of one size, not by shared sources
    __str__                    to show more than its size in the text form of a network

The faster ways of dense, convolution, sparse, scale and source range are rows in tables beside the
code they speed up (`BINDERS` in `reference/synapses.py` is the first).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Wiring(ABC):
    """Geometry of a projection; the weights are kept beside it, as floats or as integers."""

    kind: ClassVar[str]
    """Row of the wiring in the registry."""
    regular: ClassVar[bool] = False
    """Whether slices of one size take the same of a core, except at the border."""
    largest_list: ClassVar[int | None] = None
    """Largest number of synapses that may be unrolled one by one; None: any."""

    @property
    @abstractmethod
    def sources(self) -> int:
        """Number of source neurons."""

    @property
    @abstractmethod
    def targets(self) -> int:
        """Number of target neurons."""

    @property
    @abstractmethod
    def weight_shape(self) -> Shape:
        """Shape of the array of weights."""

    @property
    def plain(self) -> Wiring:
        """The wiring itself; where it begins at a range of the sources, that of the range alone."""
        return self

    def __str__(self) -> str:
        """Text form: `dense 10x64`, targets by sources unless a wiring shows more."""
        return f"{self.kind} {self.targets}x{self.sources}"

    @cached_property
    def pattern(self) -> csr_array:
        """All synapses as a matrix of ones of shape (target, source)."""
        return self.matrix(np.ones(self.weight_shape, np.int8))

    @property
    def synapses(self) -> int:
        """Number of synapses, including those of weight zero."""
        return len(self.pattern.indices)

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Synapses of each target neuron, shape (targets,)."""
        return np.asarray(np.diff(self.pattern.indptr), np.int64)

    @property
    def units(self) -> tuple[int, int] | None:
        """Consecutive source and target neurons that can only be removed together; None: none can.

        Removing other neurons would change the kind of the wiring.
        """
        return 1, 1

    def fan_out(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of synapses of each source to some target neurons."""
        return np.bincount(self.pattern[targets].indices, minlength=self.sources)

    @abstractmethod
    def matrix(self, weight: NDArray[Any]) -> csr_array:
        """Return the weights as a sparse matrix of shape (target, source).

        A weight of zero is a synapse too and is kept as an explicit zero.
        """

    def rows(self, weight: NDArray[Any], targets: NDArray[np.int64]) -> csr_array:
        """Return the rows of the matrix of some targets, shape (len(targets), sources)."""
        return csr_array(self.matrix(weight)[targets])

    def keep(
        self, weight: NDArray[Any], source: NDArray[np.int64], target: NDArray[np.int64]
    ) -> tuple[Wiring, NDArray[Any]] | None:
        """Return wiring and weights between some of the neurons; None: no wiring of this kind fits.

        Args:
            weight: shape `weight_shape`.
            source: remaining sources, rising and in whole units; renumbered 0, 1, ...
            target: remaining targets, likewise.
        """
        return None


@dataclass(frozen=True, eq=False)
class Synapses:
    """Wiring with float weights."""

    wiring: Wiring
    weight: NDArray[np.float64]
    """Shape `wiring.weight_shape`."""

    def __post_init__(self) -> None:
        """Copy and freeze the weights; check their shape."""
        object.__setattr__(self, "weight", freeze(self.weight, np.float64))
        check_shape(self.wiring, self.weight)


@dataclass(frozen=True, eq=False)
class IntegerSynapses:
    """Wiring with integer weights, as in Lava's fixed-point `Dense`.

    The accumulated input is sum(weight * spike) * 2^exponent; a negative exponent rounds the sum
    down (towards minus infinity), as Lava's right shift does. A spike counts as its payload:
    in Lava only with message bits; without them Lava reads every payload as 1, and two sources at
    one input as one spike.
    """

    wiring: Wiring
    weight: NDArray[np.int16]
    """Shape `wiring.weight_shape`, -256..255; with b bits all are multiples of 2^(9 - b)."""
    exponent: int
    bits: int
    """Bits of a weight including its sign."""
    sum_bits: int | None = None
    """Bits to which the accumulated input of a step wraps, the sign among them: 24 for Lava's Conv,
    where bounds do not show that it fits. None: it does not wrap."""

    def __post_init__(self) -> None:
        """Copy and freeze the weights; check their shape, refuse values beyond 16 bits."""
        weight = np.asarray(self.weight)
        if weight.dtype != np.int16 and not _fits_16_bits(weight):
            raise InputError("weights must be whole numbers from -32768 to 32767")
        object.__setattr__(self, "weight", freeze(weight, np.int16))
        check_shape(self.wiring, self.weight)


def _fits_16_bits(weight: NDArray[Any]) -> bool:
    return bool(((weight >= -(2**15)) & (weight < 2**15) & (weight % 1 == 0)).all())


def check_shape(wiring: Wiring, weight: NDArray[Any]) -> None:
    """Refuse weights of another shape than the wiring's."""
    if weight.shape != wiring.weight_shape:
        raise ValueError(
            f"{wiring.kind} weights have shape {weight.shape}, expected {wiring.weight_shape}"
        )


def freeze(array: Any, dtype: type) -> NDArray[Any]:
    """Return a read-only copy in C order."""
    copied: NDArray[Any] = np.array(array, dtype=dtype, order="C")
    copied.flags.writeable = False
    return copied
