"""Linear layers of torch: one row per class translates it to synapses and a bias."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, frexp, ldexp, prod
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

Shape = tuple[int, ...]


class Row(NamedTuple):
    """A class of layers: the axes of its samples and its translation."""

    axes: int | None
    """Axes of one sample, the last ones of the input; None: all but the first."""
    translate: Callable[[Any, str, Shape], Affine]
    """From the layer, its path for messages and the shape of one sample."""
    maximum: bool = False
    """Whether the layer takes a maximum; `translate` then gives the sum of the same values."""


def _translate_linear(module: Any, where: str, shape: Shape) -> Affine:
    weight = _to_floats(module.weight)
    return Affine(dense(weight), _read_bias(module, len(weight)))


def _read_bias(module: Any, size: int) -> Floats:
    return np.zeros(size) if module.bias is None else _to_floats(module.bias)


def _to_floats(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()


def _translate_convolution(module: Any, where: str, shape: Shape) -> Affine:
    kind = type(module).__name__
    if module.padding_mode != "zeros":
        raise UnsupportedError(
            f"{where}: {kind} with padding_mode={module.padding_mode!r} is not known; use 'zeros'"
        )
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
    bias = np.repeat(_read_bias(module, module.out_channels), prod(wiring.target_shape[1:]))
    return Affine(Synapses(wiring, weight), bias)


def _read_kernel(module: Any) -> tuple[Floats, Shape, Shape]:
    """Return the weights, the zeros at both ends of each axis, and the dilation.

    With padding "same", torch puts one zero more at the end of an axis where their number is odd:
    the same as a kernel that begins with a tap of weight zero, and as many zeros at both ends.
    """
    weight, dilation = _to_floats(module.weight), tuple(module.dilation)
    if module.padding == "valid":
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


def _translate_average(module: Any, where: str, shape: Shape) -> Affine:
    kind, space = type(module).__name__, len(shape) - 1
    padding = repeat_per_axis(module.padding, space)
    if module.ceil_mode:
        raise UnsupportedError(
            f"{where}: {kind} with ceil_mode=True is not known; use padding or another kernel"
        )
    if any(padding) and not module.count_include_pad:
        raise UnsupportedError(
            f"{where}: {kind} with padding and count_include_pad=False is not known; use"
            " count_include_pad=True"
        )
    kernel = repeat_per_axis(module.kernel_size, space)
    stride = repeat_per_axis(module.stride, space)
    divisor = getattr(module, "divisor_override", None) or prod(kernel)
    return _make_pooling(shape, kernel, stride, padding, divisor)


def _translate_adaptive_average(module: Any, where: str, shape: Shape) -> Affine:
    space = shape[1:]
    sizes = repeat_per_axis(module.output_size, len(space))
    targets = tuple(n if size is None else size for n, size in zip(space, sizes, strict=True))
    if any(size % target for size, target in zip(space, targets, strict=True)):
        raise UnsupportedError(
            f"{where}: {type(module).__name__} from {_join_sizes(space)} to {_join_sizes(targets)}"
            " has windows of different sizes; use a size that divides the input's"
        )
    kernel = tuple(size // target for size, target in zip(space, targets, strict=True))
    return _make_pooling(shape, kernel, kernel, (0,) * len(space), prod(kernel))


def repeat_per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    """Return one value per axis from one for all, or one for each."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


def _join_sizes(values: Shape) -> str:
    return "x".join(map(str, values))


def _make_pooling(
    shape: Shape, kernel: Shape, stride: Shape, padding: Shape, divisor: int
) -> Affine:
    """Return a depthwise convolution of equal weights."""
    channels = shape[0]
    dilation = (1,) * len(kernel)
    wiring = Convolution(shape, channels, kernel, stride, padding, dilation, channels)
    weight = np.full(wiring.weight_shape, round_share(divisor))
    return Affine(Synapses(wiring, weight), np.zeros(wiring.targets))


