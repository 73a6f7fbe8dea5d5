"""Run a network: this *is* the meaning of `Network` (float) and `IntegerNetwork` (integer).

Populations count time from their own phase, so a sample is computed population after population:
one matrix product for all time steps, then the neurons step by step. Only populations in a loop
are computed step by step together. From `COMPILE_FROM` on, integer populations take the compiled
way (`fast/populations.py`), with the same results.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from snncompile.errors import InputError
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Progress
from snncompile.ir.input import read_array
from snncompile.ir.result import Result
from snncompile.neurons.base import BINARY, IntegerNeuron
from snncompile.reference.learning.run import run_learning
from snncompile.reference.runner import (
    Runner,
    Session,
    SpikeTrains,
    Watch,
    build_silence,
    select_port,
    start_states,
)
from snncompile.reference.synapses import Apply

MEMORY_BYTES = 256 * 2**20
"""Memory of one batch, roughly; samples beyond it are run batch after batch."""
COMPILE_FROM = 2**22
"""Neurons times time steps times samples from which the compiled way saves more time than loading
it takes."""

GPU_FROM = 2**32
"""The same product, from which moving the network to a GPU pays."""


def run_float(
    network: Network,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    device: str | None = None,
) -> Result:
    """Run a float network in float64; x may hold any finite numbers."""
    return _run(network, check_input(network, x, np.float64), progress, device)


def run_integer(
    network: IntegerNetwork,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    device: str | None = None,
) -> Result:
    """Run an integer network; x is 0 and 1, or what its input takes (`Input.check`)."""
    return _run(network, check_spikes(network, x), progress, device)


@dataclass(frozen=True, eq=False)
class Block:
    """Outputs of a range of samples in a range of time steps."""

    first_sample: int
    first_step: int
    last: bool
    """Whether it is the last block of its samples."""
    spike_trains: SpikeTrains
    """Output of the input and of each population, shape (samples, steps, size)."""
    charged: SpikeTrains
    """1 where a potential is not zero after a step, in the same shape; empty if not marked."""


def run_batches(
    network: Graph,
    x: NDArray[Any],
    *,
    progress: Progress | None = None,
    watch: Watch | None = None,
    keep: Collection[str] | None = None,
    device: str | None = None,
    fast: bool | None = None,
) -> Iterator[SpikeTrains]:
    """Yield the output of every population for one batch of samples after the other.

    Memory limits the samples of a batch; where one sample is too long, it runs chunk after chunk of
    time steps, so that memory does not grow with their number unless outputs are kept.

    Args:
        network: a float or an integer network.
        x: checked input, shape (samples, steps, *input.shape).
        progress: called after each batch.
        watch: called with the states after each time step.
        keep: only these outputs; None for all, the input's too.
        device: of torch; None: a GPU, if there is one, for integer networks from `GPU_FROM` on.
        fast: whether to take the compiled way; None: from `COMPILE_FROM` on.
    """
    samples, steps = x.shape[:2]
    work = samples * steps * _count_neurons(network)
    device = _choose_device(network, work) if device is None else device
    fast = work >= COMPILE_FROM if fast is None else fast
    runner = Runner(network, watch, fast=fast, device=device)
    names = _list_names(network) if keep is None else keep
    blocks: list[SpikeTrains] = []
    for block in _run_in_blocks(runner, x, names, (samples, steps), progress):
        blocks.append(block.spike_trains)
        if block.last:
            yield {name: _join_steps([earlier[name] for earlier in blocks]) for name in names}
            blocks = []


def run_blocks(
    network: IntegerNetwork,
    x: NDArray[Any],
    *,
    work_limit: int,
    charged: bool = False,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """Yield all outputs block after block: a range of samples, their time steps in turn.

    Args:
        network: an integer network.
        x: checked input, shape (samples, steps, *input.shape).
        work_limit: neurons times samples times steps of a block, roughly.
        charged: whether to mark potentials that are not zero.
        progress: called after the last block of some samples.
    """
    runner = Runner(network, fast=True, charged=charged)
    limits = _limit_block(network, x.shape[1], work_limit)
    yield from _run_in_blocks(runner, x, _list_names(network), limits, progress)


def count_block_samples(
    network: IntegerNetwork, steps: int, *, work_limit: int, charged: bool = False
) -> int:
    """Return the samples that `run_blocks` runs at a time, however many there are."""
    runner = Runner(network, fast=True, charged=charged)
    return _fit_block(runner, _limit_block(network, steps, work_limit))[0]


def _limit_block(network: IntegerNetwork, steps: int, work_limit: int) -> tuple[int, int]:
    """Return the most (samples, steps) of a block."""
    length = max(1, min(steps, work_limit // _count_neurons(network)))
    return max(1, work_limit // (length * _count_neurons(network))), length


def run_together(
    networks: Sequence[Graph], x: NDArray[Any], *, progress: Progress | None = None
) -> Iterator[tuple[Block, ...]]:
    """Yield the outputs of several networks on the same input, block after block.

    Memory grows neither with samples nor with steps; each network is prepared once.

    Args:
        networks: float and integer networks with the same input.
        x: checked input, shape (samples, steps, *input.shape).
        progress: called after the last block of some samples.
    """
    samples, steps = x.shape[:2]
    work = [samples * steps * _count_neurons(network) for network in networks]
    runners = [
        Runner(n, fast=w >= COMPILE_FROM, device=_choose_device(n, w))
        for n, w in zip(networks, work, strict=True)
    ]
    per_step, states = (sum(r.bytes for r in runners), sum(r.state_bytes for r in runners))
    length = max(1, min(steps, (MEMORY_BYTES - states) // per_step))
    size = max(1, min(samples, MEMORY_BYTES // (length * per_step + states)))
    reports = [progress, *[None] * (len(runners) - 1)]
    yield from zip(
        *(
            _run_in_blocks(runner, x, _list_names(runner.network), (size, length), report)
            for runner, report in zip(runners, reports, strict=True)
        ),
        strict=True,
    )


def _run_in_blocks(
    runner: Runner,
    x: NDArray[Any],
    names: Collection[str],
    size_limits: tuple[int, int],
    progress: Progress | None,
) -> Iterator[Block]:
    """Run all samples, within the limits of (samples, steps) at a time and of memory."""
    samples, steps = x.shape[:2]
    size, length = _fit_block(runner, size_limits)
    dtype = None if runner.exact else np.float64
    for first in range(0, samples, size):
        batch = x[first : first + size]
        session = Session(len(batch), biases=runner.compute_biases(batch))
        for now in range(0, steps, length):
            chunk = batch[:, now : now + length]
            silent = runner.exact or bool(runner.network.input.host)
            chunk = runner.network.input.send(chunk) if silent else chunk
            chunk = np.ascontiguousarray(chunk, dtype)
            tensor = torch.from_numpy(chunk.reshape(*chunk.shape[:2], -1)).to(runner.device)
            spike_trains = {
                n: train.cpu() for n, train in runner.run(session, tensor, names).items()
            }
            charged = {n: marks.cpu() for n, marks in session.charged.items()}
            yield Block(first, now, now + length >= steps, spike_trains, charged)
        if progress:
            progress(min(first + size, samples), samples)


def _fit_block(runner: Runner, size_limits: tuple[int, int]) -> tuple[int, int]:
    """Return the (samples, steps) of a block within limits and within memory."""
    free = MEMORY_BYTES - runner.state_bytes
    length = max(1, min(size_limits[1], free // runner.bytes))
    room = MEMORY_BYTES // (length * runner.bytes + runner.state_bytes)
    return max(1, min(512, size_limits[0], room)), length


def _list_names(network: Graph) -> list[str]:
    return [network.input.name, *(p.name for p in network.populations)]


def _count_neurons(network: Graph) -> int:
    return network.input.size + sum(p.size for p in network.populations)


def _join_steps(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _choose_device(network: Graph, work: int) -> str:
    """Return the device; sums of floats may round differently on a GPU, so those stay here."""
    enough = isinstance(network, IntegerNetwork) and work >= GPU_FROM
    return "cuda" if enough and torch.cuda.is_available() else "cpu"


Arrived = tuple[int, Apply, int, Tensor]
"""Number of the port, bound synapses, own delay and the source's train (samples, steps, source)."""


