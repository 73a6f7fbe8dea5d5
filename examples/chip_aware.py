"""Two bits for a weight: round a trained network, then train the chip's integers themselves.

    python examples/chip_aware.py [FOLDER]

A network of hard-reset neurons learns to read digits in floats. Rounded to weights of 2 bits it
loses accuracy; `training.chip_aware` then trains the Program for some epochs. Its forward pass is
the chip's arithmetic, so what is trained is what runs.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from digits import LABEL, TEST, X, save, train
from torch import Tensor, nn

import snncompile
from snncompile import training

BITS = 2
WIDE = partial(training.fast_sigmoid, slope=10.0)


def model() -> nn.Module:
    """Return 64-64-10 neurons."""
    lif = {"potential_decay": 0.1, "reset": "hard"}
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), training.Lif(**lif), nn.Linear(64, 10), training.Lif(**lif)
    )


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the number of spikes of each class."""
    return training.unroll(module, x).sum(1)


def main() -> None:
    """Train, compile, train on, save."""
    torch.manual_seed(0)  # `model` draws weights
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/chip_aware")
    test, label = X[-TEST:], LABEL[-TEST:]
    network = snncompile.from_torch(train(model(), answer, epochs=15), X[:16])
    program = snncompile.compile(
        network, chip="loihi2", bits=BITS, calibration=X[:128], prune=False
    )
    chip = training.chip_aware(program, surrogate=WIDE)
    train(chip, lambda module, x: module(x).sum(1), epochs=20, rate=5e-3)
    trained = chip.program()
    print(f"floats:             {network.run(test).accuracy(label):.1%} of {TEST} digits")
    print(f"{BITS} bits, rounded:    {program.run(test).accuracy(label):.1%}")
    print(f"{BITS} bits, chip-aware: {trained.run(test).accuracy(label):.1%}")
    same = (chip.run(test).spikes == trained.run(test).spikes).all()
    print(f"the module's spikes are the Program's: {same}")
    save(trained, folder)


if __name__ == "__main__":
    main()
