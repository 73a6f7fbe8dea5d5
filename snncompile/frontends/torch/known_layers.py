"""Layers, functions and libraries that the trace knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from functools import cache
from typing import Any, Literal

from torch import nn
from torch.fx import GraphModule
from torch.overrides import resolve_name

from snncompile import registry
from snncompile.errors import UnsupportedError, list_briefly
from snncompile.frontends.torch import products
from snncompile.frontends.torch.gates import ROW, Gate
from snncompile.frontends.torch.libraries.base import Library
from snncompile.frontends.torch.linear_layers import LINEAR, Row

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

PADS = (
    nn.ReflectionPad1d,
    nn.ReflectionPad2d,
    nn.ReplicationPad1d,
    nn.ReplicationPad2d,
    nn.CircularPad1d,
    nn.CircularPad2d,
)
"""Layers that pad with copies of values."""

CONTAINERS: frozenset[type[nn.Module]] = frozenset(
    {
        nn.Module,
        nn.Sequential,
        nn.ModuleList,
        nn.ModuleDict,
        nn.ZeroPad1d,  # these call a function that is known
        nn.ZeroPad2d,
        *nn.ZeroPad1d.__mro__[1:3],
        nn.ConstantPad2d,
        *(cls for pad in PADS for cls in pad.__mro__[:2]),
    }
)

OPEN: frozenset[type] = frozenset(
    {
        nn.Softmax,
        nn.LogSoftmax,
        nn.Sigmoid,
        nn.ReLU,
        nn.PixelShuffle,
        nn.PixelUnshuffle,
        nn.ChannelShuffle,
    }
)
"""Classes of torch whose inside is torch functions."""

NEURON_MODULE = re.compile(r"\b_?neurons?\b")
"""Python modules of a library that hold neurons."""
NEURON_BASES = frozenset(
    {"BaseNode", "SpikingNeuron", "StatefulLayer", "SNN", "SNNCell", "SNNRecurrent"}
)
"""Ancestors of the neurons of the libraries; a network that descends from one would be a neuron."""

PACKAGES = frozenset({"torch", "torchvision"})
"""Classes of these packages and of the libraries are known by name or refused; all others are the
user's own code."""

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
        "broadcast_to",
        "repeat",
        "repeat_interleave",
        "tile",
        "flip",
        "roll",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "native_channel_shuffle",
        "contiguous",
        "clone",
        "detach",
        "data",
    ]
)
"""Functions that only choose, order or shape values: they do the same to the values' numbers."""

CASTS = frozenset(["float", "double", "half", "bfloat16", "to", "type", "type_as", "cpu"])
"""Functions that keep every value, if the result is a floating-point tensor."""

CREATES = frozenset(
    [
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
    ]
)
"""Functions that take no more of a tensor than its shape and type."""

SCRIPTED = frozenset({"RecursiveScriptModule", "ScriptModule", "TopLevelTracedModule"})
"""Classes of modules that `torch.jit` makes."""

ATTENTIONS = frozenset(
    {
        *("matmul", "bmm", "baddbmm", "einsum", "spmm", "mm", "__matmul__"),
        *("scaled_dot_product_attention", "MultiheadAttention", "TransformerEncoderLayer"),
    }
)
"""Layers and functions that multiply values of two layers; products with weights are layers."""
ATTENTION = (
    "a product with a matrix of weights is known; attention multiplies values of two layers, use a"
    " convolution or a linear layer in its place"
)

MAX_POOLS = re.compile(r"(adaptive)?_?max_?pool([12])d(_with_indices)?", re.IGNORECASE)
"""Layers and functions that take a maximum."""


@cache
def list_libraries() -> tuple[Library, ...]:
    """Return the known libraries, as the registry lists them."""
    table = "torch_libraries"
    return tuple(registry.load(table, name) for name in registry.list_names(table))


def list_known(module: nn.Module, room: int) -> str:
    """Return the names of the known layers of the library that a module's class descends from.

    Args:
        module: layer that is not known.
        room: characters for the names; if they are more, those most like the module's come first
            and the rest is counted.
    """
    names = _find_known(module)
    whole = ", ".join(names)
    if len(whole) <= room:
        return whole
    kind = type(module).__name__.lower()
    names.sort(key=lambda name: -SequenceMatcher(None, kind, name.lower()).ratio())
    return list_briefly(names, room)


def _find_known(module: nn.Module) -> list[str]:
    packages = [cls.__module__.split(".")[0] for cls in type(module).__mro__]
    for library in list_libraries():
        if library.package in packages:
            return _join_axes([*library.neurons, *library.linear, *library.same])
    padding = [cls for cls in CONTAINERS if "Pad" in cls.__name__]
    shuffles = [cls for cls in OPEN if "huffle" in cls.__name__]
    classes = [*LINEAR, *SAME, *padding, *shuffles]
    names = {cls.__name__ for cls in classes if not cls.__name__.startswith("_")}
    return _join_axes(names)


def _join_axes(names: Iterable[str]) -> list[str]:
    """Return the names in order, those that differ in their axes as one: `Conv1d/2d`."""
    joined: dict[str, str] = {}
    for name in sorted(names):
        stem = re.sub(r"(?<=\D)\dd$", "#", name)
        joined[stem] = f"{joined[stem]}/{name[-2:]}" if stem in joined else name
    return list(joined.values())


