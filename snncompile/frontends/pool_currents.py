"""Maximum pooling of currents: max(a, b) = b + relu(a - b), in rectifiers before the target.

A current is the sum of what arrives at one place of a grid: convolutions of spikes, and the
rectifiers of an earlier maximum. The maximum of a window is taken pair by pair, one axis after the
other, the last axis first. No population holds the currents themselves: the same kernel leads to
the rectifiers, with both signs, and to the target, sampled at the places of a window each.

    current a ─ + ─> relu(a - b) ─ + ─┐
    current b ─ - ─┘                  ├─> target: b + relu(a - b)
    current b ───────────────── + ────┘

Where a window reaches over the edge its missing currents count as minus infinity: without `a` the
rectifier sends nothing, without `b` it passes a - b on whatever its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from snncompile.arrays import Bools, Floats
from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Population, Projection
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import Graded
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale

FULL = STATE_LIMIT - 1.0
"""Largest number that a rectifier sends."""


@dataclass(frozen=True, eq=False)
class Term:
    """A part of the currents of a grid: the output of a source through a convolution."""

    source: str
    delay: int
    wiring: Convolution
    weight: Floats


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a pool, as those of torch's `MaxPool2d`: one value per axis of space."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    counts: Shape
    """Number of windows along each axis."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """Rectifiers, and the terms whose sum is the maximum of each window."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    """To the rectifiers."""
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False)
class Currents:
    """Currents along an axis: their terms, and where they exist."""

    terms: tuple[Term, ...]
    exists: Bools


def make_term(source: str, delay: int, synapses: Synapses, shape: Shape) -> Term:
    """Return a term of a grid of shape (channels, *space).

    Raises:
        UnsupportedError: the synapses are no convolution, nor one weight per channel.
    """
    wiring = synapses.wiring
    if isinstance(wiring, Convolution) and wiring.target_shape == shape:
        return Term(source, delay, wiring, synapses.weight)
    weight = synapses.weight
    if isinstance(wiring, Scale):
        each = np.broadcast_to(weight, (wiring.size,)).reshape(shape[0], -1)
        if (each == each[:, :1]).all():
            return make_one_to_one(source, delay, shape, each[:, 0])
    raise UnsupportedError(
        f"a maximum is known of currents of convolutions, these are {wiring.kind} from {source};"
        " put the pool behind the neuron layer, or use average pooling, and train with it"
    )


def pool_currents(
    terms: Sequence[Term],
    windows: Windows,
    choose_name: Callable[[], str],
    *,
    largest: float = FULL,
    whole: bool = False,
) -> Pooled:
    """Return the maximum of each window of a grid.

    Args:
        terms: their sum is the grid of currents; all have one shape, (channels, *space).
        windows: of the pool.
        choose_name: returns a new name for each population of rectifiers.
        largest: largest difference of two currents.
        whole: whether the currents are whole numbers, which the rectifiers send as they are.
    """
    builder = _Builder(choose_name, largest, whole)
    grid = crop(tuple(terms), windows)
    for axis in reversed(range(len(windows.kernel))):
        grid = builder.pool_axis(grid, windows, axis)
    return Pooled(tuple(builder.populations), tuple(builder.projections), grid)


class _Builder:
    """The rectifiers made so far."""

    def __init__(self, choose_name: Callable[[], str], largest: float, whole: bool) -> None:
        self.choose_name, self.largest, self.whole = choose_name, largest, whole
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def pool_axis(self, grid: tuple[Term, ...], windows: Windows, axis: int) -> tuple[Term, ...]:
        """Return the maxima along one axis: the members of a window in pairs, then these."""
        members = list(list_members(grid, windows, axis))
        while len(members) > 1:
            pairs = zip(members[::2], members[1::2], strict=False)
            rest = members[-1:] if len(members) % 2 else []
            members = [self._take_larger(a, b, axis) for b, a in pairs] + rest
        if not members[0].exists.all():
            raise UnsupportedError(
                "a maximum over windows that hold nothing but padding is minus infinity; use less"
                " padding"
            )
        return members[0].terms

    def _take_larger(self, a: Currents, b: Currents, axis: int) -> Currents:
        """Return b + relu(a - b), where both exist; the terms of b go on to later maxima."""
        name, shape = self.choose_name(), b.terms[0].wiring.target_shape
        lowest = np.where(b.exists | ~a.exists, 0.0, -self.largest)
        highest = np.where(a.exists, self.largest, 0.0)
        neuron = Graded(
            lowest=spread_places(lowest, shape, axis),
            highest=spread_places(highest, shape, axis),
            whole=np.asarray(float(self.whole)),
        )
        self.populations.append(Population(name, shape, neuron))
        for terms, sign in ((a.terms, 1.0), (b.terms, -1.0)):
            for term in terms:
                synapses = make_synapses(replace(term, weight=sign * term.weight + 0.0))
                self.projections.append(Projection(term.source, name, synapses, term.delay))
        larger = make_one_to_one(name, 0, shape, np.ones(shape[0]))
        return Currents((*b.terms, larger), a.exists | b.exists)


def make_synapses(term: Term) -> Synapses:
    """Return the synapses of a term: one to one, where that is what its convolution is."""
    wiring, weight = term.wiring, term.weight
    alone = wiring.groups == wiring.channels == wiring.source_shape[0]
    alone = alone and wiring.source_shape == wiring.target_shape and set(wiring.kernel) == {1}
    if alone and (weight == weight.flat[0]).all():
        return Synapses(Scale(wiring.targets), np.asarray(weight.flat[0]))
    return Synapses(wiring, weight)


def make_one_to_one(source: str, delay: int, shape: Shape, weight: Floats) -> Term:
    """Return a term that passes each channel on, times its weight."""
    ones = (1,) * (len(shape) - 1)
    wiring = Convolution(shape, shape[0], ones, ones, (0,) * len(ones), ones, shape[0])
    return Term(source, delay, wiring, weight.reshape(wiring.weight_shape))


def crop(grid: tuple[Term, ...], windows: Windows) -> tuple[Term, ...]:
    """Return the grid without places behind the last window."""
    space = grid[0].wiring.target_shape[1:]
    for axis, size in enumerate(space):
        last = (windows.counts[axis] - 1) * windows.stride[axis] - windows.padding[axis]
        needed = last + (windows.kernel[axis] - 1) * windows.dilation[axis] + 1
        if needed < size:
            grid = tuple(_sample(term, axis, 0, 1, needed) for term in grid)
    return grid


def list_members(grid: tuple[Term, ...], windows: Windows, axis: int) -> Iterator[Currents]:
    """Yield the first currents of all windows along an axis, the second ones and so on."""
    size, count = grid[0].wiring.target_shape[1 + axis], windows.counts[axis]
    for member in range(windows.kernel[axis]):
        offset = member * windows.dilation[axis] - windows.padding[axis]
        places = np.arange(count) * windows.stride[axis] + offset
        exists = (places >= 0) & (places < size)
        sampled = (_sample(term, axis, offset, windows.stride[axis], count) for term in grid)
        yield Currents(tuple(sampled), exists)


def _sample(term: Term, axis: int, offset: int, stride: int, count: int) -> Term:
    """Return a term at the places offset, offset + stride ... of an axis, `count` of them.

    Places outside of the grid get what the convolution gives there. The padding of a convolution is
    the same at both ends, so zeros beside its kernel move it.
    """
    wiring, weight = _spread_taps(term, axis)
    size, kernel = wiring.source_shape[1 + axis], wiring.kernel[axis]
    step = wiring.stride[axis] * stride
    start = offset * wiring.stride[axis] - wiring.padding[axis]
    left = max(0, start)
    missing = (count - 1) * step - (size + 2 * (left - start) - left - kernel)
    left += max(0, missing)
    padding = left - start
    right = max(0, size + 2 * padding - left - kernel - (count * step - 1))
    sides = [(0, 0)] * weight.ndim
    sides[2 + axis] = left, right
    moved = replace(
        wiring,
        kernel=_set(wiring.kernel, axis, left + kernel + right),
        stride=_set(wiring.stride, axis, step),
        padding=_set(wiring.padding, axis, padding),
    )
    return replace(term, wiring=moved, weight=np.pad(weight, sides))


def _spread_taps(term: Term, axis: int) -> tuple[Convolution, Floats]:
    """Return the convolution without dilation along an axis: with zeros between its taps."""
    wiring, weight, dilation = term.wiring, term.weight, term.wiring.dilation[axis]
    if dilation == 1:
        return wiring, weight
    kernel = dilation * (wiring.kernel[axis] - 1) + 1
    shape = _set(weight.shape, 2 + axis, kernel)
    spread = np.zeros(shape)
    taps = [slice(None)] * weight.ndim
    taps[2 + axis] = slice(None, None, dilation)
    spread[tuple(taps)] = weight
    dense = replace(
        wiring,
        kernel=_set(wiring.kernel, axis, kernel),
        dilation=_set(wiring.dilation, axis, 1),
    )
    return dense, spread


def _set(values: Shape, index: int, value: int) -> Shape:
    return (*values[:index], value, *values[index + 1 :])


def spread_places(values: Floats, shape: Shape, axis: int) -> Floats:
    """Return one number per neuron from one per place of an axis; one number if all are equal."""
    if (values == values[0]).all():
        return np.asarray(values[0])
    along = [1] * len(shape)
    along[1 + axis] = len(values)
    return np.broadcast_to(values.reshape(along), shape).reshape(prod(shape))
