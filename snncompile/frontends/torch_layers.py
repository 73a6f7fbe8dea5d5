"""What the trace knows: one row per torch layer, function and neuron library."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

from torch import nn
from torch.overrides import resolve_name

from snncompile.frontends import snntorch
from snncompile.frontends.torch_linear import LINEAR

Role = Literal["linear", "same", "neuron", "inside", "unknown"]
"""linear: synapses and bias. same: changes no value, at most the shape. neuron: a neuron layer.
inside: holds other modules or the user's own code, so the trace looks inside."""


SAME: frozenset[type[nn.Module]] = frozenset(
    {
        nn.Flatten,
        nn.Unflatten,
        nn.Identity,
        nn.Dropout,
        nn.Dropout1d,
        nn.Dropout2d,
        nn.Dropout3d,
        nn.AlphaDropout,
    }
)

CONTAINERS: frozenset[type[nn.Module]] = frozenset(
    {nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict}
)

NEURON_LIBRARIES: tuple[ModuleType, ...] = (snntorch,)
"""Each has `knows`, `reset`, `isolated`, `states`, `keep_precision` and `translate`."""

PACKAGES = frozenset({"torch", "torchvision", "snntorch", "spikingjelly", "norse", "sinabs"})
"""Classes of these packages are known by name or refused; all others are the user's own code."""

MOVES = frozenset(
    [
        "__getitem__",
        "select",
        "index_select",
        "narrow",
        "unbind",
        "split",
        "split_with_sizes",
        "tensor_split",
        "chunk",
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "flatten",
        "unflatten",
        "ravel",
        "squeeze",
        "unsqueeze",
        "transpose",
        "swapaxes",
        "swapdims",
        "permute",
        "movedim",
        "moveaxis",
        "t",
        "T",
        "mT",
        "adjoint",
        "stack",
        "cat",
        "concat",
        "concatenate",
        "hstack",
        "vstack",
        "dstack",
        "expand",
        "expand_as",
        "flip",
        "contiguous",
        "clone",
        "detach",
        "data",
    ]
)
"""Functions that only choose, order or shape values: they do the same to the values' numbers."""

CASTS = frozenset(["float", "double", "half", "bfloat16", "to", "type", "type_as", "cpu"])
"""Functions that keep every value, if the result is a floating-point tensor."""

ADDS = frozenset(["add", "__add__", "__radd__", "add_", "__iadd__"])
"""Functions that may add the outputs of two layers."""

MAX_POOLS = re.compile(r"(adaptive)?_?max_?pool([12])d(_with_indices)?", re.IGNORECASE)
"""Layers and functions that take a maximum."""


def known() -> str:
    """Return the names of all known layers."""
    layers = sorted(cls.__name__ for cls in [*LINEAR, *SAME])
    neurons = sorted(name for library in NEURON_LIBRARIES for name in library.NEURONS)
    return ", ".join([*layers, *neurons])


def instead_of(name: str) -> str:
    """Return what to use instead of a layer or function that is not known; empty if unclear."""
    found = MAX_POOLS.fullmatch(name.rpartition(".")[2])
    if not found:
        return ""
    average = f"nn.{'Adaptive' if found[1] else ''}AvgPool{found[2]}d"
    return (
        f"a maximum is no weighted sum of spikes: use average pooling ({average}) or a stride of"
        " the convolution before it, and train with it"
    )


def known_neurons() -> str:
    """Return the names of all known neuron layers, each with its library."""
    return ", ".join(
        f"{library.__name__.rpartition('.')[2]}.{name}"
        for library in NEURON_LIBRARIES
        for name in sorted(library.NEURONS)
    )


def role(module: nn.Module) -> Role:
    """Return what a module is to the trace. Subclasses of known layers are not known."""
    if type(module) in LINEAR:
        return "linear"
    if type(module) in SAME:
        return "same"
    if library(module) is not None:
        return "neuron"
    ancestors = [cls for cls in type(module).__mro__ if cls.__module__.split(".")[0] in PACKAGES]
    return "inside" if CONTAINERS.issuperset(ancestors) else "unknown"


def library(module: nn.Module) -> Any:
    """Return the row of `NEURON_LIBRARIES` that knows the module, or None."""
    return next((row for row in NEURON_LIBRARIES if row.knows(module)), None)


def function_name(function: Callable[..., Any]) -> str:
    """Return `torch.relu`, `torch.Tensor.__getitem__`, `torch.Tensor.T` and so on."""
    name = resolve_name(function) or getattr(function, "__name__", repr(function))
    return str(name).removesuffix(".__get__")


def changes_nothing(function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Return whether a call is one of `torch.nn.functional.dropout` that is switched off."""
    if function_name(function) not in ("torch.nn.functional.dropout", "torch.dropout"):
        return False
    training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
    return not training
