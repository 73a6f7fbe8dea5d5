"""One population as integers, as the quantizer chose them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snncompile.ir.graph import Population, Projection
from snncompile.ir.reports import QuantizedLayer


@dataclass(frozen=True, eq=False)
class Choice:
    """A population and the projections that end at it, as integers, and how far they are off."""

    population: Population
    projections: tuple[Projection, ...]
    report: QuantizedLayer
    scale: Any
    """Integer potential per float potential, one or one per neuron."""
