"""Activity of the neurons of a running program: the start of every estimate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.backends.energy import kernels
from snncompile.ir.graph import IntegerNetwork, Progress, Projection
from snncompile.neurons.base import BINARY
from snncompile.reference.fast.base import Scratch
from snncompile.reference.fast.projections import build_ways
from snncompile.reference.simulate import Block, count_block_samples, run_blocks
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.source_range import SourceRange

Marks = NDArray[np.uint8]
MOST_EVENTS = 2**21
"""Most neurons times samples times steps held at a time, about 8 bytes each."""


@dataclass(frozen=True, eq=False)
class Activity:
    """Events of some samples, one after the other, in some time steps of the network.

    Neurons have the numbers of `Layout`: the input first, then the populations in their order.
    """

    samples: int
    steps: int
    """Time steps of each sample."""
    step_start: NDArray[np.int64]
    """Index of each step's first spike in `neuron`, and the end; shape (samples * steps + 1,)."""
    neuron: NDArray[np.int32]
    """Neurons that spike, in rising order within a step."""
    status: Marks
    """1 where at least one synapse reaches a neuron in a step, 2 where its potential is written for
    another reason (see `events`), 3 for both: (samples * steps, neurons)."""
    updates: bool = True
    """Whether the twos were recorded."""
    first_step: int = 0
    """First step of the samples; earlier steps are in the activity before."""

    def cut(self, steps: int) -> Activity:
        """Return the first `steps` steps of the only sample."""
        assert self.samples == 1
        start = self.step_start[: steps + 1]
        neuron = self.neuron[: start[-1]]
        return Activity(1, steps, start, neuron, self.status[:steps], self.updates)


def count_network_steps(network: IntegerNetwork, steps: int) -> int:
    """Return the time steps from the first input to the last output of one sample."""
    return steps + max(p.phase for p in network.populations)


def record(
    network: IntegerNetwork,
    x: NDArray[Any],
    *,
    updates: bool = False,
    progress: Progress | None = None,
    limit: int | None = None,
) -> Iterator[Activity]:
    """Yield the activity piece after piece: some samples, some steps of theirs after the others.

    The next piece overwrites the arrays of the one before.

    Args:
        network: the integer network.
        x: checked input, shape (samples, steps, *input.shape).
        updates: whether to record the written potentials; this takes longer.
        progress: called after the last piece of some samples.
        limit: neurons times samples times steps of a piece, roughly; None for `MOST`.
    """
    recorder = _Recorder(network, x.shape[1], updates)
    for block in run_blocks(
        network, x, work_limit=limit or MOST_EVENTS, charged=updates, progress=progress
    ):
        yield recorder.add(block)


def count_piece_samples(network: IntegerNetwork, steps: int, *, updates: bool = False) -> int:
    """Return the samples of a piece of `record`; shards of a multiple of them have equal pieces."""
    return count_block_samples(network, steps, work_limit=MOST_EVENTS, charged=updates)


def record_blocks(
    network: IntegerNetwork, blocks: Iterable[Block], steps: int, updates: bool
) -> Iterator[Activity]:
    """Yield the activity of blocks that ran already; see `record`.

    Args:
        network: the integer network.
        blocks: whole samples, with marks of charged potentials where `updates` are recorded.
        steps: time steps of a sample.
        updates: whether to record the written potentials.
    """
    recorder = _Recorder(network, steps, updates)
    for block in blocks:
        yield recorder.add(block)


def record_sample(network: IntegerNetwork, x: NDArray[Any], *, updates: bool = False) -> Activity:
    """Return the whole activity of one sample; see `record`."""
    assert len(x) == 1
    return _join([dataclasses.replace(piece, status=piece.status.copy())
                    for piece in record(network, x, updates=updates)])  # fmt: skip


def from_spike_trains(
    network: IntegerNetwork,
    spike_trains: dict[str, Tensor],
    charged: dict[str, Tensor] | None = None,
) -> Activity:
    """Return the activity of some samples.

    Args:
        network: the integer network.
        spike_trains: output of the input and of each population, shape (samples, steps, size).
        charged: in the same shape, 1 where the potential is not zero after a step; None: not known.
    """
    steps = spike_trains[network.input.name].shape[1]
    recorder = _Recorder(network, steps, charged is not None)
    return recorder.add(Block(0, 0, True, spike_trains, charged or {}))


