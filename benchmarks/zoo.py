"""Import the libraries' ready-made networks and those of their tutorials; print what comes of it.

    python benchmarks/zoo.py [--size 32] [--steps 4] [--only resnet18 vgg] [--compile CHIP]

Without --size at full size: 224 x 224 for networks of ImageNet's size, which takes hours. Each row
runs in a process of its own: processor seconds and the peak of its memory are those of the import,
or of import and compile. "exact": every output of every neuron equals the module's in float64,
unless a note says otherwise; everything else is the message of the refusal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from zoo_networks import ZOO, wake

import snncompile
from snncompile import from_torch
from snncompile.errors import SnnCompileError

GIB = 2**20
"""`ru_maxrss` is in units of 1024 bytes."""


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, help="largest side of an image")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], help="names, or what names hold")
    parser.add_argument("--compile", metavar="CHIP", help="compile what was imported, too")
    parser.add_argument("--minutes", type=float, default=60.0, help="limit of a row")
    options = parser.parse_args()
    print("| library | network | input | result | neurons | seconds | GiB |")
    print("|---|---|---|---|---|---|---|")
    names = {f"{library} {name}" for library, entries in ZOO.items() for name in entries}
    exact = [text for text in options.only if text in names]
    others = [text for text in options.only if text not in names]
    for library, entries in ZOO.items():
        for name in entries:
            full = f"{library} {name}"
            if full in exact or any(text in full for text in others):
                print(f"| {library} | {name} |{_run_apart(library, name, options)}", flush=True)


def _run_apart(library: str, name: str, options: Any) -> str:
    """Return the rest of a line, made by a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_send_row, args=(send, library, name, options))
    process.start()
    send.close()
    try:
        if receive.poll(60 * options.minutes):
            return str(receive.recv())
        return f" | not done in {options.minutes:g} minutes | | | |"
    except EOFError:
        process.join()
        return f" | ended with code {process.exitcode} | | | |"
    finally:
        process.kill()


def _send_row(send: Connection, library: str, name: str, options: Any) -> None:
    try:
        send.send(run_row(library, name, options))
    except Exception as error:  # of the library, or ours: a row of the table as well
        lines = str(error).strip().splitlines() or [""]
        send.send(f" | failed: {type(error).__name__}: {lines[0][:200]} | | | |")


def run_row(library: str, name: str, options: Any) -> str:
    """Return the rest of a line: input, result, neurons, seconds and memory."""
    torch.manual_seed(0)
    entry = ZOO[library][name]
    side = entry.choose_side(options.size)
    x = entry.draw(side, options.samples, options.steps)
    module = entry.make(side)
    wake(module, x)
    start, neurons = time.process_time(), ""
    try:
        network = from_torch(module, x, **entry.options)
        neurons = f"{sum(population.size for population in network.populations):,}"
        result = "; ".join(["exact", *network.notes])
        if options.compile:
            result += f"; imported in {time.process_time() - start:.1f} s, {_read_peak():.2f} GiB"
            result += "; " + _compile(network, x, options.compile)
    except SnnCompileError as error:
        result = str(error).replace("|", "\\|").replace("\n", " ")
    seconds, shape = time.process_time() - start, " x ".join(map(str, x.shape[2:]))
    return f" {shape} | {result} | {neurons} | {seconds:.1f} | {_read_peak():.2f} |"


def _read_peak() -> float:
    """Return the most memory that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


def _compile(network: Any, x: Any, chip: str) -> str:
    """Compile a network and return how many cores it takes; progress goes to the error stream."""
    start = time.perf_counter()

    def show(text: Any, share: float = 0.0) -> None:
        seconds = time.perf_counter() - start
        print(f"{seconds:7.1f} s, peak {_read_peak():.2f} GiB: {text}", file=sys.stderr, flush=True)

    show("compile")
    program = snncompile.compile(network, chip=chip, calibration=x, progress=show)
    show("done")
    return f"compiled: {program.mapping.cores:,} cores"


if __name__ == "__main__":
    main()
