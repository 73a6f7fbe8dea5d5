"""Train a small network with lava-dl on digits, export it, record what lava-dl and Lava make of it.

    python tests/recorded/train.py [FOLDER]

Writes trained.net, by lava-dl's own export, and trained.npz as `record.py` does. Needs what that
needs, and scikit-learn. The weights depend on the instructions of the processor, as sums of floats
do: another run may write other ones, and a recording that fits them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer
from record import STEPS, save
from sklearn.datasets import load_digits

NEURON = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.1, "requires_grad": False}
WINDOW, IMAGES, EPOCHS = 20, 1200, 12
"""Time steps of an image; images that are trained; rounds."""


def train() -> tuple[torch.nn.Sequential, np.ndarray]:
    """Return the layers, and the spikes of three images that were not trained: (60, 64)."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    draws = np.random.default_rng(0).random((len(digits.data), 64, WINDOW))
    spikes = draws < digits.data[:, :, None] / 16 * 0.5
    layers = torch.nn.Sequential(
        slayer.block.cuba.Dense(NEURON, 64, 20),
        slayer.block.cuba.Dense(NEURON, 20, 10),
    )
    loss = slayer.loss.SpikeRate(true_rate=0.4, false_rate=0.05, reduction="sum")
    optimizer = torch.optim.Adam(layers.parameters(), lr=0.01)
    x, labels = torch.tensor(spikes, dtype=torch.float32), torch.tensor(digits.target)
    for _ in range(EPOCHS):
        for batch in torch.randperm(IMAGES).split(40):
            optimizer.zero_grad()
            loss(layers(x[batch]), labels[batch]).backward()
            optimizer.step()
    said = layers(x[IMAGES:]).sum(-1).argmax(-1)
    print(f"{100 * (said == labels[IMAGES:]).float().mean():.1f} % of the other images are right")
    shown = spikes[IMAGES : IMAGES + STEPS // WINDOW]
    return layers, np.concatenate([image.T for image in shown])


def main(folder: Path) -> None:
    """Write the file and the recording."""
    layers, x = train()
    path = folder / "trained.net"
    with h5py.File(path, "w") as file:
        for number, block in enumerate(layers):
            block.export_hdf5(file.create_group(f"layer/{number}"))
    save(path, (0, 1), x)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
