"""Multiply the linear layers of a drive out: one projection from each source."""

from __future__ import annotations

import numpy as np
import torch

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import (
    Constant,
    Drive,
    Gather,
    Plus,
    Scaled,
    Selection,
    Source,
    Through,
)
from snncompile.frontends.torch.drive_sum import DriveTerm, Sum
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.neurons.base import Interval
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose_all, merge
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse


def multiply_out(layers: LayerGraph, drive: Drive, size: int) -> Sum:
    """Return a drive of `size` values without linear layers in a row and without sums.

    Raises:
        UnsupportedError: a linear layer has a feature that is not known.
    """
    if isinstance(drive, Source):
        return Sum((DriveTerm(drive, _make_factor(size, np.asarray(1.0))),), np.zeros(size))
    if isinstance(drive, Constant):
        return Sum((), drive.values.numpy())
    if isinstance(drive, Plus):
        return _add_up([multiply_out(layers, term, size) for term in drive.terms], size)
    if isinstance(drive, Scaled):
        return scale(multiply_out(layers, drive.of, size), np.asarray(drive.factor))
    if isinstance(drive, Gather):
        return _add_up(
            [_apply_selection(layers, selection, size) for selection in drive.selections], size
        )
    if isinstance(drive, Through):
        module = layers.linear[drive.path]
        row = known_layers.find_linear(module)
        assert row is not None
        layer = row.translate(module, drive.path, drive.shape)
        inner = multiply_out(layers, drive.of, layer.synapses.wiring.sources)
        return apply_layer(layer, inner, drive.path)
    return Sum((), np.zeros(size))


def apply_layer(layer: Affine, inner: Sum, where: str) -> Sum:
    """Return a sum after a linear layer."""
    try:
        terms = [
            DriveTerm(t.source, synapses)
            for t in inner.terms
            for synapses in compose_all(layer.synapses, t.synapses)
        ]
    except UnsupportedError as error:
        raise type(error)(f"{where}: {error}") from None
    return Sum(tuple(terms), apply_to_bias(layer.synapses, inner.bias) + layer.bias)


def scale(drive: Sum, factor: Floats) -> Sum:
    """Return a sum times a number, or times one per neuron."""
    if (factor == 1).all():
        return drive
    return apply_layer(
        Affine(_make_factor(len(drive.bias), factor), np.zeros(1)), drive, "a factor"
    )


def apply_to_bias(synapses: Synapses, bias: Floats) -> Floats:
    """Return a constant after synapses; padding makes it differ between neurons."""
    if not bias.any():
        return np.zeros(synapses.wiring.targets)
    apply = bind(synapses, Interval(0, 1))
    result: Floats = apply(torch.tensor(bias)).numpy()
    return result


def _make_factor(size: int, factor: Floats) -> Synapses:
    return Synapses(Scale(size, per_neuron=factor.ndim == 1), factor)


def _apply_selection(layers: LayerGraph, selection: Selection, size: int) -> Sum:
    """Return values picked from a drive, each at its index among `size`."""
    inner = multiply_out(layers, selection.of, selection.size)
    if (
        selection.size == size
        and torch.equal(selection.source, selection.target)
        and len(selection.source) == size
    ):
        return scale(inner, selection.factor.numpy())
    wiring = Sparse(selection.target.numpy(), selection.source.numpy(), size, selection.size)
    return apply_layer(
        Affine(Synapses(wiring, selection.factor.numpy()), np.zeros(size)), inner, "a view"
    )


def _add_up(sums: list[Sum], size: int) -> Sum:
    """Return one sum; terms of one source become one if they keep their structure."""
    terms: list[DriveTerm] = []
    for new in (term for sum_ in sums for term in sum_.terms):
        for i, old in enumerate(terms):
            both = merge(old.synapses, new.synapses) if old.source == new.source else None
            if both is not None:
                terms[i] = DriveTerm(old.source, both)
                break
        else:
            terms.append(new)
    return Sum(tuple(terms), np.sum([np.zeros(size), *(sum_.bias for sum_ in sums)], axis=0))
