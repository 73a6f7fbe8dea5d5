"""What an activation of 1 is to stand for in each layer: the balance of its threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

from snncompile.conversion.ann import Ann, Layer
from snncompile.neurons.base import Floats

Per = Literal["channel", "layer"]


class Scales(ABC):
    """Chooses, per layer, the activation above which a neuron is saturated."""

    @abstractmethod
    def of(self, layer: Layer, activation: Tensor) -> Floats:
        """Return one scale per channel, or one for all; positive.

        Args:
            layer: the layer.
            activation: of the calibration samples, shape (samples, *layer shape).
        """

    def all(self, ann: Ann, activations: dict[str, Tensor]) -> dict[str, Floats]:
        """Return the scale of every rectified layer."""
        return {layer.name: self.of(layer, activations[layer.name]) for layer in ann.rectified}


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

    def of(self, layer: Layer, activation: Tensor) -> Floats:
        """Return the percentiles; what the model itself caps is no larger than that."""
        whole = self._percentile(activation.reshape(1, -1))
        if self.per == "channel":
            channels = activation.transpose(0, 1).reshape(layer.channels, -1)
            found = self._percentile(channels)
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


MOST = Percentile(99.9)
"""Suits neurons that need many steps for a rate."""
NEARLY_ALL = Percentile(99.99)
"""Suits neurons that make good use of few steps."""


@dataclass(frozen=True)
class Capped(Scales):
    """What the model itself caps its activations at, as rate-norm layers do."""

    def of(self, layer: Layer, activation: Tensor) -> Floats:
        """Return the cap."""
        if not isfinite(layer.cap):
            raise ValueError(f"{layer.name}: its rectifier has no cap")
        return torch.tensor([layer.cap]).double().numpy()
