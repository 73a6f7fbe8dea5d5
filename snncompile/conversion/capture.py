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
from snncompile.conversion.ann import INPUT, Ann, Layer, Term
from snncompile.conversion.rate_norm import RateNorm
from snncompile.errors import ImportMismatchError, InputError, SnnCompileError, UnsupportedError
from snncompile.frontends.torch import known_layers as torch_layers
from snncompile.frontends.torch import layer_graph as torch_graph
from snncompile.frontends.torch.arguments import first_argument
from snncompile.frontends.torch.layer_graph import LayerGraph, NeuronLayer
from snncompile.frontends.torch.multiply_out import Sum, multiplied_out
from snncompile.frontends.torch.run_module import (
    call,
    check_module,
    one_line,
    own_dtype,
    working_copy,
)
from snncompile.frontends.torch.trace import Call, Trace
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import composed
from snncompile.synapses.scale import Scale

RECTIFIERS: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.ReLU: lambda module: inf,
    nn.ReLU6: lambda module: 6.0,
    RateNorm: lambda module: module.threshold(),
}
"""Layer that becomes a neuron -> its largest activation, before it is divided by that."""
FUNCTIONS = {"relu": inf, "relu_": inf, "relu6": 6.0}
"""The same for functions."""
ANSWERS = (nn.Softmax, nn.LogSoftmax, nn.LogSigmoid)
"""Layers that may follow the last linear layer: they keep the order of its values."""
TOLERANCE = 1e-6
"""Largest difference of the answer, relative to the largest one; both are computed in float64."""
PROBE = 2
"""Samples of the run that is watched."""


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
        ImportMismatchError: the network does not compute what the module does.
    """
    if not isinstance(model, nn.Module):
        found = type(model).__name__
        raise InputError(f"from_ann needs the trained torch module itself, got {found}")
    check_module(model)
    name = title or type(model).__name__
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        layers = _layer_graph(model, torch.tensor(x[np.arange(PROBE) % len(x)]), name)
        ann = Ann(tuple(x.shape[1:]), _layers(layers), name)
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
        if torch_layers.MAX_POOLS.fullmatch(type(module).__name__):
            module.register_forward_pre_hook(lambda m, _: _refuse_maximum(path or title, m))
            return
        if type(module) in RECTIFIERS:
            module.register_forward_pre_hook(self._enter_rectifier, with_kwargs=True)
            module.register_forward_hook(self._leave_rectifier(path or title), with_kwargs=True)
            return
        if torch_layers.role(module) == "inside":
            module.register_forward_pre_hook(lambda *_: self._paths.append(path))
            module.register_forward_hook(lambda *_: self._left())
        super()._watch(module, path, title)

    def _left(self) -> None:
        self._paths.pop()

    def _enter_rectifier(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._push(type(module).__name__, first_argument(module, args, kwargs))

    def _leave_rectifier(self, name: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, kwargs: Any, out: Tensor) -> None:
            self._depth -= 1
            self._rectified(name, module, self._inside.pop(), out)

        return leave

    def _rectified(self, name: str, module: nn.Module, drive: Tensor, out: Tensor) -> None:
        """Note one place where values are rectified; a shared ReLU is several places."""
        place, count = name, 1
        while place in self.modules:
            count += 1
            place = f"{name}_{count}"
        self.modules[place] = module
        calls = self.calls.setdefault(place, [])
        self.hand_in(out, self._new_output(place, None, tuple(out.shape)))
        calls.append(Call(drive))

    def _note(self, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        short = torch_layers.function_name(func).rpartition(".")[2]
        if torch_layers.MAX_POOLS.fullmatch(short):
            _refuse_maximum(short, func)
        if short in FUNCTIONS:
            drive = self.numbers(args[0] if args else kwargs["input"])
            here = self._paths[-1] if self._paths else ""
            module = nn.ReLU6() if FUNCTIONS[short] < inf else nn.ReLU()
            self._rectified(f"{here}.relu".lstrip("."), module, drive, result)
        else:
            super()._note(func, args, kwargs, result)


def _refuse_maximum(where: str, what: Any) -> None:
    """Refuse a maximum: that of rates shows in no single spike."""
    kind = getattr(what, "__name__", type(what).__name__)
    raise UnsupportedError(
        f"{where}: {kind} takes a maximum of rates, which no sum of spikes gives; use average"
        " pooling of the same size or a stride of the convolution before it, and train with it"
    )


def _layer_graph(model: nn.Module, probe: Tensor, name: str) -> LayerGraph:
    dtype = own_dtype(model)
    runner = working_copy(model, len(probe), 1)
    trace = _RectifierTrace(runner, name, len(probe))
    x = probe.to(dtype)
    numbers = trace.new_input((len(x), 1, x[0].numel())).numbers.reshape(x.shape)
    trace.hand_in(x, numbers)
    try:
        with trace:
            output = call(runner, x)
    except SnnCompileError:
        raise
    except Exception as error:
        shape = tuple(x.shape)
        raise InputError(f"{name} does not run on samples {shape}: {one_line(error)}") from error
    if not trace.calls:
        known = ", ".join(kind.__name__ for kind in RECTIFIERS)
        raise UnsupportedError(f"{name}: has no rectifier; known are {known} and torch.relu")
    return torch_graph.read(trace, list(trace.returned(output)))


def _layers(layers: LayerGraph) -> tuple[Layer, ...]:
    names = _names(layers)
    made = [_layer(layers, layer, names) for layer in layers.neurons]
    last = next(layer for layer in layers.neurons if layer.path == layers.output)
    if not last.rows:  # ends with a ReLU, whose activations are the answer
        size = prod(last.shape)
        term = Term(names[last.path], Synapses(Scale(size), np.asarray(1.0)))
        made.append(Layer("answer", last.shape, (term,), np.zeros(size)))
    return tuple(made)


def _layer(layers: LayerGraph, layer: NeuronLayer, names: dict[str | None, str]) -> Layer:
    drive = multiplied_out(layers, layer.drive, prod(layer.shape))
    terms = tuple(Term(names[term.source.path], term.synapses) for term in drive.terms)
    made = Layer(names[layer.path], layer.shape, terms, drive.bias, path=layer.path)
    if layer.rows:
        return made
    cap = RECTIFIERS[type(layer.module)](layer.module)
    if not isinstance(layer.module, RateNorm):
        return Layer(made.name, made.shape, terms, made.bias, cap, layer.path)
    return _divided(made, drive, cap, names)


def _divided(layer: Layer, drive: Sum, by: float, names: dict[str | None, str]) -> Layer:
    """Return a rate-norm layer as a ReLU that is capped at 1."""
    factor = Synapses(Scale(layer.size), np.asarray(1 / by))
    terms = tuple(
        Term(names[term.source.path], composed(factor, term.synapses)) for term in drive.terms
    )
    return Layer(layer.name, layer.shape, terms, drive.bias / by, 1.0, layer.path)


def _names(layers: LayerGraph) -> dict[str | None, str]:
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
    """Refuse a network that does not compute what the module does, both in float64."""
    runner = working_copy(model, len(x), 1).double()
    try:
        wanted = call(runner, torch.tensor(x))
    except Exception as error:
        raise InputError(f"{ann.title} cannot run in float64: {one_line(error)}") from error
    if not isinstance(wanted, Tensor):
        raise UnsupportedError(f"{ann.title} returns a {type(wanted).__name__}, expected a tensor")
    got = ann.activations(x)[ann.layers[-1].name].double().reshape(wanted.shape)
    if any(isinstance(module, ANSWERS) for module in model.modules()):
        same = torch.equal(got.argmax(1), wanted.argmax(1))
        difference, largest = (0.0 if same else 1.0), 1.0
    else:
        difference, largest = float((got - wanted).abs().max()), float(wanted.abs().max())
    if difference > TOLERANCE * max(largest, 1e-30):
        raise ImportMismatchError(
            f"{ann.title}: the module's answer and that of the network read out of it differ by"
            f" {difference:.3g}, of {largest:.3g} at most; does forward depend on its values?"
        )
