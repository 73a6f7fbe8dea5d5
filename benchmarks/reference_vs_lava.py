"""The integer reference against Lava: the same network, the same input, one run of each.

    python benchmarks/reference_vs_lava.py [--samples 50] [--steps 20] [--net network.net]

The network is a trained lava-dl one compiled for loihi2 (`--net`), or 784-128-64-10 current-based
LIF neurons with random weights. The input is random: a tenth of the lines spike in a time step.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import snncompile
from snncompile.backends.lava import environment
from snncompile.backends.lava.run import run
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.dense import integer_dense


def random_network(
    sizes: tuple[int, ...] = (784, 128, 64, 10), firing: float = 18
) -> IntegerNetwork:
    """Return a chain of populations; the larger `firing`, the rarer spikes are."""
    random = np.random.default_rng(0)
    names = ["input", *(f"layer{i}" for i in range(1, len(sizes)))]
    populations, projections = [], []
    for layer in range(1, len(sizes)):
        threshold = int(firing * np.sqrt(sizes[layer - 1]))
        neuron = IntegerCubaLif(np.array(1023), np.array(255), np.array(threshold))
        populations.append(Population(names[layer], (sizes[layer],), neuron, phase=layer))
        weight = random.integers(-64, 65, (sizes[layer], sizes[layer - 1]), np.int16) * 2
        synapses = integer_dense(weight, 0, 8)
        projections.append(Projection(names[layer - 1], names[layer], synapses, 1))
    return IntegerNetwork(
        Input("input", sizes[:1]), tuple(populations), tuple(projections), names[-1]
    )


def compiled(path: Path) -> IntegerNetwork:
    """Return the network of a `.net` file as the chip computes it."""
    return snncompile.compile(snncompile.from_netx(path), chip="loihi2").network


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--net", type=Path, help="a trained lava-dl network")
    options = parser.parse_args()
    network = compiled(options.net) if options.net else random_network()
    shape = (options.samples, options.steps, *network.input.shape)
    x = (np.random.default_rng(1).random(shape) < 0.1).astype(np.uint8)
    environment.install(print)

    network.run(x[:1])  # the first call loads torch
    start = time.perf_counter()
    expected = network.run(x).spikes
    reference_s = time.perf_counter() - start

    told = []
    start = time.perf_counter()
    program = SimpleNamespace(network=network)
    result = run(program, x, progress=lambda *_: told.append(time.perf_counter())).spikes
    lava_s = time.perf_counter() - start
    running_s = told[-1] - told[0]

    sizes = [network.input.size, *(p.size for p in network.populations)]
    processes = 2 + len(network.populations) + len(network.projections)
    print(f"\n{'-'.join(map(str, sizes))}, {options.samples} samples of {options.steps} time steps")
    print(f"Lava: {processes} processes, {'equal' if (result == expected).all() else 'DIFFERENT'},")
    print(f"{expected.mean():.3f} spikes per output neuron and time step\n")
    print(f"{'':37} {'seconds':>10} {'sample-steps/s':>16} {'time':>14}")
    work = options.samples * options.steps
    for name, seconds in (
        ("reference, all samples in one batch", reference_s),
        ("Lava, running (start-up left out)", running_s),
        ("Lava, whole run from array to array", lava_s),
    ):
        print(f"{name:37} {seconds:10.3f} {work / seconds:16,.0f} {seconds / reference_s:12.1f} x")


if __name__ == "__main__":
    main()
