"""Nodes of a NIR graph that hold no state: what they do to a shape, and as synapses and a bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import PASS, Node
from snncompile.frontends.torch.linear_layers import share
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

MOST_VALUES = 2**24
"""Values that a node may send in one time step: more than the neurons of 16 Loihi 2 chips."""


@dataclass(frozen=True, eq=False)
class Applied:
    """What a node does to a value of its input shape: synapses, then plus a bias."""

    shape: Shape
    """Shape of the result."""
    synapses: Synapses | None = None
    """None: nothing, values keep their places."""
    bias: Floats | None = None
    """One per value of the result; None: none."""


class MisfitError(InputError):
    """A node cannot take a value of that shape."""


def misfit(node: Node, shape: Shape, expected: str) -> MisfitError:
    """Return the error that a node gets values of another shape than it expects."""
    return MisfitError(f"{node.where}: {node.kind} gets shape {shape}, expected {expected}")


def target_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape of what a node makes of a value of the given shape.

    Raises:
        MisfitError: it cannot take that shape.
        InputError, UnsupportedError: its parameters make no sense, or are not known.
    """
    found = SHAPES[node.kind](node, shape)
    if prod(found) > MOST_VALUES or min(found, default=0) < 1:
        raise InputError(
            f"{node.where}: {node.kind} makes values of shape {found}, expected 1..{MOST_VALUES:,}"
        )
    return found


def applied(node: Node, shape: Shape) -> Applied:
    """Return what a node does to a value of the given shape; see `target_shape`."""
    return LINEAR[node.kind](node, shape)


def _same_shape(node: Node, shape: Shape) -> Shape:
    return shape


def _matrix_shape(node: Node, shape: Shape) -> Shape:
    weight = node.numbers("weight")
    if weight.ndim != 2:
        raise UnsupportedError(
            f"{node.where}: weight has shape {weight.shape}; only (target, source) is known"
        )
    if prod(shape) != weight.shape[1] or (len(shape) > 1 and shape[-1] == weight.shape[1]):
        raise misfit(node, shape, f"({weight.shape[1]},)")
    return (weight.shape[0],)


def _scale_shape(node: Node, shape: Shape) -> Shape:
    check_broadcast(node, "scale", shape)
    return shape


def check_broadcast(node: Node, name: str, shape: Shape) -> None:
    """Refuse a parameter that is neither one number nor one per value of the shape.

    Raises:
        MisfitError: also if the shape has axes more than the parameter, as (batch, n) has.
    """
    own = node.numbers(name).shape
    if prod(own) == 1:
        return
    try:
        fits = np.broadcast_shapes(own, shape) == shape and len(own) == len(shape)
    except ValueError:
        fits = False
    if not fits:
        raise misfit(node, shape, f"that of {name}, {own}")


def broadcast(node: Node, name: str, shape: Shape) -> Floats:
    """Return a parameter as one number, shape (), or one per value, shape (n,)."""
    value = node.floats(name)
    if value.size == 1:
        return value.reshape(())
    return np.broadcast_to(value, shape).reshape(-1).copy()


def _convolution(node: Node, shape: Shape) -> Convolution:
    weight = node.numbers("weight")
    space = 1 if node.kind == "Conv1d" else 2
    if weight.ndim != space + 2 or weight.shape[0] != node.numbers("bias").size:
        raise InputError(
            f"{node.where}: weight has shape {weight.shape} and bias {node.numbers('bias').shape}"
        )
    groups = node.integers("groups", 1)[0]
    channels = weight.shape[1] * groups
    if len(shape) != space + 1 or shape[0] != channels:
        axes = "length" if space == 1 else "height, width"
        raise misfit(node, shape, f"({channels}, {axes})")
    stride, dilation = _per_axis(node, "stride", space, 1), _per_axis(node, "dilation", space, 1)
    kernel = weight.shape[2:]
    padding = _padding(node, kernel, dilation, stride)
    return _geometry(node, shape, weight.shape[0], kernel, stride, padding, dilation, groups)


def _geometry(node: Node, shape: Shape, channels: int, *geometry: Shape | int) -> Convolution:
    try:
        wiring = Convolution(shape, channels, *geometry)  # type: ignore[arg-type]
    except ValueError as error:
        raise InputError(f"{node.where}: {error}") from None
    if prod(wiring.weight_shape) > MOST_VALUES:
        raise InputError(f"{node.where}: a kernel of {wiring.weight_shape} is too large")
    return wiring


