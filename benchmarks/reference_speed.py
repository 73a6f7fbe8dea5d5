"""How fast the integer reference is, and what it owes to which part.

    python benchmarks/reference_speed.py [--net network.net] [--batch 256] [--steps 20] [--lava]

Networks: (a) 784-128-64-10 (`--net`: a trained lava-dl network), (b) 32x32x3, two convolutions of
3x3 to 16 and 32 channels, 10 neurons, (c) 1024, three times 1024. A tenth of the inputs spike in a
time step; weights are random and thresholds such that about a tenth of the neurons spike too.
snnTorch runs networks of the same sizes in floats; `--lava` runs these networks on Lava.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from reference_vs_lava import compiled, random_network
from torch import nn

from snncompile.errors import SnnCompileError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.reference import simulate
from snncompile.reference.fast.base import Scratch
from snncompile.reference.fast.projections import build_ways
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

BINARY = Interval(0, 1)
REPEATS = 5


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the shortest of some runs in seconds, the first one left out."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def convolutional(channels: tuple[int, ...] = (16, 32)) -> IntegerNetwork:
    """Return network (b)."""
    random = np.random.default_rng(0)
    shape, source = (3, 32, 32), "input"
    populations, projections = [], []

    def add(name: str, shape: tuple[int, ...], synapses: IntegerSynapses, fan_in: int) -> None:
        threshold = np.array(int(40 * np.sqrt(fan_in)))
        neuron = IntegerCubaLif(np.array(2047), np.array(255), threshold)
        populations.append(Population(name, shape, neuron, phase=len(populations) + 1))
        projections.append(Projection(source, name, synapses, 1))

    for layer, out in enumerate(channels, 1):
        wiring = Convolution(shape, out, (3, 3), (1, 1), (0, 0), (1, 1))
        weight = random.integers(-64, 65, wiring.weight_shape, np.int16) * 2
        name = f"convolution{layer}"
        add(name, wiring.target_shape, IntegerSynapses(wiring, weight, 0, 8), 9 * shape[0])
        shape, source = wiring.target_shape, name
    weight = random.integers(-64, 65, (10, prod(shape)), np.int16) * 2
    add("output", (10,), integer_dense(weight, 0, 8), prod(shape))
    return IntegerNetwork(
        Input("input", (3, 32, 32)), tuple(populations), tuple(projections), "output"
    )


def products(network: IntegerNetwork) -> int:
    """Return the multiplications per sample and time step if every source spikes."""
    sparse = (p.synapses.wiring.pattern.nnz for p in network.projections)
    return sum(sparse)


def matrix_rate() -> float:
    """Return multiplications per second of a large float32 matrix product."""
    a = torch.randn(2048, 2048)
    return 2048**3 / best(lambda: a @ a)


MODULES: dict[str, Callable[[], list[nn.Module]]] = {
    "a": lambda: [nn.Linear(784, 128), nn.Linear(128, 64), nn.Linear(64, 10)],
    "b": lambda: [
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 32, 3),
        nn.Sequential(nn.Flatten(), nn.Linear(32 * 28 * 28, 10)),
    ],
    "c": lambda: [nn.Linear(1024, 1024) for _ in range(3)],
}
"""Layers of each network, each followed by current-based neurons."""


def snntorch_rate(name: str, x: np.ndarray) -> float:
    """Return sample-steps per second of snnTorch's float forward of a network of these sizes."""
    import snntorch

    layers = MODULES[name]()
    leaky = [snntorch.Synaptic(alpha=0.75, beta=0.94) for _ in layers]
    floats = torch.tensor(x, dtype=torch.float32)

    def forward() -> None:
        with torch.no_grad():
            state = [neuron.init_synaptic() for neuron in leaky]
            for step in range(x.shape[1]):
                spikes = floats[:, step]
                for i, (layer, neuron) in enumerate(zip(layers, leaky, strict=True)):
                    spikes, *rest = neuron(layer(spikes), *state[i])
                    state[i] = tuple(rest)

    return x.shape[0] * x.shape[1] / best(forward, 3)


def lava_rate(network: IntegerNetwork, x: np.ndarray, expected: np.ndarray) -> float | str:
    """Return sample-steps per second of Lava without its start-up, or why there is none."""
    from snncompile.backends.lava.run import run

    told: list[float] = []
    program = SimpleNamespace(network=network)
    try:
        result = run(program, x, progress=lambda *_: told.append(time.perf_counter()))
    except (SnnCompileError, TypeError, KeyError) as error:
        return f"not run: {type(error).__name__}"
    if not (result.spikes == expected).all():
        return "DIFFERENT SPIKES"
    return (len(x) - 1) * x.shape[1] / (told[-1] - told[0])


