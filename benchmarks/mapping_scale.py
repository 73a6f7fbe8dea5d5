"""Compile time and peak memory against the size of the network, each in a process of its own.

    python benchmarks/mapping_scale.py            # all but the largest: some minutes
    python benchmarks/mapping_scale.py vgg224     # 138 M parameters: two minutes, 2 GiB
    python benchmarks/mapping_scale.py stack-1x stack-4x stack-16x stack-64x  # larger images

Weights are random integers: what is measured is the mapping, not training. Seconds of the processor
are of all its cores, and say more where the machine has other work. Memory per neuron leaves out
what the interpreter and its libraries take before there is a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import large
import numpy as np
from rich.console import Console
from rich.table import Table

import snncompile
from snncompile.checker.wiring_reach import count_synapses
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice

# Network, chip it is compiled for.
NETWORKS: dict[str, tuple[Callable[[], IntegerNetwork], str]] = {
    "resnet20": (large.resnet20, "loihi2"),
    "vgg32": (lambda: large.vgg16(32, 512, 10), "loihi2:kapoho-point"),
    "million": (large.million, "loihi2:kapoho-point"),
    "mobilenet": (large.mobilenet, "loihi2:kapoho-point"),
    "vgg112": (lambda: large.vgg16(112), "loihi2:hala-point"),
    "vgg224-convolutions": (lambda: large.vgg16(224), "loihi2:hala-point"),
    "vgg224": (lambda: large.vgg16(224, 4096, 4096, 1000), "loihi2:hala-point"),
}
NETWORKS |= {
    f"stack-{times}x": (partial(large.stack, 32 * side), "loihi2:hala-point")
    for times, side in ((1, 1), (4, 2), (16, 4), (64, 8))
}
LEFT_OUT = ("vgg224", "vgg224-convolutions")
"""Only on demand."""


def measured(name: str) -> dict[str, object]:
    """Return what compiling one network takes."""
    make, chip = NETWORKS[name]
    compiler = snncompile.compile  # imports torch, which is no part of the mapping
    before = peak()
    network = make()
    start, busy = time.perf_counter(), time.process_time()
    program = compiler(network, chip=chip, prune=False)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - busy
    size = {p.name: p.size for p in network.populations}
    return {
        "network": network.title,
        "chip": chip,
        "neurons": sum(size.values()),
        "synapses": sum(
            count_synapses(p.synapses.wiring, whole(network, p.target)) for p in network.projections
        ),
        "parameters": sum(p.synapses.weight.size for p in network.projections),
        "cores": program.mapping.cores,
        "chips": program.mapping.chips,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "gib": peak(),
        "gib_before": before,
        "log": program.log,
    }


def peak() -> float:
    """Return the most memory this process has taken so far, in GiB."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 2**20


def whole(network: IntegerNetwork, name: str) -> Slice:
    """Return all neurons of a population as one box."""
    shape = network.population(name).shape
    return Slice(name, shape, (0,) * len(shape), shape, 0)


def main() -> None:
    """Print the table."""
    chosen = sys.argv[1:] or [name for name in NETWORKS if name not in LEFT_OUT]
    if chosen[0] == "--one":
        print(json.dumps(measured(chosen[1])))
        return
    table = Table(title="compile time and peak memory", title_justify="left")
    columns = ("network", "chip", "neurons", "synapses", "parameters", "cores", "chips")
    for column in (*columns, "seconds", "of processor", "GiB", "us per neuron", "KiB per neuron"):
        table.add_column(column, justify="left" if column in columns[:2] else "right")
    rows = []
    for name in chosen:
        command = [sys.executable, str(Path(__file__)), "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout)
        rows.append(row)
        counts = [f"{row[column]:,}" for column in columns[2:]]
        each = 1e6 * row["seconds"] / row["neurons"]
        more = (row["gib"] - row["gib_before"]) * 2**20 / row["neurons"]
        times = [f"{row['seconds']:.1f}", f"{row['processor_seconds']:.1f}", f"{row['gib']:.2f}"]
        table.add_row(row["network"], row["chip"], *counts, *times, f"{each:.1f}", f"{more:.2f}")
        print("\n".join(row["log"]), file=sys.stderr)
    Console(width=160).print(table)
    print(growth(rows))


LEAST_SPREAD = 4
"""Largest over smallest network from which on an exponent says something."""


def growth(rows: list[dict[str, float]]) -> str:
    """Return how time and memory grow, as powers of the neurons: slopes of logarithms."""
    neurons = [row["neurons"] for row in rows]
    if max(neurons) < LEAST_SPREAD * min(neurons):
        return f"sizes within a factor of {LEAST_SPREAD}: no exponents"
    size = np.log(neurons)
    seconds, memory = (
        np.polyfit(size, np.log(values), 1)[0]
        for values in (
            [row["seconds"] for row in rows],
            [max(row["gib"] - row["gib_before"], 1e-6) for row in rows],
        )
    )
    return f"fitted: time grows as neurons^{seconds:.2f}, memory as neurons^{memory:.2f}"


if __name__ == "__main__":
    main()
