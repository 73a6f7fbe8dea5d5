"""Ways that take a range of what a source sends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from snncompile.arrays import Array
from snncompile.reference.fast.layout import turned
from snncompile.synapses.source_range import SourceRange

if TYPE_CHECKING:
    from snncompile.reference.fast.base import Scratch, Way, Ways


@dataclass(frozen=True, eq=False)
class Ranged:
    """A way from a range of the sources, which it wants in their own order."""

    way: Way
    wiring: SourceRange
    layout: int
    """Channels of the source if it is kept channels last, else 1."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""
        there = turned(train, self.layout, 1)[..., self.wiring.first : self.wiring.stop]
        self.way.fill(np.ascontiguousarray(there), total, scratch)


def from_range(part: Ways, wiring: SourceRange, layout: int) -> Ways:
    """Return the ways of a range of the sources, from those of its part alone."""
    events = part.events and Ranged(part.events, wiring, layout)
    product = Ranged(part.product, wiring, layout)
    return replace(part, product=product, events=events, row_bytes=part.row_bytes + wiring.sources)
