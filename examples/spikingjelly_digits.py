"""From a SpikingJelly training loop to a Lava program: residual, batch norm, all steps at once.

python examples/spikingjelly_digits.py [FOLDER]
"""

from __future__ import annotations

from digits import deliver, train
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn


def convolution(sources: int, targets: int) -> nn.Module:
    """Return a convolution with batch norm and neurons."""
    return nn.Sequential(
        layer.Conv2d(sources, targets, 3, padding=1, bias=False),
        layer.BatchNorm2d(targets),
        neuron.LIFNode(tau=2.0),
    )


class Net(nn.Module):
    """A residual block that adds spikes, pooling, and a layer that answers with its spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = convolution(1, 8), convolution(8, 8)
        self.pool, self.flat = layer.AvgPool2d(2), layer.Flatten()
        self.fc, self.out = layer.Linear(128, 10), neuron.IFNode(v_reset=None)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes (steps, samples, 10) for x (steps, samples, 1, 8, 8)."""
        x = self.first(x)
        x = self.second(x) + x
        spikes: Tensor = self.out(self.fc(self.flat(self.pool(x))))
        return spikes


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the rate of each class."""
    functional.reset_net(module)
    rate: Tensor = module(x.transpose(0, 1)).mean(0) * 4
    return rate


if __name__ == "__main__":
    deliver(train(Net(), answer), "spikingjelly_digits")
