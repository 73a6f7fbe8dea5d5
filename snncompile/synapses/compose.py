"""Two linear maps made one, in a row or side by side; structure is kept where it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import gcd, prod
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.synapses.base import Shape, Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense
from snncompile.synapses.restrict import placement, restricted
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll, unroll_synapses

LARGEST = 2**26
"""Synapses that a composition without structure may have: 512 MiB of weights."""


def composed(outer: Synapses, inner: Synapses) -> Synapses:
    """Return synapses that do what `inner` and then `outer` do.

        scale, X              ->  X, its weights scaled (a convolution: if one scale per channel;
                                  other shared weights: if one for all who share one, else sparse)
        X, source i to i + n  ->  X of some of its sources (a convolution: of whole channels)
        convolution twice     ->  convolution, if the outer one has no padding, or the inner one
                                  makes zeros of it: a pool whose windows do not overlap
        dense with anything   ->  dense
        any other two         ->  sparse

    Raises:
        UnsupportedError: the last two would have more than `LARGEST` synapses.
    """
    assert outer.wiring.sources == inner.wiring.targets
    if isinstance(inner.wiring, Scale):
        make = SCALED_SOURCES.get(type(outer.wiring), _any_sources)
        scaled = make(outer.wiring, outer.weight, inner.weight)
    elif isinstance(outer.wiring, Scale):
        make = SCALED_TARGETS.get(type(inner.wiring), _any_targets)
        scaled = make(inner.wiring, inner.weight, outer.weight)
    else:
        scaled = None
    if scaled is not None:
        return scaled
    if (places := placement(inner)) and (part := restricted(outer, places[0])):
        return composed(part, _scale(len(places[1]), places[1]))
    first, second = inner.wiring, outer.wiring
    if not (isinstance(first, Convolution) and isinstance(second, Convolution)):
        return _product(outer, inner)
    if not _padding_is_silent(second, first):
        return _product(outer, inner)
    return _convolutions(second, outer.weight, first, inner.weight)


def merged(one: Synapses, other: Synapses) -> Synapses | None:
    """Return synapses that do what both do side by side, or None if that takes two projections."""
    if isinstance(other.wiring, Dense):
        one, other = other, one
    a, b = one.wiring, other.wiring
    if isinstance(a, Dense):
        added = other.weight if isinstance(b, Dense) else b.matrix(other.weight).toarray()
        return dense(one.weight + added)
    if isinstance(a, Scale) and isinstance(b, Scale):
        return _scale(a.size, one.weight + other.weight)
    if isinstance(a, Convolution) and isinstance(b, Convolution) and _geometry(a) == _geometry(b):
        return Synapses(a, one.weight + other.weight)
    return None


def _geometry(wiring: Convolution) -> tuple[Any, ...]:
    return tuple(getattr(wiring, field.name) for field in fields(wiring))


def _scale(size: int, weight: Floats) -> Synapses:
    return Synapses(Scale(size, per_neuron=weight.ndim == 1), weight)


# Scaled sources or targets: `factor` is one number or one per neuron. None: it has no such form.
_Scaled = Callable[[Any, Floats, Floats], Synapses | None]


def _scaled_scale(wiring: Scale, weight: Floats, factor: Floats) -> Synapses:
    return _scale(wiring.size, weight * factor)


def _dense_sources(wiring: Dense, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * factor)


def _dense_targets(wiring: Dense, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[:, None] if factor.ndim else factor))


def _sparse_sources(wiring: Sparse, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[wiring.source] if factor.ndim else factor))


def _sparse_targets(wiring: Sparse, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[wiring.target] if factor.ndim else factor))


def _convolution_sources(wiring: Convolution, weight: Floats, factor: Floats) -> Synapses | None:
    per_channel = _per_channel(factor, wiring.source_shape[0])
    if per_channel is None:
        return None
    group = np.repeat(np.arange(wiring.groups), wiring.channels // wiring.groups)
    of_output = per_channel.reshape(wiring.groups, -1)[group]
    return Synapses(wiring, weight * of_output.reshape(*of_output.shape, *_ones(wiring)))


def _convolution_targets(wiring: Convolution, weight: Floats, factor: Floats) -> Synapses | None:
    per_channel = _per_channel(factor, wiring.channels)
    if per_channel is None:
        return None
    return Synapses(wiring, weight * per_channel.reshape(-1, 1, *_ones(wiring)))


def _any_sources(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    return _scale_synapses(
        wiring, weight, factor[unroll(wiring).wiring.source] if factor.ndim else factor
    )


def _any_targets(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    return _scale_synapses(
        wiring, weight, factor[unroll(wiring).wiring.target] if factor.ndim else factor
    )


def _scale_synapses(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    """Scale by one number, or one per synapse: unrolled if some that share a weight differ."""
    if not factor.ndim:
        return Synapses(wiring, weight * factor)
    number, shared = unroll(wiring).number, np.ones(weight.size)
    shared[number] = factor
    if (shared[number] == factor).all():
        return Synapses(wiring, weight * shared.reshape(weight.shape))
    apart = unroll_synapses(Synapses(wiring, weight))
    return Synapses(apart.wiring, apart.weight * factor)


def _ones(wiring: Convolution) -> Shape:
    return (1,) * len(wiring.kernel)


def _per_channel(factor: Floats, channels: int) -> Floats | None:
    """Return one factor per channel, or None if they differ within a channel."""
    if not factor.ndim:
        return np.full(channels, factor)
    rows = factor.reshape(channels, -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else None


SCALED_SOURCES: dict[type[Wiring], _Scaled] = {
    Scale: _scaled_scale,
    Dense: _dense_sources,
    Sparse: _sparse_sources,
    Convolution: _convolution_sources,
}
SCALED_TARGETS: dict[type[Wiring], _Scaled] = {
    Scale: _scaled_scale,
    Dense: _dense_targets,
    Sparse: _sparse_targets,
    Convolution: _convolution_targets,
}
"""Ways to scale a wiring that stays what it is; of others the synapses are scaled one by one."""


def _padding_is_silent(second: Convolution, first: Convolution) -> bool:
    """Whether the windows of the first that the second's padding stands for lie outside of it all.

    Window j of the first reads from j * stride - padding on, so window -1 must end before 0, and
    the first window behind the last one must begin where the source ends or later.
    """
    axes = zip(
        second.padding,
        first.kernel,
        first.dilation,
        first.stride,
        first.padding,
        first.source_shape[1:],
        first.target_shape[1:],
        strict=True,
    )
    return all(
        not outer or ((k - 1) * d < stride + own and windows * stride - own >= length)
        for outer, k, d, stride, own, length, windows in axes
    )


def _convolutions(second: Convolution, w2: Floats, first: Convolution, w1: Floats) -> Synapses:
    """Return one convolution: tap j of the second on tap i of the first reads j * far + i * near.

    That holds as long as the second's padding is where the first sees nothing.
    """
    groups = gcd(first.groups, second.groups)
    near = first.dilation
    far = tuple(d * s for d, s in zip(second.dilation, first.stride, strict=True))
    lengths = tuple(zip(first.kernel, near, second.kernel, far, strict=True))
    dilation = tuple(_common_step(*axis) for axis in lengths)
    reach = [(k1 - 1) * d1 + (k2 - 1) * d2 for k1, d1, k2, d2 in lengths]
    wiring = Convolution(
        source_shape=first.source_shape,
        channels=second.channels,
        kernel=tuple(r // d + 1 for r, d in zip(reach, dilation, strict=True)),
        stride=tuple(a * b for a, b in zip(first.stride, second.stride, strict=True)),
        padding=tuple(
            own + outer * stride
            for own, outer, stride in zip(first.padding, second.padding, first.stride, strict=True)
        ),
        dilation=dilation,
        groups=groups,
    )
    # Axes: group, output channel in it, source channel in it, *kernel.
    one, two = _in_groups(first, w1, groups), _in_groups(second, w2, groups)
    weight = np.zeros((groups, two.shape[1], one.shape[2], *wiring.kernel))
    for tap in np.ndindex(*second.kernel):
        places = tuple(
            slice(j * f // d, j * f // d + (k - 1) * n // d + 1, max(n // d, 1))
            for j, f, d, k, n in zip(tap, far, dilation, first.kernel, near, strict=True)
        )
        block = np.einsum("gom,gmc...->goc...", two[(..., *tap)], one)
        weight[(slice(None), slice(None), slice(None), *places)] += block
    return Synapses(wiring, weight.reshape(wiring.weight_shape))


def _common_step(k1: int, near: int, k2: int, far: int) -> int:
    """Return the largest dilation that reaches all taps; 1 if there is one tap."""
    return gcd(near if k1 > 1 else 0, far if k2 > 1 else 0) or 1


def _in_groups(wiring: Convolution, weight: Floats, groups: int) -> Floats:
    """Return the weights with fewer groups, as (group, output channel, source channel, *kernel)."""
    outputs, inner = weight.shape[:2]
    wide = wiring.source_shape[0] // groups
    result = np.zeros((outputs, wide, *wiring.kernel))
    for output in range(outputs):
        start = output // (outputs // wiring.groups) * inner % wide
        result[output, start : start + inner] = weight[output]
    return result.reshape(groups, outputs // groups, wide, *wiring.kernel)


def _product(outer: Synapses, inner: Synapses) -> Synapses:
    _check_size(outer.wiring, inner.wiring)
    if isinstance(outer.wiring, Dense):
        if isinstance(inner.wiring, Dense):
            return dense(outer.weight @ inner.weight)
        return dense((inner.wiring.matrix(inner.weight).T @ outer.weight.T).T)
    left = outer.wiring.matrix(outer.weight)
    if isinstance(inner.wiring, Dense):
        return dense(left @ inner.weight)
    return _sparse(csr_array(left @ inner.wiring.matrix(inner.weight)))


def _sparse(matrix: csr_array) -> Synapses:
    matrix.sum_duplicates()
    places = matrix.tocoo()
    wiring = Sparse(places.row, places.col, *matrix.shape)
    return Synapses(wiring, places.data)


def _check_size(outer: Wiring, inner: Wiring) -> None:
    most = min(inner.sources, _fan_in(outer) * _fan_in(inner))
    synapses = max(
        outer.targets * most, inner.targets * _fan_in(inner), outer.targets * _fan_in(outer)
    )
    if synapses > LARGEST:
        raise UnsupportedError(
            f"{outer} after {inner} takes up to {synapses:,} synapses as one projection, more than"
            f" {LARGEST:,}; put a neuron layer between them"
        )


def _fan_in(wiring: Wiring) -> int:
    """Return the most synapses of one target neuron."""
    if isinstance(wiring, Convolution):
        return prod(wiring.weight_shape[1:])
    return int(wiring.fan_in.max(initial=0))
