"""Time of commands that search or import for long, and what they say meanwhile.

    python benchmarks/waiting.py                    # all three
    python benchmarks/waiting.py auto --images 100  # fewer images for calibration and accuracy

fit: `snncompile fit --input` of a spiking CNN for MNIST on four chips. spikingjelly: `snncompile
compile` of SpikingJelly's network of 128 channels. auto: `snncompile convert --method auto` of a
CNN of three convolutions. Each is one command in a process of its own; on a terminal it shows the
share that is done and the time left, here `--log-level info` writes them as lines, which are
printed as they come. Needs the data folder beside the project.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

import conversion_networks as networks
import numpy as np
import torch
from trained_weights import SHIPPED, Training, read_weights
from zoo_networks import TUTORIALS

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
CHIPS = ("loihi1", "loihi2", "spinnaker1", "spinnaker2")
STEPS = 16
"""Time steps of a sample."""


def build_cnn() -> Any:
    """Return the CNN of three convolutions with its shipped weights."""
    model = networks.cnn()
    weights = read_weights(SHIPPED / "mnist_cnn.npz", Training(repr(model), 8000, 4, 3e-3, False))
    assert weights is not None
    model.load_state_dict(weights)
    return model.eval()


def build_spiking_cnn() -> Any:
    """Return the same network in spikes, of floats."""
    from snncompile import from_ann

    images, _ = networks.mnist(DATA, "train", 100)
    return from_ann(build_cnn(), images, method="signed", steps=STEPS)


def build_spikingjelly() -> Any:
    """Return SpikingJelly's network of 128 channels for images of 28 x 28, and a sample."""
    torch.manual_seed(0)
    images, _ = networks.mnist(DATA, "train", 2)
    sample = (images[:, None] > np.linspace(0.1, 0.9, 4).reshape(1, 4, 1, 1, 1)).astype(np.float32)
    return TUTORIALS["SpikingJelly, FashionMNIST"].make(28).eval(), sample


@dataclass(frozen=True)
class Waited:
    """What one command took."""

    seconds: float
    of_processor: float
    lines: list[str]
    """What it said on standard error."""
    longest_silence: float
    """Seconds between two lines, its start or its end."""


def wait_for(command: list[str]) -> Waited:
    """Run `snncompile` and follow what it says."""
    before, start = getrusage(RUSAGE_CHILDREN), time.monotonic()
    lines, times = [], [start]
    whole = [str(Path(sys.executable).with_name("snncompile")), "--log-level", "info"]
    whole += command
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(whole, stdout=nowhere, stderr=pipe, text=True, cwd=ROOT) as process:
        for line in process.stderr or ():
            times.append(time.monotonic())
            lines.append(line.rstrip())
            print(f"{times[-1] - start:6.0f} s  {lines[-1][:150]}", flush=True)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    times.append(time.monotonic())
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    silences = [later - earlier for earlier, later in pairwise(times)]
    return Waited(times[-1] - start, used, lines, max(silences))


def list_commands(folder: Path, images: int) -> dict[str, list[str]]:
    """Return each command, with the files that it needs in a folder."""
    file = str(Path(__file__).resolve().relative_to(ROOT))
    x, label = networks.mnist(DATA, "test", images)
    np.savez(folder / "images.npz", x=x, label=label)
    frames = np.repeat(x[:, None], STEPS, axis=1)
    np.savez(folder / "frames.npz", x=frames, label=label)
    chips = [word for chip in CHIPS for word in ("--chip", chip)]
    sample = ["--input", str(folder / "frames.npz")]
    calibration = ["--calibration", str(folder / "images.npz"), "-o", str(folder / "out")]
    return {
        "fit": ["fit", f"{file}:build_spiking_cnn", *chips, *sample],
        "spikingjelly": [
            *("compile", f"{file}:build_spikingjelly", "--chip", "loihi2:hala-point"),
            *("-o", str(folder / "csnn")),
        ],
        "auto": ["convert", f"{file}:build_cnn", "--method", "auto", *calibration],
    }


def main() -> None:
    """Run the commands and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", help="fit, spikingjelly, auto; all if not given")
    parser.add_argument("--images", type=int, default=500, help="for calibration and accuracy")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        commands = list_commands(Path(folder), arguments.images)
        for name in arguments.which or commands:
            print(f"{name}: snncompile {' '.join(commands[name])}", flush=True)
            waited = wait_for(commands[name])
            rows.append(
                f"| {name} | {waited.seconds:.0f} | {waited.of_processor:.0f} |"
                f" {len(waited.lines)} | {waited.longest_silence:.0f} |"
            )
    print("| | seconds | of the processor | lines said | longest silence, seconds |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
