"""Import a spiking torch module: run it once, read the network out of the run, verify it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from snncompile.errors import InputError, SnnCompileError, UnsupportedError, raise_together
from snncompile.frontends.input_kinds import InputKind, choose_input
from snncompile.frontends.torch import known_layers, layer_graph
from snncompile.frontends.torch.build_network import ImportedNetwork, build_network, show_input
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.libraries.base import Time
from snncompile.frontends.torch.read_trace import MixedSamplesError
from snncompile.frontends.torch.run_module import (
    call,
    cast_inputs,
    check_module,
    check_sample,
    find_carried,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.time_layouts import LAYOUTS, split_calls
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.verify_import import verify
from snncompile.ir.graph import Input, Network

LOG = logging.getLogger(__name__)


def from_torch(
    module: nn.Module,
    sample: ArrayLike | Tensor,
    time: Literal["auto"] | Time = "auto",
    *,
    input: InputKind = "auto",
    input_bits: int | None = None,
    input_range: Sequence[float] | None = None,
    title: str | None = None,
) -> Network:
    """Return the network with the module's spikes, readouts to 1e-9.

    A copy of the module is run; the module stays as it is. The outputs of the copy on the sample
    are compared with the network's, neuron by neuron and step by step, both in float64.

    Args:
        module: layers and neurons of the known libraries, or our own (`snncompile.training`), in
            any `nn.Module`; its own hooks run too.
        sample: typical input, shape (samples, steps, *shape); a few samples are enough.
        time: how the module takes its time axis: "step" (called once per time step with
            (samples, *shape)), "first" (steps, samples, *shape), "second" (samples, steps,
            *shape), "folded" (samples * steps, *shape); "auto" tries them in this order.
        title: name of the network in reports; the name of the class if not given.

    Raises:
        InputError: module or sample are malformed, or no time layout fits.
        UnsupportedError: the module uses a layer, a function or a feature that is not known.
        ImportMismatchError: the network does not spike as the module does.
    """
    checked = check_sample(sample)
    lines = Input("input", checked.shape[2:])
    source, note = choose_input(lines, checked, input, input_bits, input_range)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        x, layout, imported = read_module(module, checked, time, title)
        imported = show_input(imported, source, note)
        verify(module, x, layout, imported)
    LOG.info("%s: imported with time=%r", imported.network.title, layout)
    for text in imported.network.notes:
        LOG.info("%s: %s", imported.network.title, text)
    return imported.network


def read_module(
    module: nn.Module, sample: ArrayLike | Tensor, time: str, title: str | None
) -> tuple[Tensor, Time, ImportedNetwork]:
    """Return the sample in float64, the time layout and the network, not verified."""
    check_module(module)
    x = torch.tensor(check_sample(sample)).to(find_own_dtype(module)).double()
    if time != "auto" and time not in LAYOUTS:
        raise InputError(f"no time layout {time!r}; known: auto, {', '.join(LAYOUTS)}")
    layout, layers = _capture(module, _make_probe(x).to(find_own_dtype(module)), time)
    return x, layout, build_network(layers, tuple(x.shape[2:]), title or type(module).__name__)


def _make_probe(x: Tensor) -> Tensor:
    """Return all steps of 2 samples, or of 3 if there are 2 steps, repeated if there are fewer."""
    samples = 2 if x.shape[1] != 2 else 3
    return x[torch.arange(samples) % len(x)]


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A run with one time layout."""

    trace: Trace
    returned: list[Tensor]
    misfit: str = ""
    """Why this cannot be the layout; empty if it is."""
    repeated: str = ""
    """A neuron layer that is called several times in each time step, and how often."""


def _capture(module: nn.Module, probe: Tensor, time: str) -> tuple[Time, LayerGraph]:
    """Find the time layout and return it with the layers of the module."""
    tried: dict[Time, _Attempt] = {}
    mixed: list[MixedSamplesError] = []
    for layout in LAYOUTS:
        if time in ("auto", layout):
            tried[layout] = attempt = _run(module, probe, layout)
            if attempt.misfit:
                continue
            try:
                return layout, layer_graph.read_layers(attempt.trace, attempt.returned)
            except MixedSamplesError as error:
                mixed.append(error)
    if mixed:
        raise mixed[0]
    raise _explain_no_layout(module, probe, tried)


def _explain_no_layout(
    module: nn.Module, probe: Tensor, tried: dict[Time, _Attempt]
) -> SnnCompileError:
    name = type(module).__name__
    repeated = [attempt.repeated for attempt in tried.values() if attempt.repeated]
    if len(repeated) == 1:
        return UnsupportedError(
            f"{repeated[0]} in each time step; give every place in the network a layer of its own,"
            " and let a module that repeats its input take the time axis from the sample"
        )
    reasons = {layout: attempt.misfit for layout, attempt in tried.items()}
    text = "; ".join(f"{layout!r}: {reason}" for layout, reason in reasons.items())
    if len(reasons) > 1 and len(set(reasons.values())) == 1:
        text = f"{', '.join(map(repr, reasons))}: {reasons['step']}"
    if any(reason.startswith("RuntimeError: shape '[") for reason in reasons.values()):
        text += "; if forward holds a number of samples, take it from the input: x.shape[0]"
    shape = f"{probe.shape[0]} samples of {probe.shape[1]} time steps"
    return InputError(f"{name} does not run on {shape}; tried time={text}")


def _run(module: nn.Module, probe: Tensor, layout: Time) -> _Attempt:
    """Run a copy of the module and check that each neuron layer is called once per step."""
    samples, steps = probe.shape[:2]
    runner = make_working_copy(module, samples, steps)
    trace = Trace(runner, type(module).__name__, samples)
    cast_inputs(runner, find_own_dtype(module))
    numbers = trace.add_input((samples, steps, probe[0, 0].numel())).numbers.reshape(probe.shape)
    outputs: list[Any] = []
    carried: tuple[Any, ...] = ()
    try:
        for x, n in zip(split_calls(probe, layout), split_calls(numbers, layout), strict=True):
            trace.hand_in(x, n)
            with trace:
                outputs.append(call(runner, x, carried))
            carried = find_carried(runner, outputs[-1])
    except Exception as error:
        raise_together(trace.unknown.values())  # what follows an unknown layer means nothing
        if isinstance(error, SnnCompileError):
            raise
        return _Attempt(trace, [], misfit=summarize_error(error))
    raise_together(trace.unknown.values())
    misfit = next(_find_misfits(trace, steps), "") or trace.state_problem
    repeated = next(_find_repeated(trace, steps), "") if misfit else ""
    return _Attempt(trace, list(trace.list_returned(outputs)), misfit, repeated)


def _find_misfits(trace: Trace, steps: int) -> Iterator[str]:
    if not trace.has_neurons:
        known = known_layers.name_libraries()
        yield (
            f"it holds no neuron layer of a known library ({known}); layers in a plain list are not"
            " seen, use nn.ModuleList"
        )
    elif not trace.calls and not trace.misfits:
        yield "no neuron layer was called"
    for path, shape in trace.misfits.items():
        yield f"{path} gets input of shape {shape}"
    for path, calls in trace.calls.items():
        if len(calls) != steps:
            yield f"{path} is called {_say_times(len(calls))}"


def _find_repeated(trace: Trace, steps: int) -> Iterator[str]:
    """Yield layers called several times per step with whole samples, if no other layer misfits."""
    counts = {path: len(calls) for path, calls in trace.calls.items()}
    if not trace.misfits and all(count % steps == 0 for count in counts.values()):
        for path, count in counts.items():
            if count > steps:
                yield f"{path} is called {_say_times(count // steps)}"


def _say_times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
