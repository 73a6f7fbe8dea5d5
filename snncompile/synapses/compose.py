"""Composition and sum of two linear maps as one; structure is kept where possible."""

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
from snncompile.synapses.restrict import list_single_targets, restrict
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll, unroll_synapses

LARGEST = 2**26
"""Largest number of synapses of a composition without structure: 512 MiB of weights."""


def compose(outer: Synapses, inner: Synapses) -> Synapses:
    """Return synapses equal to `inner` followed by `outer`.

        scale, X              ->  X, its weights scaled (a convolution: if one scale per channel;
                                  other shared weights: if equal for all that share, else sparse)
        X, source i to i + n  ->  X of some of its sources (a convolution: of whole channels)
        convolution twice     ->  convolution, if the outer one has no padding, or the inner one
                                  turns it into zeros: a pool whose windows do not overlap
        dense with anything   ->  dense
        any other two         ->  sparse

    Raises:
        UnsupportedError: the last two would have more than `LARGEST` synapses.
    """
    assert outer.wiring.sources == inner.wiring.targets
    if isinstance(inner.wiring, Scale):
        scale = SCALED_SOURCES.get(type(outer.wiring), _scale_any_sources)
        scaled = scale(outer.wiring, outer.weight, inner.weight)
    elif isinstance(outer.wiring, Scale):
        scale = SCALED_TARGETS.get(type(inner.wiring), _scale_any_targets)
        scaled = scale(inner.wiring, inner.weight, outer.weight)
    else:
        scaled = None
    if scaled is not None:
        return scaled
    if (single := list_single_targets(inner)) and (narrow := restrict(outer, single[0])):
        return compose(narrow, _make_scale(len(single[1]), single[1]))
    first, second = inner.wiring, outer.wiring
    if not (isinstance(first, Convolution) and isinstance(second, Convolution)):
        return _multiply(outer, inner)
    if not _is_padding_silent(second, first):
        return _multiply(outer, inner)
    return _compose_convolutions(second, outer.weight, first, inner.weight)


def merge(left: Synapses, right: Synapses) -> Synapses | None:
    """Return synapses equal to both side by side, or None if two projections are needed."""
    if isinstance(right.wiring, Dense):
        left, right = right, left
    a, b = left.wiring, right.wiring
    if isinstance(a, Dense):
        added = right.weight if isinstance(b, Dense) else b.matrix(right.weight).toarray()
        return dense(left.weight + added)
    if isinstance(a, Scale) and isinstance(b, Scale):
        return _make_scale(a.size, left.weight + right.weight)
    both_convolve = isinstance(a, Convolution) and isinstance(b, Convolution)
    if both_convolve and _list_geometry(a) == _list_geometry(b):
        return Synapses(a, left.weight + right.weight)
    return None


def _list_geometry(wiring: Wiring) -> tuple[Any, ...]:
    return tuple(getattr(wiring, field.name) for field in fields(wiring))


def _make_scale(size: int, weight: Floats) -> Synapses:
    return Synapses(Scale(size, per_neuron=weight.ndim == 1), weight)


# Scaled sources or targets: `factor` is one number or one per neuron. None: not of this kind.
_Scaled = Callable[[Any, Floats, Floats], Synapses | None]


def _scale_scale(wiring: Scale, weight: Floats, factor: Floats) -> Synapses:
    return _make_scale(wiring.size, weight * factor)


def _scale_dense_sources(wiring: Dense, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * factor)


def _scale_dense_targets(wiring: Dense, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[:, None] if factor.ndim else factor))


def _scale_sparse_sources(wiring: Sparse, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[wiring.source] if factor.ndim else factor))


def _scale_sparse_targets(wiring: Sparse, weight: Floats, factor: Floats) -> Synapses:
    return Synapses(wiring, weight * (factor[wiring.target] if factor.ndim else factor))


