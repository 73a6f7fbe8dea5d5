"""Activation of the largest output in each layer: the balance of its threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann, Layer, Maximum

Per = Literal["channel", "layer"]


class Scales(ABC):
    """Chooses, per layer, the activation above which a neuron is saturated."""

    @abstractmethod
    def choose(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return one scale per channel, or one for all; positive.

        Args:
            layer: the layer.
            activation: of the calibration samples, shape (samples, *layer shape).
            levels: values above 0 that a neuron can send; see `Method.levels`.
        """

    def choose_all(
        self, ann: Ann, activations: dict[str, Tensor], levels: int
    ) -> dict[str, Floats]:
        """Return the scale of every rectified layer; a maximum pool has that of its layer."""
        scales: dict[str, Floats] = {}
        for layer in ann.rectified:
            if isinstance(layer.operation, Maximum):
                scales[layer.name] = scales[layer.terms[0].source]
            else:
                scales[layer.name] = self.choose(layer, activations[layer.name], levels)
        return scales


@dataclass(frozen=True)
class Percentile(Scales):
    """The activation that `percent` of all values stay below; 100: the largest.

    Sengupta et al. 2019 take the largest; outliers then slow all others. A channel that is
    silent on the calibration samples takes the scale of all channels together.
    """

    percent: float = 99.9
    per: Per = "channel"

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        if not 0 < self.percent <= 100:
            raise ValueError(f"percent must be above 0 and at most 100, got {self.percent:g}")
        if self.per not in ("channel", "layer"):
            raise ValueError(f"per must be channel or layer, got {self.per!r}")

    def choose(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the percentiles, at most the model's own cap."""
        whole = self._find_percentile(activation.reshape(1, -1))
        if self.per == "channel":
            values = self._find_percentile(_split_channels(layer, activation))
            values = torch.where(values > 0, values, whole)
        else:
            values = whole
        if isfinite(layer.cap):
            values = values.clamp(max=layer.cap)
        silent = float(activation.max()) or 1.0
        scales: Floats = torch.where(values > 0, values, silent).double().numpy()
        return scales

    def _find_percentile(self, values: Tensor) -> Tensor:
        above = round(values.shape[1] * (1 - self.percent / 100))
        return values.topk(above + 1, dim=1).values[:, -1]


@dataclass(frozen=True)
class LeastError(Scales):
    """The scale with the least mean squared error of the possible outputs, per channel.

        sent = round(levels * min(activation / scale, 1)) * scale / levels

    A small scale cuts off large activations, a large one rounds coarsely; few time steps favour a
    smaller scale. After Li et al. 2021, there for neurons that round down. A channel of few values,
    as a dense layer's neuron has on few samples, has not seen its largest ones: up to `ENOUGH`,
    `BORROWED` values of the whole layer's distribution, in units of the channel's root mean square,
    count with its own, so its scale may lie above all that it has seen.
    """

    def choose(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the best of SHARES of the largest activation; silent ones as in `Percentile`."""
        batches = [
            activation[i : i + SAMPLES_AT_ONCE] for i in range(0, len(activation), SAMPLES_AT_ONCE)
        ]
        largest = torch.stack(
            [_split_channels(layer, samples).amax(dim=1) for samples in batches]
        ).amax(dim=0)
        largest = torch.where(largest > 0, largest, float(largest.max()) or 1.0)
        counts = torch.zeros(layer.channels, BINS, dtype=torch.float64)
        for samples in batches:
            counts += _count_bins(_split_channels(layer, samples) / largest[:, None])
        shares = SHARES
        if activation[0].numel() // layer.channels * len(activation) < ENOUGH:
            shares = (*SHARES, *BEYOND)
            counts = functional.pad(counts, (0, BINS))
            counts += _borrow(_split_channels(layer, activation), largest)
        middle = (torch.arange(counts.shape[1], dtype=torch.float64) + 0.5) / BINS
        errors = counts @ _square_errors(middle, torch.tensor(shares).double(), levels)
        best = torch.tensor(shares)[errors.argmin(dim=1)]
        scales: Floats = (best * largest.double()).clamp(max=layer.cap).numpy()
        return scales


def _square_errors(activation: Tensor, shares: Tensor, levels: int) -> Tensor:
    """Return the squared error of each activation at each scale, (activations, shares)."""
    sent = (levels * activation[:, None] / shares).round().clamp(max=levels) * shares / levels
    return (sent - activation[:, None]).square()


def _borrow(values: Tensor, largest: Tensor) -> Tensor:
    """Return how many values of the whole layer's distribution each bin gets.

    Args:
        values: shape (channels, values).
        largest: per channel, the unit of the bins.

    Returns:
        Shape (channels, 2 * BINS): from 0 to twice the largest; what is beyond is in the last bin.
    """
    size = values.square().mean(dim=1).sqrt()
    alive = size > 0
    if not alive.any():
        return torch.zeros(len(values), 2 * BINS, dtype=torch.float64)
    ordered = (values[alive] / size[alive, None]).flatten().sort().values
    places = ((torch.arange(QUANTILES) + 0.5) / QUANTILES * len(ordered)).long()
    shares = ordered[places] * (size / largest)[:, None]
    bins = (shares * BINS).long().clamp(max=2 * BINS - 1)
    counts = torch.zeros(len(values), 2 * BINS, dtype=torch.float64)
    each = torch.tensor(BORROWED / QUANTILES).double().expand(bins.shape)
    return counts.scatter_add_(1, bins, each)


LEAST = LeastError()
"""Default scales of the methods."""
BINS = 2048
"""Bins of a channel's histogram of activations, from 0 to its largest."""
SHARES = tuple(i / 100 for i in range(100, 9, -1))
"""Shares of the largest activation, tried as scales."""
BEYOND = tuple(i / 100 for i in range(102, 201, 2))
"""Shares above the largest activation, tried for channels of few values."""
ENOUGH = 3_000
"""Values of a channel from which on its own are taken as they are."""
BORROWED = 64
"""Weight of the layer's distribution, in values of the channel's own."""
QUANTILES = 1024
"""Values that stand for the layer's distribution, each as likely as another."""
SAMPLES_AT_ONCE = 32
"""Samples counted at a time."""


def _split_channels(layer: Layer, activation: Tensor) -> Tensor:
    return activation.transpose(0, 1).reshape(layer.channels, -1)


def _count_bins(shares: Tensor) -> Tensor:
    """Return the number of values above 0 per channel and bin, (channels, BINS)."""
    channels = len(shares)
    bins = (shares * BINS).long().clamp(max=BINS - 1) + torch.arange(channels)[:, None] * BINS
    return bins[shares > 0].bincount(minlength=channels * BINS).reshape(channels, BINS).double()


@dataclass(frozen=True)
class Capped(Scales):
    """The model's own caps of its activations, as of rate-norm layers."""

    def choose(self, layer: Layer, activation: Tensor, levels: int) -> Floats:
        """Return the cap."""
        if not isfinite(layer.cap):
            raise ValueError(f"{layer.name}: its rectifier has no cap")
        return torch.tensor([layer.cap]).double().numpy()
