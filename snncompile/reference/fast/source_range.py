"""Ways from a range of a source's neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from snncompile.arrays import Array
from snncompile.reference.fast.layout import change_layout
from snncompile.synapses.source_range import SourceRange

if TYPE_CHECKING:
    from snncompile.reference.fast.base import Scratch, Way, Ways


@dataclass(frozen=True, eq=False)
class RangeWay:
    """A way from a range of the sources, in their own order."""

    way: Way
    wiring: SourceRange
    layout: int
    """Channels of the source if it is kept channels last, else 1."""

    def fill(self, train: Array, total: Array, scratch: Scratch) -> None:
        """Write the sums of all rows to `total`, int32."""
        own_order = change_layout(train, self.layout, 1)[..., self.wiring.first : self.wiring.stop]
        self.way.fill(np.ascontiguousarray(own_order), total, scratch)


def take_range(ways: Ways, wiring: SourceRange, layout: int) -> Ways:
    """Return the ways of a range of the sources, from the ways of the wiring on that range."""
    events = ways.events and RangeWay(ways.events, wiring, layout)
    product = RangeWay(ways.product, wiring, layout)
    return replace(ways, product=product, events=events, row_bytes=ways.row_bytes + wiring.sources)
