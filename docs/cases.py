"""Small models for the table of `frontends.md`: one method per feature.

Every method returns a module for input of shape (samples, steps, 2, 6, 6). A feature that a library
does not have is no method of its class, or None.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES = {
    "dense": "dense layers",
    "convolution": "convolution",
    "average_pooling": "average pooling",
    "maximum_pooling": "maximum pooling of spikes",
    "maximum_of_currents": "maximum pooling before the neurons",
    "uneven_pooling": "average pooling with windows of different sizes, `ceil_mode`",
    "transposed": "transposed convolution",
    "upsampling": "upsampling: nearest, bilinear",
    "shuffled": "pixel shuffle",
    "padded": "padding: reflect, replicate, circular",
    "volume": "3-D convolution over space",
    "constants": "constants and normalization in forward, matmul with a parameter",
    "batch_norm": "batch norm",
    "residual": "residual connection",
    "concatenated": "concatenating connection",
    "product": "products of spikes: a * b, a * (1 - b) (SEW-ResNet's AND, IAND)",
    "values": "products of numbers: a gated current, a spike times a number",
    "recurrent": "recurrent layer",
    "second_order": "second-order neurons (current and potential)",
    "per_neuron": "parameters per neuron",
    "reset_subtract": "reset: subtract the threshold",
    "reset_at_once": "reset: subtract at once, where later is usual",
    "reset_zero": "reset: to zero",
    "reset_value": "reset: to another value",
    "reset_none": "no reset: the potential is the answer",
    "several_spikes": "several spikes per time step",
    "adaptive": "a threshold that rises with every spike",
    "filtered": "a filter of spikes, an alpha-shaped response",
    "other_neurons": "a neuron that is not known",
    "step": "time: called once per time step, layers keep their state",
    "by_hand": "time: called once per time step, the user hands states on",
    "first": "time: first axis",
    "second": "time: second axis",
    "folded": "time: folded into the samples",
    "counts": "input: event counts",
    "polarity": "input: signed events (-1, 0, 1)",
    "analog": "input: analog values",
    "biases": "input: one image, biases from the host",
}
"""Method -> what the table calls it."""


class Residual(nn.Module):
    """Two layers; the spikes of the first also skip the second."""

    def __init__(self, one: nn.Module, two: nn.Module, join: str) -> None:
        super().__init__()
        self.flat = nn.Flatten()
        self.fc1, self.one = nn.Linear(72, 8), one
        self.fc2, self.two, self.join = nn.Linear(8, 8), two, join
        self.fc3 = nn.Linear(16 if join == "cat" else 8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result of the last linear layer."""
        x = self.one(self.fc1(self.flat(x)))
        y = self.two(self.fc2(x))
        result: Tensor = self.fc3(self.unite(x, y))
        return result

    def unite(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what the last layer gets."""
        if self.join == "product":
            return 0.5 * (x * y) + x * (1.0 - y)
        return x + y if self.join == "add" else torch.cat([x, y], -1)


class Constants(nn.Module):
    """Two layers whose sums are written out in forward."""

    def __init__(self, one: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.fc, self.one, self.two = nn.Linear(72, 8), one, two
        self.weight = nn.Parameter(torch.randn(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of the last layer."""
        spikes = self.one(self.fc(((x - 0.25) / 0.5).flatten(1)))
        result: Tensor = self.two(torch.matmul(spikes, self.weight) + torch.linspace(0, 0.4, 5))
        return result


class Gated(nn.Module):
    """A current of the input times one of spikes, and times the spikes themselves."""

    def __init__(self, one: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.fc, self.one, self.gate = nn.Linear(72, 8), one, nn.Linear(8, 8)
        self.last, self.two = nn.Linear(8, 5), two

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of the last layer."""
        current = self.fc(x.flatten(1))
        spikes = self.one(current)
        result: Tensor = self.two(self.last(current * self.gate(spikes) + spikes * current))
        return result


class Cases:
    """What the libraries have in common: neurons in `nn.Sequential`, called once per time step."""

    def neuron(self, size: int = 8) -> nn.Module:
        """Return a neuron layer that keeps its state."""
        raise NotImplementedError

    def dense(self) -> nn.Module:
        """Two layers."""
        return nn.Sequential(
            nn.Flatten(), nn.Linear(72, 8), self.neuron(), nn.Linear(8, 5), self.neuron(5)
        )

    def step(self) -> nn.Module:
        """As every model here."""
        return self.dense()

    def counts(self) -> nn.Module:
        """Two layers, as for the other kinds of input."""
        return self.dense()

    def polarity(self) -> nn.Module:
        """The same."""
        return self.dense()

    def analog(self) -> nn.Module:
        """The same."""
        return self.dense()

    def biases(self) -> nn.Module:
        """The same."""
        return self.dense()

    def convolution(self) -> nn.Module:
        """Stride, padding and two layers."""
        return nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), self.neuron(), nn.Conv2d(4, 4, 3, stride=2)),
            *(self.neuron(), nn.Flatten(), nn.Linear(16, 5), self.neuron(5)),
        )

    def average_pooling(self) -> nn.Module:
        """Of spikes."""
        return self._pooled(nn.AvgPool2d(2))

    def maximum_pooling(self) -> nn.Module:
        """Of spikes."""
        return self._pooled(nn.MaxPool2d(2))

    def maximum_of_currents(self) -> nn.Module:
        """Of what a convolution gives."""
        return nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), self.neuron(), nn.Flatten()),
            *(nn.Linear(36, 5), self.neuron(5)),
        )

    def uneven_pooling(self) -> nn.Module:
        """Windows that do not fit the grid."""
        return self._chain(
            *(nn.Conv2d(2, 4, 3), self.neuron(), nn.AdaptiveAvgPool2d(3), nn.Conv2d(4, 4, 1)),
            *(self.neuron(), nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(16, 5)),
            self.neuron(5),
        )

    def transposed(self) -> nn.Module:
        """With a stride, behind a convolution."""
        return self._chain(
            *(nn.Conv2d(2, 4, 3, stride=2), self.neuron()),
            *(nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1), self.neuron()),
            *(nn.Flatten(), nn.Linear(108, 5), self.neuron(5)),
        )

    def upsampling(self) -> nn.Module:
        """Each before a convolution."""
        return self._chain(
            *(nn.Conv2d(2, 4, 3, stride=2), self.neuron()),
            *(nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 3, padding=1), self.neuron()),
            *(nn.Upsample(size=(6, 7), mode="bilinear"), nn.Conv2d(3, 2, 3), self.neuron()),
            *(nn.Flatten(), nn.Linear(40, 5), self.neuron(5)),
        )

    def shuffled(self) -> nn.Module:
        """Behind a convolution."""
        return self._chain(
            *(nn.Conv2d(2, 8, 3, stride=2), nn.PixelShuffle(2), self.neuron(), nn.Flatten()),
            *(nn.Linear(32, 5), self.neuron(5)),
        )

    def padded(self) -> nn.Module:
        """Of a convolution, and as a layer."""
        return self._chain(
            *(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), self.neuron()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(4, 3, 3), self.neuron(), nn.ReplicationPad2d(1)),
            *(nn.Flatten(), nn.Linear(192, 5), self.neuron(5)),
        )

    def volume(self) -> nn.Module:
        """Of channels as depth."""
        return self._chain(
            *(nn.Unflatten(1, (1, 2)), nn.Conv3d(1, 3, (2, 3, 3)), self.neuron()),
            *(nn.Flatten(), nn.Linear(48, 5), self.neuron(5)),
        )

    def constants(self) -> nn.Module:
        """Mean and deviation of the input, and a tensor that is added."""
        return Constants(self.neuron(), self.neuron(5))

    def _chain(self, *layers: nn.Module) -> nn.Module:
        """Return layers in a row."""
        return nn.Sequential(*layers)

    def _pooled(self, pool: nn.Module) -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), self.neuron(), pool, nn.Flatten()),
            *(nn.Linear(36, 5), self.neuron(5)),
        )

    def batch_norm(self) -> nn.Module:
        """After a convolution and after a linear layer."""
        return nn.Sequential(
            *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), self.neuron(), nn.Flatten()),
            *(nn.Linear(64, 5), nn.BatchNorm1d(5), self.neuron(5)),
        )

    def residual(self) -> nn.Module:
        """Spikes added to spikes."""
        return Residual(self.neuron(), self.neuron(), "add")

    def concatenated(self) -> nn.Module:
        """Spikes beside spikes."""
        return Residual(self.neuron(), self.neuron(), "cat")

    def product(self) -> nn.Module:
        """Of the spikes of two layers."""
        return Residual(self.neuron(), self.neuron(), "product")

    def values(self) -> nn.Module:
        """A gate of the spikes of a layer, on a current of the input."""
        return Gated(self.neuron(), self.neuron(5))

    def _hidden(self, hidden: nn.Module) -> nn.Module:
        """Return a model with a layer of 8 neurons and a usual one."""
        return nn.Sequential(
            nn.Flatten(), nn.Linear(72, 8), hidden, nn.Linear(8, 5), self.neuron(5)
        )
