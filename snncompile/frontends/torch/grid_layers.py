"""Layers of torch that change a grid: transposed and 3-D convolutions, upsampling, uneven pools."""

from __future__ import annotations

from functools import reduce
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron
from torch import Tensor, nn

from snncompile.arrays import Bools, Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.layer_values import (
    Shape,
    join_sizes,
    read_bias,
    repeat_per_axis,
    round_share,
    to_floats,
)
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import LARGEST_LIST
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.sparse import Sparse
from snncompile.synapses.transposed_convolution import TransposedConvolution

ALONG = {"bilinear": "linear", "trilinear": "linear"}
"""Mode of upsampling over several axes -> the mode along one of them."""


def translate_transposed(module: Any, where: str, shape: Shape) -> Affine:
    """Return a transposed convolution; the size of its target is that of `output_padding`."""
    weight = to_floats(module.weight)
    by_group = weight.reshape(module.groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    ours = by_group.reshape(module.out_channels, -1, *weight.shape[2:])
    axes = zip(
        shape[1:],
        module.stride,
        module.padding,
        module.dilation,
        module.kernel_size,
        module.output_padding,
        strict=True,
    )
    space = tuple((n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, s, p, d, k, more in axes)
    wiring = TransposedConvolution(
        shape,
        module.out_channels,
        tuple(module.kernel_size),
        tuple(module.stride),
        tuple(module.padding),
        tuple(module.dilation),
        space,
        module.groups,
    )
    bias = np.repeat(read_bias(module, module.out_channels), prod(space))
    return Affine(Synapses(wiring, ours), bias)


def translate_upsampling(module: Any, where: str, shape: Shape) -> Affine:
    """Return an upsampling: repeated values as a transposed convolution, others listed.

    The axes are independent; what happens along one is read by resampling unit vectors.
    """
    space = shape[1:]
    sizes = repeat_per_axis(module.size, len(space))
    factors = repeat_per_axis(module.scale_factor, len(space))
    matrices = [
        _resample(module, n, size, factor)
        for n, size, factor in zip(space, sizes, factors, strict=True)
    ]
    repeats = tuple(len(m) // n for m, n in zip(matrices, space, strict=True))
    pairs = zip(matrices, space, repeats, strict=True)
    if len(space) < 3 and all(_repeats(m, n, r) for m, n, r in pairs):
        zeros, ones = (0,) * len(space), (1,) * len(space)
        target = tuple(map(len, matrices))
        wiring = TransposedConvolution(
            shape, shape[0], repeats, repeats, zeros, ones, target, shape[0]
        )
        return Affine(Synapses(wiring, np.ones(wiring.weight_shape)), np.zeros(wiring.targets))
    return list_synapses(matrices, shape[0], where, type(module).__name__)


def _resample(module: Any, size: int, target: int | None, factor: float | None) -> Floats:
    """Return the weights along an axis of so many places, shape (target, source)."""
    units = torch.eye(size, dtype=torch.float64)[None]
    mode = ALONG.get(module.mode, module.mode)
    if mode == "bicubic":  # only known of images; along an axis of one place nothing changes
        units = units[..., None].expand(-1, -1, -1, 1)
    options = {"mode": mode, "align_corners": module.align_corners}
    recompute = getattr(module, "recompute_scale_factor", None)
    wanted = None if target is None else (target, 1)[: units.ndim - 2]
    scales = None if target is not None or factor is None else (factor, 1.0)[: units.ndim - 2]
    result = nn.functional.interpolate(
        units, size=wanted, scale_factor=scales, recompute_scale_factor=recompute, **options
    )
    return result.reshape(size, -1).T.numpy()


def _repeats(matrix: Floats, size: int, times: int) -> bool:
    return times > 0 and np.array_equal(matrix, np.repeat(np.eye(size), times, axis=0))


def list_synapses(
    matrices: list[Any], channels: int, where: str, kind: str, divide: Floats | None = None
) -> Affine:
    """Return the same map of every channel, the product of one per axis, synapse by synapse.

    Args:
        matrices: weights along each axis, shape (target, source); 0: no synapse.
        channels: of the grid.
        where: the layer, for messages.
        kind: its class, for messages.
        divide: a factor for each place of a channel of the target; 1 if None.

    Raises:
        UnsupportedError: there are more than `LARGEST_LIST` synapses.
    """
    count = channels * prod(int(np.count_nonzero(m)) for m in matrices)
    if count > LARGEST_LIST:
        space = join_sizes(tuple(len(m) for m in matrices))
        raise UnsupportedError(
            f"{where}: {kind} to {channels}x{space} takes {count:,} synapses that are listed one by"
            f" one, more than {LARGEST_LIST:,}; repeat values (nearest), or use a smaller size"
        )
    plane = reduce(lambda a, b: csr_array(kron(a, b, format="csr")), map(csr_array, matrices))
    if divide is not None:
        plane = csr_array(plane.multiply(divide.reshape(-1, 1)))
    entries = csr_array(kron(eye_array(channels), plane, format="csr")).tocoo()
    wiring = Sparse(entries.row, entries.col, *entries.shape)
    return Affine(Synapses(wiring, entries.data), np.zeros(wiring.targets))


class Windows(NamedTuple):
    """The windows of a pool along one axis."""

    inside: Bools
    """Whether a window holds a place of the source, shape (windows, places)."""
    lengths: NDArray[np.int64]
    """Places of each window, those in the padding too."""


def list_adaptive_windows(size: int, target: int) -> Windows:
    """Return the windows of torch's adaptive pools: i * size / target up to the next, overlapping.

    From floor(i * size / target) to ceil((i + 1) * size / target).
    """
    number = np.arange(target)
    start, stop = number * size // target, -(-(number + 1) * size // target)
    return _mark(start, stop, size, stop - start)


def count_windows(size: int, kernel: int, stride: int, padding: int, *, ceiling: bool) -> int:
    """Return the number of windows of torch's pools along one axis.

    With `ceil_mode` a last one may reach over the end, if it begins in the source or in the padding
    before it.
    """
    spare = size + 2 * padding - kernel
    count = (ceil(spare / stride) if ceiling else spare // stride) + 1
    return count - (ceiling and (count - 1) * stride >= size + padding)


def list_windows(size: int, kernel: int, stride: int, padding: int, *, ceiling: bool) -> Windows:
    """Return the windows of torch's average pools.

    What a window holds beyond the padding is not counted; see `count_windows`.
    """
    count = count_windows(size, kernel, stride, padding, ceiling=ceiling)
    start = np.arange(count) * stride - padding
    stop = np.minimum(start + kernel, size + padding)
    return _mark(start, stop, size, stop - start)


def _mark(start: Any, stop: Any, size: int, lengths: Any) -> Windows:
    index = np.arange(size)
    return Windows((index >= start[:, None]) & (index < stop[:, None]), lengths)


def pool_windows(
    windows: list[Windows],
    shape: Shape,
    where: str,
    kind: str,
    divisor: int | None,
    *,
    padded: bool,
) -> Affine:
    """Return the mean of each window, synapse by synapse.

    Args:
        windows: of each axis.
        shape: (channels, *space) of the source.
        where: the layer, for messages.
        kind: its class, for messages.
        divisor: of all windows; None: the number of their places.
        padded: whether places in the padding count.
    """
    lengths = [w.lengths if padded else w.inside.sum(axis=1) for w in windows]
    places = reduce(np.multiply.outer, lengths)
    shares = np.vectorize(round_share)(places if divisor is None else np.full_like(places, divisor))
    matrices = [w.inside.astype(np.float64) for w in windows]
    return list_synapses(matrices, shape[0], where, kind, shares)


def translate_volume_convolution(module: Any, where: str, shape: Shape) -> Affine:
    """Return a convolution over three axes of space, none of which is time.

    Channels and depth together are the channels of a convolution over the other two axes, most of
    whose kernels are zeros; these are left out where the rest can be listed.
    """
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UnsupportedError(
            f"{where}: Conv3d with padding={module.padding!r} and padding_mode="
            f"{module.padding_mode!r} is not known; use numbers and 'zeros'"
        )
    weight, (channels, depth, *plane) = to_floats(module.weight), shape
    (kernel, *kernels), (stride, *strides) = module.kernel_size, module.stride
    (padding, *paddings), (dilation, *dilations) = module.padding, module.dilation
    layers = (depth + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    outputs, inner = weight.shape[:2]
    folded = np.zeros((outputs, layers, channels, depth, *kernels))
    taken = np.zeros(folded.shape[:4], bool)
    for output, layer, tap in np.ndindex(outputs, layers, kernel):
        position = layer * stride + tap * dilation - padding
        first = output // (outputs // module.groups) * inner
        if 0 <= position < depth:
            folded[output, layer, first : first + inner, position] = weight[output, :, tap]
            taken[output, layer, first : first + inner, position] = True
    wiring = Convolution(
        (channels * depth, *plane),
        outputs * layers,
        tuple(kernels),
        tuple(strides),
        tuple(paddings),
        tuple(dilations),
    )
    synapses = Synapses(wiring, folded.reshape(wiring.weight_shape))
    if wiring.synapses <= LARGEST_LIST:
        synapses = _leave_out(synapses, taken.reshape(wiring.weight_shape[:2]))
    bias = np.repeat(read_bias(module, outputs), wiring.targets // outputs)
    return Affine(synapses, bias)


def _leave_out(synapses: Synapses, taken: Bools) -> Synapses:
    """Return the synapses between some pairs of channels, listed."""
    wiring, axes = synapses.wiring, synapses.weight.ndim - 2
    flags = np.broadcast_to(taken.reshape(*taken.shape, *(1,) * axes), synapses.weight.shape)
    kept = wiring.matrix(flags.astype(np.int8)).tocoo().data > 0
    entries = wiring.matrix(synapses.weight).tocoo()
    listed = Sparse(entries.row[kept], entries.col[kept], wiring.targets, wiring.sources)
    return Synapses(listed, entries.data[kept])


def add_own_padding(module: nn.Module, values: Tensor) -> Tensor:
    """Return the input of a convolution with the padding that is not of zeros; else as it is.

    `padding_mode`: reflect, replicate or circular. The layer itself then pads nothing.
    """
    mode = getattr(module, "padding_mode", "zeros")
    if mode == "zeros" or not isinstance(module, nn.Conv1d | nn.Conv2d):
        return values
    axes = len(module.kernel_size) + 1
    ends = module._reversed_padding_repeated_twice
    return pad_values(values, ends, mode, axes)


def pad_values(values: Tensor, ends: Any, mode: str, axes: int) -> Tensor:
    """Return whole numbers padded with copies of themselves on the last axes; `axes`: of a sample.

    torch pads floating-point numbers only; float64 holds these exactly.
    """
    rows = values.reshape(-1, *values.shape[values.ndim - axes :])
    padded = nn.functional.pad(rows.double(), tuple(ends), mode=mode)
    return padded.to(values.dtype).reshape(*values.shape[: values.ndim - axes], *padded.shape[1:])
