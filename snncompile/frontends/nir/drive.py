"""Drive of a node of a NIR graph, multiplied out: sources, delays, synapses, and a bias."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.nir.file import Node
from snncompile.frontends.nir.stateless_nodes import NodeMap
from snncompile.neurons.base import BINARY
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose, merge
from snncompile.synapses.scale import Scale


@dataclass(frozen=True, eq=False)
class NirTerm:
    """Synapses from one source, with a delay."""

    source: str
    """Name of the neuron node or of the input."""
    delay: int
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Drive:
    """The sum of terms, plus a bias."""

    terms: tuple[NirTerm, ...]
    bias: Floats
    """One per value."""


def send_spikes(source: str, shape: Shape) -> Drive:
    """Return the spikes of a source as they are."""
    size = prod(shape)
    return Drive((NirTerm(source, 0, Synapses(Scale(size), np.asarray(1.0))),), np.zeros(size))


def add_drives(drives: Iterable[Drive]) -> Drive:
    """Return the sum; terms of one source and delay become one where they keep their structure."""
    drives = list(drives)
    terms: list[NirTerm] = []
    for new in (term for drive in drives for term in drive.terms):
        for i, old in enumerate(terms):
            same = (old.source, old.delay) == (new.source, new.delay)
            both = merge(old.synapses, new.synapses) if same else None
            if both is not None:
                terms[i] = replace(old, synapses=both)
                break
        else:
            terms.append(new)
    return Drive(tuple(terms), np.sum([drive.bias for drive in drives], axis=0))


def apply_node(node: Node, node_map: NodeMap, drive: Drive) -> Drive:
    """Return a drive after a node without state.

    Raises:
        UnsupportedError: the synapses become too many.
    """
    bias = drive.bias
    terms = drive.terms
    if node_map.synapses is not None:
        terms = tuple(replace(t, synapses=_compose(node, node_map.synapses, t)) for t in terms)
        bias = _apply_to_bias(node_map.synapses, bias)
    return Drive(terms, bias if node_map.bias is None else bias + node_map.bias)


def _compose(node: Node, outer: Synapses, term: NirTerm) -> Synapses:
    try:
        return compose(outer, term.synapses)
    except UnsupportedError as error:
        raise UnsupportedError(f"{node.where}: {error}") from None


def _apply_to_bias(synapses: Synapses, bias: Floats) -> Floats:
    if not bias.any():
        return np.zeros(synapses.wiring.targets)
    result: Floats = bind(synapses, BINARY)(torch.tensor(bias)).numpy()
    return result


def scale_drive(node: Node, drive: Drive, gain: Floats) -> Drive:
    """Return a drive times one number, or one per value."""
    if (gain == 1).all():
        return drive
    size = drive.bias.size
    return apply_node(node, NodeMap((size,), Synapses(Scale(size, gain.ndim == 1), gain)), drive)


def delay_drive(
    node: Node, drive: Drive, steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> Drive:
    """Return a drive that comes later, by one number of steps or by one per value.

    A bias acts in every step, so its delay would only matter at the start: it is refused.
    """
    if drive.bias.any():
        raise UnsupportedError(f"{node.where}: a delay of a bias is not known; put it before")
    terms: list[NirTerm] = []
    for count in np.unique(steps):
        mask = np.asarray(steps == count, np.float64)
        masked = drive if steps.ndim == 0 or mask.all() else scale_drive(node, drive, mask)
        terms += [replace(term, delay=term.delay + int(count)) for term in masked.terms]
    return Drive(tuple(terms), drive.bias)
