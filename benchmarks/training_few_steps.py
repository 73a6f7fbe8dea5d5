"""Few time steps: conversion, hybrid training, and training from nothing on one network and data.

    python benchmarks/training_few_steps.py [--seeds 0 1 2] [--rows soft hard poisson]
    python benchmarks/training_few_steps.py --rows soft hard --steps 4 --seeds 0 \\
        --images 50000 --ann-epochs 30 --schedule onecycle --rate 2e-3
    python benchmarks/training_few_steps.py --rows tdbn deep counts

CIFAR-10 at 16 x 16 (JPEG, averages of 2 x 2 pixels; 10,000 training and 2,000 test images), four
convolutions of 24, 48, 48 and 96 channels with batch normalization, one dense layer. All networks
are compiled for `--chip` with 8-bit weights and run as Programs; a step of delay per layer
comes on top of the steps that are named.

soft       the trained ANN converted by `balance`, whose potentials start at half a threshold; and
           that network, trained on for two epochs in its time steps (`from_network`): hybrid
hard       the same with hard resets, as the stock LIF of Lava's library has them
poisson    the ANN with thresholds at the largest activation and its input drawn at random

From nothing, for `--epochs-from-nothing`, without the ANN:

tdbn       leaky neurons with hard reset, threshold-dependent batch normalization (Zheng et al.)
deep       integrate-and-fire neurons with soft reset, batch normalization of currents, a surrogate
           with a slope of 10 (Ledinauskas et al.)
counts     leaky neurons and random input; the gradient is that of counts of spikes (Lee et al.)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import conversion_networks as networks
import numpy as np
import torch
import training_ways as ways
from conversion import run
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.conversion.balance import Balance
from snncompile.conversion.convert import convert
from snncompile.conversion.scales import Percentile
from snncompile.ir.graph import Network
from snncompile.program import Program

TRAINED, TESTED, PRICED, BATCH = 10_000, 2_000, 64, 64
CALIBRATION = 512
WIDE = partial(training.fast_sigmoid, slope=3.0)
RATES = {"cosine": 5e-4, "onecycle": 1e-3}
"""Schedule of training on -> its usual highest rate: down from the beginning, or up and down again.
"""
POISSON = (16, 32, 64, 128, 256, 512, 1024)


def load(data: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels 0..255, shape (images, 3, 16, 16), whole numbers, and labels."""
    x, y = networks.jpeg(data, split, count)
    small = x.reshape(len(x), 3, 16, 2, 16, 2).mean((3, 5))
    return small.round().astype(np.float32), y


@dataclass(frozen=True)
class Case:
    """The trained ANN of one seed, if it is needed, and its data."""

    ann: nn.Module | None
    x: np.ndarray
    y: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    seed: int
    chip: str
    epochs: int
    schedule: str
    """Of training on, one of `RATES`."""
    rate: float
    """Its highest rate."""

    @property
    def calibration(self) -> np.ndarray:
        """Images of which activations are measured."""
        return self.x[:CALIBRATION]

    def compile(self, network: Network) -> Program:
        """Return the Program of a network."""
        return snncompile.compile(
            network, chip=self.chip, calibration=network.input.present(self.x[:64])
        )

    def measure(self, network: Network) -> tuple[float, float, float]:
        """Return accuracy in percent, spikes and energy in uJ of an image, on the chip."""
        program = self.compile(network)
        found = run(program.network, self.test, batch=200)
        estimate = program.estimate(program.network.input.present(self.test[:PRICED]))
        right = found.predictions == self.labels
        return 100 * float(right.mean()), found.spikes, (estimate.energy_j or np.nan) * 1e6


def build() -> nn.Module:
    """Return the ANN."""
    layers: list[nn.Module] = [networks.pixels()]
    for before, width, stride in ((3, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2)):
        convolution = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(384, 10))


