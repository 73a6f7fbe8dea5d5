"""The host's part of a torch module: its layers by name, its hash, and its outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from snncompile.errors import InputError, list_briefly
from snncompile.frontends.torch.arguments import find_tensors
from snncompile.frontends.torch.host_layers import HostWatch, join_outputs
from snncompile.frontends.torch.libraries.base import Shape
from snncompile.frontends.torch.open_wrappers import unwrap
from snncompile.frontends.torch.precise import in_float64
from snncompile.frontends.torch.run_module import (
    NONE,
    call,
    carry_states,
    cast_inputs,
    check_sample,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.time_layouts import Layout, split_calls
from snncompile.ir.host_part import HostPart

SEED = 0
"""Seed of encoders that draw numbers, so that two runs show the chip the same."""


def check_paths(module: nn.Module, host: Sequence[str]) -> None:
    """Refuse names that are no layers of the module."""
    if isinstance(host, str):
        raise InputError(f"host takes a list of layers: host=[{host!r}]")
    known = [path for path, _ in module.named_modules() if path]
    for path in host:
        if path not in known:
            names = list_briefly(known, 160)
            raise InputError(f"host: the module has no layer {path!r}; it has {names}")


def describe_host(
    watch: HostWatch, module: nn.Module, shape: Shape, time: Layout
) -> HostPart | None:
    """Return the record of the host's part; None if it has none.

    Args:
        watch: what the run showed.
        module: the module.
        shape: of a sample, (steps, *shape).
        time: how the module takes its time axis.

    Raises:
        InputError: a named layer is not called.
    """
    for path in watch.paths:
        if path not in (*watch.before, *watch.after):
            raise InputError(f"host: {path} is not called by the module")
    if not watch.paths:
        return None
    return HostPart(
        before=watch.before,
        after=tuple(watch.after),
        output=watch.output,
        held=watch.held,
        shape=shape[1:],
        time=str(time),
        steps=shape[0] if time == "inside" else None,
        sha256=hash_state(module),
    )


def read_time(host: HostPart) -> Layout:
    """Return how the module takes its time axis."""
    named: Any = host.time
    return int(host.time) if host.time.isdecimal() else named


def hash_state(module: nn.Module) -> str:
    """Return the SHA-256 of names, types, shapes and values of a module's state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            array = value.detach().cpu()
            digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
            digest.update(array.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def run_before(host: HostPart, module: Any, x: ArrayLike) -> NDArray[Any]:
    """Return the output of the last layer in front of the chip's; see `HostPart.run`."""
    if not isinstance(module, nn.Module):
        raise InputError(f"host must be the torch module, got a {type(module).__name__}")
    module = unwrap(module)
    if hash_state(module) != host.sha256:
        raise InputError(
            f"host: this {type(module).__name__} has other weights or buffers than the one that was"
            " compiled; give that one, or import and compile again"
        )
    if not host.output:
        return np.asarray(x)
    time = read_time(host)
    array = check_sample(x, time)
    host.check_shape(array.shape)
    sample = torch.tensor(array).to(find_own_dtype(module)).double()
    if time == "inside":
        sample = sample.unsqueeze(1)
    result: NDArray[Any] = show(host, module, sample).numpy()
    return result


def show(host: HostPart, module: nn.Module, x: Tensor) -> Tensor:
    """Return the network's input, float64, shape (samples, steps, *input.shape).

    Args:
        host: its part.
        module: the module; a copy is run.
        x: its sample, shape (samples, steps, *host.shape).

    Raises:
        InputError: the module cannot run it.
    """
    samples, steps = x.shape[:2]
    steps = steps if host.steps is None else host.steps
    given = NONE
    with torch.no_grad(), drawn_alike(), in_float64():
        runner = make_working_copy(module, samples, steps).double()
        cast_inputs(runner, torch.float64)
        outputs: list[Tensor] = []
        dict(runner.named_modules())[host.output].register_forward_hook(keep_output(outputs))
        try:
            for step in split_calls(x, read_time(host)):
                given = carry_states(runner, call(runner, step, given), given)
            return join_outputs(outputs, host.held, samples, steps).double()
        except Exception as error:
            failure = f"{type(module).__name__} cannot run this input"
            raise InputError(f"{failure}, {summarize_error(error)}") from error


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Let encoders draw the same numbers in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def keep_output(record: list[Tensor]) -> Callable[..., None]:
    """Return the hook that appends the output of a layer of the host."""
    return lambda module, args, out: record.append(next(find_tensors(out)).clone())
