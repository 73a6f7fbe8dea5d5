"""What rounding to a chip's integers costs drawn networks: agreement with the model, per method.

    python benchmarks/quantize_agreement.py [--networks 10] [--images 200] [--chip loihi2]

Ten multilayer perceptrons and ten convolutional networks with random weights see random pixels;
the answers are centred, so that all kinds of them occur. Case 09 is a perceptron whose second layer
has neurons that are nearly always off. Printed are the shares of the images for which floats and
integers of the converted network answer as the model does, with their standard error, and the
weight errors of single neurons.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch
from torch import nn

import snncompile

METHODS = {"signed": 32, "bistable_phase": 6, "balance": 64}


def draw_perceptron(seed: int) -> nn.Sequential:
    """Return a perceptron on 12 x 12 pixels with one to three hidden layers."""
    rng = np.random.default_rng(seed)
    sizes = [144, *rng.integers(16, 97, rng.integers(1, 4)).tolist()]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], int(rng.integers(4, 11))))


def draw_convolutional(seed: int) -> nn.Sequential:
    """Return two or three convolutions on 12 x 12 pixels with average pooling, and two layers."""
    rng = np.random.default_rng(seed)
    channels = [1, *rng.integers(4, 17, rng.integers(2, 4)).tolist()]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
    hidden = int(rng.integers(16, 65))
    layers += [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36 * channels[-1], hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, int(rng.integers(4, 11))))


def draw_nearly_dead() -> nn.Sequential:
    """Return case 09: three neurons of the second layer have activations of at most 1e-6."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    ).double()
    with torch.no_grad():
        z = model[:4](draw_images(200))
        for neuron in (0, 3, 5):
            model[3].bias[neuron] -= z[:, neuron].max() - 1e-6
    return model


def draw_images(count: int) -> torch.Tensor:
    """Return random pixels, shape (images, 1, 12, 12)."""
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0)).double()


def centre(model: nn.Sequential, images: torch.Tensor) -> nn.Sequential:
    """Return the model with answers whose mean over the images is zero."""
    model = model.double().eval()
    with torch.no_grad():
        model[-1].bias -= model(images).mean(0)
    return model


def measure(
    model: nn.Sequential, images: torch.Tensor, method: str, chip: str
) -> tuple[float, ...]:
    """Return agreement of floats and integers, and the worst and median weight error."""
    x = images.numpy()
    with torch.no_grad():
        wanted = model(images).argmax(1).numpy()
    network = snncompile.from_ann(model, x[:100], method=method, steps=METHODS[method])
    shown = network.input.present(x)
    program = snncompile.compile(network, chip=chip, calibration=shown[:16])
    agreed = [(run.run(shown).prediction == wanted).mean() for run in (network, program)]
    reports = program.quantized
    worst = max(getattr(r, "worst_error", None) or r.weight_error for r in reports)
    median = max(getattr(r, "median_error", None) or r.weight_error for r in reports)
    return (*agreed, worst, median)


def main() -> None:
    """Print a table, a row per kind of network and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--chip", default="loihi2")
    options = parser.parse_args()
    images = draw_images(options.images)
    kinds = {
        "perceptrons": [draw_perceptron] * options.networks,
        "convolutional": [draw_convolutional] * options.networks,
        "case 09": [lambda seed: draw_nearly_dead()],
    }
    print(f"{options.chip}, {options.images} images, agreement with the model in %")
    print(f"{'networks':14} {'method':17} {'floats':>7} {'integers':>9} {'error':>6}", end="")
    print(f" {'least pair':>15} {'worst neuron':>13} {'median':>7}")
    for kind, draws in kinds.items():
        models = []
        for seed, draw in enumerate(draws):
            torch.manual_seed(seed + 1)
            models.append(centre(draw(seed), images))
        for method, steps in METHODS.items():
            rows = np.array([measure(m, images, method, options.chip) for m in models])
            floats, integers = rows[:, 0].mean(), rows[:, 1].mean()
            error = (integers * (1 - integers) / (options.images * len(models))) ** 0.5
            least = rows[np.argmin(rows[:, 1] - rows[:, 0])]
            print(
                f"{kind:14} {method + ' ' + str(steps):17} {floats:7.2%} {integers:9.2%}"
                f" {error:6.2%} {least[0]:7.1%} {least[1]:7.1%} {rows[:, 2].max():13.2%}"
                f" {rows[:, 3].max():7.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
