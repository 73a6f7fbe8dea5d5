"""Filters that STDP learns in chip arithmetic, against random ones, on MNIST.

    python benchmarks/learning_stdp.py [--data ../shared/data]

64 filters of 7 x 7 learn from patches of MNIST by

    dw = 2^-3*y0*x1 - 2^2*y0

with weights of 0..255 (Srinivasan et al., Frontiers in Neuroscience 13, 2019; stochastic by the
chip's rounding, which draws one number for all synapses). Who fires is decided in two ways:
`network` has inhibition between the neurons, which arrives one step later, so that several may win,
and thresholds that grow with spikes (`adaptive_lif`), all on the chip; with `host` the host picks
the neuron with the largest sum and lets it alone fire. The filters are copied into a convolution. A
filter fires where its sum exceeds its threshold, as in a tenth of all places; a ridge regression on
200, 1,000 and 8,000 labels reads how often each fires in squares of 6 x 6 places. `random` are the
weights from which learning starts, `shuffled` the learned ones with their pixels in random order:
as sparse, without what was learned. The second table reads numbers that no spiking neuron sends:
the rectified sums of filters less their mean, averaged over the same squares.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import avg_pool2d as pool

import snncompile
from snncompile.files.spikes import encode_images
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.adaptive_lif import IntegerAdaptiveLif
from snncompile.reference.learning.integer import IntegerLearner, begin_state
from snncompile.synapses.dense import integer_dense

FILTERS, SIDE, STEPS = 64, 7, 8
FIRES = 0.1
"""Share of places in which a filter fires."""
LABELS = (200, 1000, 8000)
RULE = snncompile.stochastic_stdp(potentiation=1 / 8, depression=4, tau=STEPS, impulse=16)


def take_patches(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return patches with enough ink, shape (count, 49), pixels of 0..255."""
    patches = []
    while len(patches) < count:
        image = x[rng.integers(len(x))]
        i, j = rng.integers(0, 28 - SIDE + 1, 2)
        patch = image[i : i + SIDE, j : j + SIDE]
        if (patch > 127).sum() >= 8:
            patches.append(patch.ravel())
    return np.array(patches)


def learn_in_network(patches: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, dict]:
    """Return the weights that a network on the chip's time learns, and counts of winners."""
    gap = 2
    spikes = encode_images(patches, STEPS)
    stream = np.pad(spikes, ((0, 0), (0, gap), (0, 0))).reshape(1, -1, SIDE * SIDE)
    inhibition = -254 * (1 - np.eye(FILTERS, dtype=np.int64))
    neuron = IntegerAdaptiveLif(4095, 600, 1500, 1, 150)
    network = IntegerNetwork(
        Input("input", (SIDE * SIDE,)),
        (Population("filters", (FILTERS,), neuron, 1),),
        (
            Projection("input", "filters", integer_dense(start, 0, 8), 1, rule=RULE),
            Projection("filters", "filters", integer_dense(inhibition, 5, 8), 1),
        ),
        "filters",
    )
    result = network.run(stream)
    fired = result.spikes[0].reshape(len(patches), STEPS + gap, FILTERS)
    winners = (fired.sum(axis=1) > 0).sum(axis=1)
    counts = {"none": (winners == 0).mean(), "one": (winners == 1).mean()}
    counts |= {"several": (winners > 1).mean(), "used": (fired.sum(axis=(0, 1)) > 0).mean()}
    return np.asarray(result.learned[0].weight, np.float64), counts