def _scale_convolution_sources(
    wiring: Convolution, weight: Floats, factor: Floats
) -> Synapses | None:
    per_channel = _reduce_to_channels(factor, wiring.source_shape[0])
    if per_channel is None:
        return None
    group = np.repeat(np.arange(wiring.groups), wiring.channels // wiring.groups)
    of_output = per_channel.reshape(wiring.groups, -1)[group]
    return Synapses(wiring, weight * of_output.reshape(*of_output.shape, *_list_ones(wiring)))


def _scale_convolution_targets(
    wiring: Convolution, weight: Floats, factor: Floats
) -> Synapses | None:
    per_channel = _reduce_to_channels(factor, wiring.channels)
    if per_channel is None:
        return None
    return Synapses(wiring, weight * per_channel.reshape(-1, 1, *_list_ones(wiring)))


def _scale_any_sources(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    return _scale_synapses(
        wiring, weight, factor[unroll(wiring).wiring.source] if factor.ndim else factor
    )


def _scale_any_targets(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    return _scale_synapses(
        wiring, weight, factor[unroll(wiring).wiring.target] if factor.ndim else factor
    )


def _scale_synapses(wiring: Wiring, weight: Floats, factor: Floats) -> Synapses:
    """Scale by one number, or one per synapse: unrolled if synapses that share a weight differ."""
    if not factor.ndim:
        return Synapses(wiring, weight * factor)
    number, shared = unroll(wiring).number, np.ones(weight.size)
    shared[number] = factor
    if (shared[number] == factor).all():
        return Synapses(wiring, weight * shared.reshape(weight.shape))
    unrolled = unroll_synapses(Synapses(wiring, weight))
    return Synapses(unrolled.wiring, unrolled.weight * factor)


def _list_ones(wiring: Convolution) -> Shape:
    return (1,) * len(wiring.kernel)


def _reduce_to_channels(factor: Floats, channels: int) -> Floats | None:
    """Return one factor per channel, or None if they differ within a channel."""
    if not factor.ndim:
        return np.full(channels, factor)
    rows = factor.reshape(channels, -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else None


SCALED_SOURCES: dict[type[Wiring], _Scaled] = {
    Scale: _scale_scale,
    Dense: _scale_dense_sources,
    Sparse: _scale_sparse_sources,
    Convolution: _scale_convolution_sources,
}
SCALED_TARGETS: dict[type[Wiring], _Scaled] = {
    Scale: _scale_scale,
    Dense: _scale_dense_targets,
    Sparse: _scale_sparse_targets,
    Convolution: _scale_convolution_targets,
}
"""Functions that scale a wiring and keep its kind; other wirings are scaled synapse by synapse."""


def _is_padding_silent(second: Convolution, first: Convolution) -> bool:
    """Whether the first's windows at the second's padding lie outside the source.

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


def _compose_convolutions(
    second: Convolution, w2: Floats, first: Convolution, w1: Floats
) -> Synapses:
    """Return one convolution: tap j of the second on tap i of the first reads j * far + i * near.

    That holds if the second's padding lies where the first has no source.
    """
    groups = gcd(first.groups, second.groups)
    near = first.dilation
    far = tuple(d * s for d, s in zip(second.dilation, first.stride, strict=True))
    lengths = tuple(zip(first.kernel, near, second.kernel, far, strict=True))
    dilation = tuple(_find_common_step(*axis) for axis in lengths)
    reach = [(k1 - 1) * d1 + (k2 - 1) * d2 for k1, d1, k2, d2 in lengths]
    wiring = Convolution(
        source_shape=first.source_shape,
        channels=second.channels,
        kernel=tuple(r // d + 1 for r, d in zip(reach, dilation, strict=True)),
        stride=tuple(a * b for a, b in zip(first.stride, second.stride, strict=True)),
        padding=tuple(
            own + extra * stride
            for own, extra, stride in zip(first.padding, second.padding, first.stride, strict=True)
        ),
        dilation=dilation,
        groups=groups,
    )
    # Axes: group, output channel in it, source channel in it, *kernel.
    inner, outer = _regroup(first, w1, groups), _regroup(second, w2, groups)
    weight = np.zeros((groups, outer.shape[1], inner.shape[2], *wiring.kernel))
    for tap in np.ndindex(*second.kernel):
        taps = tuple(
            slice(j * f // d, j * f // d + (k - 1) * n // d + 1, max(n // d, 1))
            for j, f, d, k, n in zip(tap, far, dilation, first.kernel, near, strict=True)
        )
        block = np.einsum("gom,gmc...->goc...", outer[(..., *tap)], inner)
        weight[(slice(None), slice(None), slice(None), *taps)] += block
    return Synapses(wiring, weight.reshape(wiring.weight_shape))


def _find_common_step(k1: int, near: int, k2: int, far: int) -> int:
    """Return the largest dilation that reaches all taps; 1 if there is one tap."""
    return gcd(near if k1 > 1 else 0, far if k2 > 1 else 0) or 1


def _regroup(wiring: Convolution, weight: Floats, groups: int) -> Floats:
    """Return the weights with fewer groups, as (group, output channel, source channel, *kernel)."""
    outputs, inner = weight.shape[:2]
    wide = wiring.source_shape[0] // groups
    result = np.zeros((outputs, wide, *wiring.kernel))
    for output in range(outputs):
        start = output // (outputs // wiring.groups) * inner % wide
        result[output, start : start + inner] = weight[output]
    return result.reshape(groups, outputs // groups, wide, *wiring.kernel)


def _multiply(outer: Synapses, inner: Synapses) -> Synapses:
    _check_size(outer.wiring, inner.wiring)
    if isinstance(outer.wiring, Dense):
        if isinstance(inner.wiring, Dense):
            return dense(outer.weight @ inner.weight)
        return dense((inner.wiring.matrix(inner.weight).T @ outer.weight.T).T)
    left = outer.wiring.matrix(outer.weight)
    if isinstance(inner.wiring, Dense):
        return dense(left @ inner.weight)
    return _make_sparse(csr_array(left @ inner.wiring.matrix(inner.weight)))


def _make_sparse(matrix: csr_array) -> Synapses:
    matrix.sum_duplicates()
    entries = matrix.tocoo()
    wiring = Sparse(entries.row, entries.col, *matrix.shape)
    return Synapses(wiring, entries.data)


def _check_size(outer: Wiring, inner: Wiring) -> None:
    fan_in = min(inner.sources, _find_fan_in(outer) * _find_fan_in(inner))
    synapses = max(
        outer.targets * fan_in,
        inner.targets * _find_fan_in(inner),
        outer.targets * _find_fan_in(outer),
    )
    if synapses > LARGEST:
        raise UnsupportedError(
            f"{outer} after {inner} takes up to {synapses:,} synapses as one projection, more than"
            f" {LARGEST:,}; put a neuron layer between them"
        )


def _find_fan_in(wiring: Wiring) -> int:
    """Return the largest number of synapses of a target neuron."""
    if isinstance(wiring, Convolution):
        return prod(wiring.weight_shape[1:])
    return int(wiring.fan_in.max(initial=0))
