"""Read the network out of a trace: the drive of each neuron layer, equal in every time step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers, pooled_counts
from snncompile.frontends.torch.drive import (
    Drive,
    Gather,
    Scaled,
    Source,
    Starts,
    Through,
    change_inner,
    holds_zeros,
    is_same_in_step,
    walk,
)
from snncompile.frontends.torch.libraries.by_hand import FoundCell
from snncompile.frontends.torch.neuron_layer import FoundAnswer, NeuronLayer
from snncompile.frontends.torch.products import Multiply, Rectify
from snncompile.frontends.torch.read_trace import MixedSamplesError, Reader
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import (
    FunctionValues,
    LinearValues,
    NeuronValues,
    SumValues,
    Values,
)


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The network as layers of the module, all time steps folded into one."""

    neurons: tuple[NeuronLayer, ...]
    """In the order in which the module calls them."""
    linear: dict[str, nn.Module]
    output: str
    """Path of the neuron layer whose output is the network's."""
    returned: frozenset[tuple[str, str | None]]
    """(neuron layer, state or None for spikes) that the module's result is computed from."""

    answer: FoundAnswer | None = None
    """What forward returns; None if it is called for each time step."""
    steps: int = 1
    """Time steps of the run."""
    left_out: tuple[str, ...] = ()
    """Layers that no other layer reads and that forward does not return."""

    def returns_only(self, state: str) -> bool:
        """Return whether the result depends on this state of the output and not on its spikes."""
        return (self.output, state) in self.returned and (self.output, None) not in self.returned


def read_layers(
    trace: Trace, returned: list[Tensor], answer: FoundAnswer | None = None
) -> LayerGraph:
    """Return the network.

    Args:
        trace: the run.
        returned: numbers of the tensors that the module returned.
        answer: what it returned; None if it was called for each time step.

    Raises:
        UnsupportedError: a function between layers is not known, or differs between time steps.
    """
    neurons = [_read_neuron_layer(trace, path) for path in trace.calls]
    used = {inner.path for layer in neurons for inner in walk(layer.drive)}
    neurons += [
        _read_last_linear(trace, path, answer.reason if answer else "")
        for path in find_unread_linear(trace, used)
        if answer is None or path not in answer.after
    ]
    if answer and answer.layer:
        neurons.append(answer.layer)
    neurons = add_maxima(neurons, trace.modules)
    used |= {inner.path for layer in neurons for inner in walk(layer.drive)}
    states = frozenset(_find_states(trace, returned))
    neurons, left_out = _leave_out(neurons, states, answer)
    output = _find_output(neurons, states, answer)
    if answer is None or answer == FoundAnswer():
        answer = _check_returned(trace, returned, output) or answer
    return LayerGraph(
        neurons=tuple(neurons),
        linear={path: trace.modules[path] for path in trace.modules if path in used},
        output=output,
        returned=states,
        answer=answer,
        steps=max(map(len, trace.calls.values()), default=1),
        left_out=left_out,
    )


def _check_returned(trace: Trace, returned: list[Tensor], output: str) -> FoundAnswer | None:
    """Return what to say where forward returns no output or state of a layer as it is.

    `o * scale`, `o[:, 1:]` or `o.flip(-1)` are other values than those of `o`, which the network
    gives.
    """
    known = False
    for numbers in returned:
        for values in trace.origins.find_values(numbers):
            known = True
            inside = numbers[(numbers >= values.start) & (numbers < values.stop)]
            whole = torch.equal(inside, values.numbers.reshape(-1))
            layer = isinstance(values, NeuronValues | LinearValues) and values.path
            if whole and layer in (output, *trace.calls):
                return None
            _refuse_factor(trace, values)
    if not known:
        return None
    return FoundAnswer(reason=f"values computed from {output} or a part of them, not its output")


def _refuse_factor(trace: Trace, values: Values) -> None:
    """Refuse spikes that the last layer returns with a factor, which the network sends as 1."""
    if not isinstance(values, SumValues) or len(values.terms) != 1:
        return
    (term,) = values.terms
    sources = trace.origins.find_values(term.numbers)
    spikes = [v for v in sources if isinstance(v, NeuronValues) and v.state is None]
    if len(spikes) == len(sources) == 1:
        path, factors = spikes[0].path, np.unique(term.factor.numpy())
        times = f"{float(factors[0]):.6g} times" if len(factors) == 1 else "multiples of"
        raise UnsupportedError(
            f"forward returns {times} the spikes of {path} in each time step, which a chip sends as"
            " 1; return the spikes, and multiply the answer"
        )


