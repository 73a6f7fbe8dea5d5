"""What fewer weight bits and other chips cost converted networks: agreement, spikes, energy.

    python benchmarks/conversion_chips.py bits [--networks mnist resnet] [--bits 8 6 5 4 3 2]
    python benchmarks/conversion_chips.py chips [--chips loihi1 spinnaker1 speck2]

ResNet-20 (trained by others) on lossless CIFAR-10 images and the CNN of `conversion_small.py` on
MNIST are converted, compiled with so many bits for such a chip, and run on its integers. A row that
a chip or a method refuses is its message. `--calibration` is the number of samples that `compile`
sees. An energy of a chip without prices is "unknown"; what an energy lacks is printed below it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import conversion_networks as networks
from conversion import CALIBRATION, Case, run, title
from conversion_small import trained

import snncompile
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.ir.graph import Network
from snncompile.report.units import format_joules

BITS = (8, 6, 5, 4, 3, 2)
Rows = tuple[tuple[Method, int], ...]
ROWS: dict[str, Rows] = {
    "mnist": (
        (GradedMessages(), 1),
        (BistablePhase(), 5),
        (Signed(calibrate_bias=True), 16),
        (Balance(calibrate_bias=True), 32),
    ),
    "resnet": (
        (GradedMessages(), 1),
        (BistablePhase(), 6),
        (Signed(calibrate_bias=True), 16),
        (Balance(calibrate_bias=True), 32),
    ),
}
"""Network -> methods and their steps."""
CHIPS = {
    "mnist": ("loihi2", "loihi1", "spinnaker1", "speck2"),
    "resnet": ("loihi2", "loihi1:nahuku", "spinnaker1:spinn-5", "speck2"),
}
"""Network -> chips, or boards where one chip is too small."""


@dataclass(frozen=True)
class Target:
    """What a network is compiled for."""

    chip: str
    bits: int | None = None
    """Bits of a weight; None: the most that the chip has, up to 8."""
    samples: int = 8
    """Calibration samples of `compile`."""


def measure(case: Case, network: Network, target: Target) -> str:
    """Return the columns of a row, or why it is refused."""
    shown = network.input.present(case.calibration[: target.samples])
    begun = time.perf_counter()
    try:
        program = snncompile.compile(
            network, chip=target.chip, bits=target.bits, calibration=shown
        )  # fmt: skip
    except snncompile.SnnCompileError as error:
        return f"refused: {' '.join(str(error).split())}"
    seconds = time.perf_counter() - begun
    found = run(program.network, case.x)
    agrees = float((found.predictions == case.answers()).mean())
    error = (agrees * (1 - agrees) / len(case.x)) ** 0.5
    estimate = program.estimate(shown[:4])
    energy = "unknown" if estimate.energy_j is None else format_joules(estimate.energy_j)
    in_all = network.input.coding.steps + program.network.phase(program.network.output)  # type: ignore[union-attr]
    return (
        f"{in_all:6} {(found.predictions == case.y).mean():8.2%} {agrees:7.2%} {error:6.2%}"
        f" {found.spikes:9,.0f} {program.mapping.cores:5} {energy:>8} {seconds:7.0f} s"
        f" {found.seconds:5.0f} s  {', '.join(estimate.unpriced)}"
    )


def compare(case: Case, rows: Rows, targets: list[Target]) -> None:
    """Print a row for each method and target."""
    answers = case.answers()
    print(f"the model: {(answers == case.y).mean():.2%} of {len(case.y)} images")
    print(
        f"{'method':16} {'steps':>5} {'chip':18} {'bits':>4} {'in all':>6} {'accuracy':>8}"
        f" {'agrees':>7} {'error':>6} {'spikes':>9} {'cores':>5} {'energy':>8} {'compile':>9}"
        f" {'run':>7}  unpriced"
    )
    for method, steps in rows:
        network = convert(case.model, case.calibration, method, steps).network
        for target in targets:
            bits = "" if target.bits is None else target.bits
            begin = f"{title(method):16} {steps:5} {target.chip:18} {bits:>4}"
            print(f"{begin} {measure(case, network, target)}", flush=True)


def load_case(name: str, data: Path, samples: int | None) -> Case:
    """Return a network with its images."""
    if name == "mnist":
        x, y = networks.mnist(data, "train", 8000)
        model = trained("mnist", networks.cnn, x, y, epochs=4)
        return Case(model, x[:CALIBRATION], *networks.mnist(data, "test", samples or 2000))
    x, y = networks.lossless(data, "test")
    calibration, _ = networks.lossless(data, "train")
    count = samples or 300
    return Case(networks.resnet(data), calibration[:CALIBRATION], x[:count], y[:count])


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", choices=("bits", "chips"))
    parser.add_argument("--networks", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--methods", nargs="+", help="names of methods; all if not given")
    parser.add_argument("--bits", type=int, nargs="+", default=BITS)
    parser.add_argument("--chips", nargs="+", help="chips or boards in place of the usual ones")
    parser.add_argument("--samples", type=int, help="images; 2,000 of MNIST, 300 of CIFAR-10")
    parser.add_argument("--calibration", type=int, default=8, help="samples that compile sees")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    for name in options.networks:
        case = load_case(name, options.data, options.samples)
        print(f"{name}, {options.calibration} calibration samples of compile")
        rows = tuple(r for r in ROWS[name] if not options.methods or r[0].name in options.methods)
        chips = options.chips or CHIPS[name]
        if options.table == "bits":
            targets = [Target("loihi2", bits, options.calibration) for bits in options.bits]
        else:
            targets = [Target(chip, None, options.calibration) for chip in chips]
        compare(case, rows, targets)


if __name__ == "__main__":
    main()
