"""From a norse training loop to a Lava program.

python examples/norse_digits.py [FOLDER]
"""

from __future__ import annotations

import norse.torch as norse
import torch
from digits import deliver, train
from torch import Tensor, nn


def model() -> nn.Module:
    """Return a network whose states the caller hands from time step to time step."""
    p = norse.LIFParameters(
        tau_mem_inv=torch.as_tensor(200.0), v_th=torch.as_tensor(0.3), alpha=torch.as_tensor(10.0)
    )
    network: nn.Module = norse.SequentialState(
        nn.Flatten(),
        nn.Linear(64, 64),
        norse.LIFCell(p),
        nn.Linear(64, 10),
        norse.LIFCell(p),
    )
    return network


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the number of spikes of each class."""
    state, total = None, torch.zeros(())
    for step in x.unbind(1):
        spikes, state = module(step, state)
        total = total + spikes
    return total


if __name__ == "__main__":
    deliver(train(model(), answer), "norse_digits")
