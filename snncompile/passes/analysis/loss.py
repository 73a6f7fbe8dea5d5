"""Analysis: run floats and integers on the same input; measure how far they part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Progress
from snncompile.ir.loss import FREQUENT, AnswerLoss, Loss, PopulationLoss
from snncompile.ir.plastic import freeze_learning
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron
from snncompile.reference.simulate import run_together

MOST_SAMPLES = 256
"""Largest number of samples that `choose_samples` returns."""
FEWEST_SAMPLES = 8
"""Smallest number, unless they take very long; with fewer a share of answers means little."""
LONG_OUTPUTS, LEAST_SAMPLES = 2**29, 2
"""Neurons times steps times samples that take some minutes, and samples that run even then."""
CALIBRATION_OUTPUTS = 2**26
"""Neurons times steps times samples that quantize runs at most. A sample takes about as long here
as there, so half of its samples are about a quarter of the time of `compile`."""
QUICK_OUTPUTS = 2**23
"""Neurons times steps times samples that take some 0.4 s, little beside any compilation."""
Scales = Mapping[str, float]
"""Integer output per float output, of populations whose outputs are rounded values."""


def measure_loss(
    floats: Network,
    integers: IntegerNetwork,
    scales: Scales,
    x: NDArray[Any],
    *,
    progress: Progress | None = None,
) -> Loss:
    """Return how far an integer network parts from the float network it was made of.

    Args:
        floats: the float network; memory is the same for any number of samples and steps.
        integers: the same populations in integers, with the same phases.
        scales: see `output_scales`.
        x: checked input, shape (samples, steps, *input.shape); all of it runs.
        progress: called with (samples done, samples in all).
    """
    return measure_losses(floats, [(integers, scales)], x, progress=progress)[0]


def measure_losses(
    floats: Network,
    candidates: Sequence[tuple[IntegerNetwork, Scales]],
    x: NDArray[Any],
    *,
    progress: Progress | None = None,
) -> tuple[Loss, ...]:
    """Return the loss of several integer networks; the float network runs once for all.

    Args:
        floats, x, progress: see `measure_loss`.
        candidates: integer networks with their scales.
    """
    counts = [_Counts(floats, scales) for _, scales in candidates]
    networks: list[Graph] = [freeze_learning(floats)]
    networks += [freeze_learning(integers) for integers, _ in candidates]
    for first, *others in run_together(networks, x, progress=progress):
        for count, other in zip(counts, others, strict=True):
            count.add(first.spike_trains, other.spike_trains, first.last)
    return tuple(count.make_loss(x) for count in counts)


def choose_samples(network: Graph, x: NDArray[Any]) -> NDArray[Any]:
    """Return samples to measure the loss on, taken evenly.

    Their number follows from sizes alone, so that a Program does not depend on a clock: half of
    those that quantize runs, at least 8, at most 256; more where all are quick, and down to 2 where
    a sample has more than 2^26 outputs. Processor time of `compile` that this took: 6 to 12 % for
    32 neurons (256 samples) and for MLPs of 202 neurons on MNIST (256), 19 to 21 % for ResNet-20 on
    CIFAR-10 (8).

    Args:
        network: the float network.
        x: calibration data, shape (samples, steps, *input.shape).
    """
    outputs = count_outputs(network, x[:1])
    half = min(len(x), MOST_SAMPLES, CALIBRATION_OUTPUTS // outputs) // 2
    fewest = min(FEWEST_SAMPLES, max(LEAST_SAMPLES, LONG_OUTPUTS // outputs))
    count = max(fewest, half, QUICK_OUTPUTS // outputs)
    count = min(len(x), MOST_SAMPLES, count)
    return np.asarray(x[np.arange(count) * len(x) // count])


def count_outputs(network: Graph, x: NDArray[Any]) -> int:
    """Return the outputs of all neurons and of the input that a run on x has."""
    neurons = network.input.size + sum(p.size for p in network.populations)
    return int(neurons * x.shape[0] * x.shape[1])


def output_scales(source: Graph, quantized: Iterable[QuantizedLayer]) -> dict[str, float]:
    """Return integer per float output of readouts and of neurons that send values.

    Args:
        source: the float network.
        quantized: the scale of each of its populations.
    """
    layers = {layer.population: layer for layer in quantized}
    outputs: dict[str, float] = {}
    for p in source.populations:
        unit = p.neuron.message_unit if isinstance(p.neuron, FloatNeuron) else 1
        layer = layers.get(p.name)
        if not p.neuron.spikes:
            outputs[p.name] = layer.scale if layer else 1.0
        elif unit > 1:  # Programs of 0.1 sent a fixed number, and do not state it
            outputs[p.name] = layer.message if layer and layer.message else float(unit)
    return outputs


class _Counts:
    """Counts of all populations, while the networks run."""

    def __init__(self, floats: Network, scales: Scales) -> None:
        self.floats = floats
        self.populations = [
            _PopulationCounts(p, scales.get(p.name))
            for p in floats.populations
            if not _is_part_of_target(p)
        ]
        self.different = 0
        """Answers that differ."""
        self.answers: tuple[NDArray[Any], NDArray[Any]] | None = None
        """Of the samples that run, so far: of floats and of integers."""

    def add(self, a: Mapping[str, Any], b: Mapping[str, Any], last: bool) -> None:
        """Add a block of outputs of floats and of integers; `last`: its samples end with it."""
        for counts in self.populations:
            name = counts.population.name
            counts.add(a[name].numpy(), b[name].numpy())
            if name == self.floats.output:
                self._add_answers(a[name].numpy(), b[name].numpy(), last)
            if last:
                counts.end_samples()

    def _add_answers(self, a: NDArray[Any], b: NDArray[Any], last: bool) -> None:
        """Add outputs of the output population as floats and as integers."""
        before = self.answers or (None, None)
        extend = self.floats.answer.extend
        self.answers = (extend(before[0], a), extend(before[1], b))
        if last:
            first, second = (answer.argmax(axis=1) for answer in self.answers)
            self.different += int((first != second).sum())
            self.answers = None

    def make_loss(self, x: NDArray[Any]) -> Loss:
        """Return the loss on input x, which has run."""
        samples, steps = x.shape[:2]
        single = self.floats.population(self.floats.output).size == 1
        return Loss(
            status="measured",
            reason="",
            samples=samples,
            available=samples,
            steps=steps,
            answers=None if single else AnswerLoss(different=self.different, samples=samples),
            populations=tuple(counts.make_row() for counts in self.populations),
        )


def _is_part_of_target(population: Population) -> bool:
    """Whether a population only sends currents: with its target it makes one current."""
    return isinstance(population.neuron, FloatNeuron) and population.neuron.sends_currents


class _PopulationCounts:
    """Counts of one population, while the networks run."""

    def __init__(self, population: Population, scale: float | None) -> None:
        self.population = population
        self.scale = scale
        """Integer output per float output, where outputs are rounded values."""
        self.outputs = self.differences = 0
        self.spikes = np.zeros((2, population.size), np.int64)
        """Outputs of each neuron that were not zero, as floats and as integers."""
        self.sums: list[NDArray[Any]] = []
        """Outputs of the samples that run, summed over their steps: floats and integers."""
        self.gap = self.total = 0.0
        """Sums of the differences and of the magnitudes, of rates or of values."""

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Add outputs of shape (samples, steps, size) as floats and as integers."""
        self.spikes += np.stack([np.count_nonzero(train, axis=(0, 1)) for train in (a, b)])
        sums = [train.sum(axis=1, dtype=_choose_type(train)) for train in (a, b)]
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)] if self.sums else sums
        if self.scale is None:
            self.outputs += a.size
            self.differences += int(np.count_nonzero(a != b))
        else:
            self._add_gap(a.astype(np.float64), b / self.scale)

    def end_samples(self) -> None:
        """Compare the rates of the samples that ran, and begin with others."""
        if self.scale is None:
            self._add_gap(*(total.astype(np.float64) for total in self.sums))
        self.sums = []

    def _add_gap(self, a: Floats, b: Floats) -> None:
        self.total += float(np.abs(a).sum())
        self.gap += float(np.abs(b - a).sum())

    def make_row(self) -> PopulationLoss:
        """Return the loss of the population."""
        return PopulationLoss(
            population=self.population.name,
            neurons=self.population.size,
            different=self.differences / self.outputs if self.scale is None else None,
            rate_error=_divide(self.gap, self.total),
            **self._count_neurons(),
        )

    def _count_neurons(self) -> dict[str, int | None]:
        """Return the numbers of neurons that fire, by field."""
        floats, integers = self.spikes
        counted = {
            "fired": floats > 0,
            "fired_integer": integers > 0,
            "frequent": floats >= FREQUENT,
            "silenced": (floats >= FREQUENT) & (integers == 0),
        }
        spikes = self.population.neuron.spikes
        return {name: int(neurons.sum()) if spikes else None for name, neurons in counted.items()}


def _choose_type(train: NDArray[Any]) -> Any:
    """Return the type of sums over time, as `Result.prediction` sums."""
    return np.float64 if train.dtype.kind == "f" else np.int64


def _divide(gap: float, total: float) -> float | None:
    return gap / total if total else None if gap else 0.0
