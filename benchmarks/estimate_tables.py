"""Estimates with every row's price and source: the digits network and a ResNet-20.

    python benchmarks/estimate_tables.py [digits|resnet20] [--timing cycle] [--chip loihi2]

digits: the demo's network, trained, on digits of the test set. resnet20: He et al. 2016 for images
of 32 x 32, random weights and random input at `--rate`; its activity is what they happen to give,
and stands in the table as synaptic operations.
"""

from __future__ import annotations

import argparse
import time

import large
import numpy as np
from rich.console import Console

import snncompile
from snncompile.backends.energy.baseline import SOURCE, compare_arithmetic
from snncompile.cli import demo
from snncompile.program import Program
from snncompile.report import estimates

out = Console(width=160)


def digits(chip: str) -> tuple[Program, np.ndarray]:
    """Return the demo's network and test digits."""
    x, label = demo._load_digits()
    module = demo._train(x[: -demo.TEST], label[: -demo.TEST], lambda text: None)
    network = snncompile.from_torch(module, x[:32], title="digits")
    return snncompile.compile(network, chip=chip, calibration=x[:128]), x[-demo.TEST :]


def resnet20(chip: str, rate: float) -> tuple[Program, np.ndarray]:
    """Return a ResNet-20 of random weights and one sample of random input."""
    network = large.resnet20()
    x = np.random.default_rng(0).random((1, 8, *network.input.shape)) < rate
    return snncompile.compile(network, chip=chip), x.astype(np.uint8)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", choices=("digits", "resnet20"))
    parser.add_argument("--timing", default="fast")
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--costs")
    parser.add_argument("--rate", type=float, default=0.1)
    options = parser.parse_args()
    for name in [options.network] if options.network else ("digits", "resnet20"):
        start = time.perf_counter()
        if name == "digits":
            program, x = digits(options.chip)
        else:
            program, x = resnet20(options.chip, options.rate)
        compiled = time.perf_counter()
        found = program.estimate(x, options.costs, timing=options.timing)
        estimated = time.perf_counter()
        out.print(f"\n{name}: {program.mapping.cores} cores; {compiled - start:.1f} s to make and"
                  f" compile, {estimated - compiled:.1f} s to estimate")  # fmt: skip
        out.print(estimates.tabulate_estimate(found))
        out.print(estimates.tabulate_baseline(compare_arithmetic(program, found), SOURCE))
        for line in estimates.summarize_estimate(found):
            out.print(line, markup=False)


if __name__ == "__main__":
    main()
