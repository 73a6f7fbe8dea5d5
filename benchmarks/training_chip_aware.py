"""Chip-aware training against rounding after training: 784-128-10 on MNIST, 8 to 2 bits.

    python benchmarks/training_chip_aware.py [--data ../shared/data] [--bits 8 6 5 4 3 2]

A network of stock hard-reset LIF neurons trains in floats on 60,000 images, 8 time steps. For each
number of bits it is compiled with calibration data (`compiled`), and that Program then trains for
three epochs as the chip's integers (`chip-aware`); both are run as Programs on 10,000 test images.
Then the time of an epoch, chip-aware against floats, in turns: against the float module of
`from_network`, compiled too, and against `Lif` called step by step.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.files.spikes import encode_images

STEPS, BATCH = 8, 64
WIDE = partial(training.fast_sigmoid, slope=10.0)
"""Surrogate of the chip-aware epochs: wider than the default."""
TRAINED, TESTED = 60_000, 10_000


def load(data: Path, split: str, count: int) -> tuple[np.ndarray, Tensor]:
    """Return spikes, shape (images, steps, 784), and labels."""
    with np.load(data / f"mnist_{split}.npz") as file:
        x, label = file["x"][:count], file["y"][:count].astype(np.int64)
    return encode_images(x.reshape(count, -1), STEPS), torch.from_numpy(label)


class Unrolled(nn.Module):
    """A module that is called once per time step."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: np.ndarray) -> Tensor:
        """Return the output of every time step."""
        return training.unroll(self.inner, torch.from_numpy(x).float())


def train_epoch(module: nn.Module, optimizer: torch.optim.Optimizer, x, label, seed: int) -> float:
    """Train for one epoch; return its processor time in seconds."""
    order = np.random.default_rng(seed).permutation(len(x))
    begin = time.process_time()
    for first in range(0, len(x), BATCH):
        batch = order[first : first + BATCH]
        loss = nn.functional.cross_entropy(module(x[batch]).sum(1), label[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.process_time() - begin


def train(module: nn.Module, x, label, epochs: int, rate: float) -> None:
    """Train with Adam, whose rate falls to zero like a cosine."""
    optimizer = torch.optim.Adam(module.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        train_epoch(module, optimizer, x, label, epoch)
        schedule.step()


def score(network, x, label) -> float:
    """Return the accuracy in percent of a network or a Program."""
    return 100 * float((network.run(x).prediction == label.numpy()).mean())


def compare_times(modules: dict[str, nn.Module], x, label, rounds: int = 3) -> dict[str, float]:
    """Return the shortest processor time of an epoch of each module, all in turns."""
    times: dict[str, list[float]] = {name: [] for name in modules}
    optimizers = {name: torch.optim.Adam(m.parameters(), 1e-4) for name, m in modules.items()}
    for number in range(rounds):
        for name, module in modules.items():
            times[name].append(train_epoch(module, optimizers[name], x, label, number))
    return {name: min(seconds) for name, seconds in times.items()}


def main() -> None:
    """Train, compile, train on, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bits", type=int, nargs="*", default=[8, 6, 5, 4, 3, 2])
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    if not (options.data / "mnist_train.npz").is_file():
        sys.exit(f"{options.data}: no mnist_train.npz; give the folder with --data")
    x, label = load(options.data, "train", TRAINED)
    test, answer = load(options.data, "test", TESTED)
    torch.manual_seed(0)
    lif = {"potential_decay": 0.1, "reset": "hard"}
    net = nn.Sequential(
        nn.Linear(784, 128), training.Lif(**lif), nn.Linear(128, 10), training.Lif(**lif)
    )
    train(Unrolled(net), x, label, options.epochs, 2e-3)
    network = snncompile.from_torch(net, x[:2].astype(np.float32))
    print(f"float: {score(network, test, answer):.2f} %, {TESTED:,} images", flush=True)
    print("bits  compiled  chip-aware  spikes equal to the Program's", flush=True)
    for bits in options.bits:
        program = snncompile.compile(
            network, chip=options.chip, bits=bits, calibration=x[:256], prune=False
        )
        chip = training.chip_aware(program, surrogate=WIDE)
        train(chip, x, label, 3, options.rate)
        after = chip.program()
        same = np.array_equal(after.run(test).spikes, chip.run(test).spikes)
        scores = score(program, test, answer), score(after, test, answer)
        count = int(after.run(test).spikes.sum())
        print(f"{bits:4} {scores[0]:9.2f} {scores[1]:11.2f}  {same}, {count:,}", flush=True)
    modules = {"Lif, step by step": Unrolled(net), "from_network": training.from_network(network)}
    seconds = compare_times(modules | {"chip_aware": chip}, x, label)
    for name in modules:
        ratio = seconds["chip_aware"] / seconds[name]
        print(f"epoch: {seconds['chip_aware']:.2f} s, {ratio:.2f} of {name}", flush=True)


if __name__ == "__main__":
    main()
