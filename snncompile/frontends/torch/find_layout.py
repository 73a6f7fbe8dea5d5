"""Find out how a module takes its time axis: look at each way in turn, trace those that fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snncompile.errors import (
    LINE_LENGTH,
    InputError,
    SnnCompileError,
    UnsupportedError,
    list_reasons,
    raise_together,
)
from snncompile.frontends.torch import layer_graph
from snncompile.frontends.torch.answer_layer import find_answer
from snncompile.frontends.torch.arguments import Arguments
from snncompile.frontends.torch.cells.find import UnknownCellError, find_cells
from snncompile.frontends.torch.future import explain_future, explain_product
from snncompile.frontends.torch.host_input import settle_host
from snncompile.frontends.torch.host_layers import HostMisfitError, HostWatch
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.look import NO_NEURONS, Look, find_miscounts, say_times
from snncompile.frontends.torch.precise import in_float64
from snncompile.frontends.torch.read_trace import MixedSamplesError
from snncompile.frontends.torch.releases import describe_untested
from snncompile.frontends.torch.run_module import (
    call,
    carry_states,
    cast_inputs,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.time_layouts import Layout, list_layouts, split_calls
from snncompile.frontends.torch.trace import Trace

MOST_PROBED = 64
"""Most samples that a module is run with to find out how it takes them."""
WRAP = (
    "; if it takes another shape, give a module whose forward(self, x) returns"
    " self.net(x.flatten(2)), or what x needs"
)
SHAPES = ("RuntimeError: ", "IndexError: ", "ValueError: ")
"""Beginnings of torch's errors where a tensor has another shape than forward expects."""


