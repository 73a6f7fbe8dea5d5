"""Projections as NIR nodes, of shapes that nir 1.0.8 accepts.

Its type check takes the first kernel size for both axes and knows no groups of channels
(`ir/conv.py`, `ir/graph.py`). So kernels are made square with zeros, and groups are written as
weights of zero; other wirings are unrolled to a matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Projection, Shape
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import LARGEST
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale

Node = dict[str, Any]


def keeps_shape(projection: Projection, source: Shape, target: Shape) -> bool:
    """Return whether a projection leads from nodes of one shape to another without flattening."""
    wiring = projection.synapses.wiring
    if isinstance(wiring, Scale):
        return source == target
    if isinstance(wiring, Convolution):
        same = (source, target) == (wiring.source_shape, wiring.target_shape)
        return same and _find_square_padding(wiring) is not None
    return False


def make_synapse_nodes(projection: Projection, source: Shape, target: Shape) -> list[Node]:
    """Return the nodes between those of the source and the target, one after the other.

    Raises:
        UnsupportedError: it has to be unrolled, and has too many synapses.
    """
    synapses = projection.synapses
    assert isinstance(synapses, Synapses), "a Network has no others"
    wiring = synapses.wiring
    if keeps_shape(projection, source, target):
        if isinstance(wiring, Convolution):
            return _make_convolution(wiring, synapses)
        return [_make_scale(synapses.weight, source)]
    nodes = [_make_flatten(source)] if len(source) > 1 else []
    if isinstance(wiring, Scale):
        return [*nodes, _make_scale(synapses.weight, (wiring.size,))]
    if wiring.targets * wiring.sources > LARGEST:
        raise UnsupportedError(
            f"projection {projection.source} -> {projection.target}: {wiring} has to be unrolled"
            f" for NIR, to {wiring.targets * wiring.sources:,} weights, more than {LARGEST:,}"
        )
    weight = wiring.matrix(synapses.weight).toarray()
    return [*nodes, {"type": "Affine", "weight": weight, "bias": np.zeros(len(weight))}]


def add_bias(nodes: list[Node], bias: Floats, target: Shape) -> bool:
    """Add a bias to the last of the nodes before a target, if it can hold it; return whether.

    Args:
        nodes: of one projection; the last is changed.
        bias: one per neuron of the target.
        target: shape of the target's node.
    """
    last = nodes[-1]
    if last["type"] == "Affine":
        last["bias"] = last["bias"] + bias
        return True
    if last["type"] not in ("Conv1d", "Conv2d"):
        return False
    per_channel = bias.reshape(target[0], -1)
    if (per_channel != per_channel[:, :1]).any():
        return False
    last["bias"] = last["bias"] + per_channel[:, 0]
    return True


def _make_flatten(shape: Shape) -> Node:
    return {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array(shape)}


def _make_scale(weight: Any, shape: Shape) -> Node:
    size = (int(np.prod(shape)),)
    return {"type": "Scale", "scale": np.broadcast_to(weight, size).reshape(shape).copy()}


def _make_convolution(wiring: Convolution, synapses: Synapses) -> list[Node]:
    weight = synapses.weight
    if _is_pool(wiring, synapses):
        pool = {
            "type": "SumPool2d",
            "kernel_size": np.array(wiring.kernel),
            "stride": np.array(wiring.stride),
            "padding": np.array(wiring.padding),
        }
        return [pool, _make_scale(weight.flat[0], wiring.target_shape)]
    more = _find_square_padding(wiring)
    assert more is not None
    axes = tuple((n, n) for n in more)
    dense = _unroll_groups(wiring, weight)
    padding = [p + n * d for p, n, d in zip(wiring.padding, more, wiring.dilation, strict=True)]
    node: Node = {
        "weight": np.pad(dense, ((0, 0), (0, 0), *axes)),
        "bias": np.zeros(wiring.channels),
        "groups": 1,
    }
    space = wiring.source_shape[1:]
    if len(space) == 1:
        numbers = {
            "stride": wiring.stride[0],
            "padding": padding[0],
            "dilation": wiring.dilation[0],
        }
        return [{"type": "Conv1d", "input_shape": space[0], **numbers, **node}]
    arrays = {
        "stride": np.array(wiring.stride),
        "padding": np.array(padding),
        "dilation": np.array(wiring.dilation),
    }
    return [{"type": "Conv2d", "input_shape": np.array(space), **arrays, **node}]


def _is_pool(wiring: Convolution, synapses: Synapses) -> bool:
    """Whether a convolution sums windows of each channel, all with the same weight."""
    depthwise = wiring.groups == wiring.channels == wiring.source_shape[0]
    flat = len(wiring.kernel) == 2 and set(wiring.dilation) == {1}
    return depthwise and flat and bool((synapses.weight == synapses.weight.flat[0]).all())


def _find_square_padding(wiring: Convolution) -> Shape | None:
    """Return the zeros to add at both ends of each kernel axis; None if not a whole number."""
    longest = max(wiring.kernel)
    if any((longest - k) % 2 for k in wiring.kernel):
        return None
    return tuple((longest - k) // 2 for k in wiring.kernel)


def _unroll_groups(wiring: Convolution, weight: Any) -> Any:
    if wiring.groups == 1:
        return weight
    per_group, wide = wiring.channels // wiring.groups, weight.shape[1]
    result = np.zeros((wiring.channels, wiring.source_shape[0], *wiring.kernel))
    for output in range(wiring.channels):
        start = output // per_group * wide
        result[output, start : start + wide] = weight[output]
    return result