def add_maxima(neurons: list[NeuronLayer], modules: dict[str, nn.Module]) -> list[NeuronLayer]:
    """Return the layers, with one more before each that reads a maximum, a product or a count."""
    result: list[NeuronLayer] = []
    paths: dict[Through, str] = {}

    def replace_maxima(drive: Drive) -> Drive:
        drive = change_inner(drive, replace_maxima)
        row = known_layers.find_linear(modules[drive.path]) if isinstance(drive, Through) else None
        if not isinstance(drive, Through) or row is None:
            return drive
        if row.maximum:
            return add(drive)
        share = pooled_counts.find_share(drive, modules)
        if share is None:
            return drive
        assert isinstance(drive.of, Through)
        return replace(drive, of=Scaled(add(drive.of, counts=True), share))

    def add(drive: Through, *, counts: bool = False) -> Source:
        if drive not in paths:
            layer = _make_maximum(drive, modules[drive.path], set(paths.values()))
            result.append(replace(layer, counts=counts))
            paths[drive] = layer.path
        return Source(paths[drive])

    for layer in neurons:
        drive = replace_maxima(layer.drive)
        result.append(replace(layer, drive=drive))
    return result


def _make_maximum(drive: Through, module: nn.Module, taken: set[str]) -> NeuronLayer:
    selections = drive.of.selections if isinstance(drive.of, Gather) else ()
    spikes = all(isinstance(p.of, Source) and bool((p.factor == 1).all()) for p in selections)
    currents = not isinstance(drive.of, Source) and not (selections and spikes)
    row = known_layers.find_linear(module)
    assert row is not None
    wiring: Any = row.translate(module, drive.path, drive.shape).synapses.wiring
    name = drive.path.partition("(")[0]
    numbered = chain([name], (f"{name}_{number}" for number in count(2)))
    path = next(path for path in numbered if path not in taken)
    shape = getattr(wiring, "target_shape", drive.shape)
    if isinstance(module, Multiply | Rectify):
        shape = drive.shape[1:] if isinstance(module, Multiply) else drive.shape  # two factors
        currents = False
    return NeuronLayer(path, module, shape, drive, maximum=True, of_currents=currents)


def _leave_out(
    neurons: list[NeuronLayer],
    returned: frozenset[tuple[str, str | None]],
    answer: FoundAnswer | None,
) -> tuple[list[NeuronLayer], tuple[str, ...]]:
    """Return the layers that lead to what forward returns, and the paths of the others.

    Raises:
        UnsupportedError: forward returns the outputs of several layers that no layer reads.
    """
    unread = _find_unread(neurons)
    if len(unread) < 2:
        return neurons, ()
    spikes = [path for path in unread if (path, None) in returned]
    given = spikes or [path for path in unread if any(path == own for own, _ in returned)]
    if answer and answer.output in unread:
        given = [answer.output]
    if len(given) != 1:
        names = " and ".join(given or unread)
        verb = "forward returns" if given else "no layer reads"
        raise UnsupportedError(
            f"{verb} {names}; a network has one output: give a module of two lines whose forward"
            " returns the output of one of them, then the others are left out"
        )
    used, waiting = set(given), list(given)
    drives = {layer.path: layer.drive for layer in neurons}
    while waiting:
        read = {inner.path for inner in walk(drives[waiting.pop()])}
        new = [path for path in drives if path in read and path not in used]
        used.update(new)
        waiting += new
    kept = [layer for layer in neurons if layer.path in used]
    return kept, tuple(layer.path for layer in neurons if layer.path not in used)


def _find_unread(neurons: list[NeuronLayer]) -> list[str]:
    """Return the paths of the layers that no other layer reads."""
    read = {
        source.path
        for layer in neurons
        for source in walk(layer.drive)
        if source.path != layer.path
    }
    return [layer.path for layer in neurons if layer.path not in read]


def _find_output(
    neurons: list[NeuronLayer],
    returned: frozenset[tuple[str, str | None]],
    answer: FoundAnswer | None,
) -> str:
    """Return the layer of the answer, or the one that no other one reads.

    If all are read, it is the last that is returned.
    """
    if answer and answer.output:
        return answer.output
    given = {path for path, _ in returned}
    paths = [layer.path for layer in neurons]
    return [
        paths[-1],
        *(path for path in paths if path in given),
        *_find_unread(neurons),
    ][-1]


def _read_neuron_layer(trace: Trace, path: str) -> NeuronLayer:
    calls = trace.calls[path]
    shape = tuple(calls[0].drive.shape[1:]) or (1,)
    drive = fold_steps(trace, path, [call.drive.reshape(len(call.drive), -1) for call in calls])
    return NeuronLayer(path, trace.modules[path], shape, drive)