def _join(pieces: Sequence[Activity]) -> Activity:
    """Return all pieces of one sample as one."""
    if len(pieces) == 1:
        return pieces[0]
    starts = np.cumsum([0, *(len(piece.neuron) for piece in pieces)])
    begins = [piece.step_start[:-1] + start for piece, start in zip(pieces, starts, strict=False)]
    return Activity(
        samples=1,
        steps=sum(piece.steps for piece in pieces),
        step_start=np.concatenate([*begins, starts[-1:]]),
        neuron=np.concatenate([piece.neuron for piece in pieces]),
        status=np.concatenate([piece.status for piece in pieces]),
        updates=pieces[0].updates,
    )


class _Rows:
    """Marks of neurons by step of the network, for one block and the steps that follow it."""

    def __init__(self) -> None:
        self._memory = np.zeros(0, np.uint8)
        self.marks = self._memory.reshape(0, 0, 0)
        """Shape (samples, steps, neurons)."""

    def advance(self, shape: tuple[int, int, int], steps: int) -> None:
        """Drop the first steps, keep the following ones; zeros from there on.

        Args:
            shape: samples, steps and neurons from now on.
            steps: number of steps to drop; all of other samples.
        """
        kept = self.marks[:, steps:][:, : shape[1]].copy()
        if self._memory.size < math.prod(shape):
            self._memory = np.empty(math.prod(shape), np.uint8)
        self.marks = self._memory[: math.prod(shape)].reshape(shape)
        if kept.size:
            self.marks[:, : kept.shape[1]] = kept
        self.marks[:, kept.shape[1] :] = 0


class _Recorder:
    """Puts the own steps of populations into steps of the network, block after block.

    Marks in later steps of the network, because of phases and delays, are kept until
    the block that ends them.
    """

    def __init__(self, network: IntegerNetwork, steps: int, updates: bool) -> None:
        self.network, self.steps, self.updates = network, steps, updates
        self.touch = {id(p): _bind_touch(p) for p in network.projections}
        ends = np.cumsum([network.input.size, *(p.size for p in network.populations)]).tolist()
        names = [network.input.name, *(p.name for p in network.populations)]
        self.columns = {
            n: slice(*ends) for n, ends in zip(names, pairwise([0, *ends]), strict=True)
        }
        self.size: int = ends[-1]
        self.last = max(p.phase for p in network.populations)
        delays = [network.phase(p.target) + network.own_delay(p) for p in network.projections]
        self.ahead = max([self.last, *delays])
        """Steps of the network after its own that a block may mark."""
        self.fired, self.status, self.done = _Rows(), _Rows(), 0
        self.charged: dict[str, Marks] = {}
        """Of the last step."""

    def add(self, block: Block) -> Activity:
        """Return the activity that is complete with this block; valid until the next block."""
        samples, length = block.spike_trains[self.network.input.name].shape[:2]
        shape = samples, length + (self.last if block.last else self.ahead), self.size
        for rows in (self.fired, self.status):
            rows.advance(shape, self.done)
        spikes = self._find_spikes(block)
        for name, marks in spikes.items():
            self._get_own_steps(self.fired, name, 0, length)[...] = marks
        self._reach(spikes, block.first_step)
        if self.updates:
            self._write(spikes, block)
        self.done = shape[1] if block.last else length
        fired, status = (
            rows.marks[:, : self.done].reshape(-1, self.size) for rows in (self.fired, self.status)
        )
        start, neuron = _list_events(fired)
        return Activity(samples, self.done, start, neuron, status, self.updates, block.first_step)

    def _find_spikes(self, block: Block) -> dict[str, Marks]:
        """Return the spikes sent; none by neurons that do not spike."""
        spikes = {name: _mark_spikes(train) for name, train in block.spike_trains.items()}
        silent = [p.name for p in self.network.populations if not p.neuron.spikes]
        return spikes | {name: np.zeros_like(spikes[name]) for name in silent}

    def _get_own_steps(self, rows: _Rows, name: str, delay: int, length: int) -> Marks:
        """Return the marks of a population in its own steps."""
        first = self.network.phase(name) + delay
        return rows.marks[:, first : first + length, self.columns[name]]

    def _reach(self, spikes: dict[str, Marks], first_step: int) -> None:
        for p in self.network.projections:
            delay = self.network.own_delay(p)
            sent = spikes[p.source][:, : max(0, self.steps - first_step - delay)]
            if sent.shape[1]:
                self.touch[id(p)](
                    sent, self._get_own_steps(self.status, p.target, delay, sent.shape[1])
                )

    def _write(self, spikes: dict[str, Marks], block: Block) -> None:
        """Mark potentials written for other reasons than an arriving spike."""
        for p in self.network.populations:
            charged = _mark_spikes(block.charged[p.name])
            before = np.broadcast_to(p.neuron.initial != 0, charged[:, 0].shape).astype(np.uint8)
            if block.first_step:
                before = self.charged[p.name]
            fed = self.network.input.find_host(p.name) is not None
            bias: Any = 1 if fed else getattr(p.neuron, "bias_mantissa", 0)
            kernels.mark_written(
                self._get_own_steps(self.status, p.name, 0, charged.shape[1]),
                spikes[p.name],
                charged,
                before,
                np.broadcast_to(np.asarray(bias) != 0, p.size).astype(np.uint8),
            )
            self.charged[p.name] = charged[:, -1].copy()


