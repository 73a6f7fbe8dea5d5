"""The small network trained from nothing in each of three ways, and imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import training_networks as networks
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.encoding import PoissonEncoder
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.ir.coding import Coding
from snncompile.ir.graph import Network

BATCH = 64


@dataclass(frozen=True)
class Way:
    """How a network is trained from nothing."""

    name: str
    steps: tuple[int, ...]
    """Time steps that the table has."""
    build: Callable[[], nn.Module]
    rate: float
    """Highest rate of Adam."""
    random: bool
    """Whether input is drawn at random (Poisson), from pixels of -1..1, and potentials are the
    answer; else images of 0..255 are shown in every step, and the loss is cross-entropy."""

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels of 0..255 as the network takes them."""
        return (pixels / 127.5 - 1).astype(np.float32) if self.random else pixels

    def show(self, images: Tensor, steps: int) -> Tensor:
        """Return the input of all time steps, shape (steps, samples, *shape)."""
        shown = images.expand(steps, *images.shape)
        return PoissonEncoder()(shown.abs()) * shown.sign() if self.random else shown

    def measure_loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Return the loss of an output, shape (steps, samples, classes)."""
        if self.random:
            return training.potential_loss(output, label)
        return nn.functional.cross_entropy(output.mean(0), label)


WAYS = {
    "counts": Way("Lee", (16, 32), networks.build_counting, 2e-3, random=True),
    "tdbn": Way(
        "tdBN",
        (2, 4),
        lambda: networks.build_small(networks.tdbn_norm, networks.tdbn_neurons),
        5e-3,
        random=False,
    ),
    "deep": Way(
        "Ledinauskas",
        (4, 8),
        lambda: networks.build_small(networks.deep_norm, networks.deep_neurons),
        5e-3,
        random=False,
    ),
}


def train(way: Way, steps: int, x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> Network:
    """Return a network that was trained from nothing.

    Args:
        way: how.
        steps: time steps of a sample.
        x: pixels of 0..255, shape (samples, channels, rows, columns).
        y: labels.
        epochs: passes over x.
        seed: of all that is random.
    """
    torch.manual_seed(seed)
    net, labels, images = way.build(), torch.from_numpy(y), torch.from_numpy(way.prepare(x))
    networks.begin_training(net)
    optimizer = torch.optim.Adam(net.parameters(), way.rate)
    updates = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, way.rate, updates)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).tensor_split(updates // epochs):
            mirrored = torch.rand(len(batch)) < 0.5
            shown = images[batch]
            shown[mirrored] = shown[mirrored].flip(3)
            loss = way.measure_loss(net(way.show(shown, steps)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            functional.reset_net(net)  # masks of dropout
    return lower(way, net.eval(), images[:4], steps)


def lower(way: Way, net: nn.Module, images: Tensor, steps: int) -> Network:
    """Return the network of a module; import compares every spike."""
    shown = way.show(images, steps).transpose(0, 1)
    if not way.random:
        return snncompile.from_torch(net, shown, "first", input="biases")
    network = snncompile.from_torch(net, shown, "first", input="polarity")
    coded = replace(network.input, coding=Coding("poisson", 1.0, steps, steps))
    return replace(network, input=coded)
