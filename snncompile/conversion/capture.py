"""Read a rectified network out of a run of a torch module, by the same trace as spiking ones."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.overrides import TorchFunctionMode

from snncompile.arrays import Floats
from snncompile.conversion.activations import (
    MONOTONE,
    find_cap,
    is_activation,
)
from snncompile.conversion.ann import (
    INPUT,
    Ann,
    Curve,
    Layer,
    LayerTerm,
    Maximum,
    Operation,
    Product,
    pass_on,
)
from snncompile.conversion.capture_trace import (
    ANSWER,
    ENDS,
    CaptureTrace,
    Elementwise,
    Multiply,
    Returned,
    explain,
    read_windows,
)
from snncompile.conversion.cheaper_sums import insert_cheaper_sums
from snncompile.conversion.insert_sums import Sums, insert_sums, is_unrolled
from snncompile.conversion.rate_norm import RateNorm
from snncompile.conversion.rebuilt import read_exported
from snncompile.errors import (
    ImportMismatchError,
    InputError,
    ProductSizeError,
    SnnCompileError,
    UnsupportedError,
    raise_together,
)
from snncompile.frontends.torch import known_layers, layer_graph
from snncompile.frontends.torch.arguments import find_tensors
from snncompile.frontends.torch.drive_sum import Sum
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.multiply_out import multiply_out
from snncompile.frontends.torch.neuron_layer import NeuronLayer
from snncompile.frontends.torch.open_wrappers import unwrap
from snncompile.frontends.torch.products import pick_half
from snncompile.frontends.torch.run_module import (
    call,
    check_module,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale

TOLERANCE = 1e-6
"""Largest difference of the answer, relative to the largest one; both are computed in float64."""
PROBE = 2
"""Samples of the watched run."""


def capture(model: Any, x: NDArray[np.float64], title: str | None = None) -> Ann:
    """Return the network of a module whose neuron points are its activations and maximum pools.

    Args:
        model: linear layers, convolutions, batch norms, pools and activations in any `nn.Module`;
            it is run on a copy in eval mode. Or a program of `torch.export.export`.
        x: a few samples, shape (samples, *shape).
        title: name of the network; the class of the module if not given.

    Raises:
        InputError: the module cannot be run on the samples.
        UnsupportedError: it uses a layer, a function or a feature that is not known.
        ImportMismatchError: the network's answers differ from the module's.
    """
    if isinstance(model, ExportedProgram):
        model = read_exported(model)
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise InputError(f"from_ann needs the trained torch module itself, got {kind}")
    model = unwrap(model)
    check_module(model)
    name = title or type(model).__name__
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        read, ends = _trace_layers(model, torch.tensor(x[np.arange(PROBE) % len(x)]), name)
        layers, curve = _make_layers(read)
        ann = Ann(tuple(x.shape[1:]), layers, name)
        _verify(model, x[:8], ann, curve, ends)
    return ann


def _trace_layers(model: nn.Module, probe: Tensor, name: str) -> tuple[LayerGraph, int]:
    """Return the layers, and the number of functions at the end that are left out."""
    dtype = find_own_dtype(model)
    runner = make_working_copy(model, len(probe), 1)
    trace = CaptureTrace(runner, name, len(probe))
    x = probe.to(dtype)
    numbers = trace.add_input((len(x), 1, x[0].numel())).numbers.reshape(x.shape)
    trace.hand_in(x, numbers)
    try:
        with trace:
            output = call(runner, x)
    except SnnCompileError:
        raise
    except Exception as error:
        shape = tuple(x.shape)
        raise InputError(
            f"{name} does not run on samples {shape}: {summarize_error(error)}"
        ) from error
    raise_together(trace.unknown.values())
    if not trace.calls:
        raise UnsupportedError(
            f"{name}: has no activation between its layers, so it is a single linear layer; known"
            " are those of torch.nn, as layers and as functions, and RateNorm"
        )
    answers, ends = trace.strip_ends(output)
    try:
        return layer_graph.read_layers(trace, answers, trace.add_answer(answers)), ends
    except UnsupportedError as error:
        raise explain(error) from None


def _make_layers(layers: LayerGraph) -> tuple[tuple[Layer, ...], Operation | None]:
    """Return the layers, and the curve at the end that is left out: it keeps the answers' order."""
    layers = insert_cheaper_sums(layers)
    try:
        result = _multiply_layers(layers)
    except ProductSizeError:
        return _multiply_layers(insert_sums(layers))
    if any(is_unrolled(term.synapses for term in layer.terms) for layer in result[0]):
        return _multiply_layers(insert_sums(layers))
    return result


def _multiply_layers(layers: LayerGraph) -> tuple[tuple[Layer, ...], Operation | None]:
    names = _name_layers(layers)
    result = [_make_layer(layers, layer, names) for layer in layers.neurons]
    if layers.neurons[-1].rows or isinstance(layers.neurons[-1].module, Returned):
        return tuple(result), None
    output = next(layer for layer in result if layer.path == layers.output)
    if output is result[-1] and output.kind in MONOTONE:
        return (*result[:-1], replace(output, operation=None)), output.operation
    term = LayerTerm(output.name, Synapses(Scale(output.size), np.asarray(1.0)))
    answer = Layer(ANSWER, output.shape, (term,), np.zeros(output.size))
    return (*result, answer), None


