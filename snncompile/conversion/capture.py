"""Read a rectified network out of a run of a torch module, by the same trace as spiking ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.conversion.ann import INPUT, Ann, Layer, LayerTerm
from snncompile.conversion.rate_norm import RateNorm
from snncompile.errors import ImportMismatchError, InputError, SnnCompileError, UnsupportedError
from snncompile.frontends.torch import known_layers, layer_graph
from snncompile.frontends.torch.arguments import get_first_argument
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.multiply_out import Sum, multiply_out
from snncompile.frontends.torch.neuron_layer import NeuronLayer
from snncompile.frontends.torch.run_module import (
    call,
    check_module,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.trace import Call, Trace
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale

RECTIFIERS: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.ReLU: lambda module: inf,
    nn.ReLU6: lambda module: 6.0,
    RateNorm: lambda module: module.find_threshold(),
}
"""Layer that becomes a neuron -> its largest activation, before the division by it."""
FUNCTIONS = {"relu": inf, "relu_": inf, "relu6": 6.0}
"""The same for functions."""
ANSWERS = (nn.Softmax, nn.LogSoftmax, nn.LogSigmoid)
"""Layers that may follow the last linear layer: they keep the order of its values."""
TOLERANCE = 1e-6
"""Largest difference of the answer, relative to the largest one; both are computed in float64."""
PROBE = 2
"""Samples of the watched run."""


def capture(model: Any, x: NDArray[np.float64], title: str | None = None) -> Ann:
    """Return the network of a module whose neuron points are its ReLUs.

    Args:
        model: linear layers, convolutions, batch norms, average pools and ReLUs in any `nn.Module`;
            it is run on a copy in eval mode.
        x: a few samples, shape (samples, *shape).
        title: name of the network; the class of the module if not given.

    Raises:
        InputError: the module cannot be run on the samples.
        UnsupportedError: it uses a layer, a function or a feature that is not known.
        ImportMismatchError: the network's answers differ from the module's.
    """
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise InputError(f"from_ann needs the trained torch module itself, got {kind}")
    check_module(model)
    name = title or type(model).__name__
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        layers = _trace_layers(model, torch.tensor(x[np.arange(PROBE) % len(x)]), name)
        ann = Ann(tuple(x.shape[1:]), _make_layers(layers), name)
        _verify(model, x[:8], ann)
    return ann


class _RectifierTrace(Trace):
    """Watches a module whose neuron layers are ReLUs, as layers and as functions."""

    def __init__(self, module: nn.Module, title: str, samples: int) -> None:
        self._paths: list[str] = []
        super().__init__(module, title, samples)

    def _watch(self, module: nn.Module, path: str, title: str) -> None:
        if isinstance(module, ANSWERS):
            return
        if known_layers.MAX_POOLS.fullmatch(type(module).__name__):
            module.register_forward_pre_hook(lambda m, _: _refuse_maximum(path or title, m))
            return
        if type(module) in RECTIFIERS:
            module.register_forward_pre_hook(self._enter_rectifier, with_kwargs=True)
            module.register_forward_hook(self._leave_rectifier(path or title), with_kwargs=True)
            return
        if known_layers.find_role(module) == "inside":
            module.register_forward_pre_hook(lambda *_: self._paths.append(path))
            module.register_forward_hook(lambda *_: self._leave())
        super()._watch(module, path, title)

    def _leave(self) -> None:
        self._paths.pop()

    def _enter_rectifier(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._push(type(module).__name__, get_first_argument(module, args, kwargs))

    def _leave_rectifier(self, name: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, kwargs: Any, out: Tensor) -> None:
            self._depth -= 1
            self._note_rectifier(name, module, self._inside.pop(), out)

        return leave

    def _note_rectifier(self, name: str, module: nn.Module, drive: Tensor, out: Tensor) -> None:
        """Note one rectification; a shared ReLU counts once per call."""
        path, count = name, 1
        while path in self.modules:
            count += 1
            path = f"{name}_{count}"
        self.modules[path] = module
        calls = self.calls.setdefault(path, [])
        self.hand_in(out, self._add_output(path, None, tuple(out.shape)))
        calls.append(Call(drive))

    def _note(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> None:
        short = name.rpartition(".")[2]
        if known_layers.MAX_POOLS.fullmatch(short):
            _refuse_maximum(short, func)
        if short in FUNCTIONS:
            drive = self.find_numbers(args[0] if args else kwargs["input"])
            here = self._paths[-1] if self._paths else ""
            module = nn.ReLU6() if FUNCTIONS[short] < inf else nn.ReLU()
            self._note_rectifier(f"{here}.relu".lstrip("."), module, drive, result)
        else:
            super()._note(func, name, args, kwargs, result)


def _refuse_maximum(where: str, layer: Any) -> None:
    """Refuse a maximum: no single spike shows a maximum of rates."""
    kind = getattr(layer, "__name__", type(layer).__name__)
    raise UnsupportedError(
        f"{where}: {kind} takes a maximum of rates, which no sum of spikes gives; use average"
        " pooling of the same size or a stride of the convolution before it, and train with it"
    )


def _trace_layers(model: nn.Module, probe: Tensor, name: str) -> LayerGraph:
    dtype = find_own_dtype(model)
    runner = make_working_copy(model, len(probe), 1)
    trace = _RectifierTrace(runner, name, len(probe))
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
    if not trace.calls:
        known = ", ".join(kind.__name__ for kind in RECTIFIERS)
        raise UnsupportedError(f"{name}: has no rectifier; known are {known} and torch.relu")
    return layer_graph.read_layers(trace, list(trace.list_returned(output)))


def _make_layers(layers: LayerGraph) -> tuple[Layer, ...]:
    names = _name_layers(layers)
    result = [_make_layer(layers, layer, names) for layer in layers.neurons]
    last = next(layer for layer in layers.neurons if layer.path == layers.output)
    if not last.rows:  # ends with a ReLU; its activations are the answer
        size = prod(last.shape)
        term = LayerTerm(names[last.path], Synapses(Scale(size), np.asarray(1.0)))
        result.append(Layer("answer", last.shape, (term,), np.zeros(size)))
    return tuple(result)


def _make_layer(layers: LayerGraph, layer: NeuronLayer, names: dict[str | None, str]) -> Layer:
    drive = multiply_out(layers, layer.drive, prod(layer.shape))
    terms = tuple(LayerTerm(names[term.source.path], term.synapses) for term in drive.terms)
    unrectified = Layer(names[layer.path], layer.shape, terms, drive.bias, path=layer.path)
    if layer.rows:
        return unrectified
    cap = RECTIFIERS[type(layer.module)](layer.module)
    if not isinstance(layer.module, RateNorm):
        return Layer(unrectified.name, unrectified.shape, terms, unrectified.bias, cap, layer.path)
    return _divide(unrectified, drive, cap, names)


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
        name = re.sub(r"[^A-Za-z0-9_]", "_", layer.path).strip("_") or "layer"
        name = name if name[0].isalpha() else f"layer_{name}"
        taken, number, unused = set(names.values()) | {"answer"}, 1, name
        while unused in taken:
            number += 1
            unused = f"{name}_{number}"
        names[layer.path] = unused
    return names


def _verify(model: nn.Module, x: Floats, ann: Ann) -> None:
    """Refuse a network whose answers differ from the module's, both in float64."""
    runner = make_working_copy(model, len(x), 1).double()
    for module in runner.modules():  # compared is what they get
        if isinstance(module, ANSWERS):
            module.register_forward_hook(lambda module, args, out: args[0])
    try:
        wanted = call(runner, torch.tensor(x))
    except Exception as error:
        raise InputError(f"{ann.title} cannot run in float64: {summarize_error(error)}") from error
    if not isinstance(wanted, Tensor):
        raise UnsupportedError(f"{ann.title} returns a {type(wanted).__name__}, expected a tensor")
    got = ann.compute_activations(x)[ann.layers[-1].name].double().reshape(wanted.shape)
    difference, largest = float((got - wanted).abs().max()), float(wanted.abs().max())
    if difference > TOLERANCE * max(largest, 1e-30):
        raise ImportMismatchError(
            f"{ann.title}: the module's answer and that of the network read out of it differ by"
            f" {difference:.3g}, of {largest:.3g} at most; does forward depend on its values?"
        )
