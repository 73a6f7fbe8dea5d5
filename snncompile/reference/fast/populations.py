"""The compiled way through the integer simulator: same results as `step` and `bind`, faster.

A population takes it if its neuron has a kernel and its numbers fit 32 bits; otherwise, and where
an input is too large for a kernel, the operators of `step` do the work.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import Barrier
from typing import Any

import numpy as np
import torch

from snncompile.arrays import Array
from snncompile.neurons.adaptive_lif import IntegerAdaptiveLif
from snncompile.neurons.base import BINARY, Interval, Neuron
from snncompile.neurons.bistable_fire import IntegerBistableFire
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, shift_bias
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.phase_fire import IntegerPhaseFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.refractory_lif import IntegerRefractoryLif
from snncompile.neurons.signed_integrate_fire import IntegerSignedIntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.reference.fast.base import Scratch, Way, Ways, load_kernels
from snncompile.reference.fast.layout import order_neurons

OutputStart = tuple[int, int, int, int]
Kernel = Callable[[Array, Array, OutputStart, Array, Array], bool]
"""(drive, out, start and shift, state, charged): see `neuron_kernels.py`."""

WatchStep = Callable[[int, Array], None]
"""Called with (time step, states after it)."""

NOT_MARKED = np.zeros((0, 0, 0), np.uint8)
"""No samples: charged potentials are not marked."""
PARAMETER_LIMIT = 1 << 29
"""Thresholds and biases from here on could leave 32 bits."""
SLICE_BYTES = 2**21
"""Bytes of accumulated input per thread at a time. More than the second-level cache holds: so the
parameters and states of the neurons are read for several time steps at once."""


# Parameters as the kernels take them.


def _keep_u(neuron: Any) -> Any:
    return DECAY_ONE - neuron.current_decay - 1


def _keep_v(neuron: Any) -> Any:
    return DECAY_ONE - neuron.potential_decay


def _keep_raised(neuron: Any) -> Any:
    return DECAY_ONE - neuron.threshold_decay


def _threshold(neuron: Any) -> Any:
    return neuron.threshold << STATE_SHIFT


def _negative(neuron: Any) -> Any:
    return neuron.negative_threshold << STATE_SHIFT


def _rise(neuron: Any) -> Any:
    return neuron.threshold_step << STATE_SHIFT


def _bias(neuron: Any) -> Any:
    return shift_bias(neuron.bias_mantissa, neuron.bias_exponent)


def _plain_bias(neuron: Any) -> Any:
    return neuron.bias


def _refractory(neuron: Any) -> Any:
    return neuron.refractory


def _window(neuron: Any) -> Any:
    return neuron.window


def _start(neuron: Any) -> Any:
    return neuron.start


def _once(neuron: Any) -> Any:
    return neuron.once


def _initial(neuron: Any) -> Any:
    return neuron.initial


def _factor(neuron: Any) -> Any:
    return neuron.factor


def _shift(neuron: Any) -> Any:
    return neuron.shift


def _lowest(neuron: Any) -> Any:
    return neuron.lowest


def _highest(neuron: Any) -> Any:
    return neuron.highest


_CYCLE = (_threshold, _window, _start, _bias, _once, _initial)

KERNELS: dict[type, tuple[str, tuple[Callable[[Any], Any], ...]]] = {
    IntegerAdaptiveLif: (
        "adaptive_lif",
        (_keep_u, _keep_v, _keep_raised, _threshold, _rise, _bias),
    ),
    IntegerBistableFire: ("bistable_fire", _CYCLE),
    IntegerCubaLif: ("cuba_lif", (_keep_u, _keep_v, _threshold, _bias)),
    IntegerGraded: ("graded", (_factor, _shift, _lowest, _highest, _plain_bias)),
    IntegerIntegrateFire: ("integrate_fire", (_threshold, _bias)),
    IntegerPhaseFire: ("phase_fire", _CYCLE),
    IntegerReadout: ("readout", (_keep_u, _keep_v, _bias)),
    IntegerRefractoryLif: (
        "refractory_lif",
        (_keep_u, _keep_v, _threshold, _refractory, _bias),
    ),
    IntegerSignedIntegrateFire: ("signed_integrate_fire", (_threshold, _negative, _bias)),
    IntegerTernaryLif: ("ternary_lif", (_keep_u, _keep_v, _threshold, _negative, _bias)),
}
"""Neuron to its function in `neuron_kernels.py` and the function's parameters. A neuron without a
row runs by its `step`."""


def bind_neuron(neuron: Neuron, size: int, channels: int = 1) -> Kernel | None:
    """Return the kernel of a population with its parameters, or None if it has none.

    Args:
        neuron: with integer parameters.
        size: number of neurons.
        channels: of the layout in which they are kept.
    """
    if type(neuron) not in KERNELS:
        return None
    name, readers = KERNELS[type(neuron)]
    values = [(read.__name__, np.asarray(read(neuron))) for read in readers]
    if not all(_fits(parameter, value) for parameter, value in values):
        return None
    p = np.stack([np.broadcast_to(value, (size,)) for _, value in values])
    p = np.ascontiguousarray(p[:, order_neurons(size, channels)], np.int32)
    module = importlib.import_module("snncompile.reference.fast.neuron_kernels")
    function = getattr(module, name)
    if neuron.tables:
        table = np.asarray(getattr(neuron, neuron.tables[0]), np.int32)
        return lambda *arrays: bool(function(*arrays, p, table))
    if not hasattr(neuron, "reset"):
        return lambda *arrays: bool(function(*arrays, p))
    reset: int = getattr(module, neuron.reset.upper())
    return lambda *arrays: bool(function(*arrays, p, reset))


def _fits(parameter: str, value: Array) -> bool:
    """Return whether a parameter keeps the kernels' arithmetic equal to that of `step`."""
    if parameter.startswith("_keep"):
        return bool(((value >= 0) & (value <= DECAY_ONE)).all())
    return bool((np.abs(value) < PARAMETER_LIMIT).all())


