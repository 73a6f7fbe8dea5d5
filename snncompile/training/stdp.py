"""Rules of unsupervised learning: how the weights of a filter change when its neuron fires first.

In: the weights of one filter, and the spikes it has seen. Out: its next weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from snncompile.errors import InputError


class FilterRule(Protocol):
    """What `learn_filters` asks of a rule."""

    def start(self, shape: tuple[int, int], generator: Generator) -> Tensor:
        """Return weights to start from, shape (filters, inputs)."""

    def update(self, weight: Tensor, spikes: Tensor, generator: Generator) -> Tensor:
        """Return the next weights of a filter whose neuron fires.

        Args:
            weight: shape (inputs,).
            spikes: 0 and 1, shape (steps, inputs); the last step is that in which it fires.
            generator: of random numbers.
        """


@dataclass(frozen=True)
class BoundedStdp:
    """Deterministic STDP of weights between 0 and 1.

        w = w + rise * w * (1 - w)     input spiked, in this step or before
        w = w - fall * w * (1 - w)     input did not spike yet

    (Kheradpisheh et al., Neural Networks 99, 2018, equation 3.) Weights never reach 0 and 1; they
    come close to one of both. An input that spikes once, before or after the neuron, changes its
    weight as in SpikingJelly's `stdp_linear_step`, the rule of its `STDPLearner`, with
    f_pre = fall * w * (1 - w) and f_post = rise * w * (1 - w). That rule leaves the weights of
    inputs that never spike as they are, and knows neither winners nor bounds.
    """

    rise: float = 0.1
    """Of weights whose inputs spiked, 0..1."""
    fall: float = 0.05
    """Of the others, 0..1."""

    def __post_init__(self) -> None:
        _check_shares("BoundedStdp", rise=self.rise, fall=self.fall)

    def start(self, shape: tuple[int, int], generator: Generator) -> Tensor:
        """Return weights from 0.2 to 0.8."""
        return 0.2 + 0.6 * torch.rand(shape, generator=generator)

    def update(self, weight: Tensor, spikes: Tensor, generator: Generator) -> Tensor:
        """Return the next weights of a filter; nothing is random."""
        pace = torch.where(spikes.any(0), self.rise, -self.fall)
        return weight + pace * weight * (1 - weight)


@dataclass(frozen=True)
class BinaryStdp:
    """STDP of binary weights, stochastic: synapses are switched with a probability.

        trace = trace - trace / tau + spike            of each input, in each step
        w = 1   with probability rise * trace / tau    input spiked, in this step or before
        w = 0   with probability fall                  input did not spike yet

    after Srinivasan and Roy (ReStoCNet, Frontiers in Neuroscience 13, 2019), who train binary
    kernels by probabilities that fall with the time since the input's spike. The trace is at most
    tau; each synapse draws its own random number.
    """

    rise: float = 0.2
    """Probability for an input that spiked in every step so far and for long, 0..1."""
    fall: float = 0.05
    """Probability for an input without a spike, 0..1."""
    tau: float = 4.0
    """Time constant of the trace, in time steps, at least 1."""

    def __post_init__(self) -> None:
        _check_shares("BinaryStdp", rise=self.rise, fall=self.fall)
        if not self.tau >= 1:
            raise InputError(f"BinaryStdp: tau must be at least 1 time step, got {self.tau}")

    def start(self, shape: tuple[int, int], generator: Generator) -> Tensor:
        """Return weights of 0 and 1, as often."""
        return torch.randint(2, shape, generator=generator).float()

    def update(self, weight: Tensor, spikes: Tensor, generator: Generator) -> Tensor:
        """Return the next weights of a filter."""
        trace = torch.zeros_like(weight)
        for spike in spikes:
            trace = trace - trace / self.tau + spike
        drawn = torch.rand(weight.shape, generator=generator)
        switched_on = drawn < self.rise * trace / self.tau
        switched_off = ~spikes.any(0) & (drawn < self.fall)
        return torch.where(switched_on, 1.0, torch.where(switched_off, 0.0, weight))


def _check_shares(rule: str, **shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"{rule}: {name} must be between 0 and 1, got {share}")
