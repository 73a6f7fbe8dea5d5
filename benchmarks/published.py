"""Networks whose mapping others have published, with random weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

MNIST_CNN = ((16, 5, 2), (32, 3, 1), (64, 3, 2), (10, 4, 1))
"""Channels, kernel and stride of each convolution; the input is 1 x 28 x 28."""


def mnist_cnn(reset: str = "hard", seed: int = 0) -> IntegerNetwork:
    """Return Intel's MNIST network, 8-bit weights, none of them zero.

    Encodings but the sparse one depend on where the signs are. Intel's mapper was run on the
    weights of seed 0: its words, which are published nowhere, are compared with ours.
    """
    rng = np.random.default_rng(seed)
    populations, projections = [], []
    name, shape = "input", (1, 28, 28)
    for i, (channels, side, stride) in enumerate(MNIST_CNN, 1):
        size = (side, side, shape[0], channels)
        weight = 2 * rng.integers(1, 128, size) * rng.choice([-1, 1], size)
        wiring = Convolution(shape, channels, (side, side), (stride, stride), (0, 0), (1, 1))
        synapses = IntegerSynapses(wiring, weight.transpose(3, 2, 0, 1), 0, 8)
        neuron = IntegerIntegrateFire(300, 0, 0, reset)
        populations.append(Population(f"conv{i}", wiring.target_shape, neuron, phase=i))
        projections.append(Projection(name, f"conv{i}", synapses, 1))
        name, shape = f"conv{i}", wiring.target_shape
    parts = (tuple(populations), tuple(projections))
    return IntegerNetwork(Input("input", (1, 28, 28)), *parts, name, title="MNIST CNN")


def mlp(*sizes: int, reset: str = "hard", bits: int = 8, seed: int = 0) -> IntegerNetwork:
    """Return dense layers of these sizes, the input's first; no weight is zero."""
    rng = np.random.default_rng(seed)
    populations, projections = [], []
    for i, (sources, targets) in enumerate(pairwise(sizes), 1):
        size = (targets, sources)
        magnitude = rng.integers(1, 1 << (bits - 1), size) << (9 - bits)
        weight = (magnitude * rng.choice([-1, 1], size)).astype(np.int16)
        neuron = IntegerIntegrateFire(300, 0, 0, reset)
        populations.append(Population(f"dense{i}", (targets,), neuron, phase=i))
        before = f"dense{i - 1}" if i > 1 else "input"
        projections.append(Projection(before, f"dense{i}", integer_dense(weight, 0, bits), 1))
    parts = (tuple(populations), tuple(projections))
    title = "-".join(map(str, sizes))
    return IntegerNetwork(Input("input", sizes[:1]), *parts, populations[-1].name, title=title)


def put_input_on_cores(network: IntegerNetwork) -> IntegerNetwork:
    """Return the network behind biased neurons of its input's shape, which take cores as NxTF's."""
    neuron = IntegerCubaLif(4095, 0, 100, 50, 0)
    pixels = Population("pixels", network.input.shape, neuron, phase=0)
    projections = tuple(
        replace(p, source="pixels") if p.source == network.input.name else p
        for p in network.projections
    )
    populations = (pixels, *network.populations)
    title = f"{network.title} with its input"
    return IntegerNetwork(
        Input("host", (1,)), populations, projections, network.output, title=title
    )


PILOTNET = ((24, (2, 2), (0, 0)), (36, (2, 2), (0, 0)), (48, (2, 2), (0, 0)), (64, (2, 1), (1, 0)))
"""Channels, stride and padding along y and x of the first convolutions, all of 3 x 3."""
PILOTNET_BITS = {
    "LIF": ((5, 4, 4, 4, 4), (3, 4, 5, 6)),
    "SDNN": ((6, 5, 4, 5, 4), (4, 6, 5, 4)),
}
"""Bits of the weights of lava-dl's trained networks: of the convolutions, of the dense layers."""

PILOTNET_TABLE = {
    # Layer, width x height x channels: input axons, words of LIF and of SDNN, output axons, cores.
    "input 200x66x3": (1, 0, 0, 1015, 13),
    "99x32x24": (2, 81, 81, 253, 25),
    "49x15x36": (2, 864, 864, 113, 13),
    "24x7x48": (2, 1620, 1620, 112, 3),
    "22x4x64": (1, 2160, 2592, 29, 3),
    "20x2x64": (1, 2880, 2880, 1280, 2),
    "dense 100": (2560, 7253, 7253, 8, 12),
    "dense 50": (100, 1300, 1500, 50, 1),
    "dense 10": (50, 150, 150, 10, 1),
    "dense 1": (10, 10, 10, 1, 1),
}
"""Core table of Intel's compiler, release of 2022-09: means over the cores of a layer, rounded
down; the biases of the input take an axon. Source: lava-dl, pilotnet_snn/benchmark.ipynb."""


def pilotnet(kind: str = "LIF", seed: int = 0) -> IntegerNetwork:
    """Return lava-dl's PilotNet, 3 x 66 x 200 inputs, with random weights of the trained bits."""
    rng = np.random.default_rng(seed)
    of_convolutions, of_dense = PILOTNET_BITS[kind]
    layers: list[tuple[int, Convolution | None]] = []
    shape: tuple[int, ...] = (3, 66, 200)
    for channels, stride, padding in (*PILOTNET, (64, (1, 1), (0, 0))):
        wiring = Convolution(shape, channels, (3, 3), stride, padding, (1, 1))
        layers.append((wiring.targets, wiring))
        shape = wiring.target_shape
    layers += [(size, None) for size in (100, 50, 10, 1)]
    populations, projections = [], []
    name, sources = "input", 3 * 66 * 200
    for i, ((size, layer), bits) in enumerate(
        zip(layers, (*of_convolutions, *of_dense), strict=True), 1
    ):
        weight_shape = (size, sources) if layer is None else layer.weight_shape
        weight = _draw_weights(rng, weight_shape, bits)
        synapses = (
            integer_dense(weight, 0, 8) if layer is None else IntegerSynapses(layer, weight, 0, 8)
        )
        neuron = IntegerIntegrateFire(300, 0, 0, "hard")
        own_shape = (size,) if layer is None else layer.target_shape
        populations.append(Population(f"layer{i}", own_shape, neuron, phase=i))
        projections.append(Projection(name, f"layer{i}", synapses, 1))
        name, sources = f"layer{i}", size
    parts = (tuple(populations), tuple(projections))
    return IntegerNetwork(Input("input", (3, 66, 200)), *parts, name, title=f"PilotNet {kind}")


def _draw_weights(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Return even weights of both signs that need exactly so many bits once they are halved."""
    weight = rng.integers(-(1 << bits - 1), 1 << bits - 1, shape)
    weight.flat[:2] = -(1 << bits - 1), 1
    return (2 * weight).astype(np.int16)
