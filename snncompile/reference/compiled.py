"""The compiled ways through the integer simulator: same results as `step` and `bind`, faster.

A population takes them if its neuron has a kernel and its numbers fit 32 bits; where they do not,
or a kernel finds an input that is too large, the operators of `step` do the work.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.neurons.base import BINARY, Interval, Neuron
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, scaled_bias
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.reference.synapses import Apply, arriving_bound, largest_sum
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense

Array = NDArray[Any]
RunNeurons = Callable[[Array, Array], bool]
"""(drive, out), both (samples, steps, n): fill `out`; whether every input was small enough."""

PARAMETER_LIMIT = 1 << 29
"""Thresholds and biases from here on could leave 32 bits."""
SPIKE_COST, WEIGHT_COST, SOURCE_COST = 26, 0.6, 9
"""In multiplications of a matrix product: what a spike costs, what each of its weights costs, and
what a source costs that is turned into a float; from `benchmarks/reference_speed.py`."""
CONVOLUTION_ACTIVITY = 0.02
"""Share of spikes above which torch's convolution is the faster one; same benchmark."""
SLICE_BYTES = 2**20
"""Accumulated input one thread works on at a time: it should stay in the cache."""


def _kernels() -> Any:
    """Return the module of kernels, loaded on first use."""
    return importlib.import_module("snncompile.reference.kernels")


def bind_neuron(neuron: Neuron, size: int) -> RunNeurons | None:
    """Return the kernel of a population with its parameters, or None if it has none."""
    make = KERNELS.get(type(neuron))
    return make(neuron, size) if make else None


def _cuba_lif(neuron: Any, size: int) -> RunNeurons | None:
    return _lif(neuron, neuron.current_decay + 1, neuron.potential_decay, size)


def _integrate_fire(neuron: Any, size: int) -> RunNeurons | None:
    return _lif(neuron, DECAY_ONE, 0, size)


def _lif(neuron: Any, decay_u: Any, decay_v: Any, size: int) -> RunNeurons | None:
    bias = scaled_bias(neuron.bias_mantissa, neuron.bias_exponent)
    values = DECAY_ONE - decay_u, DECAY_ONE - decay_v, neuron.threshold << STATE_SHIFT, bias
    if not _fit(*values):
        return None
    parameters = [_each(value, size) for value in (*values, neuron.initial)]
    reset: int = getattr(_kernels(), neuron.reset.upper())
    kernel = _kernels().cuba_lif
    return lambda drive, out: bool(kernel(drive, out, *parameters, reset))


def _readout(neuron: Any, size: int) -> RunNeurons | None:
    bias = scaled_bias(neuron.bias_mantissa, neuron.bias_exponent)
    keep_u, keep_v = DECAY_ONE - neuron.current_decay - 1, DECAY_ONE - neuron.potential_decay
    if not _fit(keep_u, keep_v, np.asarray(0), bias):
        return None
    parameters = [_each(value, size) for value in (keep_u, keep_v, bias, neuron.initial)]
    kernel = _kernels().readout
    return lambda drive, out: bool(kernel(drive, out, *parameters))


KERNELS: dict[type, Callable[[Any, int], RunNeurons | None]] = {
    IntegerCubaLif: _cuba_lif,
    IntegerIntegrateFire: _integrate_fire,
    IntegerReadout: _readout,
}
"""Neuron to kernel. A neuron without a row runs by its `step`."""


def _fit(keep_u: Any, keep_v: Any, threshold: Any, bias: Any) -> bool:
    """Whether the arithmetic of the kernels is that of `step`."""
    decays = (np.asarray(keep) for keep in (keep_u, keep_v))
    return all(((k >= 0) & (k <= DECAY_ONE)).all() for k in decays) and all(
        (np.abs(value) < PARAMETER_LIMIT).all() for value in (threshold, bias)
    )


def _each(value: Any, size: int) -> Array:
    return np.array(np.broadcast_to(value, (size,)), np.int32)


class Events(Protocol):
    """Synapses that are added spike by spike."""

    def pays(self, activity: float) -> bool:
        """Whether this is faster than the matrix product at this share of spikes."""

    def add(self, train: Array, total: Array, delay: int) -> None:
        """Add to `total` what a spike train brings, `delay` steps later."""


def bind_events(synapses: Synapses | IntegerSynapses, payload: Interval) -> Events | None:
    """Return the synapses spike by spike, or None where there is no kernel or 32 bits are short."""
    if not isinstance(synapses, IntegerSynapses) or payload != BINARY:
        return None
    if synapses.exponent < -31 or arriving_bound(synapses, payload) >= 2**31:
        return None
    largest = int(np.abs(synapses.weight.astype(np.int32)).max(initial=0))
    wiring = synapses.wiring
    if isinstance(wiring, Dense) and 4 * largest < 2**15:
        return _DenseEvents(np.array(synapses.weight.T, np.int16, order="C"), synapses.exponent)
    if isinstance(wiring, Convolution) and wiring.groups == 1:
        small = largest_sum(synapses, payload) < 2**15
        return _ConvolutionEvents.of(wiring, synapses, np.int16 if small else np.int32)
    return None


