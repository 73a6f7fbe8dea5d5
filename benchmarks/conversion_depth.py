"""ResNet-20, 32 and 44 side by side: agreement by method and steps, spikes, seconds to convert.

    python benchmarks/conversion_depth.py [--samples 932] [--depths 20 32 44] [--methods graded]

Trained by others, CIFAR-10, images and integers as in `conversion.py`. Spikes are those of an
image; "a neuron" divides them by the neurons that send any. `--kept` keeps answers in a folder, so
that a run that was cut short goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import conversion_networks as networks
from conversion import CALIBRATION, Case, chosen, integers, run, title

from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed

ROWS: list[tuple[Method, int]] = [
    (Signed(calibrate_bias=True), 8),
    (Signed(calibrate_bias=True), 12),
    (Signed(calibrate_bias=True), 16),
    (Balance(calibrate_bias=True), 16),
    (BistablePhase(), 6),
    (GradedMessages(bits=5), 1),
    (GradedMessages(bits=8), 1),
    (GradedMessages(bits="sums"), 1),
]


def compare(case: Case, method: Method, steps: int) -> str:
    """Return a row of the table."""
    begun = time.perf_counter()
    made = convert(case.model, case.calibration, method, steps).network
    converting = time.perf_counter() - begun
    network = integers(made, case.calibration)
    found = run(network, case.x, kept=case.kept)
    answers = case.answers()
    neurons = sum(p.size for p in network.populations if p.neuron.spikes)
    in_all = network.input.coding.steps + network.phase(network.output)
    return (
        f"{title(method) + _bits(method):20} {steps:5} {in_all:6}"
        f" {(found.predictions == case.y).mean():8.2%} {(found.predictions == answers).mean():7.2%}"
        f" {found.spikes:9,.0f} {found.spikes / neurons:8.2f}"
        f" {converting:8.1f} s {found.seconds:6.1f} s"
    )


def _bits(method: Method) -> str:
    if not isinstance(method, GradedMessages):
        return ""
    return ", bits by sums" if method.bits == "sums" else f", {method.bits} bits"


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=932)
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 32, 44])
    parser.add_argument("--methods", nargs="+", help="names of methods; all if not given")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    x, y = networks.lossless(options.data, "test")
    calibration, _ = networks.lossless(options.data, "train")
    for depth in options.depths:
        model = networks.resnet(options.data, depth)
        case = Case(
            model, calibration[:CALIBRATION], x[: options.samples], y[: options.samples],
            options.kept,
        )  # fmt: skip
        print(f"ResNet-{depth}: the model has {(case.answers() == case.y).mean():.2%}")
        print(
            f"{'method':20} {'steps':>5} {'in all':>6} {'accuracy':>8} {'agrees':>7} {'spikes':>9}"
            f" {'a neuron':>8} {'convert':>10} {'run':>8}"
        )
        for method, steps in chosen(ROWS, options.methods):
            print(compare(case, method, steps), flush=True)


if __name__ == "__main__":
    main()
