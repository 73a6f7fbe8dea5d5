"""Random integer networks over everything there is, to be compared on two simulators.

Networks of one group share an input and a number of time steps, so that Lava starts once for all of
them: they are disjoint parts of one. Network i of seed s is the same in every group size.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from math import prod

import drawn_neurons
import numpy as np
from networks import EXPONENTS, LOIHI2, NAMES, design

from snncompile.ir.delays import split_by_delay
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import BINARY, Interval
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse


@dataclass(frozen=True)
class Frame:
    """What the networks of one group have in common."""

    shape: tuple[int, ...]
    """Of the input."""
    steps: int
    """Time steps of a sample."""
    payload: Interval = BINARY
    """Of the input."""


FRAMES = (
    Frame((2, 4, 6), 5),
    Frame((12,), 1, Interval(-7, 100)),
    Frame((3, 8), 8),
    Frame((1,), 4, Interval(-3, 3)),
    Frame((4, 3, 3), 2),
    Frame((5,), 6, Interval(0, 1000)),
)
MODERATE = (-2, -1, 0, 2, 4)
"""Weight exponents of networks whose numbers stay small."""
SAMPLES = 5
LARGEST = 72
"""Neurons of a population."""
LAVA_LIMIT = 2**31
"""Lava adds up synaptic input, and keeps u, in 32 bits; beyond, its numbers mean nothing."""


def network(seed: int, number: int, frame: Frame) -> IntegerNetwork:
    """Return network `number` of a seed, retimed; its populations are called n<number>_a and so on.

    It has dense, convolution, sparse and scale wirings, several projections into one population,
    residuals, skips, loops, own delays (some longer than the sample) and delays per synapse,
    weights at both ends, all weight bits and exponents, all neurons and resets with one parameter
    or one per neuron, biases, initial potentials, numbers as spikes. One whose input leaves Lava's
    32 bits is drawn again.
    """
    x = spikes(seed, frame)
    for attempt in range(1000):
        rng = np.random.default_rng([seed, number, attempt])
        source = Input("input", frame.shape, frame.payload)
        drawn = _Draft(rng, number, source, frame.steps).network()
        if fits(drawn, x):
            return Retime()(design(drawn, LOIHI2)).network
    raise AssertionError("no network of this seed stays within Lava's integers")


def fits(network: IntegerNetwork, x: np.ndarray) -> bool:
    """Whether all sums of weights are within what Lava computes with, for this input."""
    (spike_trains,) = run_batches(network, check_spikes(network, x))
    arriving: dict[tuple[str, str | None], int] = defaultdict(int)
    for p in network.projections:
        synapses = p.synapses
        weight = np.abs(synapses.wiring.matrix(synapses.weight.astype(np.int64)))
        sent = np.abs(spike_trains[p.source].numpy().astype(np.int64)).reshape(-1, weight.shape[1])
        largest = int((sent @ weight.T).max(initial=0))
        if largest >= LAVA_LIMIT:
            return False
        exponent = synapses.exponent
        arriving[p.target, p.port] += largest << exponent if exponent > 0 else largest >> -exponent
    steps = x.shape[1]
    return all(total * 64 * 4 * (steps + 1) < LAVA_LIMIT for total in arriving.values())


def group(seed: int, numbers: range, frame: Frame) -> tuple[IntegerNetwork, np.ndarray]:
    """Return networks joined to one that shares only its input, and spikes for it."""
    parts = [network(seed, number, frame) for number in numbers]
    joined = replace(
        parts[0],
        populations=tuple(p for part in parts for p in part.populations),
        projections=tuple(p for part in parts for p in part.projections),
    )
    return joined, spikes(seed, frame)


def spikes(seed: int, frame: Frame) -> np.ndarray:
    """Return input for a group: a sample at one end, one that is silent, random ones."""
    rng = np.random.default_rng([seed, frame.steps])
    low, high = frame.payload
    shape = (SAMPLES, frame.steps, *frame.shape)
    x = rng.integers(low, high + 1, shape)
    x[rng.random(shape) < 0.7] = 0
    if (low, high) == (0, 1):
        x = (rng.random(shape) < 0.3).astype(np.int64)
    x[0], x[2] = high, 0
    return x.astype(np.uint8 if frame.payload == BINARY else np.int32)


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
        kind = str(self.rng.choice(drawn_neurons.KINDS))
        neuron = drawn_neurons.neuron(self.rng, kind, prod(shape), wild=self.wild)
        made = Population(f"{self.prefix}{NAMES[index]}", shape, neuron)
        self.populations.append(made)
        if self.rng.random() < 0.05:
            return  # only its bias feeds it
        self._project(source, made, wiring, self._delay())
        for _ in made.neuron.ports[1:]:
            self._project(source, made, _between(self.rng, source.size, made.size), self._delay())
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
        sent = source.payload if isinstance(source, Input) else source.neuron.payload
        if sent.high > 1:  # numbers are large already
            exponent = min(exponent, -int(self.rng.integers(0, 12)))
        ports = target.neuron.ports
        port = ports[self.rng.integers(len(ports))] if ports else None
        synapses = IntegerSynapses(wiring, weight, exponent, bits)
        made = Projection(source.name, target.name, synapses, delay, port)
        self.projections += split_by_delay(made, self._delays(wiring))

    def _delays(self, wiring: Wiring) -> np.ndarray:
        """Return delays per synapse or per source, mostly none."""
        if self.rng.random() < 0.85:
            return np.zeros((), int)
        shape = [(wiring.sources,), (wiring.targets, wiring.sources)][self.rng.integers(2)]
        return self.rng.integers(0, 4, shape)


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
