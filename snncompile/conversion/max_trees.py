"""Maximum pools as trees of rectifiers, before the rectifier: for methods that send rates.

    m1 = b + relu(a - b)   m2 = d + relu(c - d)   relu(max(a, b, c, d)) = relu(m2 + relu(m1 - m2))

a, b, c and d are the inputs of the rectifier in front of the pool, at the places of a window: the
same kernels with a stride, so nothing is unrolled. A window of 2 x 2 takes four neurons, of which
the last one takes the place of four rectifiers; m1 and m2 are no neurons, only terms of what reads
them. The last axis is pooled first, then the one before it.

A window may reach over an edge, where nothing counts. Convolutions give something there too, so the
rectifier of `a - b` is held down by its bias where `a` lies outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.arrays import Bools, Floats
from snncompile.conversion.ann import INPUT, Ann, Layer, LayerTerm, Maximum, activate, add_up
from snncompile.errors import UnsupportedError
from snncompile.frontends.pool_currents import (
    Term,
    Windows,
    crop,
    list_members,
    make_one_to_one,
    make_synapses,
    make_term,
)
from snncompile.frontends.torch.multiply_out import apply_to_bias
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

SILENCE = 4.0
"""What holds a neuron down whose first input lies outside, over the largest difference of its layer
on the calibration samples."""
SAMPLES = 16
"""Calibration samples that this is taken from."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """Values at the places of a grid: a sum of terms, a bias, and where they exist."""

    terms: tuple[Term, ...]
    bias: Floats
    """Shape (channels, *space)."""
    exists: Bools
    """Per place of the axis that is pooled."""


def expand_maxima(ann: Ann, x: NDArray[np.float64], kept: Set[str] = frozenset()) -> Ann:
    """Return the network with rectifiers in the place of maximum pools; it computes the same.

    Args:
        ann: its other layers are rectifiers.
        x: calibration samples, shape (samples, *shape).
        kept: names of pools that stay.

    Raises:
        UnsupportedError: a pool of a kind that is not known.
    """
    pools = {layer.name for layer in ann.layers if isinstance(layer.operation, Maximum)}
    if pools <= kept:
        return ann
    builder = _Builder(ann, kept)
    for layer in ann.layers:
        builder.add(layer)
    return _silence(builder.build(), builder.outside, x)


class _Builder:
    """The layers so far."""

    def __init__(self, ann: Ann, kept: Set[str]) -> None:
        self.ann, self.kept = ann, kept
        self.layers: list[Layer] = []
        self.sums: dict[str, tuple[tuple[LayerTerm, ...], Floats]] = {}
        """Maxima that are no neurons, by name: their terms, and their bias per value."""
        self.outside: dict[str, Bools] = {}
        """Layer -> its neurons whose first input lies outside."""
        self.names = {layer.name for layer in ann.layers}

    def add(self, layer: Layer) -> None:
        """Add a layer of the network, a maximum as its tree."""
        if not isinstance(layer.operation, Maximum) or layer.name in self.kept:
            self.layers.append(self._substitute(layer))
            return
        rectifier = self._find_rectifier(layer)
        pooled = rectifier or self._substitute(layer)
        terms, bias = self._make_tree(layer.name, layer.operation, pooled)
        total = Layer(layer.name, layer.shape, terms, bias, path=layer.path)
        if rectifier is not None:
            self.layers.append(replace(total, cap=rectifier.cap))
        elif self._may_stay_sum(layer.name):
            self.sums[layer.name] = terms, bias
        else:
            self._split_signs(total)

    def build(self) -> Ann:
        """Return the network without layers that nothing reads any more."""
        layers, read = [], {self.ann.layers[-1].name}
        for layer in reversed(self.layers):
            if layer.name in read:
                layers.append(layer)
                read.update(layer.sources)
        return replace(self.ann, layers=tuple(reversed(layers)))

    def _find_rectifier(self, layer: Layer) -> Layer | None:
        """Return the layer of rectifiers that a pool reads as they are; None if it reads others."""
        if len(layer.terms) != 1 or layer.bias.any():
            return None
        term = layer.terms[0]
        one_to_one = isinstance(term.synapses.wiring, Scale) and (term.synapses.weight == 1).all()
        known = (own for own in self.layers if own.name == term.source and own.operation is None)
        return next(known, None) if one_to_one else None

    def _substitute(self, layer: Layer) -> Layer:
        """Return a layer that reads the terms of maxima that are no neurons."""
        terms: list[LayerTerm] = []
        bias = layer.bias
        for term in layer.terms:
            if term.source not in self.sums:
                terms.append(term)
                continue
            inner, own = self.sums[term.source]
            terms += [LayerTerm(t.source, compose(term.synapses, t.synapses)) for t in inner]
            bias = bias + apply_to_bias(term.synapses, own)
        return replace(layer, terms=tuple(terms), bias=bias)

    def _may_stay_sum(self, name: str) -> bool:
        """Return whether all that read a maximum can read its terms, and keep their structure."""
        read = [t for layer in self.ann.layers for t in layer.terms if t.source == name]
        return all(isinstance(term.synapses.wiring, Scale | Dense) for term in read)

    def _split_signs(self, total: Layer) -> None:
        """Add a value as the difference of two rectifiers: relu(z) - relu(-z)."""
        negative = replace(
            total,
            name=self._choose_name(total.name),
            terms=tuple(_negate(total.terms)),
            bias=-total.bias,
        )
        positive = replace(total, name=self._choose_name(total.name))
        self.layers += [positive, negative]
        each = (
            LayerTerm(layer.name, Synapses(Scale(total.size), np.asarray(sign)))
            for layer, sign in ((positive, 1.0), (negative, -1.0))
        )
        self.sums[total.name] = tuple(each), np.zeros(total.size)

    def _make_tree(
        self, name: str, maximum: Maximum, pooled: Layer
    ) -> tuple[tuple[LayerTerm, ...], Floats]:
        """Return the terms of a maximum, and its bias per window."""
        shape, windows = maximum.shape, maximum.windows
        try:
            terms = tuple(make_term(t.source, 0, t.synapses, shape) for t in pooled.terms)
        except UnsupportedError as error:
            raise UnsupportedError(f"{name}: {error}") from None
        if not terms:
            raise UnsupportedError(f"{name}: {maximum.kind} reads nothing but a constant")
        terms = crop(terms, windows)
        inside = tuple(slice(size) for size in terms[0].wiring.target_shape)
        bias = pooled.bias.reshape(shape)[inside]
        for axis in reversed(range(len(windows.kernel))):
            grid = self._pool_axis(name, terms, bias, windows, axis)
            terms, bias = grid.terms, grid.bias
        own = tuple(LayerTerm(term.source, make_synapses(term)) for term in terms)
        return own, bias.reshape(-1)

    def _pool_axis(
        self, name: str, terms: tuple[Term, ...], bias: Floats, windows: Windows, axis: int
    ) -> _Grid:
        """Return the maxima along one axis: the members of a window in pairs, then these."""
        grids = [
            _Grid(member.terms, _sample_bias(bias, windows, axis, i), member.exists)
            for i, member in enumerate(list_members(terms, windows, axis))
        ]
        while len(grids) > 1:
            pairs = list(self._pair(name, grids, axis))
            if len(pairs) == len(grids):
                break
            grids = pairs
        if len(grids) > 1 or not grids[0].exists.all():
            raise UnsupportedError(
                f"{name}: no place of its windows lies inside at both edges; use less padding than"
                " half of the kernel, and no ceil_mode"
            )
        return grids[0]

    def _pair(self, name: str, grids: list[_Grid], axis: int) -> Iterator[_Grid]:
        """Yield the larger of neighbours; one alone where neither exists wherever both do."""
        i = 0
        while i < len(grids):
            first, second = grids[i], grids[i + 1] if i + 1 < len(grids) else None
            i += 2
            if second is None:
                yield first
            elif (second.exists | ~first.exists).all():
                yield self._take_larger(name, first, second, axis)
            elif (first.exists | ~second.exists).all():
                yield self._take_larger(name, second, first, axis)
            else:
                yield first
                i -= 1

    def _take_larger(self, pool: str, a: _Grid, b: _Grid, axis: int) -> _Grid:
        """Return b + relu(a - b); b exists wherever a does."""
        name, shape = self._choose_name(pool), b.terms[0].wiring.target_shape
        minus = tuple(replace(term, weight=-term.weight) for term in b.terms)
        terms = tuple(
            LayerTerm(term.source, make_synapses(term)) for term in add_terms((*a.terms, *minus))
        )
        bias = (a.bias - b.bias).reshape(-1)
        self.layers.append(Layer(name, shape, terms, bias))
        if not a.exists.all():
            along = [1] * len(shape)
            along[1 + axis] = len(a.exists)
            absent = np.broadcast_to(~a.exists.reshape(along), shape)
            self.outside[name] = absent.reshape(-1)
        larger = make_one_to_one(name, 0, shape, np.ones(shape[0]))
        return _Grid((*b.terms, larger), b.bias, b.exists)

    def _choose_name(self, pool: str) -> str:
        name = next(n for n in (f"{pool}_{i}" for i in count(1)) if n not in self.names)
        self.names.add(name)
        return name


def add_terms(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return the same sum with one term per source, where their convolutions fit together."""
    added: list[Term] = []
    for new in terms:
        for i, old in enumerate(added):
            both = _align(old, new) if old.source == new.source else None
            if both is not None:
                added[i] = replace(both[0], weight=both[0].weight + both[1].weight)
                break
        else:
            added.append(new)
    return tuple(added)


