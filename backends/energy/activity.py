"""What the neurons do when a program runs: the record from which every estimate starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.ir.graph import IntegerNetwork, Progress, Projection
from snncompile.neurons.base import BINARY
from snncompile.reference.simulate import batches
from snncompile.reference.ways import Scratch, ways
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense

Marks = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Activity:
    """Events of some samples, one after the other, in time steps of the network.

    Neurons have the numbers of `Layout`: the input first, then the populations in their order.
    """

    samples: int
    steps: int
    """Time steps of one sample, from the first input to the last output."""
    step_start: NDArray[np.int64]
    """Where the spikes of each step begin, and the end; shape (samples * steps + 1,)."""
    neuron: NDArray[np.int32]
    """Neurons that spike, in rising order within a step."""
    reached: Marks
    """1 where at least one synapse reaches a neuron in a step: (samples * steps, neurons)."""
    updated: Marks | None
    """1 where the potential is written (see `events`); None if that was not recorded."""

    def cut(self, steps: int) -> Activity:
        """Return the first so many steps of the only sample."""
        assert self.samples == 1
        updated = None if self.updated is None else self.updated[:steps]
        start = self.step_start[: steps + 1]
        neuron = self.neuron[: start[-1]]
        return Activity(1, steps, start, neuron, self.reached[:steps], updated)


def network_steps(network: IntegerNetwork, steps: int) -> int:
    """Return the time steps from the first input to the last output of one sample."""
    return steps + max(p.phase for p in network.populations)


def record(
    network: IntegerNetwork,
    x: NDArray[Any],
    *,
    updates: bool = False,
    progress: Progress | None = None,
) -> Iterator[Activity]:
    """Yield the activity of one batch of samples after the other.

    Args:
        network: the integer network.
        x: checked input, shape (samples, steps, *input.shape).
        updates: whether to record which potentials are written, which takes longer.
        progress: called after each batch.
    """
    watched: dict[str, list[Tensor]] = {p.name: [] for p in network.populations}
    potential = {p.name: p.neuron.states.index(p.neuron.potential) for p in network.populations}

    def watch(name: str, step: int, state: tuple[Tensor, ...]) -> None:
        if step == 0:
            watched[name].clear()
        watched[name].append(state[potential[name]] != 0)

    watching = watch if updates else None
    for trains in batches(network, x, progress=progress, watch=watching, fast=True):
        yield from_trains(network, trains, watched if updates else None)


def from_trains(
    network: IntegerNetwork,
    trains: dict[str, Tensor],
    watched: dict[str, list[Tensor]] | None = None,
) -> Activity:
    """Return the activity of some samples.

    Args:
        network: the integer network.
        trains: output of the input and of each population, shape (samples, steps, size).
        watched: per population and step, where the potential is not zero; None: not known.
    """
    spikes = {name: _plain(train != 0) for name, train in trains.items()}
    spikes |= {p.name: spikes[p.name] * 0 for p in network.populations if not p.neuron.spikes}
    samples, own = spikes[network.input.name].shape[:2]
    shape = (samples, network_steps(network, own))
    names = [network.input.name, *(p.name for p in network.populations)]
    fired = _row(network, spikes, names, shape)
    reached = _reached_row(network, spikes, names, shape)
    updated = None
    if watched is not None:
        written = {
            name: _written(network, name, spikes[name], torch.stack(watched[name], 1))
            for name in names[1:]
        }
        updated = _row(network, written, names[1:], shape)
        updated |= reached[:, network.input.size :]
        updated = np.concatenate([reached[:, : network.input.size], updated], axis=1)
    step_start, neuron = _events(fired)
    return Activity(*shape, step_start, neuron, reached, updated)


def _plain(train: Tensor) -> Marks:
    array: NDArray[np.bool_] = train.numpy()
    return array.view(np.uint8)


def _events(fired: Marks) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    where = np.flatnonzero(fired)
    step_start = np.searchsorted(where, np.arange(len(fired) + 1) * fired.shape[1])
    return step_start, (where % fired.shape[1]).astype(np.int32)


def _row(
    network: IntegerNetwork, marks: dict[str, Marks], names: list[str], shape: tuple[int, int]
) -> Marks:
    """Return marks of own steps side by side, in network steps: (samples * steps, neurons)."""
    size = sum(marks[name].shape[2] for name in names)
    row: Marks = np.zeros((*shape, size), np.uint8)
    start = 0
    for name in names:
        stop, phase = start + marks[name].shape[2], network.phase(name)
        row[:, phase : phase + marks[name].shape[1], start:stop] = marks[name]
        start = stop
    return row.reshape(-1, size)


def _reached_row(
    network: IntegerNetwork, spikes: dict[str, Marks], names: list[str], shape: tuple[int, int]
) -> Marks:
    reached = {name: np.zeros_like(spikes[name]) for name in names}
    for p in network.projections:
        delay = network.own_delay(p)
        train = spikes[p.source]
        if delay < train.shape[1]:
            sent = train[:, : train.shape[1] - delay]
            reached[p.target][:, delay:] |= _touch(p)(sent)
    return _row(network, reached, names, shape)


def _written(network: IntegerNetwork, name: str, fired: Marks, potential: Tensor) -> Marks:
    """Return where potentials are written for other reasons than an arriving spike."""
    written = fired.copy()
    neuron = network.population(name).neuron
    written[:, 1:] |= _plain(potential)[:, :-1]
    written[:, 0] |= np.asarray(neuron.initial != 0).astype(np.uint8)
    written |= np.asarray(getattr(neuron, "bias_mantissa", 0) != 0).astype(np.uint8)
    return written


Touch = Callable[[Marks], Marks]


def _touch(p: Projection) -> Touch:
    """Return the function from spikes (.., source) to targets that a synapse reaches."""
    wiring = p.synapses.wiring
    return TOUCHES.get(type(wiring), _pattern)(wiring)


def _dense(wiring: Any) -> Touch:
    return lambda sent: np.repeat(sent.max(axis=2, keepdims=True, initial=0), wiring.targets, 2)


def _convolution(wiring: Any) -> Touch:
    """One channel per group stands for all: they have the same targets."""
    channels, *space = wiring.source_shape
    thin = Convolution(
        (wiring.groups, *space),
        wiring.groups,
        wiring.kernel,
        wiring.stride,
        wiring.padding,
        wiring.dilation,
        wiring.groups,
    )
    pattern = _pattern(thin)

    def touch(sent: Marks) -> Marks:
        grouped = sent.reshape(*sent.shape[:2], wiring.groups, channels // wiring.groups, -1)
        marks = pattern(grouped.max(axis=3).reshape(*sent.shape[:2], -1))
        apart = marks.reshape(*sent.shape[:2], wiring.groups, -1)
        wide = np.repeat(apart, wiring.channels // wiring.groups, axis=2)
        return wide.reshape(*sent.shape[:2], -1)

    return touch


def _pattern(wiring: Wiring) -> Touch:
    ones = IntegerSynapses(wiring, np.ones(wiring.weight_shape, np.int16), 0, 9)
    found = ways(ones, BINARY, 1, 1)
    assert found is not None, "a neuron has fewer than 2^31 sources"

    def touch(sent: Marks) -> Marks:
        rows = np.ascontiguousarray(sent.reshape(-1, wiring.sources))
        count = np.empty((len(rows), wiring.targets), np.int32)
        found.choose(rows).fill(rows, count, Scratch())
        marks: Marks = (count > 0).view(np.uint8)
        return marks.reshape(*sent.shape[:2], -1)

    return touch


TOUCHES: dict[type, Callable[[Any], Touch]] = {Dense: _dense, Convolution: _convolution}