def replay(population: Population, arriving: Sequence[Arrived], shape: torch.Size) -> Tensor:
    """Run one population alone on given spike trains; return its output.

    Args:
        population: population to run.
        arriving: synapses and spike train of each projection.
        shape: (samples, steps, size) of the output.
    """
    neuron = population.neuron.bind(torch.tensor)
    drive = build_silence(neuron, shape, isinstance(neuron, IntegerNeuron))
    for port, apply, delay, train in arriving:
        _add_arriving(select_port(neuron, drive, port), apply, delay, train)
    state, outputs = start_states(neuron, drive), []
    for step in range(shape[1]):
        state, output = neuron.step(state, drive[..., step, :])
        outputs.append(output)
    return torch.stack(outputs, dim=1)


def check_input(network: Graph, x: ArrayLike, dtype: type) -> NDArray[Any]:
    """Return x as an array of shape (samples, steps, *input.shape).

    Raises:
        InputError: the shape is another, or a value is not a finite number, or the number of time
            steps is part of the network and another one.
    """
    array = read_array(x)
    shape = network.input.shape
    expected = ", ".join(["samples", "steps", *map(str, shape)])
    if array.dtype.kind not in "biuf":
        raise InputError(f"input has dtype {array.dtype}, expected numbers")
    if array.shape[2:] != shape or array.ndim < 3 or 0 in array.shape:
        raise InputError(f"input has shape {array.shape}, expected ({expected})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("input holds values that are not finite")
    network.answer.check_steps(array.shape[1])
    if network.input.host:
        network.input.check(array)
    return np.ascontiguousarray(array, dtype=dtype)


def check_spikes(network: Graph, x: ArrayLike) -> NDArray[Any]:
    """Return x as an integer network runs on it: uint8 if its input is 0 and 1, else int32.

    Analog values stay float64: an integer network rounds them as it runs, a float network does not.

    Raises:
        InputError: as `check_input`, or a value that the input cannot send.
    """
    array, source = read_array(x), network.input
    if array.dtype.kind in "iuf" and array.size:
        source.check(array)
    whole = np.uint8 if source.payload == BINARY else np.int32
    return check_input(network, array, np.float64 if source.takes_reals else whole)


def _run(network: Graph, x: NDArray[Any], progress: Progress | None, device: str | None) -> Result:
    keep = [network.output]
    if network.plastic:
        learned = run_learning(network, x, keep, progress)
        output = learned.outputs[network.output].reshape(*x.shape[:2], *network.output_shape)
        return Result(output, readout=network.answer, learned=learned.states)
    batches = [
        out[network.output]
        for out in run_batches(network, x, progress=progress, keep=keep, device=device)
    ]
    spikes = torch.cat(batches).numpy()
    if spikes.dtype == np.bool_:
        spikes = spikes.view(np.uint8)
    shaped = spikes.reshape(*x.shape[:2], *network.output_shape)
    return Result(shaped, readout=network.answer)


def _add_arriving(total: Tensor, apply: Apply, delay: int, train: Tensor) -> None:
    """Add the accumulated input of a spike train to `total`, `delay` steps later."""
    if delay < train.shape[1]:
        total[:, delay:] += apply(train[:, : train.shape[1] - delay])