def _align(first: Term, second: Term) -> tuple[Term, Term] | None:
    """Return two convolutions of one source with kernels of one size at one place; None if not."""
    a, b = first.wiring, second.wiring
    if (a.stride, a.groups, a.source_shape) != (b.stride, b.groups, b.source_shape):
        return None
    if a.target_shape != b.target_shape or {*a.dilation, *b.dilation} != {1}:
        return None
    padding, kernel = [], []
    axes = zip(a.padding, b.padding, a.kernel, b.kernel, a.stride, strict=True)
    for axis, (p, q, k, m, stride) in enumerate(axes):
        size, targets = a.source_shape[1 + axis], a.target_shape[1 + axis]
        left = max(p, q)
        length = max(left - p + k, left - q + m)
        length = max(length, size + 2 * left - targets * stride + 1)
        missing = max(0, length - (size + 2 * left - (targets - 1) * stride))
        padding.append(left + missing)
        kernel.append(length + missing)
    return tuple(  # type: ignore[return-value]
        _widen(term, tuple(padding), tuple(kernel)) for term in (first, second)
    )


def _widen(term: Term, padding: Shape, kernel: Shape) -> Term:
    """Return a term with zeros beside its kernel, which then begins `padding` places outside."""
    wiring: Convolution = term.wiring
    sides = [(0, 0), (0, 0)]
    for own, old, wide, new in zip(wiring.padding, wiring.kernel, kernel, padding, strict=True):
        sides.append((new - own, wide - old - (new - own)))
    wider = replace(wiring, kernel=kernel, padding=padding)
    return replace(term, wiring=wider, weight=np.pad(term.weight, sides))