def round_share(divisor: int) -> float:
    """Return 1 / divisor, rounded down to 40 bits.

    Its sums are exact in any order and a full window gives at most 1, as in torch, which divides
    the sum. Nine times the nearest number to 1/9 may be more than 1, and than a threshold of 1.
    """
    mantissa, exponent = frexp(1 / divisor)
    return ldexp(floor(ldexp(mantissa, 40)), exponent - 40)


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
    mean, variance = _to_floats(module.running_mean), _to_floats(module.running_var)
    scale = 1 / np.sqrt(variance + module.eps)
    if module.weight is not None:
        scale = scale * _to_floats(module.weight)
    bias = -mean * scale
    if module.bias is not None:
        bias = bias + _to_floats(module.bias)
    space = prod(shape[1:])
    wiring = Scale(prod(shape), per_neuron=True)
    return Affine(Synapses(wiring, np.repeat(scale, space)), np.repeat(bias, space))


LINEAR: dict[type[nn.Module], Row] = {
    nn.Linear: Row(1, _translate_linear),
    nn.Conv1d: Row(2, _translate_convolution),
    nn.Conv2d: Row(3, _translate_convolution),
    nn.AvgPool1d: Row(2, _translate_average),
    nn.AvgPool2d: Row(3, _translate_average),
    nn.AdaptiveAvgPool1d: Row(2, _translate_adaptive_average),
    nn.AdaptiveAvgPool2d: Row(3, _translate_adaptive_average),
    nn.BatchNorm1d: Row(None, _translate_batch_norm),
    nn.BatchNorm2d: Row(None, _translate_batch_norm),
    nn.InstanceNorm1d: Row(2, _translate_batch_norm),
    nn.InstanceNorm2d: Row(3, _translate_batch_norm),
    nn.MaxPool1d: Row(2, _translate_maximum, maximum=True),
    nn.MaxPool2d: Row(3, _translate_maximum, maximum=True),
    nn.AdaptiveMaxPool1d: Row(2, _translate_adaptive_maximum, maximum=True),
    nn.AdaptiveMaxPool2d: Row(3, _translate_adaptive_maximum, maximum=True),
}
"""Layer class -> its row. Average pools with `divisor_override=1` are sum pools."""

POOLS: dict[str, type[nn.Module]] = {
    "avg_pool1d": nn.AvgPool1d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "adaptive_max_pool1d": nn.AdaptiveMaxPool1d,
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
}
"""Function without weights of its own -> the layer with the same arguments."""
MAXIMA: dict[str, type[nn.Module]] = {"max_pool1d": nn.MaxPool1d, "max_pool2d": nn.MaxPool2d}
"""The same; the arguments of the layer have another order."""


class FunctionLayer(NamedTuple):
    """A called function as the equivalent layer."""

    name: str
    """The function and its arguments, as messages show them."""
    module: nn.Module
    drive: Tensor


def make_layer(function: str, args: Any, kwargs: Any) -> FunctionLayer | None:
    """Return the layer equivalent to a call of an average, sum or pool; None for others."""
    given = list(args) or [kwargs["input"]] if "input" in kwargs or args else []
    options = {key: value for key, value in kwargs.items() if key != "input"}
    if function in POOLS:
        module: nn.Module | None = POOLS[function](*given[1:], **options)
    elif function in MAXIMA:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        module = MAXIMA[function](**dict(zip(names, given[1:], strict=False)), **options)
    elif function in ("mean", "sum") and isinstance(given[0], Tensor):
        module = _make_space_pool(function, given[0], given[1:], options)
    else:
        module = None
    if module is None:
        return None
    usual = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
    unusual = {key: value for key, value in options.items() if usual.get(key, False) != value}
    words = [*map(str, given[1:]), *(f"{key}={value}" for key, value in unusual.items())]
    return FunctionLayer(f"{function}({', '.join(words)})", module, given[0])


def _make_space_pool(function: str, x: Tensor, args: list[Any], options: Any) -> nn.Module | None:
    """Return the pool for a mean or sum over the one or two space axes behind the channels."""
    dims = args[0] if args else options.get("dim")
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    space = sorted(dim % x.ndim for dim in dims)
    if space != list(range(x.ndim - len(space), x.ndim)) or len(space) not in (1, 2):
        return None
    if x.ndim < len(space) + 2:  # no sample and channel before them: time, or all neurons
        return None
    sizes = tuple(x.shape[axis] for axis in space)
    if len(space) == 1:
        return nn.AvgPool1d(sizes) if function == "mean" else _make_sum_pool(nn.AvgPool1d(sizes))
    divisor = None if function == "mean" else 1
    return nn.AvgPool2d(sizes, divisor_override=divisor)


def _make_sum_pool(pool: Any) -> nn.Module:
    pool.divisor_override = 1
    return pool  # type: ignore[no-any-return]