def _make_layer(layers: LayerGraph, layer: NeuronLayer, names: dict[str | None, str]) -> Layer:
    name, module = names[layer.path], layer.module
    if isinstance(module, Multiply):
        return _make_product(layers, layer, names)
    drive = multiply_out(layers, layer.drive, prod(layer.shape))
    terms = _make_terms(drive, names)
    linear = Layer(name, layer.shape, terms, drive.bias, path=layer.path)
    if layer.rows or isinstance(module, Returned):
        return linear
    if isinstance(module, Sums):
        return replace(linear, operation=Curve(module.kind, pass_on))
    cap = find_cap(module)
    if isinstance(module, RateNorm):
        return _divide(linear, drive, module.find_threshold(), names)
    if cap is not None:
        return replace(linear, cap=cap)
    if isinstance(module, Elementwise):
        return replace(linear, operation=Curve(module.kind, module.function))
    if is_activation(module):
        return replace(linear, operation=Curve(type(module).__name__, _copy_alone(module)))
    windows = read_windows(module, layer.path, layer.shape)
    pool = Maximum(type(module).__name__, layer.shape, windows)
    return replace(linear, shape=(layer.shape[0], *windows.counts), operation=pool)


def _copy_alone(module: nn.Module) -> nn.Module:
    """Return a copy in float64 without the hooks of the trace."""
    bare = copy.copy(module)
    bare._forward_hooks, bare._forward_pre_hooks = OrderedDict(), OrderedDict()
    return copy.deepcopy(bare).double().eval().requires_grad_(False)


def _make_terms(drive: Sum, names: dict[str | None, str]) -> tuple[LayerTerm, ...]:
    return tuple(LayerTerm(names[term.source.path], term.synapses) for term in drive.terms)


def _make_product(layers: LayerGraph, layer: NeuronLayer, names: dict[str | None, str]) -> Layer:
    """Return a product; its drive holds both factors, one after the other."""
    shape: Shape = layer.module.shape  # type: ignore[assignment]
    size = prod(shape)
    first, second = (
        multiply_out(layers, pick_half(layer.drive, size, half), size) for half in (0, 1)
    )
    product = Product(_make_terms(second, names), second.bias)
    terms = _make_terms(first, names)
    return Layer(names[layer.path], shape, terms, first.bias, path=layer.path, operation=product)


def _divide(layer: Layer, drive: Sum, by: float, names: dict[str | None, str]) -> Layer:
    """Return a rate-norm layer as a ReLU that is capped at 1."""
    factor = Synapses(Scale(layer.size), np.asarray(1 / by))
    terms = tuple(
        LayerTerm(names[term.source.path], compose(factor, term.synapses)) for term in drive.terms
    )
    return Layer(layer.name, layer.shape, terms, drive.bias / by, 1.0, layer.path)


def _name_layers(layers: LayerGraph) -> dict[str | None, str]:
    names: dict[str | None, str] = {None: INPUT}
    for layer in layers.neurons:
        if isinstance(layer.module, Returned):
            names[layer.path] = ANSWER
            continue
        name = re.sub(r"[^A-Za-z0-9_]", "_", layer.path).strip("_") or "layer"
        name = name if name[0].isalpha() else f"layer_{name}"
        taken, number, unused = set(names.values()) | {ANSWER}, 1, name
        while unused in taken:
            number += 1
            unused = f"{name}_{number}"
        names[layer.path] = unused
    return names


class _EndWatch(TorchFunctionMode):
    """Keeps what functions that may end a network read: softmax, argmax."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function and keep its argument."""
        kwargs = kwargs or {}
        if known_layers.name_function(func).rpartition(".")[2] in ENDS:
            self.reads.append(next(find_tensors((args, kwargs))))
        return func(*args, **kwargs)


def _verify(model: nn.Module, x: Floats, ann: Ann, curve: Operation | None, ends: int) -> None:
    """Refuse a network whose answers differ from the module's, both in float64.

    Args:
        model: the module.
        x: samples.
        ann: the network.
        curve: at the module's end, which the network leaves out.
        ends: number of functions at the module's end that the network leaves out.
    """
    runner = make_working_copy(model, len(x), 1).double()
    try:
        with _EndWatch() as watch:
            wanted = next(find_tensors(call(runner, torch.tensor(x))), None)
    except Exception as error:
        raise InputError(f"{ann.title} cannot run in float64: {summarize_error(error)}") from error
    if ends:
        wanted = watch.reads[-ends]
    if wanted is None:
        raise UnsupportedError(f"{ann.title} returns no tensor")
    got = ann.compute_activations(x)[ann.layers[-1].name].double()
    if isinstance(curve, Curve):
        got = curve(got)
    got = got.reshape(wanted.shape)
    difference, largest = float((got - wanted).abs().max()), float(wanted.abs().max())
    if difference > TOLERANCE * max(largest, 1e-30):
        raise ImportMismatchError(
            f"{ann.title}: the module's answer and that of the network read out of it differ by"
            f" {difference:.3g}, of {largest:.3g} at most; does forward depend on its values?"
        )