def _sample_bias(bias: Floats, windows: Windows, axis: int, member: int) -> Floats:
    """Return the bias at one place of each window along an axis; that of the edge outside."""
    offset = member * windows.dilation[axis] - windows.padding[axis]
    places = np.arange(windows.counts[axis]) * windows.stride[axis] + offset
    return np.take(bias, places.clip(0, bias.shape[1 + axis] - 1), axis=1 + axis)


def _negate(terms: tuple[LayerTerm, ...]) -> Iterator[LayerTerm]:
    for term in terms:
        yield LayerTerm(term.source, replace(term.synapses, weight=-term.synapses.weight))


def _silence(ann: Ann, outside: dict[str, Bools], x: NDArray[np.float64]) -> Ann:
    """Return the network with biases that hold neurons down whose first input lies outside.

    Layer after layer: the differences of a layer are those with the layers before it held down.
    """
    if not outside:
        return ann
    values = {INPUT: torch.tensor(x[:SAMPLES]).double().flatten(1)}
    layers: list[Layer] = []
    for layer in ann.rectified:
        z = add_up(layer.terms, layer.bias, values)
        if layer.name in outside:
            largest = max(0.0, float(z.max())) or 1.0
            held = SILENCE * largest * outside[layer.name]
            layer, z = replace(layer, bias=layer.bias - held), z - torch.tensor(held)
        values[layer.name] = activate(layer, z, values)
        layers.append(layer)
    return replace(ann, layers=(*layers, ann.layers[-1]))
