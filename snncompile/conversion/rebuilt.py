"""Networks without a module of their own, as modules: exported programs, and files of others.

A network is a list of steps, each a layer of torch or a function of torch and the names of what it
takes. So everything that reads modules reads these too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.nn import functional

from snncompile.errors import InputError, UnsupportedError


@dataclass(frozen=True)
class Name:
    """Stands for a value among the arguments of a step."""

    name: str


@dataclass(frozen=True, eq=False)
class Step:
    """One operation: a layer, or a function with its arguments."""

    output: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class ExportedNetwork(nn.Module):
    """A network of steps; layers are its children, tensors that it holds its buffers."""

    def __init__(
        self, given: str, steps: Sequence[Step], answer: Any, constants: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.given, self.answer = given, answer
        self.layers, self.constants = nn.ModuleDict(), sorted(constants)
        for name in self.constants:
            self.register_buffer(_clean(name), constants[name].detach())
        self.steps: list[tuple[str, str | Callable[..., Any], Any, Any]] = []
        for step in steps:
            call: str | Callable[..., Any] = step.call
            if isinstance(step.call, nn.Module):
                call = _clean(step.output)
                self.layers[call] = step.call
            self.steps.append((step.output, call, step.args, dict(step.kwargs)))

    def forward(self, x: Tensor) -> Any:
        """Return the answer."""
        values: dict[str, Any] = {name: getattr(self, _clean(name)) for name in self.constants}
        values[self.given] = x
        for output, call, args, kwargs in self.steps:
            function = self.layers[call] if isinstance(call, str) else call
            values[output] = function(*fill(args, values), **fill(kwargs, values))
        return fill(self.answer, values)


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return arguments with the values that their names stand for."""
    if isinstance(value, Name):
        return values[value.name]
    if isinstance(value, dict):
        return {key: fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill(inner, values) for inner in value)
    return value


def _clean(name: str) -> str:
    return re.sub(r"\W", "_", name) + "_"  # no attribute of nn.Module ends so


def read_exported(program: ExportedProgram) -> nn.Module:
    """Return the module of a program that `torch.export.export` made.

    Raises:
        InputError: it takes more than one input.
        UnsupportedError: it holds an operation that is not known.
    """
    module = program.module()
    nodes = list(module.graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise InputError(f"the exported program takes {len(inputs)} inputs, expected one")
    constants = {n.name: _find_tensor(module, n.target) for n in nodes if n.op == "get_attr"}
    samples = inputs[0].meta["val"].shape[0]
    steps = [
        _make_step(node, constants, samples if isinstance(samples, int) else None)
        for node in nodes
        if node.op == "call_function"
    ]
    answer = next(_rename(node.args[0]) for node in nodes if node.op == "output")
    answer = answer[0] if isinstance(answer, tuple) and len(answer) == 1 else answer
    return ExportedNetwork(inputs[0].name, steps, answer, constants).eval()


def _find_tensor(module: nn.Module, path: Any) -> Tensor:
    value: Any = module
    for name in str(path).split("."):
        value = getattr(value, name)
    return value.detach()  # type: ignore[no-any-return]


def _rename(value: Any) -> Any:
    """Return arguments with names in the place of nodes."""
    if isinstance(value, fx.Node):
        return Name(value.name)
    if isinstance(value, dict):
        return {key: _rename(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_rename, value))
    return value


def _make_step(node: fx.Node, constants: Mapping[str, Tensor], samples: int | None) -> Step:
    schema = getattr(node.target, "_schema", None)
    name = str(getattr(schema, "name", node.target)).rpartition("::")[2]
    args = list(_rename(node.args))
    if layer := _make_layer(name, node, constants):
        return Step(node.name, layer, (args[0],), {})
    if name in ("view", "reshape") and samples and args[1] and args[1][0] == samples:
        return Step(node.name, reshape_samples(args[1][1:]), (args[0],), {})
    return Step(node.name, _find_function(name, node), tuple(args), _rename(node.kwargs))


def reshape_samples(shape: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Return a function that gives each sample a shape.

    The first axis stays that of the samples, whatever number a network was written down with.
    """
    return lambda x: x.reshape(len(x), *shape)


def _find_function(name: str, node: fx.Node) -> Callable[..., Any]:
    if name == "getitem":
        return lambda value, index: value[index]
    for namespace in (functional, torch, Tensor):
        if callable(function := getattr(namespace, name, None)):
            return function  # type: ignore[no-any-return]
    raise UnsupportedError(
        f"{node.name}: {node.target} of an exported program is not known; give the module itself"
    )


def _make_layer(name: str, node: fx.Node, constants: Mapping[str, Tensor]) -> nn.Module | None:
    """Return the layer of a call with weights of the program; None for others."""
    if name not in ("conv1d", "conv2d", "linear", "batch_norm"):
        return None
    given: dict[str, Any] = dict(zip(_list_arguments(node), node.args, strict=False))
    given |= node.kwargs
    tensors = {
        key: constants.get(value.name)
        for key, value in given.items()
        if isinstance(value, fx.Node) and key != "input"
    }
    if name != "batch_norm" and tensors.get("weight") is None:
        return None
    if name == "linear":
        return make_linear(tensors["weight"], tensors.get("bias"))
    if name == "batch_norm":
        return make_batch_norm(tensors, given["eps"])
    kept = ("stride", "padding", "dilation", "groups")
    options: dict[str, Any] = {key: given[key] for key in kept if key in given}
    return make_convolution(tensors["weight"], tensors.get("bias"), options)


def _list_arguments(node: fx.Node) -> Iterator[str]:
    return (argument.name for argument in node.target._schema.arguments)  # type: ignore[union-attr]


def make_linear(weight: Any, bias: Any) -> nn.Linear:
    """Return a dense layer of these weights, (outputs, inputs)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    return _put_in(layer, {"weight": weight, "bias": bias})  # type: ignore[return-value]


def make_convolution(weight: Any, bias: Any, options: Mapping[str, Any]) -> nn.Module:
    """Return a convolution of these weights, (channels, channels of a group, *kernel)."""
    kind = nn.Conv1d if weight.ndim == 3 else nn.Conv2d
    groups, sizes = options.get("groups", 1), dict(options)
    for key in ("stride", "padding", "dilation"):
        if isinstance(sizes.get(key), list | tuple):
            sizes[key] = tuple(sizes[key]) * (weight.ndim - 2 if len(sizes[key]) == 1 else 1)
    layer = kind(
        weight.shape[1] * groups, len(weight), tuple(weight.shape[2:]), bias=bias is not None,
        **sizes,
    )  # fmt: skip
    return _put_in(layer, {"weight": weight, "bias": bias})


def make_batch_norm(tensors: Mapping[str, Any], eps: float) -> nn.Module:
    """Return a batch norm with these statistics, each one per channel."""
    affine = tensors.get("weight") is not None
    layer = nn.BatchNorm2d(len(tensors["running_mean"]), eps, affine=affine)
    layer._check_input_dim = lambda input: None  # type: ignore[method-assign]  # any axes
    return _put_in(layer, {key: value for key, value in tensors.items() if value is not None})


def _put_in(layer: nn.Module, tensors: Mapping[str, Any]) -> nn.Module:
    with torch.no_grad():
        for name, value in tensors.items():
            if value is not None:
                getattr(layer, name).data = value.detach().clone()
    return layer.eval()
