"""Random integer networks over everything there is, to be compared on two simulators.

Networks of one group share an input and a number of time steps, so that Lava starts once for all of
them: they are disjoint parts of one. Network i of seed s is the same in every group size.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from networks import EXPONENTS, LOIHI2, NAMES, design, integer_neuron

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.passes.retime import Retime
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

GROUPS = (((2, 4, 6), 5), ((12,), 1), ((3, 8), 8), ((1,), 4), ((4, 3, 3), 2))
"""Shape of the input and time steps of a sample, group by group."""
MODERATE = (-2, -1, 0, 2, 4)
"""Weight exponents of networks whose numbers stay small."""
SAMPLES = 5
LARGEST = 72
"""Neurons of a population."""
U_LIMIT = 2**31
"""Lava keeps u and what is added to it in 32 bits; beyond, its numbers mean nothing."""


def network(seed: int, number: int, shape: tuple[int, ...], steps: int) -> IntegerNetwork:
    """Return network `number` of a seed, retimed; its populations are called n<number>_a and so on.

    It has dense, convolution, sparse and scale wirings, several projections into one population,
    residuals, skips, loops, own delays (some longer than the sample), weights at both ends, all
    weight bits and exponents, all neurons and resets with one parameter or one per neuron, biases.
    """
    rng = np.random.default_rng([seed, number])
    return Retime()(
        design(_Draft(rng, number, Input("input", shape), steps).network(), LOIHI2)
    ).network


def group(seed: int, numbers: range, which: int) -> tuple[IntegerNetwork, np.ndarray]:
    """Return networks joined to one that shares only its input, and spikes for it."""
    shape, steps = GROUPS[which % len(GROUPS)]
    parts = [network(seed, number, shape, steps) for number in numbers]
    joined = replace(
        parts[0],
        populations=tuple(p for part in parts for p in part.populations),
        projections=tuple(p for part in parts for p in part.projections),
    )
    return joined, spikes(seed, shape, steps)


def spikes(seed: int, shape: tuple[int, ...], steps: int) -> np.ndarray:
    """Return input for a group: a sample that spikes always, one that never does, random ones."""
    rng = np.random.default_rng([seed, steps])
    x = rng.random((SAMPLES, steps, *shape)) < 0.3
    x[0], x[2] = 1, 0
    return x.astype(np.uint8)


class _Draft:
    """One network while it is drawn."""

    def __init__(self, rng: np.random.Generator, number: int, source: Input, steps: int) -> None:
        self.rng, self.input, self.steps = rng, source, steps
        self.prefix = f"n{number}_"
        self.wild = bool(rng.random() < 0.3)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def network(self) -> IntegerNetwork:
        for index in range(self.rng.integers(1, 5)):
            self._population(index)
        for index, population in enumerate(self.populations):
            if self.rng.random() < 0.3:
                self._loop(index, population)
        order = self.rng.permutation(len(self.projections))
        projections = tuple(self.projections[i] for i in order)
        output = self.populations[-1].name
        return IntegerNetwork(self.input, tuple(self.populations), projections, output)

    def _population(self, index: int) -> None:
        sources = [self.input, *(p for p in self.populations if p.neuron.spikes)]
        source = sources[self.rng.integers(len(sources))]
        wiring = _wiring(self.rng, source.size)
        shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
        last = bool(self.rng.random() < 0.5)
        neuron = integer_neuron(self.rng, prod(shape), last, self.wild)
        made = Population(f"{self.prefix}{NAMES[index]}", shape, neuron)
        self.populations.append(made)
        if self.rng.random() < 0.05:
            return  # only its bias feeds it
        self._project(source, made, wiring, self._delay())
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            other = sources[self.rng.integers(len(sources))]
            self._project(other, made, _between(self.rng, other.size, made.size), self._delay())

    def _loop(self, index: int, population: Population) -> None:
        """Feed a population from itself or from a later one, late enough for Retime."""
        later = [
            k for k in range(index, len(self.populations)) if self.populations[k].neuron.spikes
        ]
        if later:
            k = int(self.rng.choice(later))
            source = self.populations[k]
            wiring = _between(self.rng, source.size, population.size)
            self._project(source, population, wiring, k - index + 1 + int(self.rng.integers(0, 3)))

    def _delay(self) -> int:
        return int(self.rng.choice([0] * 9 + [1, 1, 2, self.steps, self.steps + 1]))

    def _project(self, source, target: Population, wiring: Wiring, delay: int) -> None:
        bits = int(self.rng.integers(1, 9))
        step = 2 ** (9 - bits)
        low, high = -256 // step, 255 // step
        # The whole range, one of its ends, the other, mostly excitation.
        ends = [(low, high), (low, low), (high, high), (max(low, -64 // step), high)]
        first, last = ends[self.rng.choice(4, p=[0.15, 0.05, 0.2, 0.6])]
        weight = self.rng.integers(first, last + 1, wiring.weight_shape) * step
        exponent = int(self.rng.choice(EXPONENTS if self.wild else MODERATE))
        largest = int(np.abs(wiring.matrix(weight)).sum(axis=1).max(initial=1)) * 64
        while (largest << max(exponent, 0)) * 4 * (self.steps + 1) >= U_LIMIT:
            exponent -= 1
        synapses = IntegerSynapses(wiring, weight, exponent, bits)
        self.projections.append(Projection(source.name, target.name, synapses, delay))


def _wiring(rng: np.random.Generator, sources: int) -> Wiring:
    """Return a wiring from so many neurons; it says how many targets there are."""
    kind = rng.choice(["dense", "sparse", "scale", "convolution"], p=[0.15, 0.2, 0.15, 0.5])
    if kind == "convolution":
        return _convolution(rng, sources)
    if kind == "scale":
        return Scale(sources, bool(rng.random() < 0.5))
    targets = int(rng.choice([1, 2, 5, 12, 24]))
    return Dense(targets, sources) if kind == "dense" else _sparse(rng, sources, targets)


def _between(rng: np.random.Generator, sources: int, targets: int) -> Wiring:
    """Return a wiring between populations that are there."""
    choices = [Dense(targets, sources), _sparse(rng, sources, targets)]
    if sources == targets:
        choices += [Scale(sources, bool(rng.random() < 0.5)), _same(rng, sources)]
        choices = choices[2:] if rng.random() < 0.7 else choices
    return choices[rng.integers(len(choices))]


def _sparse(rng: np.random.Generator, sources: int, targets: int) -> Sparse:
    """Return random synapses, in any order; sometimes none at all."""
    density = rng.choice([0.0, 0.1, 0.4, 1.0], p=[0.1, 0.4, 0.4, 0.1])
    target, source = np.nonzero(rng.random((targets, sources)) < density)
    order = rng.permutation(len(target))
    return Sparse(target[order], source[order], targets, sources)


def _convolution(rng: np.random.Generator, size: int) -> Convolution:
    """Return a convolution of any geometry over any shape of so many neurons."""
    while True:
        shape = _shape(rng, size)
        axes = len(shape) - 1
        per_axis = [tuple(map(int, rng.integers(*ends, axes))) for ends in ((1, 5), (1, 4), (0, 3))]
        dilation = tuple(map(int, rng.integers(1, 4, axes)))
        groups = int(rng.choice(_divisors(shape[0])))
        channels = groups * int(rng.integers(1, 4))
        try:
            made = Convolution(shape, channels, *per_axis, dilation, groups)
        except ValueError:  # the kernel is larger than the source
            continue
        if made.targets <= LARGEST:
            return made


def _same(rng: np.random.Generator, size: int) -> Convolution:
    """Return a convolution that keeps the shape."""
    shape = _shape(rng, size)
    axes = len(shape) - 1
    half = tuple(map(int, rng.integers(0, 3, axes)))
    dilation = tuple(map(int, rng.integers(1, 3, axes)))
    kernel = tuple(2 * h + 1 for h in half)
    padding = tuple(h * d for h, d in zip(half, dilation, strict=True))
    groups = int(rng.choice(_divisors(shape[0])))
    return Convolution(shape, shape[0], kernel, (1,) * axes, padding, dilation, groups)


def _shape(rng: np.random.Generator, size: int) -> tuple[int, ...]:
    """Return (channels, *space) of so many neurons, with one or two space axes."""
    channels = int(rng.choice(_divisors(size)))
    if rng.random() < 0.3:
        return (channels, size // channels)
    rows = int(rng.choice(_divisors(size // channels)))
    return (channels, rows, size // channels // rows)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
