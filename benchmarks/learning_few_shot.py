"""A new class of MNIST, learned on the chip from a few examples by the last layer.

    python benchmarks/learning_few_shot.py [--data ../shared/data] [--seeds 3]

An MLP 784-128-10 is trained on nine classes and becomes a spiking network whose last layer learns:

    dw = 7*2^-10*u0*x1*y2 - 2^-10*y0*x1*y3

y2 is one spike of the new class's teacher at the end of an example of it, y3 a spike in each of its
last steps while anything is shown to learn: the new neuron grows once per example, and shrinks as
often as it fires by itself, so towards seven spikes in them. The first steps are left out, in which
the traces still hold what was shown before. Weights have the limit 1, so that the chip's numbers,
255 for 1, keep the seven; whole and half units leave little to the rounding, which draws one number
for all synapses and so moves them together. Rows of the old classes get no y2 and y3 and cannot
change. In each of `--passes` passes the network sees `--again` new examples, the few there are over
and over, among as many old ones as `--replay` says, one after the other; then its weights are fixed
and tested. Beside it a ridge regression on the spike counts of the same integer features, with the
same examples and 2,000 old ones, each class of equal weight, the best of three strengths. Updates
of the first 8 samples are counted and priced by the cost set loihi1_scaled, whose price of one is
Loihi 1's; see docs/learning.md for what one is.

The constants were chosen with `--held-out`: seeds from 10 on, tested on training images that
nothing learns from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import snncompile
from snncompile.files.spikes import encode_images
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.plastic import freeze_learning
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.reference.backend import spike_trains
from snncompile.synapses.dense import dense

STEPS, HIDDEN, CLASSES, PIXELS = 16, 128, 10, 784
FROM, LAST = 5, 14
"""Steps in which the teacher is heard, a step later, before the example is over."""
ANSWERS = 1.6
"""Scale of the answers: spikes of the largest ones, counted in these and not cut off at 16."""
LINES = 2
"""Input lines of the teacher, behind the pixels: the new class is shown; anything is."""


def train(x: np.ndarray, label: np.ndarray, seed: int, epochs: int) -> list[np.ndarray]:
    """Return the weights of an MLP without biases, trained on images of 0..1."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(PIXELS, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, CLASSES, bias=False)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    images, labels = torch.tensor(x).float(), torch.tensor(label).long()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [model[0].weight.detach().double().numpy(), model[2].weight.detach().double().numpy()]


def make_network(weights: list[np.ndarray], x: np.ndarray, new: int) -> Network:
    """Return the spiking network, in which the row of the new class begins at zero and learns."""
    first, second = weights
    hidden = np.maximum(x @ first.T, 0)
    scale = np.quantile(hidden, 0.999)
    answers = np.maximum(hidden @ second.T, 0)
    second = second * ANSWERS * scale / np.quantile(answers, 0.999)
    second[new] = 0
    limit = 1.5 * float(np.abs(second).max())
    lines = np.zeros((2, CLASSES, PIXELS + LINES))
    lines[0, new, PIXELS], lines[1, new, PIXELS + 1] = 1, 1
    teacher = IntegrateFire(0.5, reset="hard")
    rule = snncompile.LearningRule(
        "7*2^-10*u0*x1*y2 - 2^-10*y0*x1*y3",
        x1_impulse=4,
        x1_tau=4,
        third_factor={"y2": "up", "y3": "shown"},
        limit=1.0,
    )
    network = Network(
        Input("input", (PIXELS + LINES,)),
        (
            Population("features", (HIDDEN,), IntegrateFire(1.0)),
            Population("up", (CLASSES,), teacher),
            Population("shown", (CLASSES,), teacher),
            Population("out", (CLASSES,), IntegrateFire(1 / limit)),
        ),
        (
            Projection("input", "features", dense(np.pad(first / scale, ((0, 0), (0, LINES))))),
            Projection("input", "up", dense(lines[0])),
            Projection("input", "shown", dense(lines[1])),
            Projection("features", "out", dense(second / limit)),
        ),
        "out",
    )
    return snncompile.plastic(network, "features", "out", rule)


def present(images: np.ndarray, new: np.ndarray | None) -> np.ndarray:
    """Return spikes of images, with the teacher's lines; `new` marks images of the new class."""
    pixels = encode_images(images.reshape(-1, PIXELS), STEPS)
    lines = np.zeros((*pixels.shape[:2], LINES), np.uint8)
    if new is not None:
        lines[:, LAST, 0], lines[:, FROM : LAST + 1, 1] = new, 1
    return np.concatenate([pixels, lines], axis=2)


def fit_ridge(x: np.ndarray, label: np.ndarray, strength: float) -> np.ndarray:
    """Return the weights of a ridge regression in which each class counts the same."""
    weight = 1 / np.bincount(label, minlength=CLASSES)[label]
    target = np.eye(CLASSES)[label]
    gram = x.T @ (weight[:, None] * x)
    strength *= np.trace(gram) / len(gram)
    return np.linalg.solve(gram + strength * np.eye(len(gram)), x.T @ (weight[:, None] * target))


