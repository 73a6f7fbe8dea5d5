"""Maximum pools of a phase code: digit by digit, exact, in the steps in which the digits arrive.

A population of `PhaseMaximum` reads the digits of a window through the weights 1, 2, 4, ... and
sends those of the largest number in the same own steps: a pool takes no window of time. A neuron
compares up to eight numbers; longer windows are taken in stages, the last axis first. Outside of
the edges no digit arrives, which is the number 0: no activation is less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann, Layer, LayerTerm, Maximum
from snncompile.frontends.pool_currents import Windows
from snncompile.ir.graph import Population, Projection
from snncompile.neurons.phase_maximum import MOST_MEMBERS, PhaseMaximum
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale


@dataclass(frozen=True)
class _Axis:
    """The windows of one stage along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    count: int

    def split(self) -> tuple[_Axis, ...]:
        """Return the same windows in stages of at most `MOST_MEMBERS` members."""
        if self.kernel <= MOST_MEMBERS:
            return (self,)
        aligned = self.padding == 0 and self.dilation == 1
        for size in range(MOST_MEMBERS, 1, -1):
            if self.kernel % size or not aligned or (self.count > 1 and self.stride % size):
                continue
            groups = ((self.count - 1) * self.stride + self.kernel) // size
            first = _Axis(size, size, 0, 1, groups)
            return (
                first,
                *_Axis(self.kernel // size, self._divide(size), 0, 1, self.count).split(),
            )
        half = -(-self.kernel // 2)
        apart = (self.kernel - half) * self.dilation
        count = (self.count - 1) * self.stride + apart + 1
        halves = _Axis(half, 1, self.padding, self.dilation, count)
        return (*halves.split(), _Axis(2, self.stride, 0, apart, self.count))

    def _divide(self, size: int) -> int:
        return max(1, self.stride // size)


def find_digit_maxima(ann: Ann) -> frozenset[str]:
    """Return the maximum pools that read the digits of one layer, each as they are."""
    kept: set[str] = set()
    layers = {layer.name: layer for layer in ann.layers}
    for layer in ann.layers:
        if not isinstance(layer.operation, Maximum) or len(layer.terms) != 1 or layer.bias.any():
            continue
        term, source = layer.terms[0], layers.get(layer.terms[0].source)
        plain = isinstance(term.synapses.wiring, Scale) and (term.synapses.weight == 1).all()
        if plain and source and (source.operation is None or source.name in kept):
            kept.add(layer.name)
    return frozenset(kept)


def rectify_first(ann: Ann) -> Ann:
    """Return the network with rectifiers before pools: relu(s max(z) + t) = max(relu(s z + t)).

    Where a pool has no other reader, s is positive, and both are one number per channel.
    """
    layers = list(ann.layers)
    for layer in ann.layers:
        readers = [own for own in layers if layer.name in own.sources]
        if isinstance(layer.operation, Maximum) and len(readers) == 1:
            pair = _swap(layer, readers[0], last=ann.layers[-1])
            if pair:
                layers[layers.index(layer)], layers[layers.index(readers[0])] = pair
    return replace(ann, layers=tuple(layers))


def _swap(pool: Layer, reader: Layer, last: Layer) -> tuple[Layer, Layer] | None:
    """Return a rectifier of every place, and its pool; None where they cannot change places."""
    maximum = pool.operation
    assert isinstance(maximum, Maximum)
    if reader is last or reader.operation is not None or len(reader.terms) != 1:
        return None
    synapses, channels = reader.terms[0].synapses, pool.shape[0]
    if not isinstance(synapses.wiring, Scale):
        return None
    factor = _read_channels(np.broadcast_to(synapses.weight, (pool.size,)), channels)
    shift = _read_channels(reader.bias, channels)
    if factor is None or shift is None or (factor <= 0).any():
        return None
    places = prod(maximum.shape[1:])
    each = np.repeat(factor, places)
    diagonal = Synapses(Scale(len(each), per_neuron=True), each)
    terms = tuple(LayerTerm(t.source, compose(diagonal, t.synapses)) for t in pool.terms)
    bias = pool.bias * each + np.repeat(shift, places)
    rectifier = Layer(pool.name, maximum.shape, terms, bias, reader.cap, reader.path)
    one_to_one = LayerTerm(pool.name, Synapses(Scale(len(each)), np.asarray(1.0)))
    pooled = Layer(
        reader.name,
        pool.shape,
        (one_to_one,),
        np.zeros(len(each)),
        path=pool.path,
        operation=maximum,
    )
    return rectifier, pooled


def _read_channels(values: Floats, channels: int) -> Floats | None:
    """Return one value per channel from one per neuron; None where they differ."""
    rows = values.reshape(channels, -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else None


def build_stages(
    layer: Layer, window: int, start: int
) -> tuple[tuple[Population, ...], tuple[Projection, ...]]:
    """Return the populations of a pool, the last one under its own name, and what they read.

    Args:
        layer: the pool, one of `find_digit_maxima`.
        window: digits.
        start: own time step in which the first digit arrives.
    """
    assert isinstance(layer.operation, Maximum)
    source, shape = layer.terms[0].source, layer.operation.shape
    populations: list[Population] = []
    projections: list[Projection] = []
    stages = list(_list_stages(layer.operation.windows))
    for number, axes in enumerate(stages, 1):
        name = layer.name if number == len(stages) else f"{layer.name}_stage{number}"
        mask = _make_mask(shape, axes)
        shape = mask.wiring.target_shape  # type: ignore[attr-defined]
        members = float(prod(axis.kernel for axis in axes))
        neuron = PhaseMaximum(members, float(window), float(start))  # type: ignore[arg-type]
        populations.append(Population(name, shape, neuron))
        projections.append(Projection(source, name, mask))
        source = name
    return tuple(populations), tuple(projections)


def _list_stages(windows: Windows) -> Iterator[tuple[_Axis, ...]]:
    """Yield the stages, each with its windows along every axis: all at once, or one by one."""
    axes = [_Axis(*row) for row in zip(*_rows(windows), strict=True)]
    if prod(axis.kernel for axis in axes) <= MOST_MEMBERS:
        yield tuple(axes)
        return
    for axis in reversed(range(len(axes))):
        for stage in axes[axis].split():
            yield tuple(stage if i == axis else _WHOLE for i in range(len(axes)))


def _rows(windows: Windows) -> tuple[Shape, ...]:
    w = windows
    return w.kernel, w.stride, w.padding, w.dilation, w.counts


_WHOLE = _Axis(1, 1, 0, 1, 0)
"""Along an axis that a stage leaves alone."""


def _make_mask(shape: Shape, axes: tuple[_Axis, ...]) -> Synapses:
    """Return the weights 1, 2, 4, ... of each window, of every channel alone."""
    taps = tuple(axis.kernel for axis in axes)
    weight = (2.0 ** np.arange(prod(taps))).reshape(1, 1, *taps)
    kernel, padding = [], []
    for i, (axis, size) in enumerate(zip(axes, shape[1:], strict=True)):
        count = axis.count or size
        reach = axis.dilation * (axis.kernel - 1) + 1
        right = max(0, size + 2 * axis.padding - reach - count * axis.stride + 1)
        left = max(0, reach - (size + 2 * axis.padding - (count - 1) * axis.stride))
        spread = np.zeros((*weight.shape[: 2 + i], left + reach + right, *weight.shape[3 + i :]))
        places = [slice(None)] * weight.ndim
        places[2 + i] = slice(left, left + reach, axis.dilation)
        spread[tuple(places)] = weight
        weight = spread
        kernel.append(left + reach + right)
        padding.append(axis.padding + left)
    stride, ones = tuple(axis.stride for axis in axes), (1,) * len(axes)
    wiring = Convolution(shape, shape[0], tuple(kernel), stride, tuple(padding), ones, shape[0])
    return Synapses(wiring, np.broadcast_to(weight, wiring.weight_shape))
