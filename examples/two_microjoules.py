"""A classifier below 2 uJ an image: prune while training, and let the estimate decide.

    python examples/two_microjoules.py [FOLDER]

On `loihi1` energy is above all the power that flows while the busiest core adds up weights, so
fewer synapses pay. `training.prune` keeps the largest weights of all layers while they train, here
twice as few in each round, until `program.estimate` is below the budget.
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

CHIP, BUDGET_J, HIDDEN = "loihi1", 2e-6, 100


def model() -> nn.Module:
    """Return 64-100-10 neurons, the last without spikes."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, HIDDEN),
        training.Lif(0.1, reset="hard"),
        nn.Linear(HIDDEN, 10),
        training.Readout(0.1),
    )


def answer(module: nn.Module, x: Tensor) -> Tensor:
    """Return the mean potential of each class."""
    return module(x).mean(1)


def main() -> None:
    """Train and prune until the budget is met, save."""
    torch.manual_seed(0)  # `model` draws weights
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/two_microjoules")
    test, label, keep = X[-TEST:], LABEL[-TEST:], 1.0
    network = snncompile.from_torch(model(), X[:16].astype("float32"))
    wide = partial(training.fast_sigmoid, slope=10.0)
    while True:
        module = training.from_network(network, train=("weight", "bias"), surrogate=wide)
        prune = partial(training.prune, module, keep)
        train(module, answer, epochs=10, rate=2e-3, each=prune)
        network = module.network()
        program = snncompile.compile(network, chip=CHIP, calibration=X[:128])
        energy, right = program.estimate(test).energy_j, program.run(test).accuracy(label)
        print(
            f"{keep:.1%} of the weights: {right:.1%} of {TEST} digits, {energy * 1e6:.2f} uJ each"
        )
        if energy < BUDGET_J:
            break
        keep /= 2
    save(program, folder)


if __name__ == "__main__":
    main()
