"""Ties: a potential meets its threshold, and only the rounding of a sum decides.

Nine spikes times 1/9 is 1 or the number below it, depending on the order in which they are added.
Where a module and a network decide a tie differently, everything after it differs too. So the
network is run again with its thresholds moved at such places, by at most `LARGEST` of themselves:
what then agrees were ties; anything else is a difference.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor

from snncompile.errors import InputError
from snncompile.ir.graph import Network
from snncompile.neurons.base import FloatNeuron, State
from snncompile.reference.runner import Runner, Session

Ties = Literal["refuse", "accept"]
CHOICES = ("refuse", "accept")
LARGEST = 1e-9
"""Largest distance of a tie from the threshold, relative to it."""
DISTANCES = (1e-15, 1e-12, LARGEST)


def check_choice(ties: str) -> None:
    """Refuse an unknown choice."""
    if ties not in CHOICES:
        raise InputError(f"ties must be 'refuse' or 'accept', got {ties!r}")


def find_ties(network: Network, x: Tensor, native: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return where populations decide ties otherwise than the module; None for other differences.

    Args:
        network: the imported network.
        x: the sample, shape (samples, steps, *shape).
        native: the module's outputs, shape (samples, steps, size), of populations that spike.
    """
    runner = Runner(network)
    forced = {}
    for name, expected in native.items():
        neuron: Any = network.population(name).neuron
        if neuron.spikes and hasattr(neuron, "threshold"):
            forced[name] = _Forced(runner.neurons[name], expected)
            runner.neurons[name] = forced[name].neuron
    outputs = runner.run(Session(len(x)), x.reshape(*x.shape[:2], -1), list(native))
    for name, expected in native.items():
        spikes = network.population(name).neuron.spikes
        if spikes and not torch.equal(outputs[name].to(expected.dtype), expected):
            return None
    return {name: neuron.ties for name, neuron in forced.items()}


class _Forced:
    """A neuron that decides ties as the module does."""

    def __init__(self, neuron: Any, native: Tensor) -> None:
        self.native = native
        self.ties = torch.zeros(native.shape, dtype=torch.bool)
        self._plain: FloatNeuron = copy.copy(neuron)
        self._step = 0
        self._moved = torch.zeros_like(native[:, 0])
        self.neuron = copy.copy(neuron)
        object.__setattr__(self.neuron, "step", self.step)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next states and the output, the module's one where it is a tie."""
        if self._step >= self.native.shape[1]:  # a network with loops runs on
            return self._plain.step(state, x)
        expected = self.native[:, self._step]
        moved = self._moved  # a late reset compares with the threshold of the step before
        new, output = self._move(moved).step(state, x)
        for distance in DISTANCES:
            wrong = output.to(expected.dtype) != expected
            if not bool(wrong.any()):
                break
            self.ties[:, self._step] |= wrong
            moved = torch.where(wrong, distance * torch.sign(output.to(expected) - expected), moved)
            new, output = self._move(moved).step(state, x)
        self._moved = torch.where(self.ties[:, self._step], moved, torch.zeros_like(moved))
        self._step += 1
        return new, output

    def _move(self, share: Tensor) -> FloatNeuron:
        """Return the neuron with other thresholds, one per sample and neuron."""
        if not bool(share.any()):
            return self._plain
        neuron = copy.copy(self._plain)
        for name in ("threshold", "negative_threshold"):
            if hasattr(neuron, name):
                old = getattr(neuron, name)
                object.__setattr__(neuron, name, old * (1 + share))
        return neuron
