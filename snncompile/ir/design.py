"""The argument and result of every pass: a network, its chip and the decisions so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Network
from snncompile.ir.loss import Loss
from snncompile.ir.mapping import Mapping
from snncompile.ir.reports import QuantizedLayer
from snncompile.ir.tables import format_tables


@dataclass(frozen=True, eq=False)
class Design:
    """A network, the chip it is meant for, and the decisions taken so far."""

    network: Network | IntegerNetwork
    chip: Chip
    calibration: NDArray[Any] | None = None
    """Spikes of shape (samples, steps, *input.shape), or None."""
    quantized: tuple[QuantizedLayer, ...] = ()
    """Filled by `quantize`; empty if the network came as integers."""
    floats: Network | None = None
    """Filled by `quantize`: the float network that the integers were made of."""
    one_scale: Callable[[], tuple[IntegerNetwork, tuple[QuantizedLayer, ...]]] | None = None
    """Filled by `quantize` where scales per neuron rest on an assumption on the chip: makes the
    network with one scale per population, to compare with; it may raise QuantizeError."""
    loss: Loss = field(default_factory=Loss)
    """Filled by `measure`: how far the two part."""
    kept: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Filled by `prune`: remaining flattened neurons of each population that is smaller now."""
    mapping: Mapping = field(default_factory=Mapping)
    """Slices filled by `partition`, sites by `place`."""
    log: tuple[str, ...] = ()
    """Lines of each pass: its changes, or why it made none."""

    def __str__(self) -> str:
        """Text form: the chip, the network, the mapping and its tables, as far as they exist."""
        mapping = self.mapping
        projections = [f"{p.source} -> {p.target}" for p in self.network.projections]
        slices = [s.where for s in mapping.slices]
        tables = format_tables(
            mapping.tables, projections, slices, [s.core for s in mapping.slices]
        )
        kept = "".join(
            f"kept {name} [{' '.join(map(str, neurons))}]\n" for name, neurons in self.kept.items()
        )
        return f"chip {self.chip.name}\n{self.network}{kept}{mapping}{tables}"