def _mark_spikes(train: Tensor) -> Marks:
    """Return 1 where a train is not 0."""
    array: NDArray[Any] = train.numpy()
    if array.dtype != np.uint8:  # arrays of uint8 hold only 0 and 1
        array = (array if array.dtype == np.bool_ else array != 0).view(np.uint8)
    return np.ascontiguousarray(array)


def _list_events(fired: Marks) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the index of each row's first spike, and the neurons that spike."""
    fired = np.ascontiguousarray(fired)
    step_start = np.zeros(len(fired) + 1, np.int64)
    neuron = np.empty(np.count_nonzero(fired), np.int32)
    marks = fired.reshape(-1)
    words = marks[: len(marks) // 8 * 8].view(np.uint64)
    kernels.list_marked(marks, words, fired.shape[1], step_start, neuron)
    return step_start, neuron


Touch = Callable[[Marks, Marks], None]
"""Given spikes (samples, steps, source), sets the first bit of the neurons (samples, steps, target)
that a synapse reaches."""


def _bind_touch(p: Projection) -> Touch:
    """Return the function that marks the targets of a projection's spikes."""
    return _bind_touch_of_wiring(p.synapses.wiring)


def _bind_touch_of_wiring(wiring: Wiring) -> Touch:
    return TOUCHES.get(type(wiring), _bind_sparse)(wiring)


def _bind_dense(wiring: Any) -> Touch:
    def touch(sent: Marks, status: Marks) -> None:
        status |= sent.max(axis=2, keepdims=True, initial=0)

    return touch


def _bind_convolution(wiring: Any) -> Touch:
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
    pattern = _bind_pattern(thin)

    def touch(sent: Marks, status: Marks) -> None:
        grouped = sent.reshape(*sent.shape[:2], wiring.groups, channels // wiring.groups, -1)
        marks = pattern(grouped.max(axis=3).reshape(*sent.shape[:2], -1))
        apart = status.reshape(*marks.shape[:2], wiring.groups, -1, marks.shape[2] // wiring.groups)
        apart |= marks.reshape(*marks.shape[:2], wiring.groups, 1, -1)

    return touch


def _bind_sparse(wiring: Wiring) -> Touch:
    pattern = _bind_pattern(wiring)

    def touch(sent: Marks, status: Marks) -> None:
        status |= pattern(sent)

    return touch


def _bind_pattern(wiring: Wiring) -> Callable[[Marks], Marks]:
    """Return the function from spikes (.., source) to the targets they have synapses on."""
    ones = IntegerSynapses(wiring, np.ones(wiring.weight_shape, np.int16), 0, 9)
    projection_ways = build_ways(ones, BINARY, 1, 1)
    assert projection_ways is not None, "a neuron has fewer than 2^31 sources"

    def find_reached(sent: Marks) -> Marks:
        rows = np.ascontiguousarray(sent.reshape(-1, wiring.sources))
        count = np.empty((len(rows), wiring.targets), np.int32)
        projection_ways.choose(rows).fill(rows, count, Scratch())
        marks: Marks = (count > 0).view(np.uint8)
        return marks.reshape(*sent.shape[:2], -1)

    return find_reached


def _bind_source_range(wiring: Any) -> Touch:
    touch_part = _bind_touch_of_wiring(wiring.part)

    def touch(sent: Marks, status: Marks) -> None:
        touch_part(np.ascontiguousarray(sent[..., wiring.first : wiring.stop]), status)

    return touch


TOUCHES: dict[type, Callable[[Any], Touch]] = {
    Dense: _bind_dense,
    Convolution: _bind_convolution,
    SourceRange: _bind_source_range,
}
