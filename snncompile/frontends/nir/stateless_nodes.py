"""Nodes of a NIR graph without state: their shapes, and their synapses and bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import PASS, Node
from snncompile.frontends.torch.layer_values import round_share
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

MOST_VALUES = 2**24
"""Values that a node may send in one time step: more than the neurons of 16 Loihi 2 chips."""


@dataclass(frozen=True, eq=False)
class NodeMap:
    """Effect of a node on a value of its input shape: synapses, then plus a bias."""

    shape: Shape
    """Shape of the result."""
    synapses: Synapses | None = None
    """None: values stay as they are."""
    bias: Floats | None = None
    """One per value of the result; None: none."""


class MisfitError(InputError):
    """A node cannot take a value of that shape."""


def explain_misfit(node: Node, shape: Shape, expected: str) -> MisfitError:
    """Return the error about a node that gets values of another shape than it expects."""
    return MisfitError(f"{node.where}: {node.kind} gets shape {shape}, expected {expected}")


def find_target_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape of a node's result for a value of the given shape.

    Raises:
        MisfitError: it cannot take that shape.
        InputError, UnsupportedError: its parameters are malformed, or not known.
    """
    result = SHAPES[node.kind](node, shape)
    if prod(result) > MOST_VALUES or min(result, default=0) < 1:
        raise InputError(
            f"{node.where}: {node.kind} makes values of shape {result}, expected 1..{MOST_VALUES:,}"
        )
    return result


def translate_node(node: Node, shape: Shape) -> NodeMap:
    """Return the effect of a node on a value of the given shape; see `find_target_shape`."""
    return LINEAR[node.kind](node, shape)


def _keep_shape(node: Node, shape: Shape) -> Shape:
    return shape


def _find_matrix_shape(node: Node, shape: Shape) -> Shape:
    weight = node.read_numbers("weight")
    if weight.ndim != 2:
        raise UnsupportedError(
            f"{node.where}: weight has shape {weight.shape}; only (target, source) is known"
        )
    if prod(shape) != weight.shape[1] or (len(shape) > 1 and shape[-1] == weight.shape[1]):
        raise explain_misfit(node, shape, f"({weight.shape[1]},)")
    return (weight.shape[0],)


def _find_scale_shape(node: Node, shape: Shape) -> Shape:
    check_broadcast(node, "scale", shape)
    return shape


def check_broadcast(node: Node, name: str, shape: Shape) -> None:
    """Refuse a parameter that is neither one number nor one per value of the shape.

    Raises:
        MisfitError: also if the shape has more axes than the parameter, as (batch, n) has.
    """
    own = node.read_numbers(name).shape
    if prod(own) == 1:
        return
    try:
        fits = np.broadcast_shapes(own, shape) == shape and len(own) == len(shape)
    except ValueError:
        fits = False
    if not fits:
        raise explain_misfit(node, shape, f"that of {name}, {own}")


def broadcast(node: Node, name: str, shape: Shape) -> Floats:
    """Return a parameter as one number, shape (), or one per value, shape (n,)."""
    value = node.read_floats(name)
    if value.size == 1:
        return value.reshape(())
    return np.broadcast_to(value, shape).reshape(-1).copy()


def _make_convolution(node: Node, shape: Shape) -> Convolution:
    weight = node.read_numbers("weight")
    space = 1 if node.kind == "Conv1d" else 2
    if weight.ndim != space + 2 or weight.shape[0] != node.read_numbers("bias").size:
        raise InputError(
            f"{node.where}: weight has shape {weight.shape} and bias"
            f" {node.read_numbers('bias').shape}"
        )
    groups = node.read_integers("groups", 1)[0]
    channels = weight.shape[1] * groups
    if len(shape) != space + 1 or shape[0] != channels:
        axes = "length" if space == 1 else "height, width"
        raise explain_misfit(node, shape, f"({channels}, {axes})")
    stride, dilation = (
        _read_per_axis(node, "stride", space, 1),
        _read_per_axis(node, "dilation", space, 1),
    )
    kernel = weight.shape[2:]
    padding = _read_padding(node, kernel, dilation, stride)
    return _make_wiring(node, shape, weight.shape[0], kernel, stride, padding, dilation, groups)


def _make_wiring(node: Node, shape: Shape, channels: int, *geometry: Shape | int) -> Convolution:
    try:
        wiring = Convolution(shape, channels, *geometry)  # type: ignore[arg-type]
    except ValueError as error:
        raise InputError(f"{node.where}: {error}") from None
    if prod(wiring.weight_shape) > MOST_VALUES:
        raise InputError(f"{node.where}: a kernel of {wiring.weight_shape} is too large")
    return wiring