@dataclass(frozen=True, eq=False)
class FoundLayout:
    """A module, read."""

    layout: Layout
    x: Tensor
    """The sample, shape (samples, steps, *shape)."""
    layers: LayerGraph
    host: HostWatch
    """The layers that stay on the host."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A layout, and the sample as it goes with it."""

    layout: Layout
    x: Tensor
    """Shape (samples, steps, *shape); one step for "inside"."""
    single: bool = False
    """Whether it is to be taken only if forward makes a single step."""

    def list_probes(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield all steps of 2 samples, or of 3 if there are 2 steps, repeated if there are fewer.

        Then of all samples, as many modules hold their number. A single step becomes two, which
        show whether a state is kept from one to the next.
        """
        steps = self.x.shape[1]
        twice = steps == 1 and self.layout != "inside"
        few = 3 if twice or steps == 2 else 2
        counts = [few, len(self.x)] if few < len(self.x) <= MOST_PROBED else [few]
        for samples in counts:
            probe = self.x[torch.arange(samples) % len(self.x)].to(dtype)
            yield probe.repeat_interleave(2, 1) if twice else probe


@dataclass(frozen=True, eq=False)
class _Glance:
    """What a look at one layout found."""

    look: Look
    shape: tuple[int, int]
    """Samples and time steps of the run."""
    misfit: str = ""
    """Why this cannot be the layout; empty if it is."""
    repeated: tuple[tuple[str, int], ...] = ()
    """Neuron layers that are called several times in each time step, and how often."""
    failed: bool = False
    """Whether the run ended in an error."""


class _MisfitError(Exception):
    """Why a layout cannot be that of the module."""


def list_candidates(x: Tensor, layout: Layout | Literal["auto"]) -> Iterator[_Candidate]:
    """Yield the ways to take a sample that the user gave, the most usual one first."""
    if layout == "inside":
        yield _Candidate("inside", x.unsqueeze(1))
        return
    if layout != "auto":
        yield _Candidate(layout, x)
        return
    yield from (_Candidate(known, x) for known in list_layouts(x.ndim))
    first = _Candidate("inside", x[:, :1])
    whole = _Candidate("inside", x.unsqueeze(1))
    constant = bool((x == x[:, :1]).all())
    if x.shape[1] == 1:
        yield replace(first, single=True)
    elif constant:  # one image, repeated
        yield first
    yield whole


def find_layout(
    module: nn.Module,
    x: Tensor,
    layout: Layout | Literal["auto"],
    given: Arguments,
    host: tuple[str, ...] = (),
) -> FoundLayout:
    """Return the first layout that fits, with the layers of the module.

    Args:
        module: the module; copies of it are run.
        x: the sample in float64.
        layout: how the module takes its time axis; "auto" tries all.
        given: further arguments of forward.
        host: paths of the layers that stay on the host.

    Raises:
        InputError: no layout fits.
        UnsupportedError: the module uses a layer, a function or a feature that is not known.
    """
    looks: list[tuple[_Candidate, _Glance]] = []
    errors: list[tuple[_Candidate, UnsupportedError]] = []
    for candidate in list_candidates(x, layout):
        probe, glance = _look_twice(module, candidate, given, host)
        looks.append((candidate, glance))
        if glance.misfit or (candidate.single and max(glance.look.counts.values(), default=0) > 1):
            continue
        raise_together(glance.look.list_obstacles())
        try:
            watch = _watch_host(glance, host, candidate.layout)
            layers = _trace(module, probe.double(), candidate.layout, given, watch)
        except UnsupportedError as error:
            errors.append((candidate, error))
            continue
        except (_MisfitError, HostMisfitError) as error:
            looks[-1] = candidate, replace(glance, misfit=str(error))
            continue
        steps = layers.steps if candidate.layout == "inside" else x.shape[1]
        shape = (-1, steps, *[-1] * (candidate.x.ndim - 2))
        return FoundLayout(candidate.layout, candidate.x.expand(shape), layers, watch)
    unknown = {path: e for _, glance in looks for path, e in glance.look.unknown.items()}
    raise_together(unknown.values())
    raise _choose_error(module, looks, errors, given)


def _look_twice(
    module: nn.Module, candidate: _Candidate, given: Arguments, host: tuple[str, ...]
) -> tuple[Tensor, _Glance]:
    """Return a probe and the look with it: of a few samples, or of all if it fails with those."""
    looks = []
    for probe in candidate.list_probes(find_own_dtype(module)):
        looks.append((probe, _look(module, probe, candidate.layout, given, host)))
        if not looks[-1][1].failed:
            return looks[-1]
    return looks[0]


def _look(
    module: nn.Module, probe: Tensor, layout: Layout, given: Arguments, host: tuple[str, ...]
) -> _Glance:
    """Run a copy of the module and check that each neuron layer is called once per step."""
    samples, steps = probe.shape[:2]
    runner = make_working_copy(module, samples, steps)
    look = Look(runner, type(module).__name__, samples, host)
    cast_inputs(runner, find_own_dtype(module))
    try:
        for x in split_calls(probe, layout):
            given = carry_states(runner, call(runner, x, given), given)
    except SnnCompileError:
        raise_together(look.unknown.values())  # what follows an unknown layer means nothing
        raise
    except Exception as error:
        return _Glance(look, (samples, steps), summarize_error(error), failed=True)
    finally:
        look.forget_module()
    inside = layout == "inside"
    misfit = next(look.find_misfits(None if inside else steps), "") or look.state_problem
    repeated = tuple(look.find_repeated(steps)) if misfit and not inside else ()
    return _Glance(look, (samples, steps), misfit, repeated)


def _watch_host(glance: _Glance, paths: tuple[str, ...], layout: Layout) -> HostWatch:
    """Return the watch over the layers of the host, for a run like that of the look."""
    steps, calls = glance.shape[1], glance.look.host_calls
    if layout == "inside":
        steps = max([*glance.look.counts.values(), *calls.values()], default=1)
    return HostWatch(paths, steps, layout, calls)


def _trace(
    module: nn.Module, probe: Tensor, layout: Layout, given: Arguments, host: HostWatch
) -> LayerGraph:
    """Run a copy of the module in float64, follow its values and read its layers.

    Raises:
        UnsupportedError: a layer, a function or a neuron in the module's code is not known.
        _MisfitError: the neurons do not run once in each time step.
    """
    trace, outputs = _run(module, probe, layout, given, host)
    raise_together(trace.unknown.values())
    returned = list(trace.list_returned(outputs))
    expected = None if layout == "inside" else probe.shape[1]
    find_cells(trace, returned, type(module).__name__, expected)
    counts = {path: len(calls) for path, calls in trace.calls.items()}
    if misfit := next(find_miscounts(counts, expected), ""):
        raise _MisfitError(misfit)
    settle_host(trace)
    answer = None
    if layout != "step":
        answer = find_answer(trace, returned, max(map(len, trace.calls.values())))
    return layer_graph.read_layers(trace, returned, answer)


def _run(
    module: nn.Module,
    probe: Tensor,
    layout: Layout,
    given: Arguments,
    host: HostWatch | None = None,
) -> tuple[Trace, list[Any]]:
    """Run a copy of the module in float64; return the trace and the results of its calls."""
    samples, steps = probe.shape[:2]
    runner = make_working_copy(module, samples, steps).double()
    trace = Trace(runner, type(module).__name__, samples, host)
    cast_inputs(runner, torch.float64)
    inside = layout == "inside"
    values = trace.add_input((samples, steps, probe[0, 0].numel()), static=inside)
    numbers = values.numbers.reshape(probe.shape)
    outputs: list[Any] = []
    for x, n in zip(split_calls(probe, layout), split_calls(numbers, layout), strict=True):
        trace.hand_in(x, n)
        with in_float64(), trace:
            outputs.append(call(runner, x, given))
        given = carry_states(runner, outputs[-1], given)
    return trace, outputs


def _choose_error(
    module: nn.Module,
    looks: list[tuple[_Candidate, _Glance]],
    errors: list[tuple[_Candidate, UnsupportedError]],
    given: Arguments,
) -> SnnCompileError:
    """Return the error that says most about why no layout fits."""
    usual = [error for candidate, error in errors if candidate.layout != "inside"]
    for error in sorted(usual, key=lambda e: isinstance(e, MixedSamplesError | UnknownCellError)):
        return error
    repeated = [glance.repeated for _, glance in looks if glance.repeated]
    if len(repeated) == 1:
        path, count = repeated[0][0]
        return UnsupportedError(
            f"{path} is called {say_times(count)} in each time step; if forward makes the steps"
            " itself, give what it takes once, shape (samples, *shape), with time='inside';"
            " otherwise give every place in the network a layer of its own"
        )
    if errors and not any(map(_loses_state, looks)):
        return errors[0][1]
    if reason := next(filter(None, _find_products(module, looks, given)), ""):
        return UnsupportedError(reason)
    if not any(map(_loses_state, looks)):
        for look in looks:
            if reason := _find_future(module, *look, given):
                candidate, glance = look
                misfit = f"{glance.misfit}: {reason}"
                return _explain_no_layout(module, [(candidate, replace(glance, misfit=misfit))])
    return _explain_no_layout(module, looks)


def _find_future(
    module: nn.Module, candidate: _Candidate, glance: _Glance, given: Arguments
) -> str:
    """Return which layer makes the number of calls wrong as it acts along the time axis, or ""."""
    if glance.failed or glance.look.misfits or candidate.layout in ("step", "inside"):
        return ""
    probe = next(candidate.list_probes(torch.float64))
    try:
        return explain_future(_run(module, probe, candidate.layout, given)[0])
    except Exception:  # the module's own error; the look has said what is wrong
        return ""


def _find_products(
    module: nn.Module, looks: list[tuple[_Candidate, _Glance]], given: Arguments
) -> Iterator[str]:
    """Yield which products of values mix the samples of a neuron layer, for each layout."""
    for candidate, glance in looks:
        if glance.look.misfits and not glance.failed and candidate.layout != "step":
            probe = next(candidate.list_probes(torch.float64))
            with suppress(Exception):  # the module's own error; the look has said what is wrong
                trace, _ = _run(module, probe, candidate.layout, given)
                yield explain_product(trace)


def _loses_state(look: tuple[_Candidate, _Glance]) -> bool:
    candidate, glance = look
    return candidate.layout == "step" and glance.misfit == glance.look.state_problem != ""


def _explain_no_layout(
    module: nn.Module, looks: list[tuple[_Candidate, _Glance]]
) -> SnnCompileError:
    lost = [look for look in looks if _loses_state(look)]  # it runs, and says what to change
    none = [look for look in looks if look[1].misfit.startswith(NO_NEURONS)]
    reasons = {candidate.layout: glance.misfit for candidate, glance in lost or none or looks}
    layouts: dict[str, list[str]] = {}
    for layout, reason in reasons.items():
        layouts.setdefault(reason, []).append(repr(layout))
    hints = ""
    if any(reason.startswith("RuntimeError: shape '[") for reason in reasons.values()):
        hints += "; if forward holds a number of samples, take it from the input: x.shape[0]"
    elif any(reason.startswith(SHAPES) for reason in reasons.values()):
        hints += WRAP
    if untested := describe_untested(module):
        hints += f"; {untested}"
    samples, steps = looks[0][1].shape
    shape = f"{samples} samples" + (f" of {steps} time steps" if steps > 1 else "")
    text = f"{type(module).__name__} does not run on {shape}; tried time="
    tried = [f"{', '.join(names)}: {reason}" for reason, names in layouts.items()]
    room = LINE_LENGTH - len(text) - len(hints) - 1
    return InputError(f"{text}{list_reasons(tried, room)}{hints}")
