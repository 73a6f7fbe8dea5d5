"""Shared by the examples: the data, a training loop, and the way from a module to Lava."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import snncompile
from snncompile.files.spikes import encode_images

try:
    from sklearn.datasets import load_digits
except ImportError:
    raise SystemExit("the examples need scikit-learn: pip install 'snncompile[demo]'") from None

STEPS, TEST, EPOCHS, BATCH = 8, 360, 5, 64
DIGITS = load_digits()
X = encode_images(DIGITS.data, STEPS, highest=16.0).reshape(-1, STEPS, 1, 8, 8)
"""Spikes of handwritten digits, shape (samples, steps, channels, height, width)."""
LABEL = DIGITS.target.astype(np.int64)

Answer = Callable[[nn.Module, Tensor], Tensor]
"""From a module and spikes (samples, steps, 1, 8, 8), one number per class, shape (samples, 10)."""


def train(
    module: nn.Module,
    answer: Answer,
    x: np.ndarray = X,
    epochs: int = EPOCHS,
    rate: float = 4e-3,
    *,
    each: Callable[[int, int], None] = lambda step, steps: None,
) -> nn.Module:
    """Train a module on all but the last digits; the same every time.

    Args:
        module: changed in place.
        answer: of the module.
        x: all digits, as `answer` takes them.
        epochs: passes over the digits.
        rate: of Adam.
        each: called after each update with its number and how many there will be.
    """
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    shown, label = torch.tensor(x[:-TEST]).float(), torch.tensor(LABEL[:-TEST])
    steps, step = epochs * -(-len(shown) // BATCH), 0
    for epoch in range(epochs):
        for batch in torch.randperm(len(shown)).split(BATCH):
            loss = nn.functional.cross_entropy(answer(module, shown[batch]), label[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            each(step, steps)
            step += 1
        print(f"epoch {epoch}: loss {loss.item():.3f}")
    return module


def deliver(module: nn.Module, title: str, chip: str = "loihi2") -> None:
    """Import, compile and emit a module; the folder is the command's argument, or build/<title>."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else f"build/{title}")
    test, label = X[-TEST:], LABEL[-TEST:]
    network = snncompile.from_torch(module, X[:16], title=title)
    print(network)
    program = snncompile.compile(network, chip=chip, calibration=X[:128])
    print(f"float network: {network.run(test).accuracy(label):.1%} of {TEST} digits")
    print(f"on {chip}:     {program.run(test).accuracy(label):.1%}")
    save(program, folder)


def save(program: snncompile.Program, folder: Path) -> None:
    """Save a Program, and the Lava program that it becomes."""
    program.save(folder / "program")
    program.emit(folder / "lava")
    print(f"saved {folder}/program, and the Lava program {folder}/lava")
