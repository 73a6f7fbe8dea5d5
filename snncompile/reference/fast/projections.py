"""Ways to compute what a projection brings, each exact in 32 bits; the fastest one is chosen.

A way takes what the source sends, shape (rows, source) in its layout, and writes the sums of
weights, shape (rows, target), without the exponent. A row is a time step of a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from snncompile.neurons.base import Interval
from snncompile.reference.fast.base import Ways
from snncompile.reference.fast.convolution import _convolution
from snncompile.reference.fast.layout import in_layouts
from snncompile.reference.fast.matrix import _dense
from snncompile.reference.fast.source_range import from_range
from snncompile.reference.fast.sparse import _scale, _sparse
from snncompile.reference.synapses import arriving_bound
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse, unroll_synapses


def ways(synapses: IntegerSynapses, payload: Interval, source: int, target: int) -> Ways | None:
    """Return the ways of a projection between neurons in these layouts.

    None if a sum or a payload needs more than 32 bits.
    """
    if synapses.exponent < -31 or arriving_bound(synapses, payload) >= 2**31:
        return None
    wiring = synapses.wiring
    if isinstance(wiring, SourceRange):
        part = ways(replace(synapses, wiring=wiring.part), payload, 1, target)
        return part and from_range(part, wiring, source)
    if isinstance(wiring, Convolution):
        return _convolution(wiring, synapses, payload, source, target)
    if type(wiring) not in _ROWS:
        synapses = unroll_synapses(synapses)
    there = in_layouts(synapses, source, target)
    return _ROWS[type(synapses.wiring)](there, payload)


_ROWS: dict[type, Callable[[IntegerSynapses, Interval], Ways]] = {
    Dense: _dense,
    Sparse: _sparse,
    Scale: _scale,
}
"""By wiring of its own before the layouts; other wirings are unrolled."""
