"""Filters without labels: STDP against random filters on MNIST, read out by a linear layer.

    python benchmarks/training_stdp.py [--data ../shared/data] [--seeds 0 1 2]
    python benchmarks/training_stdp.py --seeds 0 --layers 1 --rate 0.1
    python benchmarks/training_stdp.py --resume     # the table of seeds that were run one by one

16 filters of 7 x 7 learn from 2,000 images of MNIST, 8 time steps, without labels, and fire in 3 %
of all steps; then 32 of 5 x 5 learn from the first layer's spikes, the maximum of 2 x 2. A ridge
regression reads spike counts of squares from 200, 1,000 and 8,000 labels; 2,000 test images. Rows
differ in their filters alone:

    random      drawn from the normal distribution
    start       the weights of 0.2..0.8 from which BoundedStdp starts
    shuffled    learned by BoundedStdp, the weights of each filter in random order
    learned     by BoundedStdp
    binary      by BinaryStdp

Two words are the filters of two layers. Points are means over seeds, each with 8,000 training and
2,000 test images of its own; `+-` is the standard error of the mean. `over random` is the mean
difference, seed by seed, at 8,000 labels. `chip` has the integers of the Program compiled for
`--chip`, 8,000 labels; `spikes` are those of the filters per image.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

import snncompile
from snncompile import training
from snncompile.files.spikes import encode_images

STEPS, TRAINED, TESTED, LEARNED, MEASURED = 8, 8000, 2000, 2000, 100
LABELS = (200, 1000, 8000)
KEPT = Path("build/training_stdp")
SHAPES = ((16, 7, 1), (32, 5, 0))
"""Of each layer: filters, size, padding."""
SQUARES = (6, 2)
"""Rows and columns of the squares whose spikes are counted, by layers."""
ROWS = {
    1: ("random", "start", "shuffled", "learned", "binary"),
    2: ("random random", "learned random", "learned learned", "binary binary"),
}
RULES = {"learned": training.BoundedStdp(), "binary": training.BinaryStdp()}


def load(data: Path, split: str, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return spikes, shape (images, steps, 1, 28, 28), and labels."""
    with np.load(data / f"mnist_{split}.npz") as file:
        x, label = file["x"][start : start + count], file["y"][start : start + count]
    return encode_images(x[:, None], STEPS), label.astype(np.int64)


def make_weight(kind: str, spikes: np.ndarray, count: int, size: int, seed: int) -> Tensor:
    """Return filters of a kind, shape (count, channels, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, spikes.shape[2], size, size)
    if kind == "random":
        return torch.randn(shape, generator=generator)
    if kind == "start":
        return training.BoundedStdp().start((count, shape[1] * size**2), generator).reshape(shape)
    return training.learn_filters(spikes[:LEARNED], count, size, rule=RULES[kind], seed=seed)


def shuffle(weight: Tensor, seed: int) -> Tensor:
    """Return filters with the weights of each in random order."""
    drawn = torch.rand(weight.flatten(1).shape, generator=torch.Generator().manual_seed(seed))
    return weight.detach().flatten(1).gather(1, drawn.argsort(1)).reshape(weight.shape)


@dataclass(frozen=True)
class Front:
    """Layers before the readout, and what they send for all images."""

    modules: tuple[nn.Module, ...]
    features: np.ndarray
    """Mean spike counts of the neurons of each square, shape (images, features)."""
    maximum: np.ndarray
    """Maximum of 2 x 2 neurons in each step, as bytes; input of a second layer, if there is one."""
    spikes: float
    """Of the filters of all layers, per image."""


@torch.no_grad()
def extend(front: Front | None, layer: nn.Module, x: np.ndarray, goes_on: bool) -> Front:
    """Return a front with one more layer, which is shown x.

    Args:
        front: layers before; None: there are none.
        layer: of filters.
        x: spikes of the input, or of the front's maximum.
        goes_on: whether another layer follows, which reads the maximum.
    """
    maximum = nn.Sequential(nn.AvgPool2d(2), training.IntegrateFire(threshold=0.2, reset="hard"))
    features, pooled, total = [], [], 0.0
    for batch in torch.from_numpy(x).split(200):
        spikes = training.unroll(layer, batch.float())
        counts = avg_pool2d(spikes.sum(1), SQUARES[front is not None])
        features.append(counts.flatten(1).double().numpy())
        if goes_on:
            pooled.append(training.unroll(maximum, spikes).byte().numpy())
        total += float(spikes.sum())
    before = front.modules if front else ()
    rate = total / len(x) + (front.spikes if front else 0)
    modules = (*before, layer, maximum)
    return Front(modules, np.concatenate(features), np.concatenate(pooled or [x[:0]]), rate)


def fit(features: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (10, features) and biases of a ridge regression on standardized features."""
    mean, spread = features.mean(0), features.std(0) + 1e-6
    a = np.c_[(features - mean) / spread, np.ones(len(features))]
    gram = a.T @ a + 0.03 * len(a) * np.eye(a.shape[1])
    solved = np.linalg.solve(gram, a.T @ np.eye(10)[label])
    weight = (solved[:-1] / spread[:, None]).T
    return weight, solved[-1] - weight @ mean


