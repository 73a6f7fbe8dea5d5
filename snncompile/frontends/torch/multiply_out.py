"""Multiply the linear layers of a drive out: one projection from each source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers as torch_layers
from snncompile.frontends.torch.drive import Drive, Gather, Part, Plus, Scaled, Source, Through
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.neurons.base import Interval
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import composed, merged
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse


@dataclass(frozen=True, eq=False)
class Term:
    """What one source brings to a drive."""

    source: Source
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Sum:
    """A drive multiplied out: the sum of its terms, plus a bias."""

    terms: tuple[Term, ...]
    bias: Floats
    """One per target neuron."""


def multiplied_out(layers: LayerGraph, drive: Drive, size: int) -> Sum:
    """Return a drive of `size` values without linear layers in a row and without sums.

    Raises:
        UnsupportedError: a linear layer has a feature that is not known.
    """
    if isinstance(drive, Source):
        return Sum((Term(drive, _factor(size, np.asarray(1.0))),), np.zeros(size))
    if isinstance(drive, Plus):
        return _summed([multiplied_out(layers, term, size) for term in drive.terms], size)
    if isinstance(drive, Scaled):
        return scaled(multiplied_out(layers, drive.of, size), np.asarray(drive.factor))
    if isinstance(drive, Gather):
        return _summed([_placed(layers, part, size) for part in drive.parts], size)
    if isinstance(drive, Through):
        module = layers.linear[drive.path]
        row = torch_layers.linear(module)
        assert row is not None
        layer = row.translate(module, drive.path, drive.shape)
        inner = multiplied_out(layers, drive.of, layer.synapses.wiring.sources)
        return through(layer, inner, drive.path)
    return Sum((), np.zeros(size))


def through(layer: Affine, inner: Sum, where: str) -> Sum:
    """Return what a linear layer makes of a sum."""
    try:
        terms = [Term(t.source, composed(layer.synapses, t.synapses)) for t in inner.terms]
    except UnsupportedError as error:
        raise UnsupportedError(f"{where}: {error}") from None
    return Sum(tuple(terms), applied(layer.synapses, inner.bias) + layer.bias)


def scaled(drive: Sum, factor: Floats) -> Sum:
    """Return a sum times a number, or times one per neuron."""
    if (factor == 1).all():
        return drive
    return through(Affine(_factor(len(drive.bias), factor), np.zeros(1)), drive, "a factor")


def applied(synapses: Synapses, bias: Floats) -> Floats:
    """Return what a constant becomes; padding makes it differ from neuron to neuron."""
    if not bias.any():
        return np.zeros(synapses.wiring.targets)
    apply = bind(synapses, Interval(0, 1))
    result: Floats = apply(torch.tensor(bias)).numpy()
    return result


def _factor(size: int, factor: Floats) -> Synapses:
    return Synapses(Scale(size, per_neuron=factor.ndim == 1), factor)


def _placed(layers: LayerGraph, part: Part, size: int) -> Sum:
    """Return values picked from a drive, each in its place among `size`."""
    inner = multiplied_out(layers, part.of, part.size)
    if part.size == size and torch.equal(part.source, part.target) and len(part.source) == size:
        return scaled(inner, part.factor.numpy())
    wiring = Sparse(part.target.numpy(), part.source.numpy(), size, part.size)
    return through(Affine(Synapses(wiring, part.factor.numpy()), np.zeros(size)), inner, "a view")


def _summed(sums: list[Sum], size: int) -> Sum:
    """Return one sum; what comes from the same source is one term if it keeps its structure."""
    terms: list[Term] = []
    for new in (term for one in sums for term in one.terms):
        for i, old in enumerate(terms):
            both = merged(old.synapses, new.synapses) if old.source == new.source else None
            if both is not None:
                terms[i] = Term(old.source, both)
                break
        else:
            terms.append(new)
    return Sum(tuple(terms), np.sum([np.zeros(size), *(one.bias for one in sums)], axis=0))