def crossover(synapses: IntegerSynapses, rows: int = 64) -> str:
    """Return the share of spikes above which the matrix product is the faster way, one thread."""
    wiring, random = synapses.wiring, np.random.default_rng(0)
    last = (1, 1)
    if isinstance(wiring, Convolution):
        last = wiring.source_shape[0], wiring.channels
    found, scratch = build_ways(synapses, BINARY, *last), Scratch()
    assert found
    assert found.events
    total = np.zeros((rows, wiring.targets), np.int32)
    for activity in (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5):
        train = (random.random((rows, wiring.sources)) < activity).astype(np.uint8)
        events, product = (
            best(lambda way=way, train=train: way.fill(train, total, scratch))
            for way in (found.events, found.product)
        )
        if product < events:
            return f"{activity:.3f}"
    return "never"


def table(networks: dict[str, IntegerNetwork], options: argparse.Namespace) -> None:
    """Print the rates of the networks."""
    machine = matrix_rate()
    print(f"{torch.get_num_threads()} threads, matrix product {2 * machine / 1e9:.0f} GFLOP/s")
    print(f"batch {options.batch}, {options.steps} time steps; rates in sample-steps per second\n")
    print(f"{'':4} {'reference':>11} {'of the matrix':>14} {'activity':>9}", end="")
    print(f" {'snnTorch':>12} {'ratio':>7}", end="")
    print(f" {'Lava':>12} {'ratio':>7}" if options.lava else "")
    for name, network in networks.items():
        shape = (options.batch, options.steps, *network.input.shape)
        x = (np.random.default_rng(1).random(shape) < 0.1).astype(np.uint8)
        rate = options.batch * options.steps / best(lambda: network.run(x))  # noqa: B023
        activity = _activity(network, x[:16])
        line = f"({name})  {rate:11,.0f} {rate * products(network) / machine:14.0%}"
        line += f" {activity:9.3f}"
        other = snntorch_rate(name, x)
        line += f" {other:12,.0f} {rate / other:6.1f}x"
        if options.lava:
            found = lava_rate(network, x[:4], network.run(x[:4]).spikes)
            line += f" {found:>12}" if isinstance(found, str) else f" {found:12,.0f}"
            line += "" if isinstance(found, str) else f" {rate / found:6.0f}x"
        print(line, flush=True)


def _activity(network: IntegerNetwork, x: np.ndarray) -> float:
    """Return the share of sources that spike, weighted by their synapses."""
    spike_trains = next(simulate.run_batches(network, x))
    weights = [p.synapses.wiring.pattern.nnz for p in network.projections]
    shares = [float(spike_trains[p.source].float().mean()) for p in network.projections]
    return float(np.average(shares, weights=weights))


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", type=Path, help="a trained lava-dl network for (a)")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--lava", action="store_true", help="compare with Lava")
    parser.add_argument("--cifar", type=int, default=0, help="images for the memory of (b)")
    options = parser.parse_args()
    if options.cifar:
        x = np.zeros((options.cifar, options.steps, 3, 32, 32), np.uint8)
        x.reshape(-1)[::10] = 1
        start = time.perf_counter()
        convolutional().run(x)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"(b), {options.cifar} images of {options.steps} steps: {seconds:.1f} s")
        print(f"{peak:.2f} GiB at most, of which {x.nbytes / 2**30:.2f} GiB are the input")
        return
    networks = {
        "a": compiled(options.net) if options.net else random_network(),
        "b": convolutional(),
        "c": random_network((1024, 1024, 1024, 1024), firing=95),
    }
    table(networks, options)
    print("\nmatrix product faster than spike by spike from this share of spikes on, one thread:")
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    for targets, sources in ((128, 784), (64, 128), (10, 64), (10, 25088), (1024, 1024)):
        weight = random.integers(-127, 128, (targets, sources))
        print(f"  dense {targets}x{sources}: {crossover(integer_dense(weight, 0, 8))}", flush=True)
    for shape, out in (((3, 32, 32), 16), ((16, 30, 30), 32)):
        wiring = Convolution(shape, out, (3, 3), (1, 1), (0, 0), (1, 1))
        weight = random.integers(-127, 128, wiring.weight_shape)
        found = crossover(IntegerSynapses(wiring, weight, 0, 8))
        print(f"  {wiring}: {found}", flush=True)


if __name__ == "__main__":
    main()
