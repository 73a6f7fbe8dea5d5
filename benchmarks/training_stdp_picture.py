"""Filters that STDP learns on CIFAR-10, as a picture.

    python benchmarks/training_stdp_picture.py docs/stdp_filters.png [--data ../shared/data]

Each of the three colours, less its mean in squares of 7 x 7, in units of the image's deviation,
sends spikes through two channels: where it is brighter, and where it is darker. 32 filters of 7 x 7
learn from 6 time steps. A pixel shows, per colour, the weight of the brighter channel less that of
the darker: grey is neither or both. From above: where learning starts, what `BoundedStdp` learns,
what `BinaryStdp` learns.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from conversion_networks import jpeg
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from snncompile import training
from snncompile.files.spikes import encode_images

FILTERS, SIZE, STEPS, WINNERS, BRIGHTEST = 32, 7, 6, 6, 1.5
COLUMNS, ZOOM = 16, 6


def encode(images: np.ndarray) -> np.ndarray:
    """Return spikes of images (n, 3, 32, 32), shape (n, steps, 6, 32, 32)."""
    x = torch.from_numpy(images).float() / 255
    change = x - avg_pool2d(x, SIZE, 1, SIZE // 2, count_include_pad=False)
    change = change / (change.std((1, 2, 3), keepdim=True) + 0.05)
    channels = torch.cat([change.clamp(min=0), (-change).clamp(min=0)], 1)
    return encode_images(channels.numpy(), STEPS, highest=BRIGHTEST)


def draw(weight: Tensor) -> np.ndarray:
    """Return filters side by side, values of 0..1, shape (rows, columns, 3)."""
    colours = ((weight[:, :3] - weight[:, 3:] + 1) / 2).permute(0, 2, 3, 1).numpy()
    framed = np.pad(colours, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=1)
    rows = [np.concatenate(list(framed[i : i + COLUMNS]), 1) for i in range(0, FILTERS, COLUMNS)]
    return np.concatenate(rows)


def main() -> None:
    """Learn by both rules, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=3000)
    options = parser.parse_args()
    if not (options.data / "cifar10_train_jpeg.npz").is_file():
        sys.exit(f"{options.data}: no cifar10_train_jpeg.npz; give the folder with --data")
    spikes = encode(jpeg(options.data, "train", options.images)[0])
    start = training.BoundedStdp().start((FILTERS, 6 * SIZE**2), torch.Generator().manual_seed(0))
    bands = [start.reshape(FILTERS, 6, SIZE, SIZE)]
    for rule in (training.BoundedStdp(), training.BinaryStdp()):
        begin = time.perf_counter()
        weight = training.learn_filters(spikes, FILTERS, SIZE, rule=rule, winners=WINNERS)
        bands.append(weight)
        ends = 100 * float(((weight < 0.05) | (weight > 0.95)).float().mean())
        print(f"{rule}: {time.perf_counter() - begin:.0f} s, {ends:.0f} % of weights at an end")
    gap = np.ones((3, COLUMNS * (SIZE + 1), 3), np.float32)
    pixels = np.concatenate([part for band in bands for part in (draw(band), gap)][:-1])
    picture = Image.fromarray((255 * pixels).round().astype(np.uint8))
    size = (picture.width * ZOOM, picture.height * ZOOM)
    picture.resize(size, Image.Resampling.NEAREST).save(options.path, optimize=True)
    print(f"{options.path}: {options.path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