def _read_per_axis(node: Node, name: str, axes: int, low: int) -> Shape:
    values = node.read_integers(name, low, 2**20)
    if len(values) not in (1, axes):
        raise InputError(f"{node.where}: {name} has {len(values)} values for {axes} axes")
    return values * axes if len(values) == 1 else values


def _read_padding(node: Node, kernel: Shape, dilation: Shape, stride: Shape) -> Shape:
    value = node.values["padding"]
    if not isinstance(value, str):
        return _read_per_axis(node, "padding", len(kernel), 0)
    if value == "valid":
        return (0,) * len(kernel)
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(zeros % 2 for zeros in total) or any(s != 1 for s in stride):
        raise UnsupportedError(
            f"{node.where}: padding 'same' of kernel {tuple(kernel)} and stride {stride} is not"
            " known; use an odd kernel and stride 1, or padding as numbers"
        )
    return tuple(zeros // 2 for zeros in total)


def _find_convolution_shape(node: Node, shape: Shape) -> Shape:
    return _make_convolution(node, shape).target_shape


def _make_pooling(node: Node, shape: Shape) -> Convolution:
    if len(shape) != 3:
        raise explain_misfit(node, shape, "(channels, height, width)")
    kernel = _read_per_axis(node, "kernel_size", 2, 1)
    stride = _read_per_axis(node, "stride", 2, 1)
    padding = _read_per_axis(node, "padding", 2, 0)
    return _make_wiring(node, shape, shape[0], kernel, stride, padding, (1, 1), shape[0])


def _find_pooling_shape(node: Node, shape: Shape) -> Shape:
    return _make_pooling(node, shape).target_shape


def _find_flatten_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape with some axes merged into one; the batch is not among them."""
    first, last = node.read_integers("start_dim")[0], node.read_integers("end_dim")[0]
    axes = len(shape)
    first, last = first % axes if first < 0 else first, last % axes if last < 0 else last
    if not 0 <= first <= last < axes:
        if axes == 1:
            return shape
        raise explain_misfit(node, shape, f"axes {first} to {last}")
    return (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])


def _find_delay_shape(node: Node, shape: Shape) -> Shape:
    check_broadcast(node, "delay", shape)
    return shape


SHAPES: dict[str, Callable[[Node, Shape], Shape]] = {
    PASS: _keep_shape,
    "Output": _keep_shape,
    "Affine": _find_matrix_shape,
    "Linear": _find_matrix_shape,
    "Scale": _find_scale_shape,
    "Conv1d": _find_convolution_shape,
    "Conv2d": _find_convolution_shape,
    "SumPool2d": _find_pooling_shape,
    "AvgPool2d": _find_pooling_shape,
    "Flatten": _find_flatten_shape,
    "Delay": _find_delay_shape,
}
"""Kind of node -> function from its input shape to its output shape."""


def _translate_matrix(node: Node, shape: Shape) -> NodeMap:
    weight = node.read_floats("weight")
    bias = node.read_floats("bias").reshape(-1) if "bias" in node.values else None
    if bias is not None and bias.size != len(weight):
        raise InputError(f"{node.where}: bias has {bias.size} values for {len(weight)} rows")
    return NodeMap((len(weight),), dense(weight), bias)


def _translate_scale(node: Node, shape: Shape) -> NodeMap:
    scale = broadcast(node, "scale", shape)
    return NodeMap(shape, Synapses(Scale(prod(shape), scale.ndim == 1), scale))


def _translate_convolution(node: Node, shape: Shape) -> NodeMap:
    wiring = _make_convolution(node, shape)
    bias = np.repeat(node.read_floats("bias").reshape(-1), prod(wiring.target_shape[1:]))
    return NodeMap(wiring.target_shape, Synapses(wiring, node.read_floats("weight")), bias)


def _translate_pooling(node: Node, shape: Shape) -> NodeMap:
    wiring = _make_pooling(node, shape)
    value = round_share(prod(wiring.kernel)) if node.kind == "AvgPool2d" else 1.0
    return NodeMap(wiring.target_shape, Synapses(wiring, np.full(wiring.weight_shape, value)))


def _translate_reshape(node: Node, shape: Shape) -> NodeMap:
    return NodeMap(find_target_shape(node, shape))


LINEAR: dict[str, Callable[[Node, Shape], NodeMap]] = {
    PASS: _translate_reshape,
    "Output": _translate_reshape,
    "Affine": _translate_matrix,
    "Linear": _translate_matrix,
    "Scale": _translate_scale,
    "Conv1d": _translate_convolution,
    "Conv2d": _translate_convolution,
    "SumPool2d": _translate_pooling,
    "AvgPool2d": _translate_pooling,
    "Flatten": _translate_reshape,
}
"""Kind of node -> its translation; a Delay acts on time and is in `from_nir.py`."""
