"""`auto` on trained networks within its time: what it tried, what it chose, and how that does.

    python benchmarks/conversion_auto.py [--networks lenet mobilenet resnet] [--tables]

LeNet on MNIST, the MobileNet-like network of `conversion_small.py` and ResNet-20 (trained by
others) on CIFAR-10: 300 calibration images, of which `auto` chooses; "agrees" and "accuracy" are
those of the choice on test images, compiled for the chip. `--tables` prints what was tried.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import conversion_networks as networks
from conversion import CALIBRATION, Case, run
from conversion_small import trained

import snncompile
from snncompile.conversion.auto_records import Aim, Budget
from snncompile.conversion.convert import convert
from snncompile.report.trials import format_trials
from snncompile.report.units import format_joules

ROWS: dict[str, tuple[tuple[Aim, str, float], ...]] = {
    "lenet": (
        ("steps", "loihi2", 60),
        ("energy", "loihi2", 60),
        ("agreement", "loihi2", 60),
        ("spikes", "loihi1", 60),
        ("spikes", "spinnaker1", 60),
    ),
    "mobilenet": (
        ("steps", "loihi2", 60),
        ("spikes", "loihi2", 120),
        ("steps", "loihi1:nahuku", 120),
    ),
    "resnet": (
        ("steps", "loihi2", 120),
        ("spikes", "loihi2", 180),
        ("steps", "loihi1:nahuku", 180),
        ("steps", "loihi2", 10),
    ),
}
"""Network -> aim, chip, and seconds of `--time`."""


def load_case(name: str, data: Path) -> Case:
    """Return a network with calibration and test images."""
    if name == "lenet":
        x, y = networks.mnist(data, "train", 20_000)
        model = trained(name, networks.lenet, x, y, epochs=6)
        return Case(model, x[:CALIBRATION], *networks.mnist(data, "test", 500))
    if name == "mobilenet":
        x, y = networks.jpeg(data, "train", 40_000)
        model = trained(name, networks.mobilenet, x, y, epochs=4)
        return Case(model, x[:CALIBRATION], *networks.jpeg(data, "test", 500))
    x, y = networks.lossless(data, "test")
    calibration, _ = networks.lossless(data, "train")
    return Case(networks.resnet(data), calibration[:CALIBRATION], x[:300], y[:300])


def choose(case: Case, budget: Budget, *, tables: bool) -> str:
    """Return a row: seconds taken, candidates tried, the choice and how it does."""
    begun = time.perf_counter()
    try:
        made = convert(case.model, case.calibration, "auto", budget=budget)
    except snncompile.SnnCompileError as error:
        return f"{time.perf_counter() - begun:6.1f} s  {error}"
    seconds = time.perf_counter() - begun
    if tables:
        print(format_trials(made.trials), end="")
    shown = made.network.input.present(case.calibration[:8])
    program = snncompile.compile(made.network, chip=budget.chip, calibration=shown)
    found = run(program.network, case.x)
    energy = program.estimate(shown[:4]).energy_j
    tried = sum("built on all" not in trial.reason for trial in made.trials)
    return (
        f"{seconds:6.1f} s {tried:5} {f'{made.method.label} {made.steps}':22}"
        f" {(found.predictions == case.y).mean():8.2%}"
        f" {(found.predictions == case.answers()).mean():7.2%} {found.spikes:9,.0f}"
        f" {program.mapping.cores:5} {'unknown' if energy is None else format_joules(energy):>8}"
        f"  {made.stopped}"
    )


def main() -> None:
    """Print a row per network, aim and chip."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tables", action="store_true", help="print what was tried")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    for name in options.networks:
        case = load_case(name, options.data)
        print(f"{name}: the model has {(case.answers() == case.y).mean():.2%} of {len(case.y)}")
        print(
            f"{'aim':9} {'chip':13} {'asked':>6} {'taken':>8} {'tried':>5} {'choice':22}"
            f" {'accuracy':>8} {'agrees':>7} {'spikes':>9} {'cores':>5} {'energy':>8}"
        )
        for aim, chip, seconds in ROWS[name]:
            row = choose(case, Budget(chip=chip, seconds=seconds, aim=aim), tables=options.tables)
            print(f"{aim:9} {chip:13} {seconds:4.0f} s {row}", flush=True)


if __name__ == "__main__":
    main()
