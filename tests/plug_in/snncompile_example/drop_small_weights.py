"""Make small weights zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.base import Pass
from snncompile.passes.contracts import find_lost_population, require_integers, require_no_slices
from snncompile.synapses.base import IntegerSynapses


@dataclass(frozen=True)
class DropSmallWeights(Pass):
    """Make weights zero that are too small to matter.

        weights 30 -2 10, below 4          ->      weights 30 0 10

    Requires: an integer network that is not cut yet.
    Ensures: every population stays.
    """

    below: int = 4
    """Smallest magnitude that is kept."""

    name: ClassVar[str] = "drop_small_weights"

    def requires(self, design: Design) -> str:
        """Ask for an integer network that is not cut yet."""
        return require_integers(design) or require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise that every population stays."""
        lost = find_lost_population(before.network, after.network)
        return f"that every population stays: {lost}" if lost else ""

    def __call__(self, design: Design) -> Design:
        """Drop the weights."""
        assert isinstance(design.network, IntegerNetwork)
        projections, dropped = [], 0
        for p in design.network.projections:
            assert isinstance(p.synapses, IntegerSynapses)
            weight = p.synapses.weight
            small = (np.abs(weight) < self.below) & (weight != 0)
            dropped += int(small.sum())
            synapses = replace(p.synapses, weight=np.where(small, 0, weight))
            projections.append(replace(p, synapses=synapses))
        if not dropped:
            return self.done(design, f"no weight is below {self.below}")
        network = replace(design.network, projections=tuple(projections))
        return self.done(design, f"dropped {dropped:,} weights", network=network)
