"""Four time steps: convert a trained network of rectifiers, then train it on in those steps.

    python examples/few_steps.py [FOLDER]

A conversion needs time steps to tell large activations from small ones. `training.from_network`
takes the converted network as a module, and some epochs teach it to do with four.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from digits import DIGITS, LABEL, TEST, save, train
from torch import nn

import snncompile
from snncompile import training

STEPS = 4
IMAGES = DIGITS.data.reshape(-1, 1, 8, 8).astype(np.float32)
"""Pixels of 0..16."""
WIDE = partial(training.fast_sigmoid, slope=3.0)


def model() -> nn.Module:
    """Return a network of rectifiers."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def main() -> None:
    """Train, convert, train on, compile, save."""
    torch.manual_seed(0)  # `model` draws weights
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/few_steps")
    test, label = IMAGES[-TEST:], LABEL[-TEST:]
    ann = train(model(), lambda module, x: module(x), IMAGES).eval()
    converted = snncompile.from_ann(ann, IMAGES[:256], method="balance", steps=STEPS)
    module = training.from_network(converted, steps=STEPS, surrogate=WIDE)
    train(module, lambda module, x: module(x).sum(1) / STEPS, IMAGES, epochs=3, rate=1e-3)
    for name, network in (("converted", converted), ("trained on", module.network())):
        shown = network.input.present(test)
        program = snncompile.compile(network, chip="loihi2", calibration=shown[:128])
        right = program.run(shown).accuracy(label)
        print(f"{name}, {STEPS} time steps on loihi2: {right:.1%} of {TEST} digits")
    save(program, folder)


if __name__ == "__main__":
    main()
