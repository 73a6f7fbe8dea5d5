"""Run a network: this *is* the meaning of `Network` (float) and `IntegerNetwork` (integer).

Populations count time from their own phase, so a sample is computed population after population:
one matrix product for all time steps, then the neurons step by step. Only populations in a loop
are computed step by step together. Where much is to be done, integer populations take the compiled
way (`compiled.py`), with the same results.
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
from snncompile.ir.result import Result
from snncompile.neurons.base import BINARY, IntegerNeuron, Interval
from snncompile.reference.runner import Runner, Session, SpikeTrains, Watch, of_port, silence, start
from snncompile.reference.synapses import Apply

MEMORY_BYTES = 256 * 2**20
"""Memory one batch may take, roughly; more samples than that are run batch after batch."""
COMPILE_FROM = 2**22
"""Neurons times time steps times samples from which loading the compiled way takes less time than
it saves."""

GPU_FROM = 2**32
"""The same product, from which moving everything to a GPU pays."""


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
    """Run an integer network; x holds what `Input.payload` says: 0 and 1 unless it is graded."""
    return _run(network, check_spikes(network, x), progress, device)


@dataclass(frozen=True, eq=False)
class Block:
    """Some time steps of some samples."""

    first_sample: int
    first_step: int
    last: bool
    """Whether the samples end with it."""
    spike_trains: SpikeTrains
    """Output of the input and of each population, shape (samples, steps, size)."""
    charged: SpikeTrains
    """1 where a potential is not zero after a step, in the same shape; empty if not asked for."""


def batches(
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

    A batch takes as many samples as memory allows; where one is too long, it runs some time steps
    after the other, so that memory does not grow with their number unless outputs are kept.

    Args:
        network: a float or an integer network.
        x: checked input, shape (samples, steps, *input.shape).
        progress: called after each batch.
        watch: called with the states after each time step.
        keep: only these outputs; None for all, the input's too.
        device: of torch; None for the GPU if there is one and an integer network has enough to do.
        fast: whether to take the compiled way; None if there is enough to do.
    """
    samples, steps = x.shape[:2]
    work = samples * steps * _neurons(network)
    device = _device(network, work) if device is None else device
    fast = work >= COMPILE_FROM if fast is None else fast
    runner = Runner(network, watch, fast=fast, device=device)
    names = _names(network) if keep is None else keep
    parts: list[SpikeTrains] = []
    for block in _blocks(runner, x, names, (samples, steps), progress):
        parts.append(block.spike_trains)
        if block.last:
            yield {name: _joined([part[name] for part in parts]) for name in names}
            parts = []


def blocks(
    network: IntegerNetwork,
    x: NDArray[Any],
    *,
    most: int,
    charged: bool = False,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """Yield all outputs block after block: some samples, some steps of theirs after the others.

    Args:
        network: an integer network.
        x: checked input, shape (samples, steps, *input.shape).
        most: neurons times samples times steps of a block, roughly.
        charged: whether to note where potentials are not zero.
        progress: called after the last block of some samples.
    """
    steps = max(1, min(x.shape[1], most // _neurons(network)))
    samples = max(1, most // (steps * _neurons(network)))
    runner = Runner(network, fast=True, charged=charged)
    yield from _blocks(runner, x, _names(network), (samples, steps), progress)


def _blocks(
    runner: Runner,
    x: NDArray[Any],
    names: Collection[str],
    most: tuple[int, int],
    progress: Progress | None,
) -> Iterator[Block]:
    """Run all samples, at most so many samples and steps at a time and as memory allows."""
    samples, steps = x.shape[:2]
    free = MEMORY_BYTES - runner.state_bytes
    length = max(1, min(most[1], free // runner.bytes))
    room = MEMORY_BYTES // (length * runner.bytes + runner.state_bytes)
    size = max(1, min(512, most[0], room))
    for first in range(0, samples, size):
        batch = x[first : first + size]
        session = Session(len(batch))
        for now in range(0, steps, length):
            some = np.ascontiguousarray(batch[:, now : now + length])
            given = torch.from_numpy(some.reshape(*some.shape[:2], -1)).to(runner.device)
            spike_trains = {
                n: train.cpu() for n, train in runner.run(session, given, names).items()
            }
            charged = {n: marks.cpu() for n, marks in session.charged.items()}
            yield Block(first, now, now + length >= steps, spike_trains, charged)
        if progress:
            progress(min(first + size, samples), samples)


def _names(network: Graph) -> list[str]:
    return [network.input.name, *(p.name for p in network.populations)]


def _neurons(network: Graph) -> int:
    return network.input.size + sum(p.size for p in network.populations)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _device(network: Graph, work: int) -> str:
    """Return where to run; sums of floats may round another way on a GPU, so those stay here."""
    enough = isinstance(network, IntegerNetwork) and work >= GPU_FROM
    return "cuda" if enough and torch.cuda.is_available() else "cpu"


Arrived = tuple[int, Apply, int, Tensor]
"""Place of the port, bound synapses, own delay and the source's train (samples, steps, source)."""


def replay(population: Population, arriving: Sequence[Arrived], shape: torch.Size) -> Tensor:
    """Run one population alone on given spike trains; return its output.

    Args:
        population: whose neurons to run.
        arriving: what each projection brings.
        shape: (samples, steps, size) of the output.
    """
    neuron = population.neuron.bind(torch.tensor)
    drive = silence(neuron, shape, isinstance(neuron, IntegerNeuron))
    for port, apply, delay, train in arriving:
        _arrive(of_port(neuron, drive, port), apply, delay, train)
    state, outputs = start(neuron, drive), []
    for step in range(shape[1]):
        state, output = neuron.step(state, drive[..., step, :])
        outputs.append(output)
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
    inside = all(part.min() >= payload.low and part.max() <= payload.high for part in samples)
    return inside and (array.dtype.kind != "f" or all((p == np.rint(p)).all() for p in samples))


def _array(x: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(x)
    except ValueError:  # lists of different lengths
        raise InputError("input is not an array of numbers") from None


def _run(network: Graph, x: NDArray[Any], progress: Progress | None, device: str | None) -> Result:
    keep = [network.output]
    parts = [
        out[network.output]
        for out in batches(network, x, progress=progress, keep=keep, device=device)
    ]
    spikes = torch.cat(parts).numpy()
    if spikes.dtype == np.bool_:
        spikes = spikes.view(np.uint8)
    return Result(spikes.reshape(*x.shape[:2], *network.output_shape))


def _arrive(total: Tensor, apply: Apply, delay: int, train: Tensor) -> None:
    """Add to `total` what a spike train brings, `delay` steps later."""
    if delay < train.shape[1]:
        total[:, delay:] += apply(train[:, : train.shape[1] - delay])
