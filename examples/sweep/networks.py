"""Three networks for handwritten digits, and their training.

python examples/sweep/networks.py

writes weights, calibration images and test images to `build/` beside this file, which the studies
here read. The functions return the trained networks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

BUILD = Path(__file__).parent / "build"
EPOCHS = 60


def make_cnn() -> nn.Module:
    """Return two convolutions and a dense layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(64, 10)),
    )


def make_mlp() -> nn.Module:
    """Return two dense layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def make_wide() -> nn.Module:
    """Return convolutions of more channels."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(512, 10)),
    )


NETWORKS = {"cnn": make_cnn, "mlp": make_mlp, "wide": make_wide}


def cnn() -> nn.Module:
    """Return the trained network of two convolutions."""
    return _load("cnn")


def mlp() -> nn.Module:
    """Return the trained dense network."""
    return _load("mlp")


def wide() -> nn.Module:
    """Return the trained network of more channels."""
    return _load("wide")


def _load(name: str) -> nn.Module:
    model = NETWORKS[name]()
    model.load_state_dict(torch.load(BUILD / f"{name}.pt", weights_only=True))
    return model.eval()


def train() -> None:
    """Train all three, the same every time, and write them with their data."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, label = (digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64)
    test = np.arange(len(x)) % 5 == 0
    BUILD.mkdir(exist_ok=True)
    np.savez(BUILD / "calibration.npz", x=x[~test][:100])
    np.savez(BUILD / "test.npz", x=x[test], label=label[test])
    inputs, labels = torch.tensor(x[~test]), torch.tensor(label[~test])
    for name, make in NETWORKS.items():
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(inputs)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
                optimizer.step()
        answers = model(torch.tensor(x[test])).argmax(1).numpy()
        torch.save(model.state_dict(), BUILD / f"{name}.pt")
        print(f"{name}: {(answers == label[test]).mean():.2%} of {test.sum()} test images")


if __name__ == "__main__":
    train()
