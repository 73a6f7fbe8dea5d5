"""Watch one run of a torch module: the values that each layer got.

Neuron and linear layers are opaque: hooks note their inputs and outputs. Torch functions
called between them are seen by a `TorchFunctionMode`. Every value that comes from the input or
from a layer has a number, so a tensor has a second tensor of numbers beside it:

    x[t].flatten(1)         does the same to the numbers
    fc(x), avg_pool2d(x)    makes new numbers, which know the numbers of x
    a + 0.5 * b             makes new numbers, which know those of a and b and the factors
    torch.relu(x)           makes new numbers too; the function is not examined

Nothing is judged here; `layer_graph.py` reads the network out of the trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snncompile.errors import LINE_LENGTH, Obstacle, UnsupportedError
from snncompile.frontends.torch import gates, known_layers, reductions, sums
from snncompile.frontends.torch.arguments import find_tensors, get_first_argument, map_tensors
from snncompile.frontends.torch.function_layers import FunctionLayer, find_same, make_layer
from snncompile.frontends.torch.grid_layers import add_own_padding, pad_values
from snncompile.frontends.torch.host_layers import HostWatch, advise_host
from snncompile.frontends.torch.libraries.base import Shape
from snncompile.frontends.torch.runs_of_numbers import keep_short
from snncompile.frontends.torch.tape import Operation, Slot, changes_argument, keep
from snncompile.frontends.torch.time_layouts import join_steps, split_steps
from snncompile.frontends.torch.values import (
    NOTHING,
    ZERO,
    ConstantValues,
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    Origins,
    ReducedValues,
    SumValues,
)


@keep_short("drive")
@dataclass(frozen=True, eq=False)
class Call:
    """One time step of a neuron layer."""

    drive: Tensor
    """Numbers of the input, shape (samples, *shape of the layer)."""


class Trace(TorchFunctionMode):
    """Watches a module from `with Trace(module, title, samples) as trace:` on, for one run."""

    def __init__(
        self, module: nn.Module, title: str, samples: int, host: HostWatch | None = None
    ) -> None:
        super().__init__()
        self.samples = samples
        self.host = host or HostWatch()
        self._on_host: list[nn.Module] = []
        """The layers that stay on the host."""
        self.origins = Origins()
        self.modules: dict[str, nn.Module] = {}
        """Known layers by path, in the order of the module tree."""
        self.calls: dict[str, list[Call]] = {}
        """Time steps of each neuron layer, in the order of the first call."""
        self.linear_calls: list[LinearValues] = []
        self.unknown: dict[str, UnsupportedError] = {}
        """Why a layer that was called cannot be read, by path."""
        self.operations: list[Operation] = []
        """Functions that make new values from known ones, in the order of their calls."""
        self._static = False
        self._function_calls = 0
        self._open: list[str] = [title]
        self._in_hook = False
        self._numbers: dict[int, Tensor] = {}
        self._alive: dict[int, weakref.ref[Tensor]] = {}
        self._depth = 0
        self._inside: list[Tensor] = []
        self._watch(module, "", title)

    @property
    def has_neurons(self) -> bool:
        """Whether the module holds a neuron layer, called or not."""
        return any(known_layers.find_role(layer) == "neuron" for layer in self.modules.values())

    def hand_in(self, x: Tensor, numbers: Tensor) -> None:
        """Set the numbers of a tensor's values, for as long as the tensor lives."""
        key = id(x)
        self._numbers[key] = numbers
        self._alive[key] = weakref.ref(x, lambda _: self._forget(key))

    def _forget(self, key: int) -> None:
        """Forget a tensor, whose id another one may get."""
        self._numbers.pop(key, None)
        self._alive.pop(key, None)

    def add_input(self, shape: Shape, *, static: bool = False) -> InputValues:
        """Return new values for a sample of shape (samples, steps, size); see `InputValues`."""
        self._static = static
        return self.origins.add(InputValues(self.origins.next, shape, static))

    def find_numbers(self, tensor: Tensor) -> Tensor:
        """Return the numbers of a tensor's values."""
        known = self._numbers.get(id(tensor))
        return sums.number_unknown(tensor) if known is None else known

    def _knows(self, tensor: Tensor) -> bool:
        return id(tensor) in self._numbers

    def _watch(self, module: nn.Module, path: str, title: str) -> None:
        role, name = known_layers.find_role(module), path or title
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
            self._refuse(name, module, (), {})
            return
        if path in self.host.paths:
            self._on_host.append(module)
            entered, left = self._enter_host, self._leave_host
            module.register_forward_pre_hook(self._name_hook(entered, name), with_kwargs=True)
            module.register_forward_hook(self._name_hook(left, name), with_kwargs=True)
            return
        if role == "inside":
            module.register_forward_pre_hook(lambda *_: self._open.append(name))
            module.register_forward_hook(lambda *_: self._open.pop() and None)
            for child, inner in module.named_children():
                seen = chain(self.modules.values(), self._on_host)
                if not any(inner is other for other in seen):
                    self._watch(inner, f"{path}.{child}".lstrip("."), title)
            return
        before, after = {
            "unknown": (self._refuse, None),
            "linear": (self._enter, self._leave_linear),
            "same": (self._enter, self._leave_same),
            "neuron": (self._enter_neuron, self._leave_neuron),
        }[role]
        self.modules[name] = module
        module.register_forward_pre_hook(self._name_hook(before, name), with_kwargs=True)
        if after:
            module.register_forward_hook(self._name_hook(after, name), with_kwargs=True)

    def _name_hook(self, hook: Callable[..., None], name: str) -> Callable[..., None]:
        def call(*args: Any) -> None:
            self._in_hook = True
            try:
                hook(name, *args)
            finally:
                self._in_hook = False

        return call

    def _refuse(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        kind = type(module).__name__
        instead = known_layers.find_alternative(kind)
        if not instead:
            advice = advise_host(name) if self._may_stay_on_host(name, module) else ""
            others = f"{name}: {kind} is not known; known: {advice}"
            instead = f"known: {known_layers.list_known(module, LINE_LENGTH - len(others) - 1)}"
            if advice and self._is_before_neurons(args, kwargs):
                instead += advice
        message = f"{name}: {kind} is not known; {instead}"
        error = UnsupportedError(message, Obstacle(message, name, hint=instead))
        self.unknown.setdefault(name, error)

    def _may_stay_on_host(self, name: str, module: nn.Module) -> bool:
        whole = name == self._open[0]
        known = known_layers.find_library(module) or known_layers.find_alternative(
            type(module).__name__
        )
        return not (whole or known or isinstance(module, torch.jit.ScriptModule))

    def _is_before_neurons(self, args: Any, kwargs: Any) -> bool:
        """Return whether arguments come from the sample and from no neuron layer."""
        sources = [
            values
            for tensor in find_tensors((args, kwargs))
            for values in self.origins.walk_sources(self.find_numbers(tensor))
        ]
        return bool(sources) and not any(isinstance(values, NeuronValues) for values in sources)

    def _enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        if len(args) > 1 or kwargs.get("output_size") is not None:
            known_layers.refuse_output_size(name, module)
        self._push(name, get_first_argument(module, args, kwargs))

    def _push(self, name: str, drive: Any) -> None:
        self._depth += 1
        self._check_tensor(name, drive)
        self._inside.append(self.find_numbers(drive))

    def _check_tensor(self, name: str, drive: Any) -> None:
        if not isinstance(drive, Tensor):
            raise UnsupportedError(
                f"{name}: gets a {type(drive).__name__} where one tensor is expected; in"
                " nn.Sequential, give the neuron layer before it init_hidden=True and output=False"
            )

    def _leave_linear(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        self._hand_in_linear(out, name, self._inside.pop())
        self._depth -= 1

    def _hand_in_linear(self, out: Tensor, name: str, inputs: Tensor) -> None:
        inputs = add_own_padding(self.modules[name], inputs)
        axes = known_layers.count_sample_axes(self.modules[name], inputs.ndim)
        source, target = inputs.shape[inputs.ndim - axes :], out.shape[inputs.ndim - axes :]
        values = LinearValues(
            self.origins.next,
            tuple(out.shape),
            name,
            inputs.reshape(-1, prod(source)),
            tuple(source),
            tuple(target),
        )
        if self.host.after and any(map(self.host.is_behind, self.origins.walk_sources(inputs))):
            self._hand_in_behind(out, name, inputs)
            return
        self.linear_calls.append(self.origins.add(values))
        self.hand_in(out, values.numbers)

    def _enter_host(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._depth += 1
        numbers = [self.find_numbers(tensor) for tensor in find_tensors((args, kwargs))]
        if len(numbers) != 1:
            numbers = [torch.cat([torch.tensor([NOTHING]), *(n.flatten() for n in numbers)])]
        self._inside.append(numbers[0])

    def _leave_host(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        self._depth -= 1
        drive, tensor = self._inside.pop(), self._find_host_output(name, out)
        sources = self.origins.walk_sources(drive)
        if any(isinstance(values, NeuronValues) for values in sources):
            self._hand_in_behind(tensor, name, drive)
            return
        self.host.taken.setdefault(name, []).append(drive)
        numbers = self.host.number(name, drive, tuple(tensor.shape), self.samples, self.origins)
        self.hand_in(tensor, numbers)

    def _find_host_output(self, name: str, out: Any) -> Tensor:
        tensor = next(find_tensors(out), None)
        if tensor is None:
            raise UnsupportedError(f"{name} of the host returns a {type(out).__name__}, no tensor")
        return tensor

    def _hand_in_behind(self, tensor: Tensor, name: str, drive: Tensor) -> None:
        self.host.after.setdefault(name, []).append(drive)
        self._hand_in_function(tensor, name, (drive,))

    def _leave_same(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        numbers = self._inside.pop()
        drive = get_first_argument(module, args, kwargs)
        if torch.equal(out.reshape(-1), drive.reshape(-1)):
            self.hand_in(out, numbers.reshape(out.shape))
        else:  # a dropout that the module switches on itself
            self._hand_in_function(out, type(module).__name__, (numbers,))
        self._depth -= 1

    def _enter_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        library = known_layers.find_neuron_library(module)
        self._push(name, library.read_input(module, args, kwargs).drive)

    def _leave_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        self._depth -= 1
        library = known_layers.find_neuron_library(module)
        (output, states), drive = library.read_result(module, out), self._inside.pop()
        time = library.find_time(module)
        calls = self.calls.setdefault(name, [])
        steps: list[Tensor] = []
        potentials: list[Tensor] = []
        for step in split_steps(drive, time, self.samples):
            shape = tuple(split_steps(output, time, self.samples)[0].shape)
            steps.append(self._add_output(name, None, shape))
            calls.append(Call(step))
            if library.sequence in states:
                potentials.append(self._add_output(name, library.potential, shape))
        if potentials:
            self.hand_in(states.pop(library.sequence), join_steps(potentials, time))
        for state, tensor in states.items():
            self.hand_in(tensor, self._add_output(name, state, tuple(tensor.shape)))
        self.hand_in(output, join_steps(steps, time))  # last: the spikes may be a state too

    def _add_output(self, name: str, state: str | None, shape: Shape) -> Tensor:
        """Return numbers of new values of a neuron layer: spikes, or the state after them."""
        step = len(self.calls[name]) - (state is not None)
        values = NeuronValues(self.origins.next, shape, name, step, state)
        return self.origins.add(values).numbers

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function and note its effect on the numbers."""
        kwargs = kwargs or {}
        if self._depth or self._in_hook:
            return func(*args, **kwargs)
        self._function_calls += 1
        if not any(map(self._knows, find_tensors((args, kwargs)))):
            return func(*args, **kwargs)
        name = known_layers.name_function(func)
        before = args
        if changes_argument(name) and not self._knows(args[0]):
            before = (args[0].clone(), *args[1:])
        result = func(*args, **kwargs)
        self._note(func, name, before, kwargs, args[0] if name.endswith("__setitem__") else result)
        return result

    def _note(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> None:
        short = name.rpartition(".")[2]
        if short in known_layers.CREATES:
            return
        if short == "__setitem__":
            self._set_item(func, name, args, result)
        elif short == "pad" and known_layers.pads_with_zeros(args, kwargs):
            drive, pad = [*args, *kwargs.values()][:2]
            self.hand_in(result, nn.functional.pad(self.find_numbers(drive), pad, value=ZERO))
        elif short == "pad" and known_layers.find_padding(args, kwargs) in known_layers.COPIES:
            drive, pad = [*args, *kwargs.values()][:2]
            mode, axes = known_layers.find_padding(args, kwargs), len(pad) // 2 + 1
            self.hand_in(result, pad_values(self.find_numbers(drive), pad, mode, axes))
        elif short in known_layers.MOVES and "out" not in kwargs:
            moved = func(
                *map_tensors(args, self._replace_by_numbers),
                **map_tensors(kwargs, self._replace_by_numbers),
            )
            for tensor, numbers in zip(find_tensors(result), find_tensors(moved), strict=True):
                self.hand_in(tensor, numbers)
        elif self._keeps_values(func, short, args, kwargs, result):
            self.hand_in(result, self.find_numbers(args[0] if args else kwargs["input"]))
        else:
            self._compute(func, name, args, kwargs, result)

    def _compute(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> None:
        """Note a function that makes new values: a weighted sum, a pool, or an unknown function."""
        short = name.rpartition(".")[2]
        if self._note_complement(func, name, args, kwargs, result):
            pass
        elif terms := sums.read_summands(
            short, args, kwargs, result, self.find_numbers, self._number_constants
        ):
            values = SumValues(self.origins.next, tuple(result.shape), terms)
            self._keep_operation(func, name, self._keep_arguments(args, kwargs), [values])
            self.hand_in(result, self.origins.add(values).numbers)
        elif self._note_reduction(func, name, args, kwargs, result) or self._note_gate(
            short, args, kwargs, result
        ):
            pass
        elif layer := make_layer(short, args, kwargs, self._knows):
            self._note_layer(layer, result)
        else:
            self._apply_function(func, name, args, kwargs, result)

    def _note_layer(self, layer: FunctionLayer, result: Tensor) -> None:
        """Note a called function that is a layer."""
        path, numbers = find_same(layer, self.modules), self.find_numbers(layer.drive)
        self.modules.setdefault(path, layer.module)
        if not layer.columns:
            self._hand_in_linear(result, path, numbers)
            return
        turned = result.mT
        self._hand_in_linear(turned, path, numbers.mT)
        self.hand_in(result, self.find_numbers(turned).mT)

    def _apply_function(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> None:
        """Note a function that is not examined."""
        given = tuple(self.find_numbers(t) for t in find_tensors((args, kwargs)) if self._knows(t))
        slots = self._keep_arguments(args, kwargs)
        results = [self._hand_in_function(tensor, name, given) for tensor in find_tensors(result)]
        self._keep_operation(func, name, slots, results)

    def _keep_operation(
        self, func: Callable[..., Any], name: str, slots: tuple[Any, Any], results: list[Any]
    ) -> None:
        self.operations.append(
            Operation(func, name, *slots, tuple(results), self._function_calls, self._open[-1])
        )

    def _keep_arguments(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return map_tensors(args, self._keep_argument), map_tensors(kwargs, self._keep_argument)

    def _keep_argument(self, tensor: Tensor) -> Any:
        """Return a known tensor as a slot, another one as it is now."""
        numbers = self.find_numbers(tensor)
        return Slot(numbers, tensor.dtype) if bool((numbers >= 0).any()) else keep(tensor)

    def _note_reduction(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> bool:
        """Note a sum, mean or maximum over time; return whether it is, or may be, one."""
        short = name.rpartition(".")[2]
        reduction = reductions.read_reduction(short, args, kwargs, self.find_numbers)
        if reduction is None or not reduction.numbers.numel():
            return False
        if reductions.is_over_time(reduction, self.origins):
            tensor = next(find_tensors(result))
            shape = tuple(tensor.shape)
            inputs = reduction.numbers.reshape(-1, *shape)
            new = ReducedValues(self.origins.next, shape, reduction.kind, inputs)
            self.hand_in(tensor, self.origins.add(new).numbers)
            return True
        if self._static and reductions.is_of_several(reduction, self.origins):
            self._apply_function(func, name, args, kwargs, result)  # until the neurons are found
            return True
        return False

    def _number_constants(self, tensor: Tensor) -> Tensor:
        """Return new numbers of a tensor that is computed from neither the input nor a layer."""
        known = tensor.detach().double().cpu().clone()
        return self.origins.add(
            ConstantValues(self.origins.next, tuple(tensor.shape), known)
        ).numbers

    def _note_complement(
        self, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any
    ) -> bool:
        """Note 1 - spikes; return whether it is that."""
        products = gates.Products(self.origins, self.find_numbers, self.is_maximum)
        values = products.note_complement(name.rpartition(".")[2], args, kwargs, result)
        if values is None:
            return False
        self._keep_operation(func, name, self._keep_arguments(args, kwargs), [values])
        self.hand_in(result, values.numbers)
        return True

    def _note_gate(self, short: str, args: Any, kwargs: Any, result: Any) -> bool:
        """Note a product of spikes; return whether it is one."""
        products = gates.Products(self.origins, self.find_numbers, self.is_maximum)
        product = products.note_product(short, args, kwargs, result)
        if product is None:
            return False
        self.add_product(product)
        self.hand_in(result, product.numbers)
        return True

    def add_product(self, product: LinearValues) -> None:
        """Add a product to the layers."""
        self.modules.setdefault(product.path, gates.GATES[product.path])
        self.linear_calls.append(product)

    def is_maximum(self, path: str) -> bool:
        """Return whether the layer at a path takes a maximum."""
        row = known_layers.find_linear(self.modules[path])
        return row is not None and row.maximum

    def _keeps_values(
        self, func: Callable[..., Any], short: str, args: Any, kwargs: Any, result: Any
    ) -> bool:
        if not isinstance(result, Tensor):
            return False
        cast = short in known_layers.CASTS and result.is_floating_point()
        return cast or known_layers.changes_nothing(func, args, kwargs)

    def _replace_by_numbers(self, tensor: Tensor) -> Tensor:
        """Return the numbers of a tensor; a tensor that may be an index stays as it is."""
        if self._knows(tensor) or tensor.is_floating_point():
            return self.find_numbers(tensor)
        return tensor

    def _set_item(self, func: Callable[..., Any], name: str, args: Any, result: Tensor) -> None:
        target, index, value = args
        if any(map(self._knows, find_tensors(index))):  # where, depends on values
            self._apply_function(func, name, args, {}, result)
            return
        numbers = self.find_numbers(target).clone()
        numbers[index] = self.find_numbers(torch.as_tensor(value))
        self.hand_in(result, numbers)

    def _hand_in_function(
        self, tensor: Tensor, name: str, arguments: tuple[Tensor, ...]
    ) -> FunctionValues:
        values = FunctionValues(self.origins.next, tuple(tensor.shape), name, arguments)
        self.hand_in(tensor, self.origins.add(values).numbers)
        return values

    def list_returned(self, outputs: Any) -> Iterator[Tensor]:
        """Yield the numbers of all tensors that the module returned."""
        return (self.find_numbers(tensor) for tensor in find_tensors(outputs))


def _name_hook(hook: Callable[..., None], name: str) -> Callable[..., None]:
    return lambda *args: hook(name, *args)


def find_state_problem(
    name: str, state: str, value: Tensor, before: Tensor | None, start: float
) -> str:
    """Return how the state that a neuron layer gets is not that of the time step before.

    Args:
        name: of the layer.
        state: of the state variable.
        value: what the layer gets.
        before: the state after its last call; None in the first one.
        start: the right value then.
    """
    if before is None:
        if bool((value == start).all()):
            return ""
        return f"{name} starts with {state} other than {'zero' if start == 0 else start}"
    if before.shape == value.shape and torch.equal(before.to(value.dtype), value):
        return ""
    return f"{name} is not given the {state} of the time step before; keep it in the module"
