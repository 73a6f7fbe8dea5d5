"""Called torch functions that are layers: pools, upsampling, products with given weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

POOLS: dict[str, type[nn.Module]] = {
    "avg_pool1d": nn.AvgPool1d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "adaptive_max_pool1d": nn.AdaptiveMaxPool1d,
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
    "interpolate": nn.Upsample,
}
"""Function without weights of its own -> the layer with the same arguments."""
MAXIMA: dict[str, type[nn.Module]] = {"max_pool1d": nn.MaxPool1d, "max_pool2d": nn.MaxPool2d}
"""The same; the arguments of the layer have another order."""
CONVOLUTIONS: dict[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
}
"""Function that gets its weights as an argument -> its layer."""
PRODUCTS = frozenset(["matmul", "__matmul__", "mm", "spmm"])
"""Products of two matrices: of values and weights, or the other way round."""

Knows = Callable[[Tensor], bool]
"""Returns whether a tensor is computed from the input or a layer."""


class FunctionLayer(NamedTuple):
    """A called function as the equivalent layer."""

    name: str
    """The function and its arguments, as messages show them."""
    module: nn.Module
    drive: Tensor
    columns: bool = False
    """Whether its samples are the columns of the drive and of the result, not the rows."""
    weighted: bool = False
    """Whether calls of the same name may have other weights."""


def make_layer(function: str, args: Any, kwargs: Any, knows: Knows) -> FunctionLayer | None:
    """Return the layer equivalent to a call of a linear function; None for others.

    Args:
        function: its name, without its module.
        args: its arguments.
        kwargs: its keyword arguments.
        knows: tells values from weights.
    """
    return _make_weighted(function, args, kwargs, knows) or make_pool(function, args, kwargs)


def find_same(layer: FunctionLayer, modules: dict[str, nn.Module]) -> str:
    """Return the path of a layer: its name, numbered where another one of that name is not the
    same: with other weights, or a mean over a smaller image.
    """
    number, path = 1, layer.name
    while path in modules and not _is_same(layer.module, modules[path]):
        number += 1
        path = f"{layer.name}_{number}"
    return path


def _is_same(first: nn.Module, second: nn.Module) -> bool:
    weights, other = first.state_dict(), second.state_dict()
    alike = type(first) is type(second) and weights.keys() == other.keys()
    same = alike and repr(first) == repr(second)
    return same and all(torch.equal(value, other[key]) for key, value in weights.items())


def make_pool(function: str, args: Any, kwargs: Any) -> FunctionLayer | None:
    """Return the pool equivalent to a call of a function; None for other functions."""
    given = list(args) or [kwargs["input"]] if "input" in kwargs or args else []
    options = {key: value for key, value in kwargs.items() if key != "input"}
    if function in POOLS:
        if options.pop("antialias", False):
            return None
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


def _make_weighted(function: str, args: Any, kwargs: Any, knows: Knows) -> FunctionLayer | None:
    """Return the layer of a function that gets weights: a product, convolution or normalization."""
    if function in PRODUCTS:
        return _make_product(function, [*args, *kwargs.values()], knows)
    name = f"forward.{function}"
    if function == "linear":
        x, weight, bias = _bind(("input", "weight", "bias"), args, kwargs)
        if weight is None or knows(weight) or (bias is not None and knows(bias)):
            return None
        return FunctionLayer(name, _make_linear(weight, bias), x, weighted=True)
    if function in CONVOLUTIONS:
        return _make_convolution(function, args, kwargs, knows)
    if function == "batch_norm":
        return _make_normalization(args, kwargs, knows)
    return None


def _bind(names: tuple[str, ...], args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments of these names, None where one is not given."""
    given = dict(zip(names, args, strict=False)) | kwargs
    return [given.get(name) for name in names]


def _make_product(function: str, given: list[Any], knows: Knows) -> FunctionLayer | None:
    if len(given) != 2 or not all(isinstance(value, Tensor) for value in given):
        return None
    first, second = given
    name = f"forward.{function.strip('_')}"
    if knows(first) and not knows(second) and second.ndim == 2 and first.ndim > 1:
        return FunctionLayer(name, _make_linear(second.T, None), first, weighted=True)
    if knows(second) and not knows(first) and first.ndim == 2 and second.ndim > 1:
        return FunctionLayer(name, _make_linear(first, None), second, columns=True, weighted=True)
    return None


def _make_linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _fill(module, weight, bias)


def _fill(module: nn.Module, weight: Tensor | None, bias: Tensor | None) -> nn.Module:
    """Return the layer with these weights, in their own type."""
    for key, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            setattr(module, key, nn.Parameter(value.detach().clone(), requires_grad=False))
    return module


def _make_convolution(function: str, args: Any, kwargs: Any, knows: Knows) -> FunctionLayer | None:
    names: tuple[str, ...] = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    if "transpose" in function:
        names = (*names[:5], "output_padding", "groups", "dilation")
    x, weight, bias, *options = _bind(names, args, kwargs)
    tensors = [value for value in (weight, bias) if value is not None]
    if not isinstance(x, Tensor) or weight is None or any(map(knows, tensors)):
        return None
    axes = weight.ndim - 2
    if x.ndim != weight.ndim:
        return None
    given = {key: value for key, value in zip(names[3:], options, strict=True) if value is not None}
    groups = given.get("groups", 1)
    own, other = (0, 1) if "transpose" in function else (1, 0)
    module = CONVOLUTIONS[function](
        weight.shape[own] * (1 if own == 0 else groups),
        weight.shape[other] * (groups if own == 0 else 1),
        tuple(weight.shape[2:]),
        bias=bias is not None,
        **{k: _spread(v, axes) if k != "groups" else v for k, v in given.items()},
    )
    layer = _fill(module, weight, bias)
    return FunctionLayer(f"forward.{function}", layer, x, weighted=True)


def _spread(value: Any, axes: int) -> Any:
    if isinstance(value, tuple | list) and len(value) == 1:
        return tuple(value) * axes
    return tuple(value) if isinstance(value, list) else value


def _make_normalization(args: Any, kwargs: Any, knows: Knows) -> FunctionLayer | None:
    names = tuple(inspect.signature(nn.functional.batch_norm).parameters)
    x, mean, variance, weight, bias, training, _, eps = _bind(names, args, kwargs)
    tensors = [value for value in (mean, variance, weight, bias) if value is not None]
    if training or mean is None or variance is None or any(map(knows, tensors)):
        return None
    module = nn.BatchNorm1d(len(mean), eps=1e-5 if eps is None else eps, affine=False).eval()
    module.running_mean, module.running_var = mean.detach().clone(), variance.detach().clone()
    layer = _fill(module, weight, bias)
    return FunctionLayer("forward.batch_norm", layer, x, weighted=True)
