"""What an activation of 1 is to stand for in each layer: the balance of its threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann, Layer

Per = Literal["channel", "layer"]


class Scales(ABC):
    """Chooses, per layer, the activation above which a neuron is saturated."""

    @abstractmethod
    def of(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return one scale per channel, or one for all; positive.

        Args:
            layer: the layer.
            activation: of the calibration samples, shape (samples, *layer shape).
            levels: values above 0 that a neuron can send; see `Method.levels`.
        """

    def all(self, ann: Ann, activations: dict[str, Tensor], levels: int) -> dict[str, Floats]:
        """Return the scale of every rectified layer."""
        return {
            layer.name: self.of(layer, activations[layer.name], levels) for layer in ann.rectified
        }


@dataclass(frozen=True)
class Percentile(Scales):
    """The activation that `percent` of all values stay below; 100 is the largest.

    Sengupta et al. 2019 take the largest; outliers then make all others slow. A channel that is
    silent on the calibration samples takes what all channels together would.
    """

    percent: float = 99.9
    per: Per = "channel"

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        if not 0 < self.percent <= 100:
            raise ValueError(f"percent must be above 0 and at most 100, got {self.percent:g}")
        if self.per not in ("channel", "layer"):
            raise ValueError(f"per must be channel or layer, got {self.per!r}")

    def of(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the percentiles; what the model itself caps is no larger than that."""
        whole = self._percentile(activation.reshape(1, -1))
        if self.per == "channel":
            found = self._percentile(_by_channel(layer, activation))
            found = torch.where(found > 0, found, whole)
        else:
            found = whole
        if isfinite(layer.cap):
            found = found.clamp(max=layer.cap)
        silent = float(activation.max()) or 1.0
        scales: Floats = torch.where(found > 0, found, silent).double().numpy()
        return scales

    def _percentile(self, values: Tensor) -> Tensor:
        above = round(values.shape[1] * (1 - self.percent / 100))
        return values.topk(above + 1, dim=1).values[:, -1]


@dataclass(frozen=True)
class LeastError(Scales):
    """The scale with the least mean squared error of what can be sent, per channel.

        sent = round(levels * min(activation / scale, 1)) * scale / levels

    A small scale cuts off large activations, a large one rounds coarsely; with few time steps more
    is worth cutting off. After Li et al. 2021, there for neurons that round down.
    """

    def of(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the best of SHARES of the largest activation; see `Percentile` for silent ones."""
        parts = [activation[i : i + PART] for i in range(0, len(activation), PART)]
        most = torch.stack([_by_channel(layer, part).amax(dim=1) for part in parts]).amax(dim=0)
        most = torch.where(most > 0, most, float(most.max()) or 1.0)
        counts = sum(_histogram(_by_channel(layer, part) / most[:, None]) for part in parts)
        middle = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
        errors = []
        for share in SHARES:
            sent = (levels * middle / share).round().clamp(max=levels) * share / levels
            errors.append((counts * (sent - middle).square()).sum(dim=1))
        best = torch.tensor(SHARES)[torch.stack(errors).argmin(dim=0)]
        scales: Floats = (best * most.double()).clamp(max=layer.cap).numpy()
        return scales


LEAST = LeastError()
"""What methods take where the user says nothing."""
BINS = 2048
"""Of a channel's histogram of activations, from 0 to its largest."""
SHARES = tuple(i / 100 for i in range(100, 9, -1))
"""Of the largest activation, tried as scales."""
PART = 32
"""Samples counted at a time."""


def _by_channel(layer: Layer, activation: Tensor) -> Tensor:
    return activation.transpose(0, 1).reshape(layer.channels, -1)


def _histogram(shares: Tensor) -> Tensor:
    """Return how many values of each channel are in each bin, 0 left out: (channels, BINS)."""
    channels = len(shares)
    bins = (shares * BINS).long().clamp(max=BINS - 1) + torch.arange(channels)[:, None] * BINS
    return bins[shares > 0].bincount(minlength=channels * BINS).reshape(channels, BINS).double()


@dataclass(frozen=True)
class Capped(Scales):
    """What the model itself caps its activations at, as rate-norm layers do."""

    def of(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the cap."""
        if not isfinite(layer.cap):
            raise ValueError(f"{layer.name}: its rectifier has no cap")
        return torch.tensor([layer.cap]).double().numpy()