def score(prediction: np.ndarray, label: np.ndarray, new: int) -> tuple[float, float, float]:
    """Return the accuracy in points: of the new class, of the old ones, and the mean of classes."""
    right = 100 * (prediction == label)
    each = [right[label == c].mean() for c in range(CLASSES)]
    return each[new], right[label != new].mean(), float(np.mean(each))


def count_features(program: snncompile.Program, x: np.ndarray) -> np.ndarray:
    """Return the spikes of each feature and a one, shape (samples, features + 1)."""
    counts = spike_trains(freeze_learning(program.network), x)["features"].sum(axis=1)
    return np.concatenate([counts, np.ones((len(counts), 1))], axis=1).astype(np.float64)


def run_seed(seed: int, data: dict[str, np.ndarray], options: argparse.Namespace) -> list[list]:
    """Return a row per number of examples."""
    rng = np.random.default_rng(seed)
    new = int(rng.integers(CLASSES))
    x, label = data["x"][: options.images], data["y"][: options.images].astype(np.int64)
    old = label != new
    weights = train(x[old].reshape(-1, PIXELS) / 255, label[old], seed, options.epochs)
    images = x[old].reshape(-1, PIXELS) / 255
    shown = present(x[:100], None)
    program = snncompile.compile(
        make_network(weights, images, new), chip="loihi2", calibration=shown, prune=False
    )
    test = present(data["test_x"][: options.test], None)
    answers = data["test_y"][: options.test].astype(np.int64)
    base = rng.choice(np.flatnonzero(old), 2000, replace=False)
    many = count_features(program, present(x[base], None))
    tested = count_features(program, test)
    examples = rng.permutation(np.flatnonzero(~old))
    rows = []
    for shots in options.shots:
        again = np.resize(examples[:shots], options.again if shots else 0)
        chosen = np.concatenate([again, base[: options.replay]])
        after, updates, joules = program, 0.0, 0.0
        if shots:
            order = np.concatenate([rng.permutation(chosen) for _ in range(options.passes)])
            stream = present(x[order], label[order] == new)
            after = program.learned(program.run(stream))
            rows_of = program.estimate(stream[:8], costs="loihi1_scaled").rows
            of_learning = [r for r in rows_of if r.event == "learning_update"]
            updates = sum(r.count for r in of_learning)
            joules = sum(r.energy_j for r in of_learning)
        fixed = freeze_learning(after.network)
        ours = score(fixed.run(test).prediction, answers, new)
        few = count_features(program, present(x[examples[:shots]], None)) if shots else many[:0]
        known = np.concatenate([few, many])
        labels = np.concatenate([label[examples[:shots]], label[base]])
        fits = (fit_ridge(known, labels, s) for s in (1e-3, 1e-2, 1e-1))
        ridge = max(
            (score((tested @ fit).argmax(axis=1), answers, new) for fit in fits),
            key=lambda result: result[2],
        )
        rows.append([new, shots, *ours, *ridge, updates, joules])
    return rows


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--held-out", action="store_true", help="seeds from 10 on, no test images")
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 1, 5, 20])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--replay", type=int, default=90, help="old examples shown in between")
    parser.add_argument("--again", type=int, default=25, help="new examples shown per pass")
    parser.add_argument("--passes", type=int, default=12)
    options = parser.parse_args()
    if not (options.data / "mnist_train.npz").is_file():
        sys.exit(f"{options.data}: no mnist_train.npz; give the folder with --data")
    with (
        np.load(options.data / "mnist_train.npz") as a,
        np.load(options.data / "mnist_test.npz") as b,
    ):
        data = {"x": a["x"], "y": a["y"], "test_x": b["x"], "test_y": b["y"]}
    if options.held_out:
        data["test_x"], data["test_y"] = (data[name][options.images :] for name in "xy")
    print(
        "seed  class  examples | chip: new   old  all | ridge: new   old  all |"
        " updates/sample  pJ/update  nJ/sample"
    )
    table = []
    first = 10 if options.held_out else 0
    for seed in range(first, first + options.seeds):
        for row in run_seed(seed, data, options):
            table.append(row)
            print_row(str(seed), row)
    for shots in options.shots:
        mean = np.mean([row for row in table if row[1] == shots], axis=0)
        print_row("mean", mean)


def print_row(seed: str, row: list) -> None:
    """Print one line of the table."""
    new, shots, *values, updates, joules = row
    each = f"{1e12 * joules / updates:9.1f}" if updates else f"{'-':>9}"
    a, b, c, d, e, f = (f"{value:5.1f}" for value in values)
    name = f"{new:5.0f}" if seed != "mean" else "     "
    print(
        f"{seed:4}  {name}  {shots:8.0f} |    {a} {b} {c}   |     {d} {e} {f}   |"
        f" {updates:14,.1f}  {each}  {1e9 * joules:9.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
