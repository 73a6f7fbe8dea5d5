"""Deep networks trained from nothing: memory of a step, some minutes, import, compile.

    python benchmarks/training_deep.py resnet19 [--data ../shared/data] [--minutes 10]
    python benchmarks/training_deep.py resnet50

ResNet-19 with threshold-dependent batch normalization (Zheng et al.) and ResNet-50 with batch
normalization of currents and a tuned surrogate (Ledinauskas et al.), CIFAR-10 at 32 x 32 (JPEG),
10 time steps, batches of 16. Prints seconds and peak memory of the first step; the loss of a batch
that is not trained on, before and after, with its own statistics; how far answers of the module and
of its import differ; and the size on `--chip`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from itertools import count
from pathlib import Path

import conversion_networks as networks
import numpy as np
import torch
import training_networks as deep
from torch import Tensor, nn

import snncompile
from snncompile.ir.graph import Network

BUILDERS = {"resnet19": deep.build_resnet19, "resnet50": deep.build_resnet50}
TRAINED = 2_000


def measure_loss(net: nn.Module, images: Tensor, label: Tensor, steps: int) -> Tensor:
    """Return the cross-entropy of mean outputs."""
    output = net(images.expand(steps, *images.shape)).mean(0)
    return nn.functional.cross_entropy(output, label)


def train(net: nn.Module, images: Tensor, label: Tensor, options: argparse.Namespace) -> None:
    """Train for some minutes; print the loss of each update.

    The first step prints its time and the memory that this process has taken at most.
    """
    optimizer = torch.optim.Adam(net.parameters(), options.rate)
    begin = time.perf_counter()
    for number in count(1):
        batch = torch.randint(len(images), (options.batch,))
        loss = measure_loss(net, images[batch], label[batch], options.steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds = time.perf_counter() - begin
        if number == 1:
            gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"first step: {seconds:.0f} s, peak memory {gib:.2f} GiB", flush=True)
        print(f"update {number}: loss {loss.item():.3f}", flush=True)
        if seconds >= 60 * options.minutes:
            return


@torch.no_grad()
def import_exactly(net: nn.Module, images: Tensor, steps: int) -> Network:
    """Return the network of a module; print how far their answers differ in float64."""
    begin = time.perf_counter()
    shown = images[:, None].expand(-1, steps, *images.shape[1:])
    network = snncompile.from_torch(net, shown, "first", input="biases")
    print(f"imported in {time.perf_counter() - begin:.0f} s, every spike compared", flush=True)
    expected = net.double()(shown.transpose(0, 1).double()).transpose(0, 1).numpy()
    output = network.run(shown.double().numpy()).spikes
    net.float()
    difference, deviation = np.abs(output - expected).max(), output.std()
    print(f"answers, of deviation {deviation:.2g}, differ by {difference:.1e} at most", flush=True)
    return network


def main() -> None:
    """Train, import, compile, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=list(BUILDERS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--chip", default="loihi2:hala-point")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    if not (options.data / "cifar10_train_jpeg.npz").is_file():
        sys.exit(f"{options.data}: no cifar10_train_jpeg.npz; give the folder with --data")
    x, y = networks.jpeg(options.data, "train", TRAINED + options.batch)
    images, label = torch.tensor(x).float(), torch.from_numpy(y).long()
    torch.manual_seed(0)
    net = BUILDERS[options.network]()
    deep.begin_training(net)
    parameters = sum(p.numel() for p in net.parameters())
    print(f"{options.network}: {parameters:,} parameters, {options.steps} time steps", flush=True)
    unseen = images[TRAINED:], label[TRAINED:]
    with torch.no_grad():
        before = measure_loss(net, *unseen, options.steps)
    train(net, images[:TRAINED], label[:TRAINED], options)
    deep.keep_last_statistics(net)
    with torch.no_grad():
        after = measure_loss(net, *unseen, options.steps)
    print(f"loss of images not trained on: {before:.3f} -> {after:.3f}", flush=True)
    network = import_exactly(net.eval(), unseen[0][:1], options.steps)
    begin = time.perf_counter()
    calibration = network.input.present(unseen[0][:1].numpy())
    program = snncompile.compile(network, chip=options.chip, calibration=calibration)
    seconds, cores = time.perf_counter() - begin, program.mapping.cores
    print(f"compiled for {options.chip} in {seconds:.0f} s: {cores:,} cores", flush=True)


if __name__ == "__main__":
    main()
