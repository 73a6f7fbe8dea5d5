"""From a sinabs training loop to a Lava program: time folded into the samples.

python examples/sinabs_digits.py [FOLDER]
"""

from __future__ import annotations

import sinabs
import sinabs.activation as activation
import sinabs.layers as layers
import torch
from digits import STEPS, deliver, train
from torch import Tensor, nn


def neurons() -> nn.Module:
    """Return a layer with at most one spike per time step."""
    layer: nn.Module = layers.LIFSqueeze(
        tau_mem=4.0,
        spike_threshold=torch.tensor(0.3),
        spike_fn=activation.SingleSpike,
        num_timesteps=STEPS,
    )
    return layer


def model() -> nn.Module:
    """Return a convolutional network that takes (samples * steps, 1, 8, 8)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        neurons(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10, bias=False),
        neurons(),
    )


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the number of spikes of each class."""
    sinabs.reset_states(module)
    sinabs.zero_grad(module)
    total: Tensor = module(x.flatten(0, 1)).unflatten(0, x.shape[:2]).sum(1)
    return total


if __name__ == "__main__":
    deliver(train(model(), answer), "sinabs_digits")
