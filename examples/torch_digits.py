"""From a plain torch training loop with our own neuron modules to a Lava program.

python examples/torch_digits.py [FOLDER]
"""

from __future__ import annotations

from digits import deliver, train
from torch import Tensor, nn

from snncompile.training import Lif, Readout, unroll


def model() -> nn.Module:
    """Return a network that answers with potentials."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        Lif(0.2, learn=True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
        Readout(0.1),
    )


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the mean potential of each class."""
    return unroll(module, x).mean(1)


if __name__ == "__main__":
    deliver(train(model(), answer), "torch_digits")
