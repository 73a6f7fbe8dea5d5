"""Watch one run of a torch module: which layer got which values.

Neuron and linear layers are opaque: hooks note what goes in and what comes out. Torch functions
called between them are seen by a `TorchFunctionMode`. Every value that comes from the input or
from a layer has a number, so a tensor has a second tensor of numbers beside it:

    x[t].flatten(1)         does the same to the numbers
    fc(x), avg_pool2d(x)    makes new numbers, which know the numbers of x
    torch.relu(x)           makes new numbers too, of values that are not looked into

Nothing is judged here; `torch_graph.py` reads the network out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snncompile.errors import UnsupportedError
from snncompile.frontends import torch_layers
from snncompile.frontends.torch_arguments import drive_and_states, mapped, tensors
from snncompile.frontends.torch_linear import FUNCTIONS, sample_axes
from snncompile.frontends.torch_values import (
    NOTHING,
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    Origins,
    Shape,
    SumValues,
)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a neuron layer."""

    drive: Tensor
    """Numbers of the input, shape (samples, *shape of the layer)."""


class Trace(TorchFunctionMode):
    """Watches a module from `with Trace(module) as trace:` on; use it for one run."""

    def __init__(self, module: nn.Module, title: str) -> None:
        super().__init__()
        self.origins = Origins()
        self.modules: dict[str, nn.Module] = {}
        """Known layers by path, in the order of the module tree."""
        self.calls: dict[str, list[Call]] = {}
        """Calls of each neuron layer, in the order of the first call."""
        self.linear_calls: list[LinearValues] = []
        self.state_problem = ""
        """The first neuron layer whose state does not go from one call to the next, and why."""
        self._numbers: dict[int, Tensor] = {}
        self._alive: dict[int, Tensor] = {}
        self._states: dict[str, dict[str, Tensor]] = {}
        self._depth = 0
        self._inside: list[Tensor] = []
        self._watch(module, "", title)

    @property
    def has_neurons(self) -> bool:
        """Whether the module holds a neuron layer, called or not."""
        return any(torch_layers.role(layer) == "neuron" for layer in self.modules.values())

    def hand_in(self, x: Tensor, numbers: Tensor) -> None:
        """Say which numbers a tensor of the input has."""
        self._numbers[id(x)] = numbers
        self._alive[id(x)] = x

    def new_input(self, shape: Shape) -> InputValues:
        """Return new values for a sample of shape (samples, steps, size)."""
        return self.origins.add(InputValues(self.origins.next, shape))

    def numbers(self, tensor: Tensor) -> Tensor:
        """Return the numbers of a tensor's values."""
        known = self._numbers.get(id(tensor))
        return torch.full(tensor.shape, NOTHING) if known is None else known

    def _knows(self, tensor: Tensor) -> bool:
        return id(tensor) in self._numbers

    def _watch(self, module: nn.Module, path: str, title: str) -> None:
        role, name = torch_layers.role(module), path or title
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
            self._refuse(name, module, (), {})
        if role == "inside":
            for child, inner in module.named_children():
                if not any(inner is other for other in self.modules.values()):
                    self._watch(inner, f"{path}.{child}".lstrip("."), title)
            return
        before, after = {
            "unknown": (self._refuse, None),
            "linear": (self._enter, self._leave_linear),
            "same": (self._enter, self._leave_same),
            "neuron": (self._enter_neuron, self._leave_neuron),
        }[role]
        self.modules[name] = module
        module.register_forward_pre_hook(_named(before, name), with_kwargs=True)
        if after:
            module.register_forward_hook(_named(after, name), with_kwargs=True)

    def _refuse(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        kind = type(module).__name__
        instead = torch_layers.instead_of(kind) or f"known: {torch_layers.known()}"
        raise UnsupportedError(f"{name}: {kind} is not known; {instead}")

    def _enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._depth += 1
        drive, _ = drive_and_states(module, args, kwargs)
        if not isinstance(drive, Tensor):
            raise UnsupportedError(
                f"{name}: gets a {type(drive).__name__} where one tensor is expected; in"
                " nn.Sequential, give the neuron layer before it init_hidden=True and output=False"
            )
        self._inside.append(self.numbers(drive))

    def _leave_linear(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        self._hand_in_linear(out, name, self._inside.pop())
        self._depth -= 1

    def _hand_in_linear(self, out: Tensor, name: str, inputs: Tensor) -> None:
        axes = sample_axes(self.modules[name], inputs.ndim)
        source, target = inputs.shape[inputs.ndim - axes :], out.shape[out.ndim - axes :]
        values = LinearValues(
            self.origins.next,
            tuple(out.shape),
            name,
            inputs.reshape(-1, prod(source)),
            tuple(source),
            tuple(target),
        )
        self.linear_calls.append(self.origins.add(values))
        self.hand_in(out, values.numbers)

    def _leave_same(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        numbers = self._inside.pop()
        drive, _ = drive_and_states(module, args, kwargs)
        if torch.equal(out.reshape(-1), drive.reshape(-1)):
            self.hand_in(out, numbers.reshape(out.shape))
        else:  # a dropout that the module switches on itself
            self._hand_in_function(out, type(module).__name__, (numbers,))
        self._depth -= 1

    def _enter_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._enter(name, module, args, kwargs)
        _, given = drive_and_states(module, args, kwargs)
        hidden = torch_layers.library(module).states(module)
        for state, value in {**hidden, **given}.items():
            before = self._states.get(name, {}).get(state)
            problem = _state_problem(name, state, value, before)
            self.state_problem = self.state_problem or problem

    def _leave_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        calls = self.calls.setdefault(name, [])
        states = torch_layers.library(module).states(module)
        spikes = out if isinstance(out, Tensor) else out[0]
        for state, tensor in [(None, spikes), *states.items()]:
            start, shape = self.origins.next, tuple(tensor.shape)
            values = NeuronValues(start, shape, name, len(calls), state)
            self.hand_in(tensor, self.origins.add(values).numbers)
        calls.append(Call(self._inside.pop()))
        self._states[name] = states
        self._depth -= 1

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function and note what it did to the numbers."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._depth == 0 and any(map(self._knows, tensors((args, kwargs)))):
            self._note(func, args, kwargs, result)
        return result

    def _note(self, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        name = torch_layers.function_name(func)
        short = name.rpartition(".")[2]
        if short == "__setitem__":
            self._set_item(*args)
        elif short in torch_layers.MOVES and "out" not in kwargs:
            moved = func(*mapped(args, self._as_numbers), **mapped(kwargs, self._as_numbers))
            for tensor, numbers in zip(tensors(result), tensors(moved), strict=True):
                self.hand_in(tensor, numbers)
        elif self._keeps_values(func, short, args, kwargs, result):
            self.hand_in(result, self.numbers(args[0] if args else kwargs["input"]))
        elif short in torch_layers.ADDS and self._adds_layers(args, kwargs):
            terms = tuple(self.numbers(term) for term in args)
            values = SumValues(self.origins.next, tuple(result.shape), terms)
            self.hand_in(result, self.origins.add(values).numbers)
        elif short in FUNCTIONS:
            self._linear_function(short, args, kwargs, result)
        else:
            given = tuple(self.numbers(t) for t in tensors((args, kwargs)) if self._knows(t))
            for tensor in tensors(result):
                self._hand_in_function(tensor, name, given)

    def _linear_function(self, short: str, args: Any, kwargs: Any, result: Tensor) -> None:
        """Note a function as the layer that has the same arguments; they are its name."""
        given = list(args) or [kwargs["input"]]
        options = {key: value for key, value in kwargs.items() if key != "input"}
        words = [*map(str, given[1:]), *(f"{key}={value}" for key, value in options.items())]
        name = f"{short}({', '.join(words)})"
        self.modules.setdefault(name, FUNCTIONS[short](*given[1:], **options))
        self._hand_in_linear(result, name, self.numbers(given[0]))

    def _keeps_values(
        self, func: Callable[..., Any], short: str, args: Any, kwargs: Any, result: Any
    ) -> bool:
        if not isinstance(result, Tensor):
            return False
        cast = short in torch_layers.CASTS and result.is_floating_point()
        return cast or torch_layers.changes_nothing(func, args, kwargs)

    def _adds_layers(self, args: Any, kwargs: Any) -> bool:
        both = all(isinstance(term, Tensor) and self._knows(term) for term in args)
        return both and len(args) == 2 and args[0].shape == args[1].shape and not kwargs

    def _as_numbers(self, tensor: Tensor) -> Tensor:
        """Return numbers for values, and anything that may be an index as it is."""
        if self._knows(tensor) or tensor.is_floating_point():
            return self.numbers(tensor)
        return tensor

    def _set_item(self, target: Tensor, index: Any, value: Any) -> None:
        numbers = self.numbers(target).clone()
        numbers[index] = self.numbers(value) if isinstance(value, Tensor) else NOTHING
        self.hand_in(target, numbers)

    def _hand_in_function(self, tensor: Tensor, name: str, arguments: tuple[Tensor, ...]) -> None:
        values = FunctionValues(self.origins.next, tuple(tensor.shape), name, arguments)
        self.hand_in(tensor, self.origins.add(values).numbers)

    def returned(self, outputs: Any) -> Iterator[Tensor]:
        """Yield the numbers of all tensors in what the module returned."""
        return (self.numbers(tensor) for tensor in tensors(outputs))


def _named(hook: Callable[..., None], name: str) -> Callable[..., None]:
    return lambda *args: hook(name, *args)


def _state_problem(name: str, state: str, value: Tensor, before: Tensor | None) -> str:
    if before is None:
        if bool((value == 0).all()):
            return ""
        return f"{name} starts with {state} other than zero"
    if before.shape == value.shape and torch.equal(before.to(value.dtype), value):
        return ""
    return f"{name} is not given the {state} of the time step before; keep it in the module"
