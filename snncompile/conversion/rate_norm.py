"""Rate-norm layers (RNL-RIL, Ding et al. 2021): thresholds that are trained, not measured."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
"""Of the running maximum, as in the authors' code."""


class RateNorm(nn.Module):
    """A rectifier whose output is a firing rate: in place of a ReLU.

        largest = 0.9 * largest + 0.1 * max(z)          # while training stage 1
        r = clip(z / (sigmoid(p) * largest), 0, 1)

    The threshold of the spiking neuron is sigmoid(p) * largest; from the authors' code.
    """

    largest: Tensor

    def __init__(self, share: float = 0.95) -> None:
        """Start with a threshold of `share` of the largest value, 0 < share < 1."""
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share:g}")
        self.p = nn.Parameter(torch.tensor(log(share / (1 - share))))
        self.register_buffer("largest", torch.tensor(1.0))
        self.seen = False
        self.frozen = False

    def threshold(self) -> float:
        """Return the activation that becomes a rate of 1."""
        return float(torch.sigmoid(self.p) * self.largest)

    def forward(self, z: Tensor) -> Tensor:
        """Return the rates, 0..1, of the shape of z."""
        if self.training and not self.frozen:
            with torch.no_grad():
                highest = z.max().clamp(min=1e-6)
                kept = 1 - MOMENTUM if self.seen else 0.0
                self.largest.copy_(kept * self.largest + (1 - kept) * highest)
                self.seen = True
        return (z / (torch.sigmoid(self.p) * self.largest)).clamp(0, 1)