def train_hybrid(network: Network, steps: int, case: Case) -> Network:
    """Return the network trained on in its time steps."""
    x, epochs, rate = case.x, case.epochs, case.rate
    module = training.from_network(network, steps=steps, surrogate=WIDE)
    optimizer = torch.optim.Adam(module.parameters(), rate)
    updates = epochs * -(-len(x) // BATCH)
    schedules = torch.optim.lr_scheduler
    schedule: Any = schedules.CosineAnnealingLR(optimizer, updates)
    if case.schedule == "onecycle":
        schedule = schedules.OneCycleLR(optimizer, rate, updates, pct_start=0.2)
    labels, draw = torch.from_numpy(case.y), np.random.default_rng(case.seed)
    for _ in range(epochs):
        for part in np.array_split(draw.permutation(len(x)), updates // epochs):
            shown = x[part]
            mirrored = draw.random(len(part)) < 0.5
            shown = np.where(mirrored[:, None, None, None], shown[..., ::-1], shown)
            loss = nn.functional.cross_entropy(answer(module, shown), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return module.network()


def answer(module: training.FloatNetwork, x: np.ndarray) -> Tensor:
    """Return the answers of a module, (images, classes), as large as those of the ANN."""
    output: Tensor = module(x)
    assert module.steps is not None
    return output.sum(1) / module.steps


def from_conversion(steps: int, hard: bool, case: Case) -> Network:
    """Return the ANN converted by `balance`."""
    processes = "library" if hard else "any"
    return convert(case.ann, case.calibration, Balance(), steps, processes=processes).network


def from_poisson(steps: int, case: Case) -> Network:
    """Return the ANN as it was converted first: largest activations, random input."""
    method = Balance(Percentile(100), initial=0.0)
    return convert(case.ann, case.calibration, method, steps, coding="poisson").network


def convert_and_train(hard: bool, steps: int, case: Case) -> Iterator[tuple[str, Network]]:
    """Yield the converted network, and the same trained on."""
    network = from_conversion(steps, hard, case)
    resets = ", hard" if hard else ""
    yield f"converted{resets}", network
    yield f"hybrid{resets}, {case.epochs} epochs", train_hybrid(network, steps, case)


def train_from_nothing(way: ways.Way, steps: int, case: Case, epochs: int) -> tuple[Network, Case]:
    """Return a network that was trained from nothing, and the case with images as it takes them."""
    network = ways.train(way, steps, case.x, case.y, epochs, case.seed)
    return network, replace(case, x=way.prepare(case.x), test=way.prepare(case.test))


def run_on_lava(case: Case, network: Network, images: int) -> str:
    """Return what `verify` says of the Program on real Lava."""
    program = case.compile(network)
    return str(program.verify(program.network.input.present(case.test[:images])))


def main() -> None:
    """Train, convert, train on, compile, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, nargs="*", help="of all rows but poisson")
    parser.add_argument("--poisson", type=int, nargs="*", default=POISSON, help="steps of poisson")
    parser.add_argument("--epochs", type=int, default=2, help="of training on")
    parser.add_argument("--schedule", default="cosine", choices=list(RATES), help="of training on")
    parser.add_argument("--rate", type=float, help="the highest of training on")
    parser.add_argument("--ann-epochs", type=int, default=12)
    parser.add_argument("--images", type=int, default=TRAINED, help="to train on, 50,000 at most")
    parser.add_argument("--epochs-from-nothing", type=int, default=12)
    rows = ["soft", "hard", "poisson", *ways.WAYS]
    parser.add_argument("--rows", nargs="*", default=rows, choices=rows)
    parser.add_argument("--lava", type=int, default=0, help="images to run on Lava, hard resets")
    options = parser.parse_args()
    if not (options.data / "cifar10_train_jpeg.npz").is_file():
        sys.exit(f"{options.data}: no cifar10_train_jpeg.npz; give the folder with --data")
    x, y = load(options.data, "train", options.images)
    test, labels = load(options.data, "test", TESTED)
    counts = f"{options.images:,} training and {TESTED:,} test images"
    print(f"{options.chip}, 8 bits, seeds {options.seeds}, {counts}", flush=True)
    print("network                steps  accuracy   spikes  energy uJ  seconds", flush=True)
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for seed in options.seeds:
        rate = options.rate or RATES[options.schedule]
        case = Case(
            None, x, y, test, labels, seed, options.chip, options.epochs, options.schedule, rate
        )
        if not set(options.rows) <= set(ways.WAYS):
            case = replace(case, ann=train_ann(case, options.ann_epochs))
        for row in options.rows:
            for name, steps, network, shown, seconds in list_rows(row, options, case):
                measured = shown.measure(network)
                found.setdefault((name, steps), []).append(measured)
                print_row(name, steps, measured, seconds)
                if options.lava and "hybrid, hard" in name:
                    print(run_on_lava(case, network, options.lava), flush=True)
    if len(options.seeds) > 1:
        print_means(found)


def print_means(found: dict[tuple[str, int], list[tuple[float, ...]]]) -> None:
    """Print means of the seeds, with one standard error of the accuracy."""
    print("mean of the seeds, and one standard error of the accuracy")
    for (name, steps), rows in found.items():
        print_row(name, steps, np.mean(rows, axis=0), None)
        error = np.std(rows, axis=0, ddof=1)[0] / np.sqrt(len(rows))
        print(f"{'':28} {error:8.2f}", flush=True)


def train_ann(case: Case, epochs: int) -> nn.Module:
    """Return the trained ANN."""
    torch.manual_seed(case.seed)
    begin, ann = time.process_time(), build()
    networks.train(ann, case.x, case.y, epochs, mirrored=True)
    with torch.no_grad():
        answers = ann(torch.from_numpy(case.test)).argmax(1).numpy()
    right, seconds = float((answers == case.labels).mean()), time.process_time() - begin
    print(f"seed {case.seed}: ANN {right:.2%}, {seconds:.0f} s", flush=True)
    return ann


def list_rows(
    row: str, options: argparse.Namespace, case: Case
) -> Iterator[tuple[str, int, Network, Case, float]]:
    """Yield name, steps, network, case with its input, and seconds of making it, of one row."""
    begin = time.process_time()
    if row == "poisson":
        for steps in options.poisson:
            yield "poisson, largest", steps, from_poisson(steps, case), case, 0.0
    elif row in ways.WAYS:
        way = ways.WAYS[row]
        for steps in options.steps or way.steps:
            network, shown = train_from_nothing(way, steps, case, options.epochs_from_nothing)
            yield way.name, steps, network, shown, time.process_time() - begin
            begin = time.process_time()
    else:
        for steps in options.steps or (4, 8):
            for name, network in convert_and_train(row == "hard", steps, case):
                yield name, steps, network, case, time.process_time() - begin
                begin = time.process_time()


def print_row(name: str, steps: int, measured: Any, seconds: float | None) -> None:
    """Print a row of the table."""
    accuracy, spikes, energy = measured
    took = "" if seconds is None else f"{seconds:9.1f}"
    print(f"{name:22} {steps:5} {accuracy:8.2f}% {spikes:9,.0f} {energy:9.2f}{took}", flush=True)


if __name__ == "__main__":
    main()
