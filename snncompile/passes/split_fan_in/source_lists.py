"""Lists of synapses from more sources than a core of Loihi 2 has input axons for.

Its compiler counts an input axon for every source of a list, whatever a core reads of it; see
`cores/port_entries.py`. So a list is several, from a range of sources each:

    a (64 x 16 x 16) -list-> b        ->      a[0:4096] -> b, a[4096:8192] -> b ...

A one-to-one projection is a list too, unless it is a kernel of one tap: one weight for all, or one
per channel of an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from snncompile.cores.port_entries import count_sources
from snncompile.cores.synapses_of_slice import is_constant_per_channel
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange, find_image, split_list
from snncompile.synapses.sparse import Sparse, unroll, unroll_synapses
from snncompile.synapses.transposed_convolution import TransposedConvolution
from snncompile.synapses.weight_formats import weight_step

SHARE = 4
"""Each range takes at most this part of the input axons of a core."""
STRUCTURED = (Convolution, Dense, Scale, TransposedConvolution)
"""Wirings that are no lists; those of plug-ins are."""


def split_wide_lists(network: IntegerNetwork, chip: Chip) -> IntegerNetwork:
    """Return the network with several projections for each list of too many sources.

    Every sum is the same: a list is left as it is where a neuron has synapses in several ranges and
    its sum is rounded.
    """
    axons = chip.core.axons_in.whole
    if chip.headed_rows is None or axons is None:
        return network
    wide = {id(p) for q in network.populations for p in _find_wide(network, q, axons)}
    if not wide:
        return network
    projections = tuple(
        piece
        for p in network.projections
        for piece in (_split(network, p, axons) if id(p) in wide else (p,))
    )
    if len(projections) == len(network.projections):
        return network
    return replace(network, projections=projections)


def _find_wide(network: IntegerNetwork, target: Population, axons: int) -> Iterator[Projection]:
    """Yield the lists to split: a neuron hears lists of more sources than a core has axons."""
    into = network.into(target.name)
    lists = {
        p: count_sources(p.synapses.wiring)
        for p in into
        if (_is_single(network, target, p) if isinstance(p.synapses.wiring, Scale) else _is_list(p))
    }
    if sum(lists.values()) <= axons:
        return
    targets = {p: np.unique(unroll(p.synapses.wiring).wiring.target) for p in lists}
    heard = np.zeros(max(t.max(initial=0) for t in targets.values()) + 1, np.int64)
    for p, sources in lists.items():
        heard[targets[p]] += sources
    for p, sources in lists.items():
        if sources > axons // SHARE and (heard[targets[p]] > axons).any():
            yield p


def _is_list(projection: Projection) -> bool:
    wiring = projection.synapses.wiring
    is_range = isinstance(wiring, SourceRange) and isinstance(wiring.plain, Sparse)
    return not (is_range or isinstance(wiring.plain, STRUCTURED) or projection.rule is not None)


def _is_single(network: IntegerNetwork, target: Population, projection: Projection) -> bool:
    """Whether a one-to-one projection is no kernel of one tap, as boxes of an image read it."""
    wiring, shape = projection.synapses.wiring, target.shape
    if projection.rule is not None or (isinstance(wiring, Scale) and not wiring.per_neuron):
        return False
    into, out = network.into(target.name), network.out_of(target.name)
    boxes = any(not isinstance(p.synapses.wiring, Scale) for p in into) or any(
        find_image(p.synapses.wiring) for p in out
    )
    image = len(shape) > 1 and boxes
    return not (image and is_constant_per_channel(projection.synapses, shape[0]))


def _split(network: IntegerNetwork, projection: Projection, axons: int) -> Iterator[Projection]:
    assert isinstance(projection.synapses, IntegerSynapses)
    synapses = unroll_synapses(projection.synapses)
    per_range = _choose_size(network.end(projection.source).shape, axons // SHARE)
    if not _keeps_sums(synapses, per_range):
        yield projection
        return
    for some in split_list(synapses, per_range):
        yield replace(projection, synapses=some)


def _choose_size(shape: tuple[int, ...], largest: int) -> int:
    """Return the sources of a range: whole channels, if one is small enough."""
    places = prod(shape[1:])
    return max(1, largest // places * places or largest)


def _keeps_sums(synapses: IntegerSynapses, per_range: int) -> bool:
    """Whether sums of ranges add up to the sum of all, though each is rounded alone."""
    wiring = synapses.wiring
    assert isinstance(wiring, Sparse)
    if synapses.sum_bits is not None:
        return False
    if synapses.exponent >= 1 - weight_step(synapses.bits).bit_length():
        return True
    pairs = np.unique(wiring.target * np.int64(wiring.sources) + wiring.source // per_range)
    return len(pairs) == len(np.unique(wiring.target))
