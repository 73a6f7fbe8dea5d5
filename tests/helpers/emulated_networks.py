"""Random float networks that compile to what nengo-loihi's emulator knows: see `emulator.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
from differential import _between, _wiring
from networks import LOIHI1, NAMES, limited
from numpy.typing import NDArray

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.program import Program
from snncompile.synapses.base import Synapses, Wiring
from snncompile.synapses.convolution import Convolution

SHAPES = ((2, 4, 6), (12,), (3, 8), (4, 3, 3))
STEPS, SAMPLES = 12, 2
INPUT_LIMIT = 2**21 - 1
"""Largest input of a time step, times 2^6, that the emulator adds to a current without a wrap."""
SMALL_CORES = limited(LOIHI1, compartments=6)
"""Cores so small that most populations are cut, over several cores."""


@dataclass(frozen=True, eq=False)
class Case:
    """A network, compiled, and spikes for it."""

    network: Network
    program: Program
    x: NDArray[np.uint8]


@cache
def draw_case(seed: int, number: int) -> Case:
    """Return case `number` of a seed: always the same.

    Layers of dense, convolution, sparse and one-to-one wirings, sometimes two of them from one
    source; loops; two decays, thresholds of a few values, biases, initial potentials; from 2 to 8
    bits. Every delay on the chip is 1. Every second case is for cores of six compartments. A case
    is drawn again if its sums can leave the widths of the chip.
    """
    for attempt in range(100):
        rng = np.random.default_rng([seed, number, attempt])
        network = draw_network(rng)
        shape = (SAMPLES, STEPS, *network.input.shape)
        x = (rng.random(shape) < rng.choice([0.2, 0.5])).astype(np.uint8)
        bits = int(rng.choice([2, 4, 5, 6, 8, 8, 8]))
        chip = LOIHI1 if number % 2 else SMALL_CORES
        program = snncompile.compile(network, chip=chip, calibration=x, bits=bits)
        if fits(program):
            return Case(network, program, x)
    raise AssertionError("no network of this seed stays within the widths of the chip")


def fits(program: Program) -> bool:
    """Whether no number of a Program can leave its width, nor the input of a time step 21 bits.

    Nor may a weight be shifted right: the emulator keeps the bits that Lava drops.
    """
    if any(p.synapses.exponent < 0 for p in program.network.projections):
        return False
    sums = [b.reach for b in program.bounds if b.quantity == "accumulator"]
    return all(b.holds for b in program.bounds) and max(sums) * 64 <= INPUT_LIMIT


def draw_network(rng: np.random.Generator) -> Network:
    """Return a float network whose populations follow each other, with loops."""
    source = Input("input", SHAPES[rng.integers(len(SHAPES))])
    ends: list[Input | Population] = [source]
    populations: list[Population] = []
    projections: list[Projection] = []
    for name in NAMES[: rng.integers(1, 5)]:
        wiring = _wiring(rng, ends[-1].size)
        while wiring.synapses == 0:
            wiring = _wiring(rng, ends[-1].size)
        shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
        population = Population(name, shape, draw_neuron(rng, prod(shape)))
        wirings = [wiring]
        if rng.random() < 0.3:
            wirings.append(_between(rng, wiring.sources, wiring.targets))
        projections += [Projection(ends[-1].name, name, draw_synapses(rng, w)) for w in wirings]
        populations.append(population)
        ends.append(population)
    for index, population in enumerate(populations):
        if rng.random() < 0.3:  # a loop of one delay per projection
            last = int(rng.integers(index, len(populations)))
            wiring = _between(rng, populations[last].size, population.size)
            synapses = draw_synapses(rng, wiring)
            loop = Projection(NAMES[last], population.name, synapses, last - index + 1)
            projections.append(loop)
    return Network(source, tuple(populations), tuple(projections), populations[-1].name)


def draw_neuron(rng: np.random.Generator, size: int) -> CubaLif | IntegrateFire:
    """Return a neuron with a hard reset; parameters have few values, as profiles are few."""

    def few(low: float, high: float):
        values = rng.uniform(low, high, 2)
        return values[rng.integers(0, 2, size)] if rng.random() < 0.4 else values[0]

    def decay():
        return float(rng.choice([0.0, 1.0])) if rng.random() < 0.3 else few(0.02, 0.98)

    bias = few(-0.1, 0.3) if rng.random() < 0.5 else 0.0
    initial = few(-0.5, 0.9) if rng.random() < 0.3 else 0.0
    if rng.random() < 0.2:
        return IntegrateFire(few(0.3, 1.5), bias, "hard", initial=initial)
    return CubaLif(decay(), decay(), few(0.3, 1.5), bias, "hard", initial=initial)


def draw_synapses(rng: np.random.Generator, wiring: Wiring) -> Synapses:
    """Return weights that make the targets fire now and then."""
    sources = max(1.0, wiring.synapses / max(1, wiring.targets))
    weight = rng.normal(0.4, 0.8, wiring.weight_shape) * 2 / np.sqrt(sources)
    return Synapses(wiring, weight)
