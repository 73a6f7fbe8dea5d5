"""Maximum pools of concatenated layers, taken apart: one pool per layer, and then side by side."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from snncompile.conversion.ann import Ann, Layer, LayerTerm, Maximum
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.restrict import list_single_targets
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

Parts = tuple[tuple[Layer, int], ...]
"""Pools of whole channels, each with the number of its first channel."""


def split_pools(ann: Ann) -> Ann:
    """Return the network in which a pool of several layers side by side is one pool for each.

    max(concatenate(a, b)) = concatenate(max(a), max(b)), where each has whole channels.
    """
    layers: list[Layer] = []
    parts: dict[str, Parts] = {}
    for layer in ann.layers:
        read = _read_parts(layer, parts)
        own = _split(read, {other.name for other in ann.layers})
        if own:
            parts[layer.name] = own
            layers += [pool for pool, _ in own]
        else:
            layers.append(read)
    return replace(ann, layers=tuple(layers)) if parts else ann


def _split(layer: Layer, names: set[str]) -> Parts:
    """Return the pools of the layers that a pool reads; none where they are not side by side."""
    pool = layer.operation
    if not isinstance(pool, Maximum) or len(layer.terms) < 2 or layer.bias.any():
        return ()
    places, following = prod(pool.shape[1:]), 0
    parts: list[tuple[Layer, int]] = []
    ordered = sorted(layer.terms, key=lambda term: _find_first(term.synapses))
    for number, term in enumerate(ordered, 1):
        single, size = list_single_targets(term.synapses), term.synapses.wiring.sources
        if single is None or (single[1] != 1).any() or size % places:
            return ()
        if not np.array_equal(single[0], np.arange(following, following + size)):
            return ()
        channels = size // places
        one_to_one = LayerTerm(term.source, Synapses(Scale(size), np.asarray(1.0)))
        name = f"{layer.name}_of{number}"
        while name in names:
            name += "_"
        shape = (channels, *layer.shape[1:])
        operation = replace(pool, shape=(channels, *pool.shape[1:]))
        own = Layer(name, shape, (one_to_one,), np.zeros(size), path=layer.path)
        parts.append((replace(own, operation=operation), following // places))
        following += size
    return tuple(parts) if following == prod(pool.shape) else ()


def _find_first(synapses: Synapses) -> int:
    wiring = synapses.wiring
    return int(wiring.target.min()) if isinstance(wiring, Sparse) and wiring.target.size else -1


def _read_parts(layer: Layer, parts: dict[str, Parts]) -> Layer:
    """Return a layer that reads the pools of a pool that was taken apart."""
    terms: list[LayerTerm] = []
    for term in layer.terms:
        pools = parts.get(term.source, ())
        whole = sum(pool.size for pool, _ in pools)
        for pool, first in pools:
            source = np.arange(pool.size, dtype=np.int32)
            target = first * prod(pool.shape[1:]) + source
            placement = Sparse(target, source, whole, pool.size)
            side_by_side = Synapses(placement, np.ones(pool.size))
            terms.append(LayerTerm(pool.name, compose(term.synapses, side_by_side)))
        if not pools:
            terms.append(term)
    return replace(layer, terms=tuple(terms))
