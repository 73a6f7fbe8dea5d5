"""Composition of two maps with shared kernels as one map with a shared kernel."""

from __future__ import annotations

from math import gcd

import numpy as np

from snncompile.arrays import Floats
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.transposed_convolution import TransposedConvolution


def compose_kernels(outer: Synapses, inner: Synapses) -> Synapses | None:
    """Return `inner` followed by `outer` as one shared kernel; None if there is none."""
    first, second = inner.wiring, outer.wiring
    if len(getattr(first, "kernel", ())) != len(getattr(second, "kernel", ())):
        return None  # the one of a row, the other of an image
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
