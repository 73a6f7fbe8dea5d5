"""Small networks of ReLUs with what trained ones have: norms, pools, shortcuts of every kind."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def _alive(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return the model in eval mode, its batch norms with the statistics of random input."""
    model = model.double().train()
    with torch.no_grad():
        for _ in range(40):
            model(torch.randn(32, *shape, dtype=torch.float64).abs())
    return model.eval()


class Residual(nn.Module):
    """Two blocks, the second with a stride and a shortcut of the given kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.a = nn.Conv2d(4, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.b_norm = nn.BatchNorm2d(4)
        self.c = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.d = nn.Conv2d(8, 8, 3, padding=1)
        self.short = nn.Conv2d(4, 8, 1, stride=2)
        self.act = nn.ReLU(inplace=True)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        x = functional.relu(self.norm(self.first(x)))
        x = self.act(self.b_norm(self.b(self.act(self.a(x)))) + x)
        y = self.d(functional.relu(self.c(x)))
        if self.kind == "padded":
            x = functional.relu(y + functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        else:
            x = functional.relu(y + self.short(x))
        return self.last(functional.dropout(x.mean(dim=(2, 3)), training=self.training))


def chain() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.ReLU6(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(16, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    )
    return _alive(model, (2, 8, 8))


def residual(kind: str) -> nn.Module:
    torch.manual_seed(2)
    return _alive(Residual(kind), (2, 8, 8))


def depthwise() -> nn.Module:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    return _alive(model, (2, 8, 8))


MODELS = {
    "chain": chain,
    "padded shortcut": lambda: residual("padded"),
    "shortcut of a convolution": lambda: residual("convolution"),
    "depthwise": depthwise,
}


def images(model: str) -> np.ndarray:
    return np.abs(np.random.default_rng(len(model)).normal(size=(12, 2, 8, 8)))


def scaled_answer(network, x: np.ndarray, steps: int) -> np.ndarray:
    """Return the readout in the unit of the model's answer."""
    readout = network.population(network.output).neuron
    if readout.name == "sigma":
        return network.run(network.input.present(x)).spikes[:, -1]
    total = network.run(network.input.present(x)).spikes.sum(axis=1)
    if readout.doubling:
        return total / 2.0**steps
    return total / float(readout.window)
