"""Large networks for benchmarks of the mapping: known architectures, random integer weights."""

from __future__ import annotations

from math import prod

import numpy as np

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

NEURON = IntegerCubaLif(4095, 0, 100)


class Builder:
    """Puts layers one behind the other; every layer starts one step after what feeds it."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.input = Input("input", shape)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.shapes: dict[str, Shape] = {"input": shape}
        self.phases = {"input": 0}

    def conv(
        self,
        source: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> str:
        """Add a convolution and its neurons; without padding given it keeps the size."""
        pad = kernel // 2 if padding is None else padding
        shape = self.shapes[source]
        pair = ((kernel,) * 2, (stride,) * 2, (pad,) * 2, (1, 1))
        wiring = Convolution(shape, channels, *pair, groups)
        return self.layer(source, wiring, wiring.target_shape)

    def pool(self, source: str, side: int = 2) -> str:
        """Add the sums of 2 x 2 neurons, or of larger squares."""
        channels = self.shapes[source][0]
        return self.conv(source, channels, side, side, 0, groups=channels)

    def dense(self, source: str, size: int) -> str:
        """Add a dense layer."""
        return self.layer(source, Dense(size, prod(self.shapes[source])), (size,))

    def layer(self, source: str, wiring: Wiring, shape: Shape) -> str:
        """Add a population fed by a wiring."""
        name = f"layer{len(self.populations) + 1}"
        self.phases[name] = self.phases[source] + 1
        self.shapes[name] = shape
        self.populations.append(Population(name, shape, NEURON, self.phases[name]))
        self.join(source, name, wiring)
        return name

    def join(self, source: str, target: str, wiring: Wiring) -> None:
        """Add a projection to a population that is there."""
        values = self.random.integers(-127, 128, wiring.weight_shape, np.int16)
        weight = np.asarray(values * np.int16(2), np.int16)
        delay = self.phases[target] - self.phases[source]
        synapses = IntegerSynapses(wiring, weight, 0, 8)
        self.projections.append(Projection(source, target, synapses, delay))

    def build(self, title: str) -> IntegerNetwork:
        """Return the network; the last layer is its output."""
        last = self.populations[-1].name
        return IntegerNetwork(
            self.input, tuple(self.populations), tuple(self.projections), last, title=title
        )


def mnist_cnn() -> IntegerNetwork:
    """Return Intel's MNIST network with its 784 input neurons, which are biased neurons."""
    made = Builder((1,))
    pixels = Population("pixels", (1, 28, 28), IntegerCubaLif(4095, 0, 100, 50, 0))
    made.populations.append(pixels)
    made.shapes["pixels"], made.phases["pixels"] = pixels.shape, 0
    x = "pixels"
    for channels, kernel, stride in ((16, 5, 2), (32, 3, 1), (64, 3, 2)):
        x = made.conv(x, channels, kernel, stride, padding=0)
    made.dense(x, 10)
    return made.build("MNIST CNN")


def perceptron(*sizes: int) -> IntegerNetwork:
    """Return dense layers, the first one biased neurons that stand for the input."""
    made = Builder((1,))
    made.populations.append(Population("pixels", sizes[:1], IntegerCubaLif(4095, 0, 100, 50, 0)))
    made.shapes["pixels"], made.phases["pixels"] = sizes[:1], 0
    x = "pixels"
    for size in sizes[1:]:
        x = made.dense(x, size)
    return made.build("-".join(map(str, sizes)))


def resnet20(size: int = 32, width: int = 16) -> IntegerNetwork:
    """Return ResNet-20: 3 stages of 3 blocks; shortcuts that change the size are 1 x 1."""
    made = Builder((3, size, size))
    x = made.conv("input", width)
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            channels = width * 2**stage
            y = made.conv(made.conv(x, channels, stride=stride), channels)
            shape = made.shapes[x]
            if stride == 1:
                made.join(x, y, Scale(prod(shape)))
            else:
                made.join(x, y, Convolution(shape, channels, (1, 1), (2, 2), (0, 0), (1, 1)))
            x = y
    made.dense(x, 10)
    return made.build(f"ResNet-20 {size}x{size}")


VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of the convolutions; 0 is a pooling layer."""


def vgg16(size: int, *dense: int) -> IntegerNetwork:
    """Return VGG-16 with average pooling for an image of a size, and its dense layers."""
    made = Builder((3, size, size))
    x = "input"
    for channels in VGG16:
        x = made.conv(x, channels) if channels else made.pool(x)
    for neurons in dense:
        x = made.dense(x, neurons)
    return made.build(f"VGG-16 {size}x{size}")


MOBILENET = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
"""Channels and stride of the depthwise separable blocks."""


def mobilenet(size: int = 128) -> IntegerNetwork:
    """Return MobileNet (28 layers, 4.2 M parameters)."""
    made = Builder((3, size, size))
    x = made.conv("input", 32, stride=2)
    for channels, stride in MOBILENET:
        x = made.conv(x, made.shapes[x][0], stride=stride, groups=made.shapes[x][0])
        x = made.conv(x, channels, kernel=1)
    made.dense(made.pool(x, size // 32), 1000)
    return made.build(f"MobileNet {size}x{size}")


def million() -> IntegerNetwork:
    """Return 1,048,576 neurons with 114 million synapses: four layers of 16 x 128 x 128."""
    made = Builder((1, 128, 128))
    x = made.conv("input", 16)
    for _ in range(3):
        x = made.conv(x, 16)
    return made.build("1M neurons")


def stack(side: int) -> IntegerNetwork:
    """Return five layers of 16 channels, 3 x 3; four times the neurons for twice the side."""
    made = Builder((1, side, side))
    x = "input"
    for _ in range(5):
        x = made.conv(x, 16)
    return made.build(f"5 convolutions {side}x{side}")
