"""A network of the size and shape of ResNet-20 for CIFAR-10, made of spiking neurons.

He et al., "Deep Residual Learning for Image Recognition" (2016), section 4.2: 3x3 convolutions of
16, 32 and 64 channels in 9 blocks of two, skips that subsample and leave new channels at zero.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale


def resnet20(seed: int = 0, neuron=None, *, blocks: int = 3, side: int = 32) -> Network:
    """Return a residual network with random weights.

    Args:
        seed: of the weights, normal with a variance of 2 / fan-in.
        neuron: of all layers but the readout; integrate-and-fire with soft reset if not given.
        blocks: per number of channels; 3 make 20 layers.
        side: rows and columns of the input.
    """
    return _Draft(np.random.default_rng(seed), neuron or IntegrateFire(1.0, 0.05), side).made(
        blocks
    )


class _Draft:
    def __init__(self, rng: np.random.Generator, neuron, side: int) -> None:
        self.rng, self.neuron, self.side = rng, neuron, side
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def made(self, blocks: int) -> Network:
        source = self._layer("first", "input", (3, self.side, self.side), 16)
        for channels in (16, 32, 64):
            for block in range(blocks):
                stride = 2 if channels > 16 and block == 0 else 1
                source = self._block(f"block{channels}_{block}", source, channels, stride)
        size = self.populations[-1].size
        self.populations.append(Population("output", (10,), Readout(1.0, 0.0)))
        weight = self.rng.normal(0, 1, (10, 64)).repeat(size // 64, axis=1) / (size // 64)
        self.projections.append(Projection(source, "output", dense(weight)))
        image = Input("input", (3, self.side, self.side))
        return Network(
            image, tuple(self.populations), tuple(self.projections), "output", title="ResNet-20"
        )

    def _block(self, name: str, source: str, channels: int, stride: int) -> str:
        shape = self.populations[-1].shape
        middle = self._layer(f"{name}_a", source, shape, channels, stride)
        target = self._layer(f"{name}_b", middle, self.populations[-1].shape, channels)
        if stride == 1:
            skip = Synapses(Scale(self.populations[-1].size), np.asarray(1.0))
        else:
            wiring = Convolution(shape, channels, (1, 1), (2, 2), (0, 0), (1, 1))
            skip = Synapses(wiring, np.eye(channels, shape[0])[..., None, None])
        self.projections.append(Projection(source, target, skip))
        return target

    def _layer(self, name: str, source: str, shape, channels: int, stride: int = 1) -> str:
        wiring = Convolution(shape, channels, (3, 3), (stride, stride), (1, 1), (1, 1))
        scale = (2 / (9 * shape[0])) ** 0.5
        weight = self.rng.normal(0, scale, wiring.weight_shape)
        self.populations.append(Population(name, wiring.target_shape, self.neuron))
        self.projections.append(Projection(source, name, Synapses(wiring, weight)))
        return name
