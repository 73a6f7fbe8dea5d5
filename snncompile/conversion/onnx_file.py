"""Trained networks in ONNX files, as modules of torch: the operations of classifiers.

Read with the package `onnx`, an extra. Weights are plain arrays inside of the file; those in other
files are refused, and a file's sizes are checked before memory is taken for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snncompile.conversion.rebuilt import (
    ExportedNetwork,
    Name,
    Step,
    make_batch_norm,
    make_convolution,
    make_linear,
    reshape_samples,
)
from snncompile.errors import InputError, UnsupportedError, list_briefly

LARGEST_FILE = 2**31
"""Bytes of a file; protobuf holds no more."""

Attributes = Mapping[str, Any]
Made = tuple[Callable[..., Any], tuple[Any, ...]]
"""A layer or function, and its arguments."""


def read_onnx(path: str | Path) -> nn.Module:
    """Return the network of an ONNX file.

    Raises:
        InputError: no such file, no ONNX file, weights outside of it, or the package is missing.
        UnsupportedError: it holds an operation that is not known.
    """
    graph = _load(Path(path)).graph
    constants = {tensor.name: _read_tensor(tensor, str(path)) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise InputError(
            f"{path}: has {len(inputs)} inputs and {len(graph.output)} outputs, expected one each"
        )
    steps: list[Step] = []
    held: dict[str, Tensor] = {}
    for number, node in enumerate(graph.node):
        where = node.name or f"{node.op_type}_{number}"
        attributes = _read_attributes(node, str(path))
        if node.op_type == "Constant":
            constants[node.output[0]] = torch.as_tensor(attributes["value"])
            continue
        if node.op_type not in OPERATIONS:
            raise UnsupportedError(
                f"{path}: {where}: {node.op_type} is not known; known are"
                f" {list_briefly(list(OPERATIONS), 120)}; give the torch module itself"
            )
        given = [constants.get(name, Name(name)) if name else None for name in node.input]
        call, args = OPERATIONS[node.op_type](attributes, given, where)
        names = []
        for i, value in enumerate(args):
            names.append(Name(f"{where}.{i}") if isinstance(value, Tensor) else value)
            held |= {f"{where}.{i}": value} if isinstance(value, Tensor) else {}
        steps.append(Step(node.output[0], call, tuple(names), {}))
    return ExportedNetwork(inputs[0].name, steps, Name(graph.output[0].name), held).eval()


def _load(path: Path) -> Any:
    try:
        import onnx
    except ImportError:
        raise InputError(
            f"{path}: reading ONNX files takes the package onnx: pip install 'snncompile[onnx]'"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{path}: has {path.stat().st_size:,} bytes, at most {LARGEST_FILE:,}")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise InputError(f"{path}: is no ONNX file ({type(error).__name__})") from None
    if not model.graph.node:
        raise InputError(f"{path}: is no ONNX file: it holds no operation")
    return model


def _read_tensor(tensor: Any, path: str) -> Tensor:
    """Return an array of the file.

    Raises:
        InputError: it lies in another file, or its size is not that of its bytes.
    """
    from onnx import TensorProto, helper, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise InputError(f"{path}: weights of {tensor.name} lie in another file; save them inside")
    size = prod(tensor.dims)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if tensor.raw_data and len(tensor.raw_data) != size * dtype.itemsize:
            raise ValueError
        return torch.tensor(numpy_helper.to_array(tensor).copy())
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: {tensor.name} is damaged: its bytes do not make {size} numbers"
        ) from None


def _read_attributes(node: Any, path: str) -> dict[str, Any]:
    from onnx import AttributeProto, helper

    values: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            values[attribute.name] = _read_tensor(attribute.t, path)
            continue
        value = helper.get_attribute_value(attribute)
        values[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return values


def _read_padding(attributes: Attributes, axes: int, where: str) -> tuple[int, ...]:
    """Return the padding of each axis, the same at both ends."""
    auto, sides = attributes.get("auto_pad", "NOTSET"), list(attributes.get("pads", [0] * 2 * axes))
    if auto not in ("NOTSET", "VALID") or sides[:axes] != sides[axes:]:
        raise UnsupportedError(
            f"{where}: padding {sides if auto == 'NOTSET' else auto} differs at both ends of an"
            " axis; pad before it, or use the same at both ends"
        )
    return tuple(sides[:axes])


def _convolve(attributes: Attributes, given: list[Any], where: str) -> Made:
    weight, bias = given[1], given[2] if len(given) > 2 else None
    if not isinstance(weight, Tensor):
        raise UnsupportedError(f"{where}: Conv has weights that are computed")
    axes = weight.ndim - 2
    options = {
        "stride": tuple(attributes.get("strides", [1] * axes)),
        "padding": _read_padding(attributes, axes, where),
        "dilation": tuple(attributes.get("dilations", [1] * axes)),
        "groups": attributes.get("group", 1),
    }
    return make_convolution(weight, bias, options), (given[0],)


def _multiply_matrix(attributes: Attributes, given: list[Any], where: str) -> Made:
    """Gemm and MatMul with a weight."""
    weight = given[1]
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return torch.matmul, tuple(given[:2])
    if not attributes.get("transB", 0):
        weight = weight.T
    bias = given[2] if len(given) > 2 else None
    if bias is not None:
        bias = torch.broadcast_to(bias * attributes.get("beta", 1.0), (len(weight),))
    if attributes.get("transA", 0):
        raise UnsupportedError(f"{where}: Gemm of a transposed input is not known")
    return make_linear(weight * attributes.get("alpha", 1.0), bias), (given[0],)


def _normalize(attributes: Attributes, given: list[Any], where: str) -> Made:
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = dict(zip(names, given[1:], strict=True))
    return make_batch_norm(tensors, attributes.get("epsilon", 1e-5)), (given[0],)


def _pool(kind: str) -> Callable[[Attributes, list[Any], str], Made]:
    def make(attributes: Attributes, given: list[Any], where: str) -> Made:
        kernel = tuple(attributes["kernel_shape"])
        axes = len(kernel)
        options: dict[str, Any] = {
            "stride": tuple(attributes.get("strides", [1] * axes)),
            "padding": _read_padding(attributes, axes, where),
            "ceil_mode": bool(attributes.get("ceil_mode", 0)),
        }
        if kind == "Max":
            options["dilation"] = tuple(attributes.get("dilations", [1] * axes))
        else:
            options["count_include_pad"] = bool(attributes.get("count_include_pad", 0))
        layer: nn.Module = getattr(nn, f"{kind}Pool{axes}d")(kernel, **options)
        return layer, (given[0],)

    return make


def _clip(attributes: Attributes, given: list[Any], where: str) -> Made:
    low, high = (
        attributes.get(key) if len(given) <= i or given[i] is None else float(given[i])
        for i, key in ((1, "min"), (2, "max"))
    )
    return torch.clamp, (given[0], low, high)


def _reshape(attributes: Attributes, given: list[Any], where: str) -> Made:
    if not isinstance(given[1], Tensor):
        raise UnsupportedError(f"{where}: reshapes to a computed shape; export a fixed one")
    return reshape_samples(given[1].tolist()[1:]), (given[0],)


def _reduce(function: Callable[..., Any]) -> Callable[[Attributes, list[Any], str], Made]:
    def make(attributes: Attributes, given: list[Any], where: str) -> Made:
        axes = given[1].tolist() if len(given) > 1 else attributes.get("axes") or ()
        keep = bool(attributes.get("keepdims", 1))
        return lambda x: function(x, tuple(axes), keep), (given[0],)

    return make


def _apply(function: Callable[..., Any], **options: Any) -> Callable[..., Made]:
    """Return an operation: a function of its inputs, and of attributes by position.

    Args:
        function: of torch.
        options: attribute -> its value where a node has none.
    """

    def make(attributes: Attributes, given: list[Any], where: str) -> Made:
        values = [attributes.get(name, usual) for name, usual in options.items()]
        return function, (*given, *values)

    return make


def _concatenate(attributes: Attributes, given: list[Any], where: str) -> Made:
    return lambda *values: torch.cat(values, attributes["axis"]), tuple(given)


def _transpose(attributes: Attributes, given: list[Any], where: str) -> Made:
    return lambda x: x.permute(*attributes["perm"]), (given[0],)


def _answer(function: Callable[..., Any], usual: int) -> Callable[..., Made]:
    def make(attributes: Attributes, given: list[Any], where: str) -> Made:
        return lambda x: function(x, attributes.get("axis", usual)), (given[0],)

    return make


OPERATIONS: dict[str, Callable[[Attributes, list[Any], str], Made]] = {
    "Conv": _convolve,
    "Gemm": _multiply_matrix,
    "MatMul": _multiply_matrix,
    "BatchNormalization": _normalize,
    "MaxPool": _pool("Max"),
    "AveragePool": _pool("Avg"),
    "GlobalAveragePool": lambda attributes, given, where: (nn.AdaptiveAvgPool2d(1), (given[0],)),
    "GlobalMaxPool": lambda attributes, given, where: (nn.AdaptiveMaxPool2d(1), (given[0],)),
    "Relu": _apply(torch.relu),
    "Clip": _clip,
    "Flatten": lambda attributes, given, where: (
        nn.Flatten(attributes.get("axis", 1)),
        (given[0],),
    ),
    "Reshape": _reshape,
    "Add": _apply(torch.add),
    "Sub": _apply(torch.sub),
    "Mul": _apply(torch.mul),
    "Div": _apply(torch.div),
    "Concat": _concatenate,
    "Transpose": _transpose,
    "ReduceMean": _reduce(torch.mean),
    "ReduceMax": _reduce(torch.amax),
    "Max": _apply(torch.maximum),
    "Sigmoid": _apply(torch.sigmoid),
    "Tanh": _apply(torch.tanh),
    "LeakyRelu": _apply(functional.leaky_relu, alpha=0.01),
    "PRelu": lambda a, given, w: (functional.prelu, (given[0], given[1].reshape(-1))),
    "Elu": _apply(functional.elu, alpha=1.0),
    "Selu": _apply(functional.selu),
    "Softplus": _apply(functional.softplus),
    "HardSigmoid": _apply(lambda x, a, b: (a * x + b).clamp(0, 1), alpha=0.2, beta=0.5),
    "HardSwish": _apply(functional.hardswish),
    "Mish": _apply(functional.mish),
    "Identity": lambda attributes, given, where: (nn.Identity(), (given[0],)),
    "Dropout": lambda attributes, given, where: (nn.Identity(), (given[0],)),
    "Softmax": _answer(torch.softmax, -1),
    "LogSoftmax": _answer(torch.log_softmax, -1),
    "ArgMax": _answer(torch.argmax, 0),
}
"""Operation of ONNX -> the layer or function of torch."""
