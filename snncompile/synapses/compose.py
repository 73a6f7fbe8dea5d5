"""Composition and sum of two linear maps as one; structure is kept where possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from snncompile.arrays import Floats
from snncompile.errors import ProductSizeError
from snncompile.synapses.base import Shape, Synapses, Wiring
from snncompile.synapses.compose_kernels import compose_kernels
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
        ProductSizeError: the last two would have more than `LARGEST` or `LARGEST_LIST` synapses.
    """
    assert outer.wiring.sources == inner.wiring.targets
    if isinstance(outer.wiring, Dense):  # which is multiplied out; others keep a convolution
        inner = _read_scale(inner) or inner
    if isinstance(inner.wiring, Scale) and bool((inner.weight == 1).all()):
        return outer
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
    return compose_kernels(outer, inner) or _multiply(outer, inner)


def compose_all(outer: Synapses, inner: Synapses) -> tuple[Synapses, ...]:
    """Return synapses that together equal `inner` followed by `outer`, with more structure kept.

        convolution of a padded grid    ->  convolution of its source, and a sparse border
        convolution of repeated values  ->  transposed convolution, if it has stride 1
        pixel shuffle of a convolution  ->  transposed convolution

    Raises:
        ProductSizeError: as `compose`.
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


def _read_scale(synapses: Synapses) -> Synapses | None:
    """Return a depthwise convolution of windows of one value as the scale that it is."""
    wiring = synapses.wiring
    if not isinstance(wiring, Convolution) or wiring.source_shape != wiring.target_shape:
        return None
    single = {*wiring.kernel, *wiring.stride} == {1}
    if not single or wiring.groups != wiring.channels:
        return None
    each = synapses.weight.reshape(-1)
    if (each == each[:1]).all():
        return _make_scale(wiring.sources, np.asarray(each[0]))
    return _make_scale(wiring.sources, np.repeat(each, prod(wiring.source_shape[1:])))


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


def _multiply(outer: Synapses, inner: Synapses) -> Synapses:
    if _stays_dense(outer.wiring, inner.wiring):
        if not isinstance(outer.wiring, Dense):
            return dense(outer.wiring.matrix(outer.weight) @ inner.weight)
        if isinstance(inner.wiring, Dense):
            return dense(outer.weight @ inner.weight)
        return dense((inner.wiring.matrix(inner.weight).T @ outer.weight.T).T)
    _check_size(outer.wiring, inner.wiring)
    if isinstance(outer.wiring, Convolution) and isinstance(inner.wiring, Sparse):
        return _multiply_touched(outer.wiring, outer.weight, inner)
    left = outer.wiring.matrix(outer.weight)
    return _make_sparse(csr_array(left @ inner.wiring.matrix(inner.weight)))


def _stays_dense(outer: Wiring, inner: Wiring) -> bool:
    """Return whether the product is dense: small, or a view of a dense map or of its source."""
    maps = [wiring for wiring in (outer, inner) if isinstance(wiring, Dense)]
    own = 2 * maps[0].synapses if len(maps) == 1 else 0
    return bool(maps) and outer.targets * inner.sources <= max(LARGEST, own)


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
    both_dense = isinstance(outer, Dense) and isinstance(inner, Dense)
    largest = LARGEST if both_dense else min(LARGEST, LARGEST_LIST)
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
        raise ProductSizeError(
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
