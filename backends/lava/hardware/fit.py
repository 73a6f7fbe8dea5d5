"""Records: what is proved of a population, and how a process of Lava's library computes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.ir.graph import Population
from snncompile.neurons.base import IntegerNeuron, Interval

Begin = Literal["each sample", "once", "always"]
"""When a process is in its start: at the start of each sample, of a run only, or in every step."""


@dataclass(frozen=True)
class Facts:
    """What is proved of a population before a process is chosen for it."""

    population: Population
    sums: Interval
    """Of the accumulated weights of one time step, shape (n,), or (ports, n)."""
    states: dict[str, Interval]
    """Of the state variables, by their names in the neuron."""
    idle: int
    """Lava time steps before its first own step, 1 or more."""
    read_out: bool = False
    """Whether it is the output and feeds no population."""

    @property
    def neuron(self) -> Any:
        """The integer neuron."""
        return self.population.neuron


@dataclass(frozen=True)
class Fit:
    """A process that computes a population bit for bit, and how it is built."""

    process: LavaProcess
    arguments: dict[str, NDArray[Any]]
    """Keyword to value, an array of shape () or (n,)."""
    begin: Begin
    first_step: NDArray[np.int64] | None = None
    """Accumulated weights that it needs in addition in its first step, shape (n,)."""
    read: str = ""
    """Var that is its output; empty where it sends from `s_out`."""
    remarks: tuple[str, ...] = ()
    """What is not documented of the chip, one sentence each."""
    ports: dict[str, str] = field(default_factory=dict)
    """Input of our neuron to the port of the process, where it is not `a_in`."""


def is_one_number(value: NDArray[Any]) -> bool:
    """Return whether all neurons have the same number."""
    return bool((value == value.flat[0]).all())


def take_one(value: NDArray[Any]) -> NDArray[Any]:
    """Return one number where all neurons have it, else the array."""
    return np.asarray(value.flat[0]) if is_one_number(value) else value


def rests(neuron: IntegerNeuron, steps: int, size: int) -> bool:
    """Return whether a neuron without input stays in its start, and sends nothing, for `steps`."""
    zero = np.zeros(size, np.int64)
    silence = np.zeros((len(neuron.ports), size), np.int64) if neuron.ports else zero
    start = neuron.begin(zero)
    state = start
    for _ in range(steps):
        state, output = neuron.step(state, silence)
        if np.any(output) or any(np.any(s != b) for s, b in zip(state, start, strict=True)):
            return False
    return True


def fires_early(neuron: IntegerNeuron, steps: int, size: int) -> bool:
    """Return whether a neuron without input sends anything within `steps` from its start."""
    zero = np.zeros(size, np.int64)
    silence = np.zeros((len(neuron.ports), size), np.int64) if neuron.ports else zero
    state = neuron.begin(zero)
    for _ in range(steps):
        state, output = neuron.step(state, silence)
        if neuron.spikes and np.any(output):
            return True
    return False
