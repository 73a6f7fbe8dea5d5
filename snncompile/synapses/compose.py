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
from snncompile.synapses.grids import (
    find_source,
    list_border,
    list_touched,
    pad_convolution,
    read_grid_map,
    read_pixel_shuffle,
    read_repeats,
)
from snncompile.synapses.restrict import list_single_targets, restrict
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll, unroll_synapses
from snncompile.synapses.transposed_convolution import TransposedConvolution

LARGEST = 2**26
"""Largest number of synapses of a dense composition: 512 MiB of weights."""
LARGEST_LIST = 10**7
"""Largest number of synapses of a composition that lists them one by one."""


def compose(outer: Synapses, inner: Synapses) -> Synapses:
    """Return synapses equal to `inner` followed by `outer`.

        scale, X              ->  X, its weights scaled (a convolution: if one scale per channel;
                                  other shared weights: if equal for all that share, else sparse)
        X, source i to i + n  ->  X of some of its sources (a convolution: of whole channels)
        convolution twice     ->  convolution, if the outer one has no padding, or the inner one
                                  turns it into zeros: a pool whose windows do not overlap
        convolution of a transposed one, or the other way round
                              ->  transposed convolution, if one has stride 1 and no border differs
        dense with anything   ->  dense
        any other two         ->  sparse

    Raises:
        UnsupportedError: the last two would have more than `LARGEST` or `LARGEST_LIST` synapses.
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
    return _keep_kernels(outer, inner) or _multiply(outer, inner)


def _keep_kernels(outer: Synapses, inner: Synapses) -> Synapses | None:
    """Return the composition of two shared kernels as one, or None."""
    first, second = inner.wiring, outer.wiring
    if isinstance(first, Convolution) and isinstance(second, Convolution):
        silent = _is_padding_silent(second, first)
        return _compose_convolutions(second, outer.weight, first, inner.weight) if silent else None
    if isinstance(first, TransposedConvolution) and isinstance(second, Convolution):
        inside = _reads_all_of(second, first)
        return _convolve_transposed(second, outer.weight, first, inner.weight) if inside else None
    if isinstance(first, Convolution) and isinstance(second, TransposedConvolution):
        alone = _puts_nothing_beside(second, first)
        return _transpose_convolved(second, outer.weight, first, inner.weight) if alone else None
    return None


def compose_all(outer: Synapses, inner: Synapses) -> tuple[Synapses, ...]:
    """Return synapses that together equal `inner` followed by `outer`, with more structure kept.

        convolution of a padded grid    ->  convolution of its source, and a sparse border
        convolution of repeated values  ->  transposed convolution, if it has stride 1
        pixel shuffle of a convolution  ->  transposed convolution

    Raises:
        UnsupportedError: as `compose`.
    """
    if isinstance(outer.wiring, Convolution):
        grid = read_grid_map(inner, outer.wiring.source_shape)
        repeats = grid and read_repeats(grid)
        if repeats and set(outer.wiring.stride) == {1}:
            return (compose(outer, repeats),)
        starts = grid and find_source(grid)
        padded = grid and starts and pad_convolution(outer, grid, starts)
        if grid and starts and padded:
            border = list_border(inner, grid, starts)
            few = _count_product(outer.wiring, border.wiring) < padded.wiring.synapses
            if not border.wiring.synapses:
                return (padded,)
            if few:
                return padded, _multiply(outer, border)
    shuffled = read_pixel_shuffle(outer, inner)
    return (shuffled or compose(outer, inner),)


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
    both_convolve = type(a) is type(b) and isinstance(a, Convolution | TransposedConvolution)
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
    wiring: Convolution | TransposedConvolution, weight: Floats, factor: Floats
) -> Synapses | None:
    per_channel = _reduce_to_channels(factor, wiring.source_shape[0])
    if per_channel is None:
        return None
    group = np.repeat(np.arange(wiring.groups), wiring.channels // wiring.groups)
    of_output = per_channel.reshape(wiring.groups, -1)[group]
    return Synapses(wiring, weight * of_output.reshape(*of_output.shape, *_list_ones(wiring)))


def _scale_convolution_targets(
    wiring: Convolution | TransposedConvolution, weight: Floats, factor: Floats
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


def _list_ones(wiring: Convolution | TransposedConvolution) -> Shape:
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
    TransposedConvolution: _scale_convolution_sources,
}
SCALED_TARGETS: dict[type[Wiring], _Scaled] = {
    Scale: _scale_scale,
    Dense: _scale_dense_targets,
    Sparse: _scale_sparse_targets,
    Convolution: _scale_convolution_targets,
    TransposedConvolution: _scale_convolution_targets,
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


def _reads_all_of(second: Convolution, first: TransposedConvolution) -> bool:
    """Whether a convolution of stride 1 reads nothing beside the target that would have values."""
    axes = zip(
        second.padding,
        first.source_shape[1:],
        first.kernel,
        first.dilation,
        first.stride,
        first.padding,
        first.target_space,
        strict=True,
    )
    inside = all(
        not outer or (own <= 0 and (n - 1) * s + (k - 1) * d - own < size)
        for outer, n, k, d, s, own, size in axes
    )
    return inside and set(second.stride) == {1}


def _convolve_transposed(
    second: Convolution, w2: Floats, first: TransposedConvolution, w1: Floats
) -> Synapses:
    """Return one transposed convolution: from source i through tap m of the first, which leads to
    i * stride + m * e - q, and tap k of the second, which reads y + k * d - p.
    """
    reach = tuple((k - 1) * d for k, d in zip(second.kernel, second.dilation, strict=True))
    lengths = [(k - 1) * e for k, e in zip(first.kernel, first.dilation, strict=True)]
    padding = (q - p + r for q, p, r in zip(first.padding, second.padding, reach, strict=True))
    groups = gcd(first.groups, second.groups)
    wiring = TransposedConvolution(
        first.source_shape,
        second.channels,
        tuple(a + b + 1 for a, b in zip(lengths, reach, strict=True)),
        first.stride,
        tuple(padding),
        (1,) * len(reach),
        second.target_shape[1:],
        groups,
    )
    steps = first.dilation, tuple(-d for d in second.dilation)
    weight = _add_products(wiring, groups, (first, w1, steps[0]), (second, w2, steps[1]), reach)
    return Synapses(wiring, weight)


def _puts_nothing_beside(second: TransposedConvolution, first: Convolution) -> bool:
    """Whether sources beside those that a convolution of stride 1 fills would reach no target."""
    axes = zip(
        second.source_shape[1:],
        second.kernel,
        second.dilation,
        second.stride,
        second.padding,
        second.target_space,
        strict=True,
    )
    outside = all((k - 1) * e < s + q and n * s - q >= size for n, k, e, s, q, size in axes)
    return outside and set(first.stride) == {1}


def _transpose_convolved(
    second: TransposedConvolution, w2: Floats, first: Convolution, w1: Floats
) -> Synapses:
    """Return one transposed convolution: source i is read by tap k of the first for its target
    m = i - k * d + p, from which tap t of the second leads to m * stride + t * e - q.
    """
    steps = tuple(d * s for d, s in zip(first.dilation, second.stride, strict=True))
    reach = tuple((k - 1) * step for k, step in zip(first.kernel, steps, strict=True))
    lengths = [(k - 1) * e for k, e in zip(second.kernel, second.dilation, strict=True)]
    axes = zip(second.padding, first.padding, second.stride, reach, strict=True)
    groups = gcd(first.groups, second.groups)
    wiring = TransposedConvolution(
        first.source_shape,
        second.channels,
        tuple(a + b + 1 for a, b in zip(lengths, reach, strict=True)),
        second.stride,
        tuple(q - p * s + r for q, p, s, r in axes),
        (1,) * len(reach),
        second.target_space,
        groups,
    )
    turned = tuple(-step for step in steps)
    weight = _add_products(
        wiring, groups, (first, w1, turned), (second, w2, second.dilation), reach
    )
    return Synapses(wiring, weight)


_Kernel = tuple[Convolution | TransposedConvolution, Floats, tuple[int, ...]]
"""A wiring, its weights and the steps between its taps in the kernel of a composition."""


def _add_products(
    wiring: TransposedConvolution, groups: int, first: _Kernel, second: _Kernel, start: Shape
) -> Floats:
    """Return the kernel whose tap start + i * steps + j * steps is the product of taps i and j."""
    inner, outer = (_regroup(w, weight, groups) for w, weight, _ in (first, second))
    weight = np.zeros((groups, outer.shape[1], inner.shape[2], *wiring.kernel))
    for i in np.ndindex(*first[0].kernel):
        for j in np.ndindex(*second[0].kernel):
            axes = zip(start, i, first[2], j, second[2], strict=True)
            tap = tuple(s + a * step + b * other for s, a, step, b, other in axes)
            block = np.einsum("gom,gmc->goc", outer[(..., *j)], inner[(..., *i)])
            weight[(..., *tap)] += block
    return weight.reshape(wiring.weight_shape)


def _find_common_step(k1: int, near: int, k2: int, far: int) -> int:
    """Return the largest dilation that reaches all taps; 1 if there is one tap."""
    return gcd(near if k1 > 1 else 0, far if k2 > 1 else 0) or 1


def _regroup(wiring: Convolution | TransposedConvolution, weight: Floats, groups: int) -> Floats:
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
    if isinstance(outer.wiring, Convolution) and isinstance(inner.wiring, Sparse):
        return _multiply_touched(outer.wiring, outer.weight, inner)
    left = outer.wiring.matrix(outer.weight)
    if isinstance(inner.wiring, Dense):
        return dense(left @ inner.weight)
    return _make_sparse(csr_array(left @ inner.wiring.matrix(inner.weight)))


def _multiply_touched(outer: Convolution, weight: Floats, inner: Synapses) -> Synapses:
    """Return the product; only targets that it reaches are unrolled."""
    touched = list_touched(outer, inner.wiring.pattern.tocoo().row)
    few = outer.rows(weight, touched) @ inner.wiring.matrix(inner.weight)
    product = csr_array(few)
    product.sum_duplicates()
    entries = product.tocoo()
    wiring = Sparse(touched[entries.row], entries.col, outer.targets, inner.wiring.sources)
    return Synapses(wiring, entries.data)


def _make_sparse(matrix: csr_array) -> Synapses:
    matrix.sum_duplicates()
    entries = matrix.tocoo()
    wiring = Sparse(entries.row, entries.col, *matrix.shape)
    return Synapses(wiring, entries.data)


def _check_size(outer: Wiring, inner: Wiring) -> None:
    one_is_dense = isinstance(outer, Dense) or isinstance(inner, Dense)
    largest = LARGEST if one_is_dense else min(LARGEST, LARGEST_LIST)
    if isinstance(outer, Convolution) and isinstance(inner, Sparse):
        synapses = _count_product(outer, inner)
    else:
        fan_in = min(inner.sources, _find_fan_in(outer) * _find_fan_in(inner))
        synapses = max(
            outer.targets * fan_in,
            inner.targets * _find_fan_in(inner),
            outer.targets * _find_fan_in(outer),
        )
    if synapses > largest:
        raise UnsupportedError(
            f"{outer} after {inner} takes up to {synapses:,} synapses as one projection, more than"
            f" {largest:,}; put a neuron layer between them"
        )


def _count_product(outer: Wiring, inner: Wiring) -> int:
    """Return the number of pairs of synapses in a row, an upper bound of those of the product."""
    return int(outer.fan_out(np.arange(outer.targets)) @ inner.fan_in)


def _find_fan_in(wiring: Wiring) -> int:
    """Return the largest number of synapses of a target neuron."""
    if isinstance(wiring, Convolution):
        return prod(wiring.weight_shape[1:])
    return int(wiring.fan_in.max(initial=0))
