"""Sweeps: the front of ResNet-20, two workers against one, memory over many trials.

    python benchmarks/sweep.py front [--folder F] [--bits 4 6 8]  # bits x method x steps
    python benchmarks/sweep.py ratio [--trials 6]                 # seconds with one and two workers
    python benchmarks/sweep.py memory                             # 200 trials of the digits network
    python benchmarks/sweep.py memory --resnet                    # 40 trials of ResNet-20

`front` and `--resnet` need the trained ResNet-20 and the CIFAR-10 images beside the project; each
reports memory too. Each worker has one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn

import snncompile
from snncompile.study.drive import News, Sweep
from snncompile.study.tables import draw_front, summarize, tabulate_front

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
METHODS = [
    {"method": "balance", "steps": [32, 64]},
    {"method": "signed", "calibrate_bias": True, "steps": [8, 16, 32]},
    {"method": "bistable_phase", "steps": [4, 5]},
    "graded",
]
"""Of ResNet-20."""
STATE = "SNNCOMPILE_DIGITS"
"""Variable with the path of the weights of the digits network."""


def resnet20() -> nn.Module:
    """Return the trained ResNet-20."""
    from conversion_networks import resnet as build

    return build(DATA)


def make_digits() -> nn.Module:
    """Return the digits network, 64 - 64 - 10, not trained."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def digits() -> nn.Module:
    """Return the trained digits network."""
    model = make_digits()
    model.load_state_dict(torch.load(os.environ[STATE], weights_only=True))
    return model.eval()


def write_digits(folder: Path) -> None:
    """Train the digits network, and write its weights and its data."""
    from sklearn.datasets import load_digits

    images = load_digits()
    x, y = images.images[:, None] / 16, images.target.astype(np.int64)
    model = make_digits()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    inputs, labels = torch.tensor(x[:-360]).float(), torch.tensor(y[:-360])
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    os.environ[STATE] = str(folder / "digits.pt")
    torch.save(model.state_dict(), folder / "digits.pt")
    np.savez(folder / "calibration.npz", x=x[:100])
    np.savez(folder / "data.npz", x=x[-360:], label=y[-360:])


def write_cifar(folder: Path) -> None:
    """Write the images that the study of ResNet-20 reads."""
    from conversion_networks import lossless

    calibration, _ = lossless(DATA, "train")
    x, label = lossless(DATA, "test")
    np.savez_compressed(folder / "calibration.npz", x=calibration[:32])
    np.savez_compressed(folder / "data.npz", x=x, label=label)


class Memory:
    """Resident memory of this process and of its workers, trial after trial."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []

    def __call__(self, news: News) -> None:
        """Note the memory at a trial."""
        own = psutil.Process()
        sizes = []
        for child in own.children(recursive=True):
            try:
                sizes.append(child.memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                continue
        self.rows.append((news.done, own.memory_info().rss / 2**20, max(sizes, default=0.0)))
        if news.seconds_left is not None:
            print(f"{news.done} of {news.total}, about {news.seconds_left:.0f} s left", flush=True)

    def show(self) -> None:
        """Print the memory at tenths of the sweep."""
        print("trials done   driver, MiB   largest worker, MiB")
        for row in self.rows[:: max(1, len(self.rows) // 10)] + self.rows[-1:]:
            print(f"{row[0]:11d}   {row[1]:11.0f}   {row[2]:19.0f}")


def describe_study(name: str, function: str, folder: Path, **more: Any) -> dict[str, Any]:
    """Return a study of a network of this file."""
    return {
        "name": name,
        "models": {name: {"ann": f"{HERE / 'sweep.py'}:{function}"}},
        "data": str(folder / "data.npz"),
        "calibration": str(folder / "calibration.npz"),
    } | more


def show(sweep: Sweep) -> None:
    """Print the front."""
    from rich.console import Console

    Console(width=80).print(tabulate_front(sweep.front))
    print(draw_front(sweep.front))
    print("\n".join(summarize(sweep)))


def run_front(folder: Path, samples: int, bits: list[int], workers: int) -> None:
    """Run the study of ResNet-20."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cifar(folder)
    study = describe_study(
        "ResNet-20", "resnet20", folder, chips=["loihi1:nahuku", "loihi2"], bits=bits,
        methods=METHODS, samples=samples, priced=4, calibrated=4,
    )  # fmt: skip
    memory = Memory()
    sweep = snncompile.sweep(study, folder / "study", workers=workers, progress=memory)
    show(sweep)
    memory.show()


def run_ratio(folder: Path, trials: int) -> None:
    """Print the seconds of the same trials with one worker and with two."""
    write_digits(folder)
    data = np.load(folder / "data.npz")
    repeats = 14  # 5,040 images, each message followed: trials of 10 s and more
    np.savez(
        folder / "data.npz", x=np.tile(data["x"], (repeats, 1, 1, 1)),
        label=np.tile(data["label"], repeats),
    )  # fmt: skip
    study = describe_study(
        "digits", "digits", folder, chips="loihi2", methods="signed",
        steps={"low": 256, "high": 256 + trials - 1}, priced=repeats * 360, timing="cycle",
    )  # fmt: skip
    seconds = {}
    for workers in (1, 2):
        begun = time.perf_counter()
        target = folder / f"{workers}"
        sweep = snncompile.sweep(study, target, workers=workers)
        whole = time.perf_counter() - begun
        lines = [line for line in sweep.read_log() if line["event"] in ("begin", "end")]
        own = [line["seconds"] for line in lines if line["event"] == "end"]
        times = [line["time"] for line in lines]
        seconds[workers] = max(times) - min(times)
        print(
            f"{workers} worker{'s' * (workers > 1)}: {len(own)} trials in {seconds[workers]:.1f} s"
            f" ({whole:.1f} s with start and end), {min(own):.1f} to {max(own):.1f} s each",
            flush=True,
        )
    print(f"two workers against one: {seconds[1] / seconds[2]:.2f} x")


def run_memory(folder: Path, workers: int, resnet: bool) -> None:
    """Run 200 trials of the digits network, or 40 of ResNet-20."""
    if resnet:
        write_cifar(folder)
        methods = [
            {"method": "graded", "message_bits": [3, 4, 5, 6, 7, 8]},
            {"method": "bistable_phase", "steps": [4, 5]},
        ]
        study = describe_study(
            "ResNet-20", "resnet20", folder, chips="loihi2", bits=[4, 5, 6, 7, 8],
            methods=methods, samples=16, priced=1, calibrated=4,
        )  # fmt: skip
    else:
        write_digits(folder)
        study = describe_study(
            "digits", "digits", folder, chips=["loihi1", "loihi2"], bits=[3, 4, 5, 6, 8],
            methods=["balance", "signed"], steps={"low": 4, "high": 22, "step": 2}, priced=4,
        )  # fmt: skip
    memory = Memory()
    show(snncompile.sweep(study, folder / "study", workers=workers, progress=memory))
    memory.show()


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("which", choices=("front", "ratio", "memory"))
    parser.add_argument(
        "--folder", type=Path, help="for inputs and results; temporary if not given"
    )
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 6, 8])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--resnet", action="store_true", help="memory over trials of ResNet-20")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.which == "front":
            run_front(folder, options.samples, options.bits, options.workers)
        elif options.which == "ratio":
            run_ratio(folder, options.trials)
        else:
            run_memory(folder, options.workers, options.resnet)


if __name__ == "__main__":
    main()
