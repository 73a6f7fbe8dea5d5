"""The contract that all passes which cut a network keep."""

from __future__ import annotations

from snncompile.ir.design import Design
from snncompile.passes.base import Pass
from snncompile.passes.contracts import find_wrong_slices, require_delays, require_integers


class CuttingPass(Pass):
    """A pass that fills the slices of the mapping; three ways to cut, one contract."""

    def requires(self, design: Design) -> str:
        """Ask for an integer network, retimed."""
        return require_integers(design) or require_delays(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise every neuron in one slice; `compile` lets the checker count every core."""
        wrong = find_wrong_slices(after)
        return f"that every neuron is in one slice: {wrong}" if wrong else ""
