"""Run a module and record the outputs of its neuron layers, as the network has to give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.arguments import Arguments, find_tensors
from snncompile.frontends.torch.build_network import ImportedNetwork, Origin
from snncompile.frontends.torch.cells.record import CallRecorder
from snncompile.frontends.torch.host_layers import join_outputs
from snncompile.frontends.torch.host_part import SEED, keep_output
from snncompile.frontends.torch.output_record import OutputRecord
from snncompile.frontends.torch.precise import in_float64
from snncompile.frontends.torch.run_module import (
    NONE,
    call,
    carry_states,
    cast_inputs,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.time_layouts import Layout, split_calls, split_steps


@dataclass(frozen=True, eq=False)
class Recording:
    """One run of a module."""

    outputs: dict[str, OutputRecord]
    """Spikes of each population that is a layer of the module, or a readout's potential."""
    answer: Tensor | None
    """The returned tensor that the network answers with, shape (samples, size)."""
    shown: Tensor | None
    """Input of the network, shape (samples, steps, ...), where layers of the host make it."""


def record_module(
    module: nn.Module,
    x: Tensor,
    time: Layout,
    imported: ImportedNetwork,
    dtype: torch.dtype,
    given: Arguments = NONE,
    *,
    keep_precision: bool = False,
    neurons: dict[str, Tensor] | None = None,
) -> Recording:
    """Return the outputs of the module's neuron layers, computed in the given type.

    Args:
        module: a copy of it is run.
        x: the sample, shape (samples, steps, *shape).
        time: how the module takes its time axis.
        imported: the network read out of it.
        dtype: of the computation.
        given: further arguments of forward.
        keep_precision: whether layers that would round in between compute in this type too.
        neurons: the neurons to record, by population; all of those that are not in it.
    """
    samples, steps = x.shape[:2]
    runner = make_working_copy(module, samples, steps).to(dtype)
    recorded = {
        name: OutputRecord(origin, samples, steps, (neurons or {}).get(name))
        for name, origin in imported.origins.items()
    }
    of_calls = {c: recorded[name].append for name, o in imported.origins.items() for c in o.calls}
    recorder = CallRecorder(runner, of_calls, imported.network.input.host_part)
    cast_inputs(runner, dtype)
    if keep_precision:
        _keep_precision(runner)
    hooked = {name: origin for name, origin in imported.origins.items() if not origin.calls}
    for name, origin in hooked.items():
        layer = _find_layer(runner, origin.path)
        layer.register_forward_hook(_make_recorder(origin, recorded[name], samples))
    shown = _record_host(runner, imported)
    recorder.finish()
    inputs = list(split_calls(x.to(dtype), time))  # before functions are counted
    try:
        with in_float64() if dtype == torch.float64 else nullcontext(), recorder:
            result = _run_steps(runner, inputs, given)
    except Exception as error:
        failure = f"{type(module).__name__} cannot run the sample in {dtype}"
        raise InputError(f"{failure}, {summarize_error(error)}") from error
    answer = None
    if imported.checked:
        returned, checked = list(find_tensors(result)), imported.checked
        compared = (checked.returned, *(number for number, _ in checked.others))
        answer = torch.cat([returned[n].double().flatten(1) for n in compared], 1)
    host_part = imported.network.input.host_part
    if shown and host_part:
        joined = join_outputs(shown, host_part.held, samples, steps).double()
        return Recording(recorded, answer, joined)
    return Recording(recorded, answer, None)


def _keep_precision(runner: nn.Module) -> None:
    for layer in runner.modules():
        library = known_layers.find_library(layer)
        if library and library.knows(layer):
            library.keep_precision(layer)


def _record_host(runner: nn.Module, imported: ImportedNetwork) -> list[Tensor]:
    """Return a list that gets each output of the host's last layer in front of the chip's."""
    shown: list[Tensor] = []
    host_part = imported.network.input.host_part
    if host_part and host_part.output:
        torch.manual_seed(SEED)
        _find_layer(runner, host_part.output).register_forward_hook(keep_output(shown))
    return shown


def _run_steps(runner: nn.Module, inputs: Iterable[Tensor], given: Arguments) -> Any:
    """Call a copy of the module for all steps and return its last result."""
    result: Any = None
    for call_input in inputs:
        result = call(runner, call_input, given)
        given = carry_states(runner, result, given)
    return result


def _make_recorder(origin: Origin, record: OutputRecord, samples: int) -> Callable[..., None]:
    """Return the hook that records the compared outputs: time steps, or rows of a linear layer."""

    def hook(module: nn.Module, args: object, out: Any) -> None:
        if origin.compared in ("steps", "samples"):
            record.append(out)
            return
        library = known_layers.find_neuron_library(module)
        output, states = library.read_result(module, out)
        if origin.compared == "state" and library.sequence not in states:
            record.append(states[library.potential])
            return
        steps = states[library.sequence] if origin.compared == "state" else output
        for step in split_steps(steps, library.find_time(module), samples):
            record.append(step)

    return hook


def _find_layer(runner: nn.Module, path: str) -> nn.Module:
    """Return the layer at a path; the path of a module that is a layer itself is its class name."""
    layers: dict[str, nn.Module] = dict(runner.named_modules())
    return layers.get(path, runner)
