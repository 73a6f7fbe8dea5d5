"""Ways to compute the accumulated input of a projection, exact in 32 bits; the fastest is chosen.

A way takes the source's spikes, shape (rows, source) in its layout, and writes the sums of weights,
shape (rows, target), without the exponent. A row is a time step of a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from snncompile.neurons.base import Interval
from snncompile.reference.fast.base import Ways
from snncompile.reference.fast.convolution import build_convolution_ways
from snncompile.reference.fast.layout import reorder_synapses
from snncompile.reference.fast.matrix import build_dense_ways
from snncompile.reference.fast.source_range import take_range
from snncompile.reference.fast.sparse import build_scale_ways, build_sparse_ways
from snncompile.reference.synapses import bound_arriving_input
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse, unroll_synapses


def build_ways(
    synapses: IntegerSynapses, payload: Interval, source: int, target: int
) -> Ways | None:
    """Return the ways of a projection between neurons in these layouts.

    None if a sum or a payload needs more than 32 bits.
    """
    if synapses.exponent < -31 or bound_arriving_input(synapses, payload) >= 2**31:
        return None
    wiring = synapses.wiring
    if isinstance(wiring, SourceRange):
        ways = build_ways(replace(synapses, wiring=wiring.part), payload, 1, target)
        return ways and take_range(ways, wiring, source)
    if isinstance(wiring, Convolution):
        return build_convolution_ways(wiring, synapses, payload, source, target)
    if type(wiring) not in _ROWS:
        synapses = unroll_synapses(synapses)
    reordered = reorder_synapses(synapses, source, target)
    return _ROWS[type(synapses.wiring)](reordered, payload)


_ROWS: dict[type, Callable[[IntegerSynapses, Interval], Ways]] = {
    Dense: build_dense_ways,
    Sparse: build_sparse_ways,
    Scale: build_scale_ways,
}
"""Ways by wiring, before the layouts; other wirings are unrolled."""
