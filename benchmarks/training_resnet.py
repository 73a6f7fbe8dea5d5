"""ResNet-20 with weights of 2 bits: rounded after training, and trained on as the chip's integers.

    python benchmarks/training_resnet.py [--data ../shared/data] [--bits 2] [--updates 1500]

The trained ResNet-20 for CIFAR-10 is converted by `graded` (messages of 8 bits, one step per layer)
and compiled for `--chip` with weights of so many bits. The Program then trains as a module: the
chip's integers forward, the answers of the trained network as what it should answer (its
probabilities; no labels), on the 4,660 lossless training images and as many JPEG ones as asked for,
mirrored at random. Scored on the 932 lossless test images, whose labels nothing here is chosen by.
At last every message of 100 images is compared, module and Program.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import conversion_networks as networks
import numpy as np
import torch
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.ir.graph import Network
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes, run_batches

BATCH, CALIBRATION, COMPARED, SHOWN = 32, 300, 100, 100


def main() -> None:
    """Convert, compile, train on, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--updates", type=int, default=1500, help="of 32 images each")
    parser.add_argument("--jpeg", type=int, default=10_000, help="JPEG images beside the others")
    parser.add_argument("--rate", type=float, default=5e-4)
    options = parser.parse_args()
    if not (options.data / "models" / "resnet20_cifar10.th").is_file():
        sys.exit(f"{options.data}: no models/resnet20_cifar10.th; give the folder with --data")
    model = networks.resnet(options.data)
    lossless, _ = networks.lossless(options.data, "train")
    others, _ = networks.jpeg(options.data, "train", options.jpeg)
    images = np.concatenate([lossless, others])
    test, label = networks.lossless(options.data, "test")
    network = convert(model, lossless[:CALIBRATION], GradedMessages(), 1).network
    program = snncompile.compile(
        network,
        chip=options.chip,
        bits=options.bits,
        calibration=network.input.present(lossless[:64]),
        prune=False,
    )
    wanted = answer(model, test).argmax(1).numpy()
    print(f"the model: {100 * (wanted == label).mean():.2f} % of {len(test)} images")
    show(f"{options.bits} bits, compiled", program, test, label, wanted)
    chip = training.chip_aware(program)
    begin = time.perf_counter()
    train(chip, network, model, images, options.updates, options.rate)
    minutes = (time.perf_counter() - begin) / 60
    print(f"trained for {minutes:.1f} minutes, {torch.get_num_threads()} threads")
    after = chip.program()
    show(f"{options.bits} bits, trained on", after, test, label, wanted)
    messages, different = compare_messages(chip, after, network.input.present(test[:COMPARED]))
    print(f"{messages:,} messages of {COMPARED} images: {different} differ from the Program's")


def answer(model: nn.Module, images: np.ndarray) -> Tensor:
    """Return the logits of images 0..255, shape (images, 10)."""
    with torch.no_grad():
        return torch.cat([model(torch.tensor(part).float()) for part in split(images)])


def split(images: np.ndarray) -> list[np.ndarray]:
    """Return the images in batches."""
    return np.array_split(images, -(-len(images) // 200))


def show(
    name: str, program: Program, test: np.ndarray, label: np.ndarray, wanted: np.ndarray
) -> None:
    """Print a line of a Program's answers to the test images."""
    shown = program.network.input.present
    found = np.concatenate([program.run(shown(part)).prediction for part in split(test)])
    right, same = 100 * (found == label).mean(), 100 * (found == wanted).mean()
    print(f"{name}: {right:.2f} %, agrees {same:.2f} %, {program.mapping.cores} cores", flush=True)


def train(
    chip: training.ChipAware,
    network: Network,
    model: nn.Module,
    images: np.ndarray,
    updates: int,
    rate: float,
) -> None:
    """Train with Adam, whose rate falls to zero like a cosine, towards the model's answers."""
    optimizer = torch.optim.Adam(chip.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    draw, recent = np.random.default_rng(0), list[float]()
    for update in range(updates):
        shown = images[draw.integers(len(images), size=BATCH)]
        mirrored = draw.random(BATCH) < 0.5
        shown = np.where(mirrored[:, None, None, None], shown[..., ::-1], shown)
        target = answer(model, shown).softmax(1)
        loss = nn.functional.cross_entropy(chip(network.input.present(shown)).sum(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if update % SHOWN == SHOWN - 1:
            print(f"update {update + 1}: loss {np.mean(recent[-SHOWN:]):.3f}", file=sys.stderr)


def compare_messages(chip: training.ChipAware, program: Program, x: np.ndarray) -> tuple[int, int]:
    """Return how many messages the Program sends for x, and how many outputs differ from it."""
    names = [p.name for p in program.network.populations]
    first = messages = different = 0
    for trains in run_batches(program.network, check_spikes(program.network, x), keep=names):
        samples = len(trains[names[0]])
        with torch.no_grad():
            chip(x[first : first + samples])
        for name in names:
            theirs = trains[name].double()
            messages += int(torch.count_nonzero(theirs))
            different += int(torch.count_nonzero(chip.outputs[name].double() != theirs))
        first += samples
    return messages, different


if __name__ == "__main__":
    main()
