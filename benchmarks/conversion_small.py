"""Small networks that are trained here, converted as they are and run on a chip's integers.

    python benchmarks/conversion_small.py small      # CIFAR-10: VGG-16's layout, and MobileNet's
    python benchmarks/conversion_small.py rate_norm  # MNIST: thresholds that are trained
    python benchmarks/conversion_small.py bits       # MNIST and ResNet-20 with fewer bits
    python benchmarks/conversion_small.py chips      # the same two on Loihi 1 and Loihi 2
    python benchmarks/conversion_small.py messages   # graded: 8 bits, and as many as suit the sums

The weights are those of benchmarks/weights, so that the processor does not matter: see
`trained_weights.py`.
`--anew` trains them again.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import conversion_networks as networks
import numpy as np
import torch
from conversion import CALIBRATION, Case, integers, run, table
from torch import nn
from trained_weights import Training, load_or_train

import snncompile
from snncompile.conversion.auto_records import Budget
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.rate_norm import fit_thresholds, with_rate_norm
from snncompile.conversion.scales import Capped
from snncompile.conversion.signed import Signed

ANEW = "--anew" in sys.argv
BITS = (8, 6, 5, 4)
RATES, SPEEDS = (0.1, 0.3, 1.0), (0.01, 0.03, 0.1)
"""Rates of learning and weights of the speed that stage 2 of rate-norm layers is tried with."""
RATED = Balance(Capped(), initial=0.0)
"""What rate-norm layers become: thresholds as trained, and potentials that start at 0."""


def trained(
    name: str, make: Callable[[], nn.Module], x: np.ndarray, y: np.ndarray, epochs: int
) -> nn.Module:
    """Return a model with the weights that a training on these images gave."""
    torch.manual_seed(0)
    model, colour = make(), x.shape[1] == 3  # digits are not mirrored
    training = Training(repr(model), len(x), epochs, 4e-3 if colour else 3e-3, colour)

    def train(model: nn.Module) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # layers this small let several threads wait for each other
        model.to(memory_format=torch.channels_last)  # several times faster with few channels
        networks.train(model, x, y, epochs, training.rate, mirrored=training.mirrored)
        model.to(memory_format=torch.contiguous_format)
        torch.set_num_threads(threads)

    return load_or_train(name, model, training, train, anew=ANEW)


def small(data: Path) -> None:
    """Train networks of other kinds and convert them as they are."""
    x, y = networks.jpeg(data, "train", 40_000)
    test = networks.jpeg(data, "test", 500)
    for name, make in (("vgg", networks.vgg), ("mobilenet", networks.mobilenet)):
        case = Case(trained(name, make, x, y, epochs=4), x[:CALIBRATION], *test)
        rows = [(Signed(), 16), (Signed(), 32), (Balance(), 128), (BistablePhase(), 6)]
        table(case, rows, priced=False)
        _automatic(case, Budget(loss=0.05))


def _automatic(case: Case, budget: Budget) -> None:
    """Print what the automatic choice tried, and how it does on the test images."""
    start = time.perf_counter()
    network = snncompile.from_ann(case.model, case.calibration, "auto", budget=budget)
    seconds = time.perf_counter() - start
    for note in network.notes:
        print(f"  {note}")
    done = run(integers(network, case.calibration), case.x)
    found = done.predictions
    share, agrees = (found == case.y).mean(), (found == case.answers()).mean()
    print(
        f"auto, {budget.loss:.0%} other answers allowed: {share:.2%}, agrees {agrees:.2%},", end=" "
    )
    print(f"{done.spikes:,.0f} spikes, chosen in {seconds:.0f} s", flush=True)


def rate_norm(data: Path) -> None:
    """Choose how thresholds are trained on images of the training part, then test once."""
    x, y = networks.mnist(data, "train", 10_000)
    held_out = Case(nn.Identity(), x[:CALIBRATION], x[8000:], y[8000:])
    model = trained("rate_norm", _rated, x[:8000], y[:8000], epochs=5)
    found = {}
    print("stage 2, accuracy in 16 steps on 2,000 training images that were held out:")
    for rate, speed in product(RATES, SPEEDS):
        fitted = _stage_two(model, x, rate, speed)
        found[rate, speed] = accuracy(fitted, held_out, RATED, 16)
        print(f"  rate {rate:g}, speed {speed:g}: {found[rate, speed]:.2%}", flush=True)
    best = max(found, key=lambda choice: found[choice])
    test = networks.mnist(data, "test", 10_000)
    for stage, made in ((1, model), (2, _stage_two(model, x, *best))):
        print(f"stage {stage}, all 10,000 test images:")
        table(Case(made, x[:CALIBRATION], *test), [(RATED, 16), (RATED, 32)], priced=False)


def _rated() -> nn.Module:
    return with_rate_norm(networks.deep())


def _stage_two(model: nn.Module, x: np.ndarray, rate: float, speed: float) -> nn.Module:
    fitted = copy.deepcopy(model)
    fit_thresholds(fitted, x[:2000], epochs=5, rate=rate, speed=speed)
    return fitted


def accuracy(model: nn.Module, case: Case, method: Method, steps: int) -> float:
    """Return the accuracy of a model, converted, on the images of the case."""
    network = convert(model, case.calibration, method, steps).network
    made = integers(network, case.calibration)
    return float((run(made, case.x).predictions == case.y).mean())


def bits(data: Path) -> None:
    """Print accuracies with fewer bits per weight."""
    for name, case, steps in (("MNIST CNN", _digits(data), 16), ("ResNet-20", _pixels(data), 32)):
        answers = case.answers()
        print(f"{name}, signed, {steps} steps, {len(case.x)} images;", end=" ")
        print(f"the model: {(answers == case.y).mean():.2%}")
        network = convert(case.model, case.calibration, "signed", steps).network
        for width in BITS:
            found = run(integers(network, case.calibration, bits=width), case.x).predictions
            share, agrees = (found == case.y).mean(), (found == answers).mean()
            print(f"  {width} bits: {share:.2%}, agrees {agrees:.2%}", flush=True)


def _digits(data: Path) -> Case:
    x, y = networks.mnist(data, "train", 8000)
    model = trained("mnist", networks.cnn, x, y, epochs=4)
    return Case(model, x[:CALIBRATION], *networks.mnist(data, "test", 2000))


def _pixels(data: Path, samples: int = 300) -> Case:
    x, y = networks.lossless(data, "test")
    calibration, _ = networks.lossless(data, "train")
    return Case(networks.resnet(data), calibration[:CALIBRATION], x[:samples], y[:samples])


def chips(data: Path) -> None:
    """Compile for Loihi 1 (one scale per layer, two compartments per neuron) and for Loihi 2."""
    for name, case, steps, machines in (
        ("MNIST CNN", _digits(data), 32, ("loihi1", "loihi2")),
        ("ResNet-20", _pixels(data), 64, ("loihi1:nahuku", "loihi2")),
    ):
        answers = case.answers()
        print(f"{name}, balance, {steps} steps, {len(case.x)} images;", end=" ")
        print(f"the model: {(answers == case.y).mean():.2%}")
        network = convert(case.model, case.calibration, "balance", steps).network
        shown = network.input.present(case.calibration[:8])
        for chip in machines:
            start = time.perf_counter()
            program = snncompile.compile(network, chip=chip, calibration=shown)
            seconds = time.perf_counter() - start
            found = run(program.network, case.x).predictions
            share, agrees = (found == case.y).mean(), (found == answers).mean()
            print(f"  {chip}: {program.mapping.cores} cores, compiled in {seconds:.0f} s,", end=" ")
            print(f"{share:.2%}, agrees {agrees:.2%}", flush=True)


def messages(data: Path) -> None:
    """Print graded messages of 8 bits beside those of bits by sums."""
    x, y = networks.jpeg(data, "train", 40_000)
    test = networks.jpeg(data, "test", 2000)
    cases = {"MNIST CNN": _digits(data), "ResNet-20": _pixels(data, 932)}
    for name, make in (("vgg", networks.vgg), ("mobilenet", networks.mobilenet)):
        cases[name] = Case(trained(name, make, x, y, epochs=4), x[:CALIBRATION], *test)
    for name, case in cases.items():
        print(f"{name}: graded, 8 bits, then bits by sums")
        table(case, [(GradedMessages(), 1), (GradedMessages(bits="sums"), 1)], priced=True)


PARTS: dict[str, Callable[[Path], None]] = {
    "small": small,
    "rate_norm": rate_norm,
    "bits": bits,
    "chips": chips,
    "messages": messages,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--anew", action="store_true", help="train again; see trained_weights.py")
    given = parser.parse_args()
    for part in PARTS if "all" in given.parts else given.parts:
        PARTS[part](given.data)
