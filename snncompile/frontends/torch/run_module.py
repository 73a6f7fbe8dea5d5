"""Check the user's module and sample, and run copies of the module."""

from __future__ import annotations

import copy
import gc
import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.arguments import Arguments, map_tensors
from snncompile.frontends.torch.libraries.base import Library
from snncompile.frontends.torch.open_wrappers import copy_inside, settle_weights
from snncompile.ir.input import read_array

NONE = Arguments()
"""No further arguments."""
LARGE = 2**27
"""Bytes of parameters from which copies that nobody reads are freed at once."""


def check_module(module: Any, given: Arguments = NONE) -> None:
    """Refuse all but modules that can be called with one input and the given arguments.

    Raises:
        InputError: not a module, or its parameters are not finite numbers, or it does not take
            the arguments.
        UnsupportedError: it needs more arguments.
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"from_torch needs the torch module itself, got {_describe(module)}; build the module,"
            " load its weights into it, and give it"
        )
    for name, parameter in module.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise InputError(f"{name} has no shape yet; run the module once before importing it")
    for name, value in module.state_dict().items():
        wrong = int((~torch.isfinite(value)).sum()) if isinstance(value, Tensor) else 0
        if wrong:
            raise InputError(f"{name}: {wrong} of {value.numel()} values are not finite")
    if known_layers.find_role(module) == "inside":
        _check_signature(module, given)


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        return "a state dict, which holds weights but not how the layers are joined"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a {type(value).__name__}"


def _check_signature(module: nn.Module, given: Arguments) -> None:
    signature = inspect.signature(module.forward)
    try:
        known = signature.bind_partial(None, *given.args, **given.kwargs).arguments
    except TypeError as error:
        raise InputError(f"{type(module).__name__}.forward does not take args: {error}") from None
    parameters = [p for p in signature.parameters.values() if p.name not in list(known)[1:]]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    needed += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) > 1:
        raise UnsupportedError(
            f"{type(module).__name__}.forward needs {' and '.join(needed[1:])} besides the input;"
            " give them as args=(...), None for a state that forward returns for the next step, or"
            " wrap the module in one that keeps its state"
        )


def check_sample(sample: ArrayLike | Tensor, time: Any = "step") -> NDArray[np.float64]:
    """Return the sample as float64 of shape (samples, steps, *shape), or (samples, *shape).

    Args:
        sample: the user's.
        time: how the module takes its time axis; only with "inside" and "auto" the sample may have
            no steps.

    Raises:
        InputError: another number of dimensions, no values, or values that are not finite.
    """
    array = read_array(sample)
    if array.dtype.kind not in "biuf":
        raise InputError(f"sample has dtype {array.dtype}, expected numbers")
    if array.ndim < (2 if time in ("auto", "inside") else 3) or array.size == 0:
        expected = "(samples, *shape)" if time == "inside" else "(samples, steps, *shape)"
        raise InputError(f"sample has shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise InputError("sample holds values that are not finite")
    return np.ascontiguousarray(array, dtype=np.float64)


def find_own_dtype(module: nn.Module) -> torch.dtype:
    """Return the floating-point type of the module's parameters; float32 if it has none."""
    tensors = [*module.parameters(), *module.buffers()]
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


def free_copies(module: nn.Module) -> None:
    """Free the copies of a large module that runs have left: they and their hooks hold each other.

    Of small ones Python frees them when it likes.
    """
    if sum(parameter.nbytes for parameter in module.parameters()) > LARGE:
        gc.collect()


def make_working_copy(module: nn.Module, samples: int, steps: int) -> nn.Module:
    """Return a copy for one run: on the CPU, in eval mode, states at the start.

    States that still hang on a gradient graph cannot be deep-copied, so they are cut off first;
    `Module.cpu` would not find tensors that are plain attributes.

    Raises:
        InputError: the module cannot be copied.
    """
    free_copies(module)
    memo: dict[int, Any] = {}
    for inner in module.modules():
        for tensor in _find_tensors(vars(inner)):
            if not isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = tensor.detach().to("cpu", copy=True)
    try:
        copy_inside(module, memo)
        for library, inner in _walk_libraries(module):
            library.copy(inner, memo)
        result = copy.deepcopy(module, memo)
    except Exception as error:
        name = type(module).__name__
        raise InputError(f"{name} cannot be copied, {summarize_error(error)}") from error
    result = result.cpu().eval()
    settle_weights(result)
    for library, inner in _walk_libraries(result):
        library.reset(inner)
        library.prepare(inner, samples, steps)
    return result


def _walk_libraries(module: nn.Module) -> Iterator[tuple[Library, nn.Module]]:
    """Yield each module that descends from a library's, with the library."""
    for inner in module.modules():
        for library in known_layers.list_libraries():
            if library.descends(inner):
                yield library, inner


def _find_tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for element in value.values():
            yield from _find_tensors(element)
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _find_tensors(element)


def cast_inputs(runner: nn.Module, dtype: torch.dtype) -> None:
    """Let every layer cast its inputs: spikes are float32 in a float64 module of snnTorch."""

    def cast(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return map_tensors(args, to_dtype), map_tensors(kwargs, to_dtype)

    def to_dtype(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    for layer in runner.modules():
        scripted = isinstance(layer, torch.jit.ScriptModule)  # takes no hooks; the trace refuses it
        if known_layers.find_role(layer) != "inside" and not scripted:
            layer.register_forward_pre_hook(cast, with_kwargs=True)


def call(runner: nn.Module, x: Tensor, given: Arguments = NONE) -> Any:
    """Run a copy once and return its result; the user's own layers are not touched.

    Args:
        runner: the copy.
        x: its input.
        given: further arguments, see `carry_states`.
    """
    with ExitStack() as stack:
        for library in known_layers.list_libraries():
            stack.enter_context(library.isolate(runner))
        return runner(x, *given.args, **given.kwargs)


def carry_states(runner: nn.Module, result: Any, given: Arguments) -> Arguments:
    """Return the arguments of the next time step, with the states that the last one returned.

    They are a and b where `forward(x, a=None, b=None)` returns (output, a, b), or where the user
    gave None for a and b.
    """
    if known_layers.find_role(runner) != "inside" or not isinstance(result, tuple) or given.kwargs:
        return given
    if given.args:
        empty = all(value is None for value in given.args)
        states = given.args if empty or given.carried else ()
    else:
        others = list(inspect.signature(runner.forward).parameters.values())[1:]
        none = [p for p in others if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is None]
        states = tuple(none) if len(none) == len(others) else ()
    if not states or len(states) != len(result) - 1:
        return given
    return Arguments(result[1:], carried=True)


def summarize_error(error: Exception) -> str:
    """Return the class and the first line of another library's error, shortened."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] if len(lines[0]) <= 120 else lines[0][:117] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