@dataclass(frozen=True, eq=False)
class _DenseEvents:
    weight: Array
    """Shape (source, target)."""
    exponent: int

    def pays(self, activity: float) -> bool:
        targets = self.weight.shape[1]
        return bool(activity * (SPIKE_COST + WEIGHT_COST * targets) < targets + SOURCE_COST)

    def add(self, train: Array, total: Array, delay: int) -> None:
        shift = max(self.exponent, 0), max(-self.exponent, 0)
        _kernels().dense(train, total, self.weight, delay, *shift)


@dataclass(frozen=True, eq=False)
class _ConvolutionEvents:
    weight: Array
    part: Array
    geometry: tuple[Any, ...]
    """Source, kernel, stride, padding, dilation."""
    exponent: int

    @classmethod
    def of(cls, wiring: Convolution, synapses: IntegerSynapses, dtype: type) -> _ConvolutionEvents:
        """Lay the weights out for the kernel; one space axis becomes one row of two."""
        line = (1,) * (2 - len(wiring.kernel))
        channels, *space = wiring.source_shape
        kernel = (*line, *wiring.kernel)
        rows, columns = (*line, *wiring.target_shape[1:])
        weight = synapses.weight.reshape(wiring.channels, channels, *kernel)
        weight = weight[..., ::-1].transpose(1, 2, 3, 0).reshape(channels, kernel[0], -1)
        none = tuple(0 for _ in line)
        geometry = (
            (channels, *line, *space),
            kernel,
            (*line, *wiring.stride),
            (*none, *wiring.padding),
            (*line, *wiring.dilation),
        )
        part: Array = np.empty((rows, columns * wiring.channels), dtype)
        return cls(np.array(weight, np.int16, order="C"), part, geometry, synapses.exponent)

    def pays(self, activity: float) -> bool:
        return activity < CONVOLUTION_ACTIVITY

    def add(self, train: Array, total: Array, delay: int) -> None:
        shift = max(self.exponent, 0), max(-self.exponent, 0)
        _kernels().convolution(train, total, self.weight, self.part, *self.geometry, delay, *shift)


@dataclass(frozen=True, eq=False)
class Arriving:
    """What one projection brings to a population."""

    apply: Apply
    events: Events | None
    delay: int
    train: Tensor
    """Of the source, shape (samples, steps, source)."""

    def by_events(self) -> Events | None:
        """Return the events if adding spike by spike is possible and pays."""
        if self.events is None or self.train.dtype not in (torch.bool, torch.uint8):
            return None
        activity = np.count_nonzero(_plain(self.train).view(np.bool_)) / self.train.numel()
        return self.events if self.events.pays(activity) else None


def run(
    neurons: RunNeurons,
    arriving: Sequence[Arriving],
    output: Tensor,
    by_step: Callable[[slice], Tensor],
) -> None:
    """Fill the output of one population.

    Args:
        neurons: its kernel.
        arriving: its input; together within 32 bits.
        output: shape (samples, steps, n), bool or int64.
        by_step: gives the output of some samples, where the kernel finds too large an input.
    """
    spikes = [(a, e) for a in arriving if (e := a.by_events())]
    products = [a for a in arriving if a not in [some for some, _ in spikes]]
    samples, steps, size = output.shape
    too_large: list[slice] = []

    def work(part: slice) -> None:
        drive = _products(products, part, (part.stop - part.start, steps, size))
        for a, events in spikes:
            events.add(_plain(a.train[part]), drive, a.delay)
        out = output[part]
        if not neurons(drive, out.numpy() if out.dtype == torch.int64 else _plain(out)):
            too_large.append(part)

    widest = max([size, *(a.train.shape[2] for a in products)])
    share(work, list(_slices(samples, 4 * steps * widest, SLICE_BYTES)))
    for part in too_large:
        output[part] = by_step(part)


def _products(arriving: list[Arriving], part: slice, shape: tuple[int, int, int]) -> Array:
    """Return what arrives, computed by matrix products."""
    if len(arriving) == 1 and arriving[0].delay == 0:
        total = arriving[0].apply(arriving[0].train[part]).contiguous()
        alone: Array = total.numpy()
        return alone
    total = torch.zeros(shape, dtype=torch.int32)
    for a in arriving:
        if a.delay < shape[1]:
            total[:, a.delay :] += a.apply(a.train[part, : shape[1] - a.delay])
    array: Array = total.numpy()
    return array


def _slices(samples: int, sample_bytes: int, most_bytes: int) -> Iterator[slice]:
    """Yield slices of samples that take about this much memory each, at least one sample."""
    size = max(1, most_bytes // sample_bytes)
    for first in range(0, samples, size):
        yield slice(first, min(first + size, samples))


def share(work: Callable[[slice], None], parts: list[slice]) -> None:
    """Do the work on all parts, in as many threads as torch would use."""
    threads = torch.get_num_threads()
    if min(threads, len(parts)) < 2:
        for part in parts:
            work(part)
    else:
        list(_pool(os.getpid(), threads).map(work, parts))


@functools.lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return threads that stay; a forked process has none and gets its own.

    In each of them torch uses one thread; the last line undoes what that sets for everybody.
    """
    pool = ThreadPoolExecutor(threads, "snncompile", initializer=lambda: torch.set_num_threads(1))
    all_there = Barrier(threads)
    list(pool.map(lambda _: all_there.wait(), range(threads)))
    torch.set_num_threads(threads)
    return pool


def _plain(train: Tensor) -> Array:
    """Return a spike train of 0 and 1 as uint8, without copying it."""
    array: Array = train.numpy()
    return array.view(np.uint8)