def learn_with_host(patches: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the weights if the host picks the winner of each patch and evens out how often."""
    rows, columns = np.divmod(np.arange(start.size), SIDE * SIDE)
    learner = IntegerLearner(RULE, rows, columns, begin_state(start, SIDE * SIDE, FILTERS))
    silent, wins = np.zeros(FILTERS, np.uint8), np.zeros(FILTERS)
    nothing = np.zeros(SIDE * SIDE, np.uint8)
    for number, spikes in enumerate(encode_images(patches, STEPS)):
        total = np.zeros(FILTERS)
        for step in spikes:
            total += learner.step(step, silent)
        share = wins / max(1, number) * FILTERS
        winner = int(np.argmax(total * (1 - 0.1 * (share - 1).clip(-5, 5))))
        wins[winner] += 1
        learner.step(nothing, np.eye(FILTERS, dtype=np.uint8)[winner])
    return learner.weight.reshape(FILTERS, -1).astype(np.float64)


def respond(x: np.ndarray, weight: np.ndarray) -> Iterator[torch.Tensor]:
    """Yield the sums of the convolution with the learned filters, (images, filters, 24, 24)."""
    kernels = torch.tensor(snncompile.copy_bank(weight, (SIDE, SIDE))).float()
    for batch in (torch.tensor(x).float()[:, None] / 255).split(500):
        yield torch.nn.functional.conv2d(batch, kernels, padding=1)


def find_thresholds(x: np.ndarray, weight: np.ndarray) -> torch.Tensor:
    """Return the sum that each filter exceeds in a tenth of all places."""
    sums = torch.cat([r.transpose(0, 1).flatten(1) for r in respond(x, weight)], dim=1)
    return torch.quantile(sums[:, ::7], 1 - FIRES, dim=1)[:, None, None]


def count_spikes(x: np.ndarray, weight: np.ndarray, threshold: torch.Tensor) -> np.ndarray:
    """Return how often each filter fires in squares of 6 x 6 places, (images, features)."""
    fired = ((sums > threshold).float() for sums in respond(x, weight))
    return torch.cat([pool(f, 6).flatten(1) for f in fired]).double().numpy()


def compute_sums(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the rectified sums of filters less their mean in squares of 6 x 6 places."""
    centred = weight - weight.mean(axis=1, keepdims=True)
    sums = (pool(sums.relu(), 6).flatten(1) for sums in respond(x, centred))
    return torch.cat(list(sums)).double().numpy()


def score(train: np.ndarray, label: np.ndarray, test: np.ndarray, answer: np.ndarray) -> float:
    """Return the accuracy in points of a ridge regression."""
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    a, b = ((np.c_[(f - mean) / spread, np.ones(len(f))]) for f in (train, test))
    gram = a.T @ a + 0.03 * len(a) * np.eye(a.shape[1])
    fit = np.linalg.solve(gram, a.T @ np.eye(10)[label])
    return 100 * float(((b @ fit).argmax(axis=1) == answer).mean())


def main() -> None:
    """Learn, read out, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--patches", type=int, default=8000)
    parser.add_argument("--test", type=int, default=2000)
    options = parser.parse_args()
    if not (options.data / "mnist_train.npz").is_file():
        sys.exit(f"{options.data}: no mnist_train.npz; give the folder with --data")
    with np.load(options.data / "mnist_train.npz") as file:
        x, label = file["x"][:8000], file["y"][:8000].astype(np.int64)
    with np.load(options.data / "mnist_test.npz") as file:
        test, answer = file["x"][: options.test], file["y"][: options.test].astype(np.int64)
    rng = np.random.default_rng(0)
    patches = take_patches(x, options.patches, rng)
    start = 2 * rng.integers(20, 108, (FILTERS, SIDE * SIDE))
    banks = {"random": start.astype(np.float64)}
    begin = time.perf_counter()
    banks["host"] = learn_with_host(patches, start)
    print(f"host: {time.perf_counter() - begin:.0f} s", flush=True)
    begin = time.perf_counter()
    banks["network"], counts = learn_in_network(patches, start)
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in counts.items())
    print(f"network: {time.perf_counter() - begin:.0f} s; winners of a patch: {shares}", flush=True)
    for name in ("host", "network"):
        banks[f"{name} shuffled"] = rng.permuted(banks[name], axis=1)
    for title in ("spikes", "rectified sums"):
        print(f"{title:18}" + "".join(f"{count:>8,}" for count in LABELS) + "  weights at an end")
        for name, weight in banks.items():
            read = compute_sums
            if title == "spikes":
                read = partial(count_spikes, threshold=find_thresholds(x[:500], weight))
            train, tested = read(x, weight), read(test, weight)
            points = [score(train[:n], label[:n], tested, answer) for n in LABELS]
            ends = 100 * float(((weight == 0) | (weight == 255)).mean())
            line = "".join(f"{p:8.2f}" for p in points)
            print(f"{name:16}  {line}  {ends:5.1f} %", flush=True)


if __name__ == "__main__":
    main()