def _per_axis(node: Node, name: str, axes: int, low: int) -> Shape:
    values = node.integers(name, low, 2**20)
    if len(values) not in (1, axes):
        raise InputError(f"{node.where}: {name} has {len(values)} values for {axes} axes")
    return values * axes if len(values) == 1 else values


def _padding(node: Node, kernel: Shape, dilation: Shape, stride: Shape) -> Shape:
    value = node.values["padding"]
    if not isinstance(value, str):
        return _per_axis(node, "padding", len(kernel), 0)
    if value == "valid":
        return (0,) * len(kernel)
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(zeros % 2 for zeros in total) or any(s != 1 for s in stride):
        raise UnsupportedError(
            f"{node.where}: padding 'same' of kernel {tuple(kernel)} and stride {stride} is not"
            " known; use an odd kernel and stride 1, or padding as numbers"
        )
    return tuple(zeros // 2 for zeros in total)


def _convolution_shape(node: Node, shape: Shape) -> Shape:
    return _convolution(node, shape).target_shape


def _pooling(node: Node, shape: Shape) -> Convolution:
    if len(shape) != 3:
        raise misfit(node, shape, "(channels, height, width)")
    kernel = _per_axis(node, "kernel_size", 2, 1)
    stride = _per_axis(node, "stride", 2, 1)
    padding = _per_axis(node, "padding", 2, 0)
    return _geometry(node, shape, shape[0], kernel, stride, padding, (1, 1), shape[0])


def _pooling_shape(node: Node, shape: Shape) -> Shape:
    return _pooling(node, shape).target_shape


def _flatten_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape with some axes made one; the batch is not among them."""
    first, last = node.integers("start_dim")[0], node.integers("end_dim")[0]
    axes = len(shape)
    first, last = first % axes if first < 0 else first, last % axes if last < 0 else last
    if not 0 <= first <= last < axes:
        if axes == 1:
            return shape
        raise misfit(node, shape, f"axes {first} to {last}")
    return (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])


def _delay_shape(node: Node, shape: Shape) -> Shape:
    check_broadcast(node, "delay", shape)
    return shape


SHAPES: dict[str, Callable[[Node, Shape], Shape]] = {
    PASS: _same_shape,
    "Output": _same_shape,
    "Affine": _matrix_shape,
    "Linear": _matrix_shape,
    "Scale": _scale_shape,
    "Conv1d": _convolution_shape,
    "Conv2d": _convolution_shape,
    "SumPool2d": _pooling_shape,
    "AvgPool2d": _pooling_shape,
    "Flatten": _flatten_shape,
    "Delay": _delay_shape,
}
"""Kind of node -> what it makes of a shape."""


def _matrix(node: Node, shape: Shape) -> Applied:
    weight = node.floats("weight")
    bias = node.floats("bias").reshape(-1) if "bias" in node.values else None
    if bias is not None and bias.size != len(weight):
        raise InputError(f"{node.where}: bias has {bias.size} values for {len(weight)} rows")
    return Applied((len(weight),), dense(weight), bias)


def _scaled(node: Node, shape: Shape) -> Applied:
    scale = broadcast(node, "scale", shape)
    return Applied(shape, Synapses(Scale(prod(shape), scale.ndim == 1), scale))


def _convolved(node: Node, shape: Shape) -> Applied:
    wiring = _convolution(node, shape)
    bias = np.repeat(node.floats("bias").reshape(-1), prod(wiring.target_shape[1:]))
    return Applied(wiring.target_shape, Synapses(wiring, node.floats("weight")), bias)


def _pooled(node: Node, shape: Shape) -> Applied:
    wiring = _pooling(node, shape)
    value = share(prod(wiring.kernel)) if node.kind == "AvgPool2d" else 1.0
    return Applied(wiring.target_shape, Synapses(wiring, np.full(wiring.weight_shape, value)))


def _moved(node: Node, shape: Shape) -> Applied:
    return Applied(target_shape(node, shape))


LINEAR: dict[str, Callable[[Node, Shape], Applied]] = {
    PASS: _moved,
    "Output": _moved,
    "Affine": _matrix,
    "Linear": _matrix,
    "Scale": _scaled,
    "Conv1d": _convolved,
    "Conv2d": _convolved,
    "SumPool2d": _pooled,
    "AvgPool2d": _pooled,
    "Flatten": _moved,
}
"""Kind of node -> what it does; a Delay acts on the time and stands in `nir.py`."""
