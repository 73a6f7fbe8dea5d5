"""From a snnTorch training loop to a Lava program.

python examples/snntorch_digits.py [FOLDER]
"""

from __future__ import annotations

import snntorch
import torch
from digits import deliver, train
from snntorch import utils
from torch import Tensor, nn


def model() -> nn.Module:
    """Return a convolutional network whose layers keep their states."""
    leaky = {"beta": 0.8, "init_hidden": True}
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        snntorch.Leaky(**leaky),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
        snntorch.Leaky(**leaky, learn_beta=True),
    )


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the number of spikes of each class."""
    utils.reset(module)
    return torch.stack([module(step) for step in x.unbind(1)]).sum(0)


if __name__ == "__main__":
    deliver(train(model(), answer), "snntorch_digits")