def build(front: Front, square: int, weight: np.ndarray, bias: np.ndarray) -> nn.Module:
    """Return layers, squares and readout as a module; its potential ends at the sum of the fit."""
    linear = nn.Linear(weight.shape[1], 10)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias / STEPS))
    layers = front.modules[:-1]  # nothing reads the maximum of the last
    return nn.Sequential(*layers, nn.AvgPool2d(square), nn.Flatten(), linear, training.Readout())


def score(answer: np.ndarray, label: np.ndarray) -> float:
    """Return the accuracy in points."""
    return 100 * float((answer.argmax(1) == label).mean())


class Trial:
    """Images of one seed, and the layers that were built on them."""

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        first, self.label = load(options.data, "train", seed % 7 * TRAINED, TRAINED)
        self.test, self.answer = load(options.data, "test", seed % 5 * TESTED, TESTED)
        self.x = np.concatenate([first, self.test])
        self.seed, self.chip, self.rate = seed, options.chip, options.rate
        self.rows = [row for layers in options.layers for row in ROWS[layers]]
        self.fronts: dict[str, Front] = {}

    def build_front(self, row: str) -> Front:
        """Return the layers of a row; each is built once."""
        if row not in self.fronts:
            before, _, kind = row.rpartition(" ")
            front = self.build_front(before) if before else None
            x = front.maximum if front else self.x
            count, size, padding = SHAPES[front is not None]
            if kind == "shuffled":
                weight = shuffle(self.build_front("learned").modules[0][0].weight, self.seed)
            else:
                weight = make_weight(kind, x, count, size, self.seed)
            layer = training.build_filter_layer(weight, x[:MEASURED], self.rate, padding=padding)
            goes_on = any(other.startswith(row + " ") for other in self.rows)
            self.fronts[row] = extend(front, layer, x, goes_on)
        return self.fronts[row]

    def score(self, row: str) -> list[float]:
        """Return points by labels, those of the chip, and spikes of filters per image."""
        front, points = self.build_front(row), []
        for labels in LABELS:
            weight, bias = fit(front.features[:labels], self.label[:labels])
            points.append(score(front.features[TRAINED:] @ weight.T + bias, self.answer))
        module = build(front, SQUARES[" " in row], weight, bias)
        network = snncompile.from_torch(module, self.test[:4].astype(np.float32))
        program = snncompile.compile(network, chip=self.chip, calibration=self.x[:64])
        last = program.run(self.test).spikes[:, -1]
        return [*points, score(last, self.answer), front.spikes]


def compare(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table."""
    rows = [row for layers in options.layers for row in ROWS[layers]]
    scores = np.array([score_rows(options, rows, seed) for seed in options.seeds])
    titles = [*(f"{labels:,}" for labels in LABELS), "over random"]
    yield f"{'filters':16}" + "".join(f"{t:>16}" for t in titles) + "   chip  spikes"
    for number, row in enumerate(rows):
        base = rows.index("random random" if " " in row else "random")
        columns = [scores[:, number, i] for i in range(len(LABELS))]
        cells = [show(c) for c in (*columns, columns[-1] - scores[:, base, len(LABELS) - 1])]
        chip, spikes = scores[:, number, len(LABELS) :].mean(0)
        yield f"{row:16}" + "".join(f"{c:>16}" for c in cells) + f"{chip:7.2f}{spikes:8,.0f}"


def score_rows(options: argparse.Namespace, rows: list[str], seed: int) -> list[list[float]]:
    """Return the numbers of all rows for one seed, and keep them."""
    kept = KEPT / f"{options.chip}-{options.rate}-{options.layers}-{seed}.json"
    if options.resume and kept.is_file():
        return json.loads(kept.read_text("utf-8"))
    trial, scores = Trial(options, seed), []
    for row in rows:
        scores.append(trial.score(row))
        print(f"seed {seed}, {row}: {scores[-1][len(LABELS) - 1]:.2f}", file=sys.stderr, flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(scores), "utf-8")
    return scores


def show(values: np.ndarray) -> str:
    """Return mean and standard error of the mean."""
    if len(values) < 2:
        return f"{values.mean():.2f}"
    return f"{values.mean():.2f} +- {values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def main() -> None:
    """Learn, read out, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--layers", type=int, nargs="*", default=[1, 2], choices=[1, 2])
    parser.add_argument("--resume", action="store_true", help="take what earlier runs kept")
    parser.add_argument("--rate", type=float, default=0.03, help="spikes per neuron and step")
    options = parser.parse_args()
    if not (options.data / "mnist_train.npz").is_file():
        sys.exit(f"{options.data}: no mnist_train.npz; give the folder with --data")
    begin = time.perf_counter()
    for line in compare(options):
        print(line, flush=True)
    print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
