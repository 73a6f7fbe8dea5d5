"""Read the network out of a trace: what drives each neuron layer, the same in every time step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from snncompile.errors import UnsupportedError
from snncompile.frontends import torch_layers
from snncompile.frontends.torch_trace import Trace
from snncompile.frontends.torch_values import (
    FunctionValues,
    InputValues,
    LinearValues,
    NeuronValues,
    Shape,
    SumValues,
    Values,
)

REMEDIES = {"rows": "nn.Flatten", "images": "nn.Unflatten"}
"""What gives a linear layer one row or image per sample."""
INPUT = "the input"
"""What messages call the sample."""


@dataclass(frozen=True)
class Source:
    """The spikes of a neuron layer, or the input."""

    path: str | None
    """None: the input."""

    def __str__(self) -> str:
        return self.path or INPUT


@dataclass(frozen=True)
class Through:
    """A linear layer applied to a drive."""

    path: str
    of: Drive
    shape: Shape
    """Shape of one sample of the drive."""

    def __str__(self) -> str:
        return f"{self.path}({self.of})"


@dataclass(frozen=True)
class Plus:
    """A sum of drives."""

    terms: tuple[Drive, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))


Drive = Source | Through | Plus


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """One neuron layer of the module."""

    path: str
    module: nn.Module
    shape: Shape
    """Shape of one sample of it."""
    drive: Drive


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The network as layers of the module, all time steps folded into one."""

    neurons: tuple[NeuronLayer, ...]
    """In the order in which the module calls them."""
    linear: dict[str, nn.Module]
    output: str
    """Path of the one neuron layer that no other layer reads."""
    returned: frozenset[tuple[str, str | None]]
    """(neuron layer, state or None for spikes) that the module's result is computed from."""

    @property
    def returns_only_potential(self) -> bool:
        """Whether the result depends on the potential of the output and not on its spikes."""
        return (self.output, "mem") in self.returned and (self.output, None) not in self.returned


def read(trace: Trace, returned: list[Tensor]) -> LayerGraph:
    """Return the network.

    Raises:
        UnsupportedError: something between two layers is not known, or differs between time steps.
    """
    neurons = tuple(_neuron_layer(trace, path) for path in trace.calls)
    used = {inner.path for layer in neurons for inner in _walk(layer.drive)}
    for call in trace.linear_calls:
        if call.path not in used:
            raise UnsupportedError(
                f"{call.path} is not followed by a neuron layer; end with one, for example"
                " snntorch.Leaky with reset_mechanism='none' and its potential as the result"
            )
    unread = [layer.path for layer in neurons if layer.path not in used]
    if len(unread) != 1:
        names = " and ".join(unread)
        raise UnsupportedError(f"no layer reads {names}; a network has one output, leave one out")
    return LayerGraph(
        neurons=neurons,
        linear={path: trace.modules[path] for path in trace.modules if path in used},
        output=unread[0],
        returned=frozenset(_states(trace, returned)),
    )


def _neuron_layer(trace: Trace, path: str) -> NeuronLayer:
    """Return a layer with its drive, which every time step has to agree on.

    The last time step is looked at first: there a recurrent connection is seen for what it is, in
    the first one it is only a tensor of zeros.
    """
    calls = trace.calls[path]
    drives: dict[int, Drive] = {}
    for step in reversed(range(len(calls))):
        numbers = calls[step].drive
        drives[step] = _Reader(trace, step).drive(numbers.reshape(len(numbers), -1), path)
    for step in range(len(calls)):
        if drives[step] != drives[0]:
            raise UnsupportedError(
                f"{path} is fed by {drives[0]} in time step 0 and by {drives[step]} in time step"
                f" {step}; a network is the same in every time step"
            )
    shape = tuple(calls[0].drive.shape[1:]) or (1,)
    return NeuronLayer(path, trace.modules[path], shape, drives[0])


def _states(trace: Trace, returned: list[Tensor]) -> Iterator[tuple[str, str | None]]:
    for numbers in returned:
        for values in trace.origins.behind(numbers):
            if isinstance(values, NeuronValues):
                yield values.path, values.state


def _walk(drive: Drive) -> Iterator[Source | Through]:
    if isinstance(drive, Plus):
        for term in drive.terms:
            yield from _walk(term)
    else:
        yield drive
        if isinstance(drive, Through):
            yield from _walk(drive.of)


