"""The arrays of an emitted folder, and the text with which `network.py` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava.python_text import quote, write_shape
from snncompile.errors import BackendError
from snncompile.ir.graph import Projection
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.weight_formats import weight_step


@dataclass(frozen=True)
class WrittenArrays:
    """Collects the arrays of `weights.npz`; each method returns the text that reads its array."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Name in the file to array."""

    def store(self, name: str, value: NDArray[Any]) -> str:
        """Return the text of an array that goes to the file."""
        self.arrays[name] = value
        return f"ARRAYS[{quote(name)}]"

    def write_number(self, name: str, value: NDArray[Any]) -> str:
        """Return a number as text; numbers that differ go to the file."""
        if (value == value.flat[0]).all():
            return str(int(value.flat[0]))
        return self.store(name, value)

    def write_matrix(self, name: str, synapses: IntegerSynapses) -> str:
        """Return the text of a matrix (target, source) in scipy's csr format."""
        matrix = synapses.wiring.matrix(synapses.weight)
        matrix.sort_indices()
        self.arrays[f"{name}.data"] = matrix.data
        for array in ("indices", "indptr"):
            self.arrays[f"{name}.{array}"] = getattr(matrix, array).astype(np.int32)
        return f"sparse({quote(name)}, {write_shape(matrix.shape)})"


def check_synapses(projection: Projection) -> IntegerSynapses:
    """Return the synapses of a projection that Lava computes as we do.

    Raises:
        BackendError: its delay is 0, or Lava would change its weights.
    """
    where, synapses = f"projection {projection.source} -> {projection.target}", projection.synapses
    assert isinstance(synapses, IntegerSynapses), "an IntegerNetwork has no others"
    if projection.delay < 1:
        raise BackendError(
            f"{where}: delay {projection.delay}, but a synapse of Lava takes one time step;"
            " compile the network first"
        )
    step = 1 if projection.rule else weight_step(synapses.bits)
    low, high = synapses.weight.min(initial=0), synapses.weight.max(initial=0)
    if np.any(synapses.weight % step) or low < -256 or high > 255:
        raise BackendError(
            f"{where}: Lava would change its weights; with {synapses.bits} bits they must be"
            f" multiples of {step} in -256..255"
        )
    return synapses
