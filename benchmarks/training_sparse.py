"""Sparse training: dense, gradual magnitude pruning, gradient rewiring; accuracy and energy.

    python benchmarks/training_sparse.py [--data ../shared/data] [--seeds 0] [--updates 1000]
    python benchmarks/training_sparse.py --networks 784-128-10 --ways magnitude --keep 0.05   # 2 uJ
    python benchmarks/training_sparse.py --ways rewiring --keep 0.0073 --updates 20000

784-300-10 and a small convolutional network, hard-reset LIF neurons and a readout, 4 time steps of
MNIST (8,000 training, 2,000 test images). Each way makes as many updates from the same start; the
results are compiled for `--chip` with 8-bit weights and run as Programs. The last command goes
towards the 0.73 % of its weights that gradient rewiring is published with.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.files.spikes import encode_images
from snncompile.training.pruning import RAMP

STEPS, BATCH, TRAINED, TESTED, PRICED = 4, 64, 8000, 2000, 64
WIDE = partial(training.fast_sigmoid, slope=10.0)
LIF = {"potential_decay": 0.1, "reset": "hard"}
WAYS = {"dense": 1.0, "magnitude": 0.02, "rewiring": 0.1}
"""Way -> share of weights kept."""


def load(data: Path, split: str, count: int) -> tuple[np.ndarray, Tensor]:
    """Return spikes, shape (images, steps, 1, 28, 28), and labels."""
    with np.load(data / f"mnist_{split}.npz") as file:
        x, label = file["x"][:count], file["y"][:count].astype(np.int64)
    return encode_images(x.reshape(count, 1, 28, 28), STEPS), torch.from_numpy(label)


def build(name: str) -> nn.Module:
    """Return a network as torch modules."""
    if name != "convolutions":
        first, hidden, last = (int(size) for size in name.split("-"))
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(first, hidden),
            training.Lif(**LIF),
            nn.Linear(hidden, last),
            training.Readout(0.1),
        )
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        training.Lif(**LIF),
        nn.Conv2d(16, 32, 5, stride=2),
        training.Lif(**LIF),
        nn.Flatten(),
        nn.Linear(512, 128),
        training.Lif(**LIF),
        nn.Linear(128, 10),
        training.Readout(0.1),
    )


def train(name: str, way: str, keep: float, x, label, updates: int, seed: int):
    """Return the network that was trained, and its share of weights that are not zero."""
    torch.manual_seed(seed)
    network = snncompile.from_torch(build(name), x[:64].astype(np.float32))
    module = training.from_network(network, train=("weight", "bias"), surrogate=WIDE)
    weights = training.list_weights(module)
    others = [p for p in module.parameters() if all(p is not w for w in weights)]
    if way == "rewiring":
        groups = [{"params": weights}, {"params": others, "keep": 1.0}]
        optimizer = training.GradR(groups, 2e-3, keep=keep, steps=updates)
    else:
        optimizer = torch.optim.Adam(module.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: find_rate(step / updates))
    draw = np.random.default_rng(seed)
    for step in range(updates):
        batch = draw.integers(0, len(x), BATCH)
        loss = nn.functional.cross_entropy(module(x[batch]).sum(1), label[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if way == "magnitude":
            training.prune(module, keep, step, updates)
    return module.network(), training.measure_connectivity(module)


def find_rate(done: float) -> float:
    """Return the rate, relative to the highest: constant while weights are cut, then a cosine.

    What is left has to learn anew: falling from the beginning, the rate was too low for it.

    Args:
        done: share of the updates that are over.
    """
    return 1.0 if done < RAMP else 0.5 * (1 + cos(pi * (done - RAMP) / (1 - RAMP)))


def main() -> None:
    """Train all ways, compile, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--chip", default="loihi1")
    parser.add_argument("--networks", nargs="*", default=["784-300-10", "convolutions"])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--keep", type=float, help="share to keep, of all ways but dense")
    parser.add_argument("--updates", type=int, default=1250)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args()
    if not (options.data / "mnist_train.npz").is_file():
        sys.exit(f"{options.data}: no mnist_train.npz; give the folder with --data")
    x, label = load(options.data, "train", TRAINED)
    test, answer = load(options.data, "test", TESTED)
    print(f"{options.chip}, {options.updates} updates, {STEPS} time steps, seeds {options.seeds}")
    print("network       way         kept   float  chip      operations  energy uJ  seconds")
    for name in options.networks:
        for way in options.ways:
            keep = options.keep if options.keep and way != "dense" else WAYS[way]
            rows = []
            begin = time.perf_counter()
            for seed in options.seeds:
                network, kept = train(name, way, keep, x, label, options.updates, seed)
                program = snncompile.compile(network, chip=options.chip, calibration=x[:256])
                estimate = program.estimate(test[:PRICED])
                scores = [
                    100 * float((n.run(test).prediction == answer.numpy()).mean())
                    for n in (network, program)
                ]
                rows.append((100 * kept, *scores, estimate.synaptic_ops, estimate.energy_j * 1e6))
            seconds = (time.perf_counter() - begin) / len(options.seeds)
            kept, floats, chip, operations, energy = np.mean(rows, axis=0)
            print(
                f"{name:13} {way:9} {kept:6.2f}% {floats:6.2f} {chip:6.2f} {operations:13,.0f}"
                f" {energy:9.2f} {seconds:9.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
