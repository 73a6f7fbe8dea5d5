"""Everything the compiler knows so far; what passes take and return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Network
from snncompile.ir.mapping import Mapping
from snncompile.ir.reports import QuantizedLayer


@dataclass(frozen=True, eq=False)
class Design:
    """A network, the chip it is meant for, and the decisions taken so far."""

    network: Network | IntegerNetwork
    chip: Chip
    calibration: NDArray[Any] | None = None
    """Spikes of shape (samples, steps, *input.shape), or None."""
    quantized: tuple[QuantizedLayer, ...] = ()
    """Filled by `quantize`; empty if the network came as integers."""
    mapping: Mapping = field(default_factory=Mapping)
    """Slices filled by `partition`, sites by `place`."""
    log: tuple[str, ...] = ()
    """What each pass did, or why it did nothing."""
