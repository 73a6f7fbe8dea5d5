"""Memory under load: many steps, many samples, many runs and estimates in a row.

    python benchmarks/load.py               # minutes
    python benchmarks/load.py --part 0.1    # a tenth of each load

A network of 64 - 128 - 10 neurons on `loihi2`. Memory is what the process holds (`VmRSS`) before
each load, after a tenth of it and at its end: what grows between the last two is kept for good.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from large import Builder

import snncompile
from snncompile.program import Program
from snncompile.reference.simulate import run_batches


def main() -> None:
    """Print one line per load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", type=float, default=1.0, help="share of each load")
    part = parser.parse_args().part
    builder = Builder((64,))
    builder.dense(builder.dense("input", 128), 10)
    program = snncompile.compile(builder.build("load"), chip="loihi2", prune=False)
    program.estimate(draw(1, 10))  # imports and compiled kernels are no part of the figures
    loads = {
        "one sample of 100,000 steps, ten times": run_long,
        "1,000 samples x 1,000 steps, streamed": stream,
    }
    for title, load in (loads | {"500 runs and estimates": repeat}).items():
        print(f"{title}: {measure(load(program, part))}", flush=True)


def draw(samples: int, steps: int) -> np.ndarray:
    """Return spikes of a tenth of the inputs."""
    return (np.random.default_rng(0).random((samples, steps, 64)) < 0.1).astype(np.uint8)


def run_long(program: Program, part: float) -> Iterator[float]:
    """Run one long sample ten times; yield the share that is done."""
    for tenth in range(10):
        program.run(draw(1, int(100_000 * part)))
        yield (tenth + 1) / 10


def stream(program: Program, part: float) -> Iterator[float]:
    """Run many samples and keep no output; yield the share that is done."""
    x = draw(int(1000 * part), 1000)
    done = 0
    for spike_trains in run_batches(program.network, x, keep=("layer2",)):
        done += len(spike_trains["layer2"])
        yield done / len(x)


def repeat(program: Program, part: float) -> Iterator[float]:
    """Run and estimate again and again; yield the share that is done."""
    x, times = draw(8, 50), int(500 * part)
    for number in range(times):
        program.run(x)
        program.estimate(x)
        yield (number + 1) / times


def measure(load: Iterator[float]) -> str:
    """Return time and memory of a load."""
    before, start, early = read_memory(), time.perf_counter(), None
    for share in load:
        if early is None and share >= 0.1:
            early = read_memory()
    seconds, end = time.perf_counter() - start, read_memory()
    early = end if early is None else early
    return (
        f"{seconds:.1f} s; {before:.0f} MiB before, {early:.0f} after a tenth, {end:.0f} at the"
        f" end: {end - early:+.1f} MiB"
    )


def read_memory() -> float:
    """Return the memory that this process holds, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return float(status.split("VmRSS:")[1].split()[0]) / 2**10


if __name__ == "__main__":
    main()
