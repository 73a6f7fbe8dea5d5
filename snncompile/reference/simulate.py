"""Run a network: this *is* the meaning of `Network` (float) and `IntegerNetwork` (integer).

Populations count time from their own phase, so a sample is computed population after population:
one matrix product for all time steps, then the neurons step by step. Only populations in a loop
are computed step by step together. Where much is to be done, integer populations take the compiled
way (`compiled.py`), with the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from snncompile.errors import InputError
from snncompile.ir import view
from snncompile.ir.graph import (
    Graph,
    IntegerNetwork,
    Network,
    Population,
    Progress,
    Projection,
)
from snncompile.ir.result import Result
from snncompile.neurons.base import BINARY, IntegerNeuron, Interval, Neuron
from snncompile.reference import compiled
from snncompile.reference.synapses import Apply, arriving_bound, bind

MEMORY_BYTES = 256 * 2**20
"""Memory one batch may take, roughly; more samples than that are run batch after batch."""
COMPILE_FROM = 2**22
"""Neurons times time steps times samples from which loading the compiled way takes less time than
it saves."""

Trains = dict[str, Tensor]
"""Output of the input and of each population, shape (samples, steps, size)."""
Watch = Callable[[str, int, tuple[Tensor, ...]], None]
"""Called with (population, time step, its states) after each time step."""


def run_float(network: Network, x: ArrayLike, *, progress: Progress | None = None) -> Result:
    """Run a float network in float64; x may hold any finite numbers."""
    return _run(network, check_input(network, x, np.float64), progress)


def run_integer(
    network: IntegerNetwork, x: ArrayLike, *, progress: Progress | None = None
) -> Result:
    """Run an integer network; x holds what `Input.payload` says: 0 and 1 unless it is graded."""
    return _run(network, check_spikes(network, x), progress)


def batches(
    network: Graph, x: NDArray[Any], *, progress: Progress | None = None, watch: Watch | None = None
) -> Iterator[Trains]:
    """Yield the output of every population for one batch of samples after the other.

    Args:
        network: a float or an integer network.
        x: checked input, shape (samples, steps, *input.shape).
        progress: called after each batch.
        watch: called with the states after each time step.
    """
    samples, steps = x.shape[:2]
    neurons = network.input.size + sum(p.size for p in network.populations)
    runner = _Runner(network, watch, fast=samples * steps * neurons >= COMPILE_FROM)
    size = max(1, min(512, MEMORY_BYTES // (steps * runner.bytes)))
    for start in range(0, samples, size):
        batch = x[start : start + size]
        yield runner.run(torch.tensor(batch.reshape(len(batch), steps, -1)))
        if progress:
            progress(min(start + size, samples), samples)


Arrived = tuple[int, Apply, int, Tensor]
"""Place of the port, bound synapses, own delay and the source's train (samples, steps, source)."""


def replay(population: Population, arriving: Sequence[Arrived], shape: torch.Size) -> Tensor:
    """Run one population alone on given spike trains; return its output.

    Args:
        population: whose neurons to run.
        arriving: what each projection brings.
        shape: (samples, steps, size) of the output.
    """
    exact = isinstance(population.neuron, IntegerNeuron)
    drive = _silence(population.neuron, shape, exact)
    for port, apply, delay, train in arriving:
        _arrive(_of_port(population.neuron, drive, port), apply, delay, train)
    outputs = [output for _, output in _steps(population.neuron.bind(torch.tensor), drive)]
    return torch.stack(outputs, dim=1)