@dataclass(frozen=True)
class _Reader:
    """Reads what a layer gets in one time step."""

    trace: Trace
    step: int

    def drive(self, numbers: Tensor, reader: str) -> Drive:
        """Return what the values with these numbers, shape (samples, n), are.

        Args:
            numbers: the values that a layer gets.
            reader: that layer, for messages.
        """
        values = self._one_origin(numbers, reader)
        if isinstance(values, FunctionValues):
            raise self._unknown_function(values, reader)
        if isinstance(values, SumValues):
            return self._plus(values, numbers, reader)
        if isinstance(values, LinearValues):
            return self._through(values, numbers, reader)
        if isinstance(values, NeuronValues):
            self._check_step(values, reader)
            self._check_whole(numbers, values.numbers.flatten(1), str(values.path), reader)
            return Source(values.path)
        assert isinstance(values, InputValues)
        self._check_input(values, numbers, reader)
        return Source(None)

    def _unknown_function(self, values: FunctionValues, reader: str) -> UnsupportedError:
        origins = " and ".join(self._nearest_layers(values)) or "values made in forward"
        instead = torch_layers.instead_of(values.function) or (
            "known are functions that only reshape or select, average pooling, and + of two layers"
        )
        what = f"{values.function} between {origins} and {reader}"
        return UnsupportedError(f"{what} is not known; {instead}")

    def _one_origin(self, numbers: Tensor, reader: str) -> Values:
        found = self.trace.origins.among(numbers)
        if len(found) == 1 and bool((numbers >= 0).all()):
            return found[0]
        if not found:
            raise UnsupportedError(
                f"{reader} gets values that are made in forward and come neither from the input"
                " nor from a layer"
            )
        names = sorted({_describe(values) for values in found})
        if bool((numbers < 0).any()):
            names.append("values made in forward")
        raise UnsupportedError(
            f"{reader} gets values of {' and '.join(names)} side by side, which is not known"
        )

    def _plus(self, values: SumValues, numbers: Tensor, reader: str) -> Drive:
        """Follow the terms, the last one first: in a sum over time that is the shallow one."""
        at = numbers - values.start
        terms = [self.drive(term.reshape(-1)[at], reader) for term in reversed(values.terms)]
        return Plus(tuple(reversed(terms)))

    def _through(self, values: LinearValues, numbers: Tensor, reader: str) -> Drive:
        """Follow a linear layer, one row of whose input belongs to each sample."""
        width = prod(values.target_shape)
        rows = (numbers - values.start) // width
        if not torch.equal(rows, rows[:, :1].expand_as(rows)):
            count = len(set(rows[0].tolist()))
            what = "images" if len(values.source_shape) > 1 else "rows"
            raise UnsupportedError(
                f"{values.path} acts on {count} {what} per sample and time step; a linear layer has"
                f" to take all values of a sample as one {what[:-1]}, use {REMEDIES[what]} before"
                " it"
            )
        expected = values.start + rows[:, :1] * width + torch.arange(width)
        self._check_whole(numbers, expected, values.path, reader)
        drive = self.drive(values.inputs[rows[:, 0]], values.path)
        return Through(values.path, drive, values.source_shape)

    def _check_step(self, values: NeuronValues, reader: str) -> None:
        if values.state:
            raise UnsupportedError(
                f"{reader} reads the state {values.state!r} of {values.path}; only spikes can be"
                " sent from layer to layer"
            )
        if values.call != self.step:
            raise UnsupportedError(
                f"{reader} reads {values.path} of time step {values.call} in time step"
                f" {self.step}; recurrent and delayed connections are not known"
            )

    def _check_input(self, values: InputValues, numbers: Tensor, reader: str) -> None:
        _, steps, size = values.shape
        step = int((numbers[0, 0] - values.start) // size % steps)
        if step != self.step:
            raise UnsupportedError(
                f"{reader} reads the input of time step {step} in time step {self.step}; delays"
                " are not known"
            )
        self._check_whole(numbers, values.numbers[:, step], INPUT, reader)

    def _check_whole(self, numbers: Tensor, expected: Tensor, name: str, reader: str) -> None:
        if torch.equal(numbers, expected):
            return
        if torch.equal(numbers.sort(dim=1).values, expected.sort(dim=1).values):
            how = "in another order"
        elif torch.equal(numbers.flatten().sort().values, expected.flatten().sort().values):
            how = "mixed between samples"
        else:
            how = "only in part"
        raise UnsupportedError(f"{reader} reads the values of {name} {how}, which is not known")

    def _nearest_layers(self, values: Values) -> list[str]:
        """Return the layers that a function's arguments come from."""
        names: dict[str, None] = {}
        waiting, seen = [values], {values.start}
        while waiting:
            current = waiting.pop(0)
            if not isinstance(current, FunctionValues | SumValues):
                names[_describe(current)] = None
                continue
            for part in current.parts:
                new = [v for v in self.trace.origins.among(part) if v.start not in seen]
                seen.update(v.start for v in new)
                waiting += new
        return list(names)


def _describe(values: Values) -> str:
    if isinstance(values, NeuronValues | LinearValues):
        return values.path
    if isinstance(values, FunctionValues):
        return values.function
    return INPUT if isinstance(values, InputValues) else "a sum"
