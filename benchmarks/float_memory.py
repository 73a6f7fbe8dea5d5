"""Time and memory to quantize, place and check large networks of floats.

    python benchmarks/float_memory.py preact    # PreAct-ResNet-18 on 32 x 32, with its shortcuts
    python benchmarks/float_memory.py vgg       # eight convolutions up to 512 channels on 64 x 64

With the interpreter of another checkout it measures that one. Random weights, no calibration data,
`loihi2:hala-point`; seconds are of processor time.
"""

from __future__ import annotations

import sys
import time
from math import prod
from resource import RUSAGE_SELF, getrusage

import numpy as np

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection, Shape
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.base import Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale


class Draft:
    """Layers one behind the other, with random weights, and shortcuts between them."""

    def __init__(self, side: int) -> None:
        self.random = np.random.default_rng(0)
        self.shapes: dict[str, Shape] = {"input": (3, side, side)}
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def join(self, source: str, target: str, wiring: Wiring) -> None:
        """Add a projection whose sums have about the size of its inputs."""
        fan_in = max(1, prod(wiring.weight_shape[1:]))
        weight = self.random.normal(size=wiring.weight_shape) * 2 / np.sqrt(fan_in)
        self.projections.append(Projection(source, target, Synapses(wiring, weight)))

    def add(self, source: str, wiring: Wiring, shape: Shape) -> str:
        """Add a layer."""
        name = f"layer{len(self.shapes)}"
        self.shapes[name] = shape
        self.populations.append(Population(name, shape, IntegrateFire(1.0, reset="hard")))
        self.join(source, name, wiring)
        return name

    def conv(self, source: str, channels: int, stride: int = 1) -> str:
        """Add a 3 x 3 convolution."""
        wiring = Convolution(self.shapes[source], channels, (3, 3), (stride,) * 2, (1, 1), (1, 1))
        return self.add(source, wiring, wiring.target_shape)

    def build(self, source: str) -> Network:
        """Return the network, with a dense layer of 10 classes at its end."""
        self.add(source, Dense(10, prod(self.shapes[source])), (10,))
        ends = tuple(self.populations), tuple(self.projections)
        return Network(Input("input", self.shapes["input"]), *ends, self.populations[-1].name)


def make_preact() -> Network:
    """Return a PreAct-ResNet-18 (He et al., 2016) of spiking neurons."""
    draft = Draft(32)
    last = draft.conv("input", 64)
    for channels in (64, 64, 128, 128, 256, 256, 512, 512):
        stride = 1 if draft.shapes[last][0] == channels else 2
        end = draft.conv(draft.conv(last, channels, stride), channels)
        shape = draft.shapes[last]
        shortcut = Convolution(shape, channels, (1, 1), (2, 2), (0, 0), (1, 1))
        draft.join(last, end, Scale(prod(shape)) if stride == 1 else shortcut)
        last = end
    return draft.build(last)


def make_vgg() -> Network:
    """Return eight convolutions on images of 64 x 64."""
    draft, last = Draft(64), "input"
    for channels in (64, 128, 256, 512):
        last = draft.conv(draft.conv(last, channels), channels, 2)
    return draft.build(last)


def main() -> None:
    """Print one line."""
    name = sys.argv[1] if len(sys.argv) > 1 else "preact"
    network = {"preact": make_preact, "vgg": make_vgg}[name]()
    start = time.process_time()
    program = snncompile.compile(network, chip="loihi2:hala-point")
    seconds, gib = time.process_time() - start, getrusage(RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {program.mapping.cores} cores, {seconds:.1f} s, {gib:.2f} GiB at most")


if __name__ == "__main__":
    main()