def fold_steps(trace: Trace, path: str, steps: list[Tensor]) -> Drive:
    """Return the drive of a layer, which has to be equal in every time step.

    It is taken from the last time step: in the first one a recurrent connection is only a tensor
    of zeros, or missing.

    Args:
        trace: the run.
        path: the layer.
        steps: per time step, the numbers of its input, shape (samples, size).
    """
    drives = [
        Reader(trace, step).read_drive(steps[step], path) for step in reversed(range(len(steps)))
    ]
    drive, last = drives[0], len(steps) - 1
    starts = Starts(
        lambda path: _has_bias(trace.modules[path]),
        lambda path: _find_late(trace.modules.get(path)),
    )
    for step, step_drive in list(enumerate(reversed(drives)))[starts.find_late(path) :]:
        if not is_same_in_step(step, drive, step_drive, starts):
            raise UnsupportedError(
                f"{path} is fed by {step_drive} in time step {step} and by {drive} in time step"
                f" {last}; a network is the same in every time step"
            )
    if last == 0 and holds_zeros(drive):
        raise UnsupportedError(
            f"{path} gets zeros that are made in forward, in the only time step there is; give a"
            " sample of two or more, which show whether a recurrent connection takes their place"
        )
    return drive


def _find_late(module: nn.Module | None) -> int:
    """Return the time steps by which a layer written out in code is later than its input."""
    return module.late if isinstance(module, FoundCell) else 0


def _has_bias(module: Any) -> bool:
    return getattr(module, "bias", None) is not None or hasattr(module, "running_mean")


def find_unread_linear(trace: Trace, used: set[str | None]) -> list[str]:
    """Return the last linear layer of each chain that no neuron layer reads."""
    unread = dict.fromkeys(call.path for call in trace.linear_calls if call.path not in used)
    seen: set[int] = set()
    read_again = {
        values.path
        for call in trace.linear_calls
        if call.path in unread
        for values in trace.origins.walk_sources(call.inputs, seen)
        if isinstance(values, LinearValues)
    }
    return [path for path in unread if path not in read_again and not _is_summary(path)]


def _is_summary(path: str) -> bool:
    """Return whether this is a mean or sum of an output, and no layer of its own."""
    return path.startswith(("mean(", "sum("))


def _read_last_linear(trace: Trace, path: str, reason: str) -> NeuronLayer:
    """Return the linear layer that ends the module; its result is the answer of each time step.

    Args:
        trace: the run.
        path: the layer.
        reason: why forward's result is not understood; empty if it is.
    """
    calls = [call for call in trace.linear_calls if call.path == path]
    inputs = torch.cat([call.inputs for call in calls])
    steps = max(len(calls) for calls in trace.calls.values())
    row = known_layers.find_linear(trace.modules[path])
    if "(" in path or (row and row.maximum) or len(inputs) != trace.samples * steps:
        if reason:
            raise UnsupportedError(
                f"{path}: forward returns {reason}; known are sum, mean, maximum and last over all"
                " time steps, and linear layers behind a sum, mean or last; or leave it on the"
                f" host: host=[{path!r}]"
            )
        raise UnsupportedError(
            f"{path} is not followed by a neuron layer and does not act on each time step; end with"
            " a neuron layer, or with a linear layer for each time step"
        )
    first, order = calls[0], inputs.reshape(steps, trace.samples, -1)
    shape = first.target_shape
    try:
        drive, rows = fold_steps(trace, path, list(order)), "steps"
    except UnsupportedError as error:
        order = inputs.reshape(trace.samples, steps, -1).transpose(0, 1)
        try:
            drive, rows = fold_steps(trace, path, list(order)), "samples"
        except MixedSamplesError:  # the order was the usual one; that is what is not known
            raise UnsupportedError(f"{error}{_offer_host(trace, path, inputs)}") from None
    through = Through(path, drive, first.source_shape)
    return NeuronLayer(path, trace.modules[path], shape, through, rows)  # type: ignore[arg-type]


def _offer_host(trace: Trace, path: str, inputs: Tensor) -> str:
    """Return the advice to leave a decoder on the host; empty if no function makes it one."""
    sources = list(trace.origins.walk_sources(inputs))
    if not any(isinstance(values, FunctionValues) for values in sources):
        return ""
    drives = torch.cat([calls[-1].drive.reshape(-1) for calls in trace.calls.values()])
    inside = {v.path for v in trace.origins.walk_sources(drives) if isinstance(v, LinearValues)}
    linear = {v.path for v in sources if isinstance(v, LinearValues)} - inside
    names = [name for name in trace.modules if name in linear or name == path]
    return f"; or leave what is behind the neurons on the host: host={names!r}"


def _find_states(trace: Trace, returned: list[Tensor]) -> Iterator[tuple[str, str | None]]:
    for numbers in returned:
        for values in trace.origins.walk_sources(numbers):
            if isinstance(values, NeuronValues):
                yield values.path, values.state
            elif isinstance(values, LinearValues):
                yield values.path, None
