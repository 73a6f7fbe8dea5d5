"""Watch a run of a trained network: the trace of the torch import, with other neuron points.

The layers that become neurons are activations, maximum pools and products; containers, wrappers,
linear layers and views are those of the import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snncompile.conversion.activations import (
    CURVE_FUNCTIONS,
    find_function_cap,
    is_activation,
)
from snncompile.errors import UnsupportedError
from snncompile.frontends.pool_currents import Windows
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.arguments import find_tensors, get_first_argument
from snncompile.frontends.torch.function_layers import make_pool
from snncompile.frontends.torch.grid_layers import count_windows
from snncompile.frontends.torch.layer_values import repeat_per_axis
from snncompile.frontends.torch.neuron_layer import FoundAnswer
from snncompile.frontends.torch.sums import DIVIDE, MULTIPLY
from snncompile.frontends.torch.trace import Call, Trace
from snncompile.frontends.torch.values import (
    NOTHING,
    ZERO,
    FunctionValues,
    LinearValues,
    NeuronValues,
    Shape,
    Summand,
    SumValues,
)

ENDS = frozenset({"softmax", "log_softmax", "softmin", "argmax"})
"""Functions that may follow the last linear layer; the answer is what they read."""
ANSWER = "answer"
"""Name of a last layer that the module does not have itself."""
RETURNED = "what forward returns"
"""Path of that layer, which no module has."""
BY_INPUT = (
    "takes its mean and variance from each input, which no fixed weights do; train with batch"
    " norm, or with instance norm and track_running_stats=True"
)
RECURRENT = (
    "has a state from step to step; a converted network answers each input alone: write it as"
    " spiking neurons and import it (from_torch), or take a convolution along time"
)
ATTENTION = (
    "multiplies values by other values that are normalized by their sum; no spiking neuron does:"
    " take convolutions or dense layers"
)
REMEDIES: dict[str, str] = {
    **dict.fromkeys(("GroupNorm", "LayerNorm", "RMSNorm", "group_norm", "layer_norm"), BY_INPUT),
    **dict.fromkeys(("rms_norm", "instance_norm"), BY_INPUT),
    **dict.fromkeys(("LocalResponseNorm", "local_response_norm", "CrossMapLRN2d"), BY_INPUT),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"), RECURRENT),
    **dict.fromkeys(("rnn_tanh", "rnn_relu", "lstm", "gru"), RECURRENT),
    **dict.fromkeys(("MultiheadAttention", "scaled_dot_product_attention"), ATTENTION),
    **dict.fromkeys(("multi_head_attention_forward",), ATTENTION),
    **dict.fromkeys(("TransformerEncoderLayer", "TransformerDecoderLayer"), ATTENTION),
    **dict.fromkeys(("TransformerEncoder", "TransformerDecoder", "Transformer"), ATTENTION),
}
"""Layer or function that depends on its input -> what it does, and what to take instead."""
LARGER, SMALLER = frozenset({"max", "maximum", "fmax"}), frozenset({"min", "minimum", "fmin"})
KNOWN = (
    "functions that reshape or select, pools, activations, and sums, products and maxima of layers"
)
"""Functions that may stand between layers."""


class Elementwise(nn.Module):
    """A call of a function of one variable, as a layer."""

    def __init__(self, kind: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.kind, self.function = kind, function

    def forward(self, z: Tensor) -> Tensor:
        """Return what the function returns."""
        return self.function(z)


class Multiply(nn.Module):
    """A product of two values as a layer: it reads both, one after the other."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        """Of the product."""


class WholePool(nn.Module):
    """A maximum over all places of each channel, as a layer."""


class Returned(nn.Module):
    """What the module returns, as a layer: sums of layers that no single layer of it computes."""


class CaptureTrace(Trace):
    """Watches a module whose neuron points are activations, maximum pools and products."""

    def __init__(self, module: nn.Module, title: str, samples: int) -> None:
        self._paths: list[str] = []
        super().__init__(module, title, samples)

    def _watch(self, module: nn.Module, path: str, title: str) -> None:
        name, pool = path or title, _is_pool(module)
        remedy = REMEDIES.get(type(module).__name__)
        if remedy and type(module).__module__.startswith("torch."):
            module.register_forward_pre_hook(lambda m, _: _refuse(name, type(m).__name__))
            return
        if is_activation(module) or pool:
            module.register_forward_pre_hook(self._enter_operation, with_kwargs=True)
            module.register_forward_hook(self._leave_operation(name), with_kwargs=True)
            return
        if known_layers.find_role(module) == "inside" or type(module) is nn.GLU:
            module.register_forward_pre_hook(lambda *_: self._paths.append(path))
            module.register_forward_hook(lambda *_: self._leave())
        if type(module) is nn.GLU:  # its function is noted
            return
        super()._watch(module, path, title)

    def _leave(self) -> None:
        self._paths.pop()

    def _enter_operation(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._push(type(module).__name__, get_first_argument(module, args, kwargs))

    def _leave_operation(self, name: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            self._depth -= 1
            drive = self._inside.pop()
            if not isinstance(out, Tensor):
                raise UnsupportedError(
                    f"{name}: {type(module).__name__} returns indices too, which no spike carries;"
                    " use return_indices=False"
                )
            self._note_operation(name, module, drive, out)

        return leave

    def _note_operation(self, name: str, module: nn.Module, drive: Tensor, out: Tensor) -> str:
        """Note one call of an operation and return its path; a shared layer counts per call."""
        path, count = name, 1
        while path in self.modules:
            count += 1
            path = f"{name}_{count}"
        self.modules[path] = module
        calls = self.calls.setdefault(path, [])
        self.hand_in(out, self._add_output(path, None, tuple(out.shape)))
        calls.append(Call(drive))
        return path

    def _note(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> None:
        short = name.rpartition(".")[2]
        kind = short if short.startswith("__") else short.rstrip("_")
        if short in REMEDIES:
            _refuse(self._name_here(short), short)
        if self._note_pair(kind, args, kwargs, result):
            return
        if kind == "glu":
            self._note_glu(*args, **kwargs, result=result)
            return
        module = _read_operation(func, kind, args, kwargs)
        if module is None:
            super()._note(func, name, args, kwargs, result)
            return
        drive = self.find_numbers(args[0] if args else kwargs["input"])
        if isinstance(module, nn.ReLU | nn.Hardtanh):
            kind = "relu"
        self._note_operation(self._name_here(kind), module, drive, next(find_tensors(result)))

    def _name_here(self, kind: str) -> str:
        return f"{self._paths[-1] if self._paths else ''}.{kind}".lstrip(".")

    def _note_pair(self, name: str, args: Any, kwargs: Any, result: Any) -> bool:
        """Note a product, maximum or minimum of two tensors; return whether it is one."""
        given = [*args, *kwargs.values()]
        if len(given) != 2 or not all(isinstance(value, Tensor) for value in given):
            return False
        if name not in MULTIPLY | DIVIDE | LARGER | SMALLER:
            return False
        first, second = (self.find_numbers(value).expand(result.shape) for value in given)
        if name in MULTIPLY:
            return self._note_product(first, second, result)
        if name in DIVIDE:
            if bool((second >= 0).any()):
                raise UnsupportedError(
                    f"{self._name_here('div')}: divides by values of the network, which no neuron"
                    " does; multiply by a gate, or train with batch norm"
                )
            return False
        if bool((first == NOTHING).any() or (second == NOTHING).any()):
            return False
        self._note_larger(first, second, result, 1.0 if name in LARGER else -1.0)
        return True

    def _note_product(self, first: Tensor, second: Tensor, result: Tensor) -> bool:
        """Note a product of values of the network; one with constants is a weighted sum."""
        if bool((first < 0).any() or (second < 0).any()):
            return False
        both = torch.cat([first.flatten(1), second.flatten(1)], dim=1)
        product = Multiply(tuple(result.shape[1:]))
        self._note_operation(self._name_here("mul"), product, both, result)
        return True

    def _note_glu(self, input: Tensor, dim: int = -1, *, result: Tensor) -> None:
        """Note one half of a tensor times the sigmoid of the other."""
        value, gate = self.find_numbers(input).chunk(2, dim)
        sent = torch.empty_like(result)
        self._note_operation(self._name_here("sigmoid"), nn.Sigmoid(), gate, sent)
        self._note_product(value, self.find_numbers(sent), result)

    def _note_larger(self, first: Tensor, second: Tensor, result: Tensor, sign: float) -> None:
        """Note max(a, b) = b + relu(a - b), or min(a, b) = b - relu(b - a)."""
        if sign > 0 and bool((second == ZERO).all()):
            self._note_operation(self._name_here("relu"), nn.ReLU(), first, result)
            return
        difference = self._add_sum(((first, sign), (second, -sign)), result)
        rest = torch.empty_like(result)
        self._note_operation(self._name_here("relu"), nn.ReLU(), difference, rest)
        larger = self._add_sum(((second, 1.0), (self.find_numbers(rest), sign)), result)
        self.hand_in(result, larger)

    def _add_sum(self, terms: Sequence[tuple[Tensor, float]], result: Tensor) -> Tensor:
        """Return the numbers of a weighted sum."""
        summands = tuple(
            Summand(numbers, torch.tensor(factor).double()) for numbers, factor in terms
        )
        values = SumValues(self.origins.next, tuple(result.shape), summands)
        return self.origins.add(values).numbers

    def strip_ends(self, outputs: Any) -> tuple[list[Tensor], int]:
        """Return the numbers of what the module returned, before functions that may end it.

        And the number of these functions.
        """
        answers, ends = [], 0
        for numbers in self.list_returned(outputs):
            values, count = self.origins.find_values(numbers), 0
            while len(values) == 1 and isinstance(values[0], FunctionValues):
                if values[0].function.rpartition(".")[2] not in ENDS:
                    break
                numbers, count = values[0].arguments[0], count + 1
                values = self.origins.find_values(numbers)
            answers.append(numbers)
            ends = max(ends, count)
        return answers, ends

    def add_answer(self, answers: list[Tensor]) -> FoundAnswer | None:
        """Note what the module returns as its last layer, where no layer has these very values.

        So the end may reorder values, choose some, or add layers up: a pixel shuffle, a crop, a
        mean over the places of each class.

        Args:
            answers: of `strip_ends`.
        """
        if len(answers) != 1 or len(answers[0]) != self.samples or self._is_output(answers[0]):
            return None
        self.modules[RETURNED] = Returned()
        self.calls[RETURNED] = [Call(answers[0])]
        return FoundAnswer(output=RETURNED)

    def _is_output(self, numbers: Tensor) -> bool:
        """Return whether these are all outputs of one layer, in its order."""
        values = self.origins.find_values(numbers)
        return (
            len(values) == 1
            and isinstance(values[0], NeuronValues | LinearValues)
            and torch.equal(numbers.reshape(-1), values[0].numbers.reshape(-1))
            and "(" not in values[0].path  # of a function: no layer of the module
        )


def explain(error: UnsupportedError) -> UnsupportedError:
    """Return an error of the import in the words of a conversion."""
    subject, unknown, _ = str(error).partition(" is not known; known are functions")
    if not unknown:
        return error
    function = subject.partition(" between ")[0].rpartition(".")[2]
    if function in ENDS:
        return UnsupportedError(f"{subject} {ATTENTION}")
    return UnsupportedError(f"{subject} is not known; known are {KNOWN}")


def read_windows(module: Any, where: str, shape: Shape) -> Windows:
    """Return the windows of a maximum pool over (channels, *space).

    Raises:
        UnsupportedError: windows of several sizes, or windows that hold nothing but padding.
    """
    space, axes = shape[1:], len(shape) - 1
    ones, kind = (1,) * axes, type(module).__name__
    if isinstance(module, WholePool):
        return Windows(space, space, (0,) * axes, ones, ones)
    if not hasattr(module, "kernel_size"):  # adaptive
        sizes = repeat_per_axis(module.output_size, axes)
        counts = tuple(n if size is None else size for n, size in zip(space, sizes, strict=True))
        if any(n % count for n, count in zip(space, counts, strict=True)):
            raise UnsupportedError(
                f"{where}: {kind} from {_join_sizes(space)} to {_join_sizes(counts)} has windows of"
                " different sizes; use a size that divides the input's"
            )
        kernel = tuple(n // count for n, count in zip(space, counts, strict=True))
        return Windows(kernel, kernel, (0,) * axes, ones, counts)
    kernel, stride, padding, dilation = (
        repeat_per_axis(value, axes)
        for value in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    numbers = tuple(
        count_windows(n, d * (k - 1) + 1, s, p, ceiling=module.ceil_mode)
        for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True)
    )
    return Windows(kernel, stride, padding, dilation, numbers)


def _join_sizes(values: Shape) -> str:
    return "x".join(map(str, values))


def _is_pool(module: nn.Module) -> bool:
    kind = type(module)
    return kind.__module__.startswith("torch.") and bool(
        known_layers.MAX_POOLS.fullmatch(kind.__name__)
    )


def _read_operation(
    func: Callable[..., Any], name: str, args: Any, kwargs: Any
) -> nn.Module | None:
    """Return the call of a function as the layer of a neuron point; None for other functions."""
    given = [*args, *([kwargs["input"]] if "input" in kwargs else [])]
    if not given or not isinstance(given[0], Tensor):
        return None
    if known_layers.MAX_POOLS.fullmatch(name):
        layer = make_pool(name.removesuffix("_with_indices"), args, kwargs)
        return None if layer is None else layer.module
    if name in ("amax", "max"):
        return WholePool() if _reduces_space(given[0], given[1:], kwargs) else None
    cap = find_function_cap(name, args, kwargs)
    if cap is not None:
        return nn.ReLU() if cap == float("inf") else nn.Hardtanh(0.0, cap)
    if name in CURVE_FUNCTIONS:
        rest, named = args[1:], {key: value for key, value in kwargs.items() if key != "input"}
        return Elementwise(name, lambda z: func(z, *_widen(rest), **_widen(named)))
    return None


def _reduces_space(x: Tensor, given: list[Any], kwargs: Any) -> bool:
    """Return whether a call takes the maximum over the one or two axes behind the channels."""
    dims = kwargs.get("dim", given[0] if given else None)
    dims = (dims,) if isinstance(dims, int) else dims
    if not isinstance(dims, tuple | list):
        return False
    return sorted(dim % x.ndim for dim in dims) == list(range(2, x.ndim)) and x.ndim in (3, 4)


def _widen(values: Any) -> Any:
    """Return arguments in float64."""
    if isinstance(values, Tensor):
        return values.double() if values.is_floating_point() else values
    if isinstance(values, dict):
        return {key: _widen(value) for key, value in values.items()}
    return tuple(map(_widen, values)) if isinstance(values, tuple) else values


def _refuse(where: str, kind: str) -> None:
    raise UnsupportedError(f"{where}: {kind} {REMEDIES[kind]}")