def find_alternative(name: str) -> str:
    """Return the alternative to an unknown layer or function; empty if unclear."""
    for library in list_libraries():
        if name in library.instead:
            return library.instead[name]
    if name in SCRIPTED:
        return "a scripted module hides its layers; give the module from before torch.jit"
    if name.rpartition(".")[2] in ATTENTIONS:
        return ATTENTION
    pool = MAX_POOLS.fullmatch(name.rpartition(".")[2])
    if not pool:
        return ""
    return f"a maximum is known as nn.{'Adaptive' * bool(pool[1])}MaxPool{pool[2]}d without indices"


def name_libraries() -> str:
    """Return the names of all known libraries."""
    return ", ".join(library.package for library in list_libraries() if library.neurons)


def find_role(module: nn.Module) -> Role:
    """Return the role of a module in the trace.

    The trace looks inside subclasses of neuron layers that compute otherwise; subclasses of other
    known layers are not known.
    """
    owner, name = find_library(module), type(module).__name__
    if find_linear(module) is not None:
        return "linear"
    if type(module) in SAME or (owner and name in owner.same):
        return "same"
    if owner and owner.knows(module):
        return "neuron"
    if owner and name in owner.containers:
        return "inside"
    ancestors, own = type(module).__mro__, owner is None
    if all(_may_be_inside(ancestor, own) for ancestor in ancestors):
        return "inside"
    holds_layers = next(module.children(), None) is not None
    return "inside" if holds_layers and all(map(_is_open, ancestors)) else "unknown"


def _may_be_inside(ancestor: type, own: bool) -> bool:
    """Return whether the trace looks inside modules that descend from a class.

    Args:
        ancestor: the class.
        own: whether the module's class is the user's; it may then descend from neuron layers.
    """
    package, name = ancestor.__module__.split(".")[0], ancestor.__name__
    for library in list_libraries():
        if library.package == package:
            known = name in library.linear or name in library.same
            return name in library.containers or (own and not known)
    return (
        package not in PACKAGES
        or ancestor in CONTAINERS | OPEN
        or issubclass(ancestor, GraphModule)
    )


def _is_open(ancestor: type) -> bool:
    """Return whether the trace may look inside of a class that holds layers.

    Ready-made networks of a library and parts of them are open; its neurons are not.
    """
    package, name = ancestor.__module__.split(".")[0], ancestor.__name__
    for library in list_libraries():
        if library.package == package:
            named = (library.neurons, library.linear, library.same, library.instead)
            neuron = NEURON_MODULE.search(ancestor.__module__) or name in NEURON_BASES
            return not neuron and not any(name in table for table in named)
    return package == "torchvision" or _may_be_inside(ancestor, own=False)


def find_library(module: nn.Module) -> Library | None:
    """Return the library that owns the module's class, or one that it descends from unchanged."""
    libraries = (lib for lib in list_libraries() if lib.owns(module) or lib.knows(module))
    return next(libraries, None)


def find_neuron_library(module: nn.Module) -> Library:
    """Return the library of a neuron layer."""
    owner = find_library(module)
    assert owner is not None
    return owner


def find_linear(module: nn.Module) -> Row | None:
    """Return the row of a linear layer, of a maximum or of a product; None for other layers."""
    if isinstance(module, Gate):
        return ROW
    if isinstance(module, products.Multiply | products.Rectify):
        return products.ROW
    owner = find_library(module)
    if getattr(module, "return_indices", False):
        return None
    return owner.linear.get(type(module).__name__) if owner else LINEAR.get(type(module))


def count_sample_axes(module: nn.Module, axes: int) -> int:
    """Return the number of last axes that make one sample of a linear layer's input."""
    row, owner = find_linear(module), find_library(module)
    assert row is not None
    own = owner.count_axes(module, axes) if owner and row.axes is None else row.axes
    return axes - 1 if own is None else own


def name_function(function: Callable[..., Any]) -> str:
    """Return `torch.relu`, `torch.Tensor.__getitem__`, `torch.Tensor.T` and so on."""
    name = resolve_name(function) or getattr(function, "__name__", repr(function))
    return str(name).removesuffix(".__get__")


def changes_nothing(function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Return whether a call is one of `torch.nn.functional.dropout` that is switched off."""
    if name_function(function) not in ("torch.nn.functional.dropout", "torch.dropout"):
        return False
    training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
    return not training


def refuse_output_size(name: str, module: nn.Module) -> None:
    """Refuse a second argument of a transposed convolution, which chooses among sizes."""
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
        kind = type(module).__name__
        raise UnsupportedError(f"{name}: {kind} with output_size is not known; use output_padding")


COPIES = frozenset({"reflect", "replicate", "circular"})
"""Modes of `torch.nn.functional.pad` that copy values."""


def find_padding(args: Any, kwargs: Any) -> str:
    """Return the mode of a call of `torch.nn.functional.pad`."""
    return str(args[2] if len(args) > 2 else kwargs.get("mode", "constant"))


def pads_with_zeros(args: Any, kwargs: Any) -> bool:
    """Return whether a call of `torch.nn.functional.pad` adds zeros."""
    value = args[3] if len(args) > 3 else kwargs.get("value")
    return find_padding(args, kwargs) == "constant" and not value
