"""Linear layers of torch: one row per class translates it to synapses and a bias."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine
from snncompile.frontends.torch.grid_layers import (
    list_adaptive_windows,
    list_windows,
    pool_windows,
    translate_transposed,
    translate_upsampling,
    translate_volume_convolution,
)
from snncompile.frontends.torch.layer_values import (
    Shape,
    join_sizes,
    read_bias,
    repeat_per_axis,
    round_share,
    to_floats,
)
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale


class Row(NamedTuple):
    """A class of layers: the axes of its samples and its translation."""

    axes: int | None
    """Axes of one sample, the last ones of the input; None: all but the first."""
    translate: Callable[[Any, str, Shape], Affine]
    """From the layer, its path for messages and the shape of one sample."""
    maximum: bool = False
    """Whether the layer takes a maximum; `translate` then gives the sum of the same values."""


def _translate_linear(module: Any, where: str, shape: Shape) -> Affine:
    weight = to_floats(module.weight)
    return Affine(dense(weight), read_bias(module, len(weight)))


def _translate_convolution(module: Any, where: str, shape: Shape) -> Affine:
    """Return a convolution; of the padded input, where its padding is not of zeros."""
    weight, padding, dilation = _read_kernel(module)
    wiring = Convolution(
        source_shape=shape,
        channels=module.out_channels,
        kernel=weight.shape[2:],
        stride=module.stride,
        padding=padding,
        dilation=dilation,
        groups=module.groups,
    )
    bias = np.repeat(read_bias(module, module.out_channels), prod(wiring.target_shape[1:]))
    return Affine(Synapses(wiring, weight), bias)


def _read_kernel(module: Any) -> tuple[Floats, Shape, Shape]:
    """Return the weights, the zeros at both ends of each axis, and the dilation.

    With padding "same", torch puts one zero more at the end of an axis where their number is odd:
    the same as a kernel that begins with a tap of weight zero, and as many zeros at both ends.
    """
    weight, dilation = to_floats(module.weight), tuple(module.dilation)
    if module.padding == "valid" or module.padding_mode != "zeros":
        return weight, (0,) * len(dilation), dilation
    if module.padding != "same":
        return weight, tuple(module.padding), dilation
    axes = zip(dilation, module.kernel_size, strict=True)
    total = [step * (kernel - 1) for step, kernel in axes]
    for axis, zeros in enumerate(total):
        if zeros % 2:
            weight = _begin_with_zero(weight, 2 + axis, dilation[axis])
            dilation = (*dilation[:axis], 1, *dilation[axis + 1 :])
    return weight, tuple(-(-zeros // 2) for zeros in total), dilation


def _begin_with_zero(weight: Floats, axis: int, dilation: int) -> Floats:
    """Return a kernel without dilation along an axis that begins with a tap of weight zero."""
    shape = list(weight.shape)
    shape[axis] = dilation * (shape[axis] - 1) + 2
    longer = np.zeros(shape)
    longer[(slice(None),) * axis + (slice(1, None, dilation),)] = weight
    return longer


def refuse_own_padding(module: Any, where: str) -> None:
    """Refuse a convolution whose padding is not of zeros, where its input cannot be padded."""
    mode = getattr(module, "padding_mode", "zeros")
    if mode != "zeros":
        kind = type(module).__name__
        raise UnsupportedError(
            f"{where}: {kind} with padding_mode={mode!r} is not known here; use 'zeros'"
        )


def _translate_average(module: Any, where: str, shape: Shape) -> Affine:
    space = shape[1:]
    kernel, stride, padding = (
        repeat_per_axis(value, len(space))
        for value in (module.kernel_size, module.stride, module.padding)
    )
    ceiling, divisor = module.ceil_mode, getattr(module, "divisor_override", None)
    axes = list(zip(space, kernel, stride, padding, strict=True))
    ends = ((n + 2 * p - k) % s for n, k, s, p in axes)
    partial = any(padding) and not module.count_include_pad and divisor is None
    if partial or (ceiling and any(ends)):
        windows = [list_windows(*axis, ceiling=ceiling) for axis in axes]
        kind, padded = type(module).__name__, module.count_include_pad
        return pool_windows(windows, shape, where, kind, divisor, padded=padded)
    return _make_pooling(shape, kernel, stride, padding, divisor or prod(kernel))


def _translate_adaptive_average(module: Any, where: str, shape: Shape) -> Affine:
    space = shape[1:]
    targets = _read_targets(module, space)
    if any(size % target for size, target in zip(space, targets, strict=True)):
        windows = [list_adaptive_windows(*axis) for axis in zip(space, targets, strict=True)]
        return pool_windows(windows, shape, where, type(module).__name__, None, padded=True)
    kernel = tuple(size // target for size, target in zip(space, targets, strict=True))
    return _make_pooling(shape, kernel, kernel, (0,) * len(space), prod(kernel))


def _read_targets(module: Any, space: Shape) -> Shape:
    sizes = repeat_per_axis(module.output_size, len(space))
    return tuple(n if size is None else size for n, size in zip(space, sizes, strict=True))


def _make_pooling(
    shape: Shape, kernel: Shape, stride: Shape, padding: Shape, divisor: int
) -> Affine:
    """Return a depthwise convolution of equal weights."""
    channels = shape[0]
    dilation = (1,) * len(kernel)
    wiring = Convolution(shape, channels, kernel, stride, padding, dilation, channels)
    weight = np.full(wiring.weight_shape, round_share(divisor))
    return Affine(Synapses(wiring, weight), np.zeros(wiring.targets))


def _translate_maximum(module: Any, where: str, shape: Shape) -> Affine:
    """Return the sum over each window: of spikes, the maximum is 1 if the sum is above 0."""
    if module.ceil_mode:
        raise UnsupportedError(
            f"{where}: {type(module).__name__} with ceil_mode=True is not known; use padding or"
            " another kernel"
        )
    values = (module.kernel_size, module.stride, module.padding, module.dilation)
    kernel, stride, padding, dilation = (repeat_per_axis(value, len(shape) - 1) for value in values)
    wiring = Convolution(shape, shape[0], kernel, stride, padding, dilation, shape[0])
    return Affine(Synapses(wiring, np.ones(wiring.weight_shape)), np.zeros(wiring.targets))


def _translate_adaptive_maximum(module: Any, where: str, shape: Shape) -> Affine:
    """Return the sum over each window, as `_translate_maximum`."""
    space, targets = shape[1:], _read_targets(module, shape[1:])
    if any(size % target for size, target in zip(space, targets, strict=True)):
        raise UnsupportedError(
            f"{where}: {type(module).__name__} from {join_sizes(space)} to {join_sizes(targets)}"
            " has windows of different sizes; use a size that divides the input's"
        )
    average = _translate_adaptive_average(module, where, shape)
    wiring = average.synapses.wiring
    return Affine(Synapses(wiring, np.ones(wiring.weight_shape)), np.zeros(wiring.targets))


def _translate_batch_norm(module: Any, where: str, shape: Shape) -> Affine:
    if module.running_mean is None:
        kind = type(module).__name__
        of = "batch, which a chip does not see" if kind.startswith("Batch") else "input itself"
        raise UnsupportedError(
            f"{where}: {kind} without running statistics normalizes by the {of}; use"
            " track_running_stats=True"
        )
    mean, variance = to_floats(module.running_mean), to_floats(module.running_var)
    scale = 1 / np.sqrt(variance + module.eps)
    if module.weight is not None:
        scale = scale * to_floats(module.weight)
    bias = -mean * scale
    if module.bias is not None:
        bias = bias + to_floats(module.bias)
    space = prod(shape[1:])
    wiring = Scale(prod(shape), per_neuron=True)
    return Affine(Synapses(wiring, np.repeat(scale, space)), np.repeat(bias, space))


LINEAR: dict[type[nn.Module], Row] = {
    nn.Linear: Row(1, _translate_linear),
    nn.Conv1d: Row(2, _translate_convolution),
    nn.Conv2d: Row(3, _translate_convolution),
    nn.Conv3d: Row(4, translate_volume_convolution),
    nn.ConvTranspose1d: Row(2, translate_transposed),
    nn.ConvTranspose2d: Row(3, translate_transposed),
    nn.Upsample: Row(None, translate_upsampling),
    nn.UpsamplingNearest2d: Row(3, translate_upsampling),
    nn.UpsamplingBilinear2d: Row(3, translate_upsampling),
    nn.AvgPool1d: Row(2, _translate_average),
    nn.AvgPool2d: Row(3, _translate_average),
    nn.AdaptiveAvgPool1d: Row(2, _translate_adaptive_average),
    nn.AdaptiveAvgPool2d: Row(3, _translate_adaptive_average),
    nn.BatchNorm1d: Row(None, _translate_batch_norm),
    nn.BatchNorm2d: Row(None, _translate_batch_norm),
    nn.InstanceNorm1d: Row(2, _translate_batch_norm),
    nn.InstanceNorm2d: Row(3, _translate_batch_norm),
    nn.BatchNorm3d: Row(None, _translate_batch_norm),
    nn.MaxPool1d: Row(2, _translate_maximum, maximum=True),
    nn.MaxPool2d: Row(3, _translate_maximum, maximum=True),
    nn.AdaptiveMaxPool1d: Row(2, _translate_adaptive_maximum, maximum=True),
    nn.AdaptiveMaxPool2d: Row(3, _translate_adaptive_maximum, maximum=True),
}
"""Layer class -> its row. Average pools with `divisor_override=1` are sum pools."""
