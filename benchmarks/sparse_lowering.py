"""Zeros of dense wiring as single synapses: operations, energy and time of 784-300-10 on `loihi1`.

    python benchmarks/sparse_lowering.py [--data ../shared/data] [--keep 0.02 0.1 0.5]

Random weights of which a share is kept, two layers of stock hard-reset LIF neurons, 64 images of
MNIST in 8 time steps. Compiled with `sparse=off` and `sparse=auto`; the spikes must be equal.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

import snncompile
from snncompile.files.spikes import encode_images
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

STEPS, IMAGES = 8, 64


def build(keep: float) -> Network:
    """Return a network of which a share of the weights is not zero."""
    rng = np.random.default_rng(0)
    neuron = CubaLif(1.0, 0.1, 1.0)
    sizes = (784, 300, 10)
    weights = [
        rng.normal(0.02 / keep**0.5, 0.1 / keep**0.5, (target, source))
        * (rng.random((target, source)) < keep)
        for source, target in pairwise(sizes)
    ]
    return Network(
        Input("in", (784,)),
        (Population("hidden", (300,), neuron), Population("out", (10,), neuron)),
        tuple(
            Projection(source, target, dense(w))
            for source, target, w in zip(("in", "hidden"), ("hidden", "out"), weights, strict=True)
        ),
        "out",
    )


def main() -> None:
    """Compile both ways, estimate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--keep", type=float, nargs="*", default=[0.02, 0.1, 0.5, 1.0])
    parser.add_argument("--chip", default="loihi1")
    options = parser.parse_args()
    if not (options.data / "mnist_test.npz").is_file():
        sys.exit(f"{options.data}: no mnist_test.npz; give the folder with --data")
    with np.load(options.data / "mnist_test.npz") as file:
        x = encode_images(file["x"][:IMAGES].reshape(IMAGES, -1), STEPS)
    print(f"{options.chip}, per image: kept  sparse  operations  energy uJ  time us  spikes")
    for keep in options.keep:
        network, before = build(keep), None
        for sparse in ("off", "auto"):
            program = snncompile.compile(
                network, chip=options.chip, calibration=x, sparse=sparse, prune=False
            )
            estimate, run = program.estimate(x), program.run(x)
            operations = estimate.synaptic_ops
            energy, latency = estimate.energy_j * 1e6, estimate.latency_s * 1e6
            print(
                f"{keep:5.0%}  {sparse:4} {operations:10,.0f} {energy:9.2f} {latency:8.1f}"
                f" {int(run.spikes.sum()):8,}",
                end="",
            )
            if before:
                ratios = before[0] / operations, before[1] / energy
                same = np.array_equal(before[2], run.spikes)
                print(f"   {ratios[0]:.1f}x fewer, {ratios[1]:.1f}x less", end="")
                print(f", equal spikes: {same}", end="")
            print(flush=True)
            before = operations, energy, run.spikes
        print("   ", program.log[[line.startswith("sparsify") for line in program.log].index(True)])


if __name__ == "__main__":
    main()