def choose_type(neuron: Neuron | None, payload: Interval) -> Any:
    """Return the type in which an output is kept while the network runs."""
    if neuron is not None and not neuron.spikes:
        return np.int32
    if payload == BINARY:
        return np.uint8
    return np.int8 if payload.low >= -128 and payload.high <= 127 else np.int32


@dataclass(frozen=True, eq=False)
class Arriving:
    """Spike trains that arrive at a population through one projection."""

    ways: Ways
    train: Array
    """Spike train of the source, shape (samples, steps, source), already delayed."""


@dataclass(frozen=True, eq=False)
class Fast:
    """A population that is ready to run."""

    kernel: Kernel
    by_step: Callable[[Array, Array, OutputStart, Array, Array], None]
    """Function with the kernel's results, for any input."""
    size: int

    def run(
        self,
        arriving: Sequence[Arriving],
        out: Array,
        before: int,
        state: Array,
        receiving: Array,
        watch: WatchStep | None = None,
        charged: Array = NOT_MARKED,
    ) -> None:
        """Fill the output.

        Args:
            arriving: its input; together within 32 bits.
            out: shape (samples, before + steps, n).
            before: steps of `out` that are filled already.
            state: shape (samples, states, n), int32; updated in place.
            receiving: steps in which input can matter, shape (steps,), bool.
            watch: called after each time step; time steps are then computed one by one.
            charged: filled with 1 where the potential is not zero after a step, shape (samples,
                steps, n), uint8; or without samples.
        """
        samples = len(out)
        ways = [a.ways.choose(a.train, receiving) for a in arriving]
        alone = arriving[0].ways.shift if len(arriving) == 1 else 0
        shift = max(alone, 0), max(-alone, 0)
        row = 4 * self.size + sum(a.ways.row_bytes for a in arriving)
        receiving_steps = max(1, int(np.count_nonzero(receiving)))

        def work(batch: slice) -> None:
            rows = SLICE_BYTES // (row * (batch.stop - batch.start))
            for now in split_spans(receiving, 1 if watch else max(1, rows)):
                drive = self._compute_drive(
                    arriving if receiving[now.start] else (), ways, batch, now
                )
                at = batch.start, before + now.start, *shift
                old, marked = state[batch].copy(), charged[batch, now]
                if not self.kernel(drive, out, at, state[batch], marked):
                    state[batch] = old
                    self.by_step(drive, out, at, state[batch], marked)
                if watch:
                    watch(now.start, state)

        if watch:
            work(slice(0, samples))
        else:
            share(work, list(_cut_samples(samples, row * receiving_steps, SLICE_BYTES)))

    def _compute_drive(
        self, arriving: Sequence[Arriving], ways: Sequence[Way], samples: slice, steps: slice
    ) -> Array:
        """Return the accumulated input of a slice of samples and steps, (samples, steps, n).

        That of a single projection is not shifted yet.
        """
        shape = samples.stop - samples.start, steps.stop - steps.start, self.size
        total = SCRATCH.take("total", (shape[0] * shape[1], self.size), np.int32)
        if not arriving:
            total[...] = 0
        for i, (a, way) in enumerate(zip(arriving, ways, strict=False)):
            rows = np.ascontiguousarray(a.train[samples, steps]).reshape(len(total), -1)
            sums = SCRATCH.take("sums", total.shape, np.int32) if i else total
            way.fill(rows, sums, SCRATCH)
            left, right = max(a.ways.shift, 0), max(-a.ways.shift, 0)
            if i:
                load_kernels().add(total, sums, left, right)
            elif len(arriving) > 1 and (left or right):
                load_kernels().shift(total, left, right)
        return total.reshape(shape)


SCRATCH = Scratch()


def _cut_samples(samples: int, sample_bytes: int, byte_limit: int) -> Iterator[slice]:
    """Yield slices of samples that take about this much memory each, at least one sample."""
    size = max(1, byte_limit // sample_bytes)
    for first in range(0, samples, size):
        yield slice(first, min(first + size, samples))


def split_spans(flags: Array, longest: int) -> Iterator[slice]:
    """Yield slices of at most `longest` equal flags, in order."""
    changes = np.flatnonzero(np.diff(flags)) + 1
    for start, stop in pairwise([0, *changes.tolist(), len(flags)]):
        for first in range(start, stop, longest):
            yield slice(first, min(first + longest, stop))


def share(work: Callable[[slice], None], slices: list[slice]) -> None:
    """Do the work on all slices, in the number of threads that torch uses."""
    threads = torch.get_num_threads()
    if min(threads, len(slices)) < 2:
        for samples in slices:
            work(samples)
    else:
        list(_keep_pool(os.getpid(), threads).map(work, slices))


@functools.lru_cache(maxsize=4)
def _keep_pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads that stays; a forked process gets its own.

    In each thread torch uses one thread; the last setting restores the number for the process.
    """
    pool = ThreadPoolExecutor(threads, "snncompile", initializer=lambda: torch.set_num_threads(1))
    all_started = Barrier(threads)
    list(pool.map(lambda _: all_started.wait(), range(threads)))
    torch.set_num_threads(threads)
    return pool