def check_input(network: Graph, x: ArrayLike, dtype: type) -> NDArray[Any]:
    """Return x as an array of shape (samples, steps, *input.shape).

    Raises:
        InputError: the shape is another, or a value is not a finite number.
    """
    array = _array(x)
    shape = network.input.shape
    expected = ", ".join(["samples", "steps", *map(str, shape)])
    if array.dtype.kind not in "biuf":
        raise InputError(f"input has dtype {array.dtype}, expected numbers")
    if array.shape[2:] != shape or array.ndim < 3 or 0 in array.shape:
        raise InputError(f"input has shape {array.shape}, expected ({expected})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("input holds values that are not finite")
    return np.ascontiguousarray(array, dtype=dtype)


def check_spikes(network: Graph, x: ArrayLike) -> NDArray[Any]:
    """Return x as whole numbers within `Input.payload`: uint8 if that is 0 and 1, else int32.

    Raises:
        InputError: as `check_input`, or a value outside of the payload.
    """
    array, payload = _array(x), network.input.payload
    if array.dtype.kind in "iuf" and array.size and not _is_within(array, payload):
        hint = "0 or 1; make spikes of them first (snncompile encode)"
        if payload != BINARY:
            hint = f"whole numbers from {payload.low} to {payload.high}"
        raise InputError(
            f"input holds values from {array.min():g} to {array.max():g}, expected spikes: {hint}"
        )
    return check_input(network, array, np.uint8 if payload == BINARY else np.int32)


def _is_within(array: NDArray[Any], payload: Interval) -> bool:
    """Whether all values are whole and in the interval; sample by sample, which takes no memory."""
    samples = array.reshape(1) if array.ndim == 0 else array
    return all(
        ((part >= payload.low) & (part <= payload.high) & (part == np.rint(part))).all()
        for part in samples
    )


def _array(x: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(x)
    except ValueError:  # lists of different lengths
        raise InputError("input is not an array of numbers") from None


def _run(network: Graph, x: NDArray[Any], progress: Progress | None) -> Result:
    parts = [out[network.output] for out in batches(network, x, progress=progress)]
    spikes = torch.cat(parts).numpy()
    if spikes.dtype == np.bool_:
        spikes = spikes.view(np.uint8)
    return Result(spikes.reshape(*x.shape[:2], *network.output_shape))


class _Runner:
    """A network with its parameters as tensors, ready to run batches."""

    def __init__(self, network: Graph, watch: Watch | None, *, fast: bool) -> None:
        self.network = network
        self.watch = watch
        self.exact = isinstance(network, IntegerNetwork)
        self.groups = tuple(view.groups(network))
        self.neurons = {p.name: p.neuron.bind(torch.tensor) for p in network.populations}
        self.synapses = {
            id(p): bind(p.synapses, network.payload(p.source)) for p in network.projections
        }
        self.fast: dict[str, compiled.RunNeurons] = {}
        self.events: dict[int, compiled.Events] = {}
        if fast and self.exact and not watch:
            self._compile()
        kept = 1 if self.fast and network.input.payload == BINARY else 16
        self.bytes = kept * network.input.size + sum(self._bytes(p) for p in network.populations)
        """Memory per sample and time step."""

    def _compile(self) -> None:
        """Find the populations that can take the compiled way."""
        for names, loop in self.groups:
            population = self.network.population(names[0])
            into = self.network.into(names[0])
            sources = [(p.synapses, self.network.payload(p.source)) for p in into]
            if loop or sum(arriving_bound(*source) for source in sources) >= 2**31:
                continue
            run = compiled.bind_neuron(population.neuron, population.size)
            if run:
                self.fast[population.name] = run
                events = [compiled.bind_events(*source) for source in sources]
                self.events |= {id(p): e for p, e in zip(into, events, strict=True) if e}

    def _bytes(self, population: Population) -> int:
        if population.name not in self.fast:
            return 16 * population.size * max(1, len(population.neuron.ports))
        return (1 if population.neuron.spikes else 8) * population.size

    def run(self, x: Tensor) -> Trains:
        trains: Trains = {self.network.input.name: x}
        for names, loop in self.groups:
            if loop:
                self._run_loop(names, {n: self._drive(n, trains, x) for n in names}, trains)
            elif names[0] in self.fast:
                trains[names[0]] = self._run_compiled(names[0], trains)
            else:
                drive = self._drive(names[0], trains, x)
                trains[names[0]] = self._run_population(names[0], drive)
        return trains

    def _drive(self, name: str, trains: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return what arrives from populations that are computed already."""
        size = self.network.population(name).size
        neuron = self.network.population(name).neuron
        total = _silence(neuron, torch.Size((*x.shape[:2], size)), self.exact)
        for p in self.network.into(name):
            if p.source in trains:
                part = _of_port(neuron, total, self.network.port(p))
                delay = self.network.own_delay(p)
                _arrive(part, self.synapses[id(p)], delay, trains[p.source])
        return total

    def _run_compiled(self, name: str, trains: Mapping[str, Tensor]) -> Tensor:
        population = self.network.population(name)
        arriving = [
            compiled.Arriving(
                self.synapses[id(p)],
                self.events.get(id(p)),
                self.network.own_delay(p),
                trains[p.source],
            )
            for p in self.network.into(name)
        ]

        def by_step(part: slice) -> Tensor:
            some = [(0, a.apply, a.delay, a.train[part]) for a in arriving]
            return replay(population, some, output[part].shape)

        shape = (*trains[self.network.input.name].shape[:2], population.size)
        output = torch.empty(shape, dtype=torch.bool if population.neuron.spikes else torch.int64)
        compiled.run(self.fast[name], arriving, output, by_step)
        return output

    def _run_population(self, name: str, drive: Tensor) -> Tensor:
        outputs = []
        for step, (state, output) in enumerate(_steps(self.neurons[name], drive)):
            outputs.append(output)
            if self.watch:
                self.watch(name, step, state)
        return torch.stack(outputs, dim=1)

    def _run_loop(self, names: tuple[str, ...], drive: Trains, trains: Trains) -> None:
        """Compute populations that feed each other, time step by time step."""
        inside = {n: [p for p in self.network.into(n) if p.source in names] for n in names}
        state = {name: _start(self.neurons[name], drive[name]) for name in names}
        for name in names:
            shape = drive[name].shape[-3:]
            first = drive[name][..., 0, :]
            _, output = self.neurons[name].step(state[name], first)
            trains[name] = torch.zeros(shape, dtype=output.dtype)
        for step in range(drive[names[0]].shape[-2]):
            for name in names:
                x = drive[name][..., step, :]
                for projection in inside[name]:
                    part = _of_port(self.neurons[name], x, self.network.port(projection))
                    part += self._arriving(projection, trains, step, part)
                state[name], trains[name][:, step] = self.neurons[name].step(state[name], x)
                if self.watch:
                    self.watch(name, step, state[name])

    def _arriving(self, projection: Projection, trains: Trains, step: int, like: Tensor) -> Tensor:
        sent = step - self.network.own_delay(projection)
        if sent < 0:
            return torch.zeros_like(like)
        return self.synapses[id(projection)](trains[projection.source][:, sent])


def _silence(neuron: Neuron, shape: torch.Size, exact: bool) -> Tensor:
    """Return no input, shape (samples, steps, n); of a neuron with ports (ports, samples, ...)."""
    ports = (len(neuron.ports),) if neuron.ports else ()
    return torch.zeros((*ports, *shape), dtype=torch.int64 if exact else torch.float64)


def _of_port(neuron: Neuron, drive: Tensor, port: int) -> Tensor:
    """Return the part of the input that goes to one port."""
    return drive[port] if neuron.ports else drive


def _arrive(total: Tensor, apply: Apply, delay: int, train: Tensor) -> None:
    """Add to `total` what a spike train brings, `delay` steps later."""
    if delay < train.shape[1]:
        total[:, delay:] += apply(train[:, : train.shape[1] - delay])


def _start(neuron: Neuron, drive: Tensor) -> tuple[Tensor, ...]:
    return neuron.begin(torch.zeros_like(_of_port(neuron, drive, 0)[:, 0]))


def _steps(neuron: Neuron, drive: Tensor) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Yield (states, output) of each time step."""
    state = _start(neuron, drive)
    for step in range(drive.shape[-2]):
        state, output = neuron.step(state, drive[..., step, :])
        yield state, output
