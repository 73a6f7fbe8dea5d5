"""What arrives at a node of a NIR graph, multiplied out: sources, delays, synapses, and a bias."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.nir.file import Node
from snncompile.frontends.nir.stateless_nodes import Applied
from snncompile.neurons.base import BINARY
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import composed, merged
from snncompile.synapses.scale import Scale


@dataclass(frozen=True, eq=False)
class Term:
    """What one source brings."""

    source: str
    """Name of the neuron node or of the input."""
    delay: int
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Drive:
    """The sum of terms, plus a bias."""

    terms: tuple[Term, ...]
    bias: Floats
    """One per value."""


def sent(source: str, shape: Shape) -> Drive:
    """Return the spikes of a source as they are."""
    size = prod(shape)
    return Drive((Term(source, 0, Synapses(Scale(size), np.asarray(1.0))),), np.zeros(size))


def added(drives: Iterable[Drive]) -> Drive:
    """Return the sum; terms of one source and delay become one where they keep their structure."""
    drives = list(drives)
    terms: list[Term] = []
    for new in (term for drive in drives for term in drive.terms):
        for i, old in enumerate(terms):
            same = (old.source, old.delay) == (new.source, new.delay)
            both = merged(old.synapses, new.synapses) if same else None
            if both is not None:
                terms[i] = replace(old, synapses=both)
                break
        else:
            terms.append(new)
    return Drive(tuple(terms), np.sum([drive.bias for drive in drives], axis=0))


def through(node: Node, what: Applied, drive: Drive) -> Drive:
    """Return a drive after a node without state.

    Raises:
        UnsupportedError: the synapses become too many.
    """
    bias = drive.bias
    terms = drive.terms
    if what.synapses is not None:
        terms = tuple(replace(t, synapses=_composed(node, what.synapses, t)) for t in terms)
        bias = _applied(what.synapses, bias)
    return Drive(terms, bias if what.bias is None else bias + what.bias)


def _composed(node: Node, outer: Synapses, term: Term) -> Synapses:
    try:
        return composed(outer, term.synapses)
    except UnsupportedError as error:
        raise UnsupportedError(f"{node.where}: {error}") from None


def _applied(synapses: Synapses, bias: Floats) -> Floats:
    if not bias.any():
        return np.zeros(synapses.wiring.targets)
    result: Floats = bind(synapses, BINARY)(torch.tensor(bias)).numpy()
    return result


def scaled(node: Node, drive: Drive, gain: Floats) -> Drive:
    """Return a drive times one number, or one per value."""
    if (gain == 1).all():
        return drive
    size = drive.bias.size
    return through(node, Applied((size,), Synapses(Scale(size, gain.ndim == 1), gain)), drive)


def delayed(
    node: Node, drive: Drive, steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> Drive:
    """Return a drive that comes later, by one number of steps or by one per value.

    A bias is always there, so that it comes later only matters at the start: it is refused.
    """
    if drive.bias.any():
        raise UnsupportedError(f"{node.where}: a delay of a bias is not known; put it before")
    terms: list[Term] = []
    for count in np.unique(steps):
        mask = np.asarray(steps == count, np.float64)
        part = drive if steps.ndim == 0 or mask.all() else scaled(node, drive, mask)
        terms += [replace(term, delay=term.delay + int(count)) for term in part.terms]
    return Drive(tuple(terms), drive.bias)
