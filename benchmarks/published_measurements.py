"""Measurements that others have published, and the networks they were taken of.

Weights matter only where the share of zeros is known; synapses, cores and time steps are the
published ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import Sparse

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One publication."""

    title: str
    chip: str
    sets: tuple[str, ...]
    """Cost sets to estimate with."""
    network: Callable[[], IntegerNetwork]
    cores: tuple[int, ...]
    """Cores of each population."""
    steps: int
    activities: tuple[float | tuple[float, ...], ...]
    """Spikes per neuron and step: of all populations, or of each."""
    measured: dict[str, tuple[float, float]]
    """Lowest and highest measurement of a figure."""
    assumed: str
    used: tuple[float, ...] = ()
    """Share of the weights of each projection that are not zero; empty: all."""
    fitted: tuple[str, ...] = ()
    """Figures to which a constant of the cost set is fitted; all others are held out."""
    timing: str = "fast"
    """Timing whose figures stand in the table of all cases."""


def network(
    shapes: list[Shape], synapses: list[IntegerSynapses], neuron: Any = None
) -> IntegerNetwork:
    """Return populations in a chain; the first has a bias and no synapses, it is the input."""
    neuron = neuron or IntegerCubaLif(4095, 1024, 25)
    populations = [Population(f"layer{i}", shape, neuron, i) for i, shape in enumerate(shapes)]
    projections = [
        Projection(a.name, b.name, s, 1)
        for (a, b), s in zip(pairwise(populations), synapses, strict=True)
    ]
    return IntegerNetwork(
        Input("host", (1,)), tuple(populations), tuple(projections), populations[-1].name
    )


def convolution(before: Shape, channels: int, kernel: int, **geometry: Shape) -> IntegerSynapses:
    """Return a convolution with any weights."""
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | geometry
    wiring = Convolution(before, channels, (kernel, kernel), **options)
    return IntegerSynapses(wiring, np.zeros(wiring.weight_shape), 0, 8)


def dense(before: int, after: int) -> IntegerSynapses:
    """Return all-to-all synapses with any weights."""
    return IntegerSynapses(Dense(after, before), np.zeros((after, before)), 0, 8)


def pilotnet() -> IntegerNetwork:
    """Return PilotNet LIF of lava-dl."""
    shapes: list[Shape] = [(3, 66, 200)]
    synapses = []
    two, flat = {"stride": (2, 2)}, {"stride": (2, 1), "padding": (1, 0)}
    for channels, geometry in ((24, two), (36, two), (48, two), (64, flat), (64, {})):
        synapses.append(convolution(shapes[-1], channels, 3, **geometry))
        shapes.append(synapses[-1].wiring.target_shape)
    for size in (100, 50, 10, 1):
        synapses.append(dense(int(np.prod(shapes[-1])), size))
        shapes.append((size,))
    return network(shapes, synapses)


def sparse(before: int, after: int, fan_in: int) -> IntegerSynapses:
    """Return synapses of weight 2 from `fan_in` sources to each target, one after the other."""
    target = np.repeat(np.arange(after), fan_in)
    wiring = Sparse(target.astype(np.int32), np.arange(len(target)) % before, after, before)
    return IntegerSynapses(wiring, np.full(len(target), 2), 0, 8)


def s4d() -> IntegerNetwork:
    """Return one layer of S4D: 128 inputs, 4 states each, summed, mixed and read."""
    synapses = [sparse(3, 128, 3), sparse(128, 512, 1), sparse(512, 128, 4), dense(128, 128)]
    return network([(3,), (128,), (512,), (128,), (128,), (10,)], [*synapses, dense(128, 10)])


def quadratic_program() -> IntegerNetwork:
    """Return 264 variables and 144 constraints that send to each other; variables to themselves."""
    variables, constraints = (264,), (144,)
    chain = network([variables, constraints], [sparse(264, 144, 5)])
    back = Projection("layer1", "layer0", sparse(144, 264, 3), 1)
    own = Projection("layer0", "layer0", sparse(264, 264, 3), 1)
    return dataclasses.replace(chain, projections=(*chain.projections, back, own))


MOBILENET = (
    *((32, 3, 2, 1), (32, 3, 1, 32), (64, 1, 1, 1), (64, 3, 2, 64), (128, 1, 1, 1)),
    *((128, 3, 1, 128), (128, 1, 1, 1), (128, 3, 2, 128), (256, 1, 1, 1), (256, 3, 1, 256)),
    *((256, 1, 1, 1), (256, 2, 2, 256)),
)
"""Channels, kernel, stride and groups of each convolution and of the pool behind them."""


def mobilenet() -> IntegerNetwork:
    """Return NxTF's small MobileNet for images of 32 x 32 x 3, with soft resets."""
    shapes: list[Shape] = [(3, 32, 32)]
    synapses = []
    for channels, kernel, stride, groups in MOBILENET:
        padding = (kernel // 2,) * 2 if kernel == 3 else (0, 0)
        geometry = ((kernel, kernel), (stride, stride), padding, (1, 1))
        wiring = Convolution(shapes[-1], channels, *geometry, groups)
        synapses.append(IntegerSynapses(wiring, np.zeros(wiring.weight_shape), 0, 8))
        shapes.append(wiring.target_shape)
    synapses.append(dense(int(np.prod(shapes[-1])), 10))
    return network([*shapes, (10,)], synapses, IntegerIntegrateFire(300, 0, 0, "soft"))


def cnn() -> IntegerNetwork:
    """Return 28x28x1 - 16c5 stride 2 - 32c3 - 64c3 stride 2 - 10c4."""
    shapes: list[Shape] = [(1, 28, 28)]
    synapses = []
    for channels, kernel, stride in ((16, 5, 2), (32, 3, 1), (64, 3, 2), (10, 4, 1)):
        synapses.append(convolution(shapes[-1], channels, kernel, stride=(stride, stride)))
        shapes.append(synapses[-1].wiring.target_shape)
    return network(shapes, synapses)


def mlp() -> IntegerNetwork:
    """Return 400-400-10."""
    return network([(400,), (400,), (10,)], [dense(400, 400), dense(400, 10)])


def braille() -> IntegerNetwork:
    """Return 48-450-28 with all-to-all recurrent synapses."""
    chain = network([(48,), (450,), (28,)], [dense(48, 450), dense(450, 28)])
    loop = Projection("layer1", "layer1", dense(450, 450), 1)
    return dataclasses.replace(chain, projections=(*chain.projections, loop))


CASES = {
    "pilotnet": Case(
        "PilotNet LIF on Loihi 2 (lava-dl, pilotnet_snn/benchmark.ipynb and its history)",
        "loihi2",
        ("measured", "loihi1_scaled"),
        pilotnet,
        (13, 25, 13, 3, 3, 2, 12, 1, 1, 1),
        16,
        ((0, 0.3542, 0.2361, 0.1042, 0.0769, 0.057, 0.057, 0.057, 0.057, 0.057),),
        {
            "us per step": (150, 183),
            "mJ dynamic": (0.562, 1.386),
            "mJ total": (0.98, 2.58),
        },
        "six runs. 74 cores as in the log; the spikes of each layer as the network sends them while"
        " its input is silent, as it was; its zeros. The image that the system writes into the"
        " biases of 39,600 neurons before each inference is not in ours. *Fitted*: dynamic"
        " energy, and the time of a synaptic operation",
        (1, 0.742, 0.678, 0.606, 0.269),
        ("us per step", "mJ dynamic"),
    ),
    "s4d": Case(
        "S4D, d 128, N 4, one layer, on Loihi 2 (its recorded time and power)",
        "loihi2",
        ("measured", "loihi1_scaled"),
        s4d,
        (1, 1, 1, 1, 1, 1),
        1,
        (1.0,),
        {
            "us per step": (30.98, 31.03),
            "mJ dynamic": (0.00031, 0.00031),
            "mJ total": (0.0037, 0.004),
        },
        "held out. Every neuron sends in every step; its input came from the chip's own processor,"
        " step by step, which is not in ours",
    ),
    "qp": Case(
        "a quadratic program, 264 variables and 144 constraints, on Loihi 2",
        "loihi2",
        ("measured", "loihi1_scaled"),
        quadratic_program,
        (1, 1),
        1,
        (1.0,),
        {"us per step": (6.32, 8.14)},
        "held out. Every neuron sends in every step; as many synapses as the recorded rows have",
    ),
    "mlp": Case(
        "MNIST 400-400-10 on Loihi 1",
        "loihi1",
        ("davies2018", "sanafe"),
        mlp,
        (1, 1, 1),
        16,
        (0.02, 0.05, 0.1),
        {"ms per inference": (0.17, 0.17), "mJ dynamic": (0.0025, 0.0025)},
        "16 time steps and one core per layer (not known to us). The published 0.0025 mJ in 0.17 ms"
        " are 14.7 mW, half of what a system of one chip was measured to draw when idle (29.6 mW)"
        " and a seventh of the static power per chip (104 mW): the static part cannot be in it, so"
        " it stands beside our dynamic energy",
        timing="cycle",
    ),
    "cnn": Case(
        "MNIST CNN 28x28 - 16c5 - 32c3 - 64c3 - 10c4 on Loihi 1 (NxTF, arXiv 2101.04261)",
        "loihi1",
        ("davies2018", "sanafe"),
        cnn,
        (1, 4, 7, 3, 1),
        512,
        (0.02, 0.05, 0.1),
        {"us per step": (60.8, 60.8)},
        "16 cores as NxTF's sparse encoding takes; a sample of 32 of the 512 steps is estimated",
        timing="cycle",
    ),
    "mobilenet": Case(
        "small MobileNet on two chips of Loihi 1 (NxTF, b_image_classification_cifar.ipynb)",
        "loihi1:nahuku",
        ("davies2018", "sanafe"),
        mobilenet,
        (6, 16, 16, 32, 8, 16, 16, 16, 4, 8, 8, 8, 2, 1),
        512,
        (0.02, 0.05, 0.1),
        {"us per step": (137.3, 137.3)},
        "157 cores as recorded, of each layer as NxTF's rules cut it. The same notebook reads off a"
        " plot that input takes 10 ms per image, 19.5 us of each step, and the cores' phase 100 to"
        " 200 us of it. *The gap*: what a spike takes from one chip to the other is not published,"
        " nor what the host takes besides; both are missing in ours, and the barrier of two chips"
        " is that of 256. A sample of 32 steps is estimated",
        timing="cycle",
    ),
    "braille": Case(
        "braille RNN 48-450-28 on Loihi 1",
        "loihi1",
        ("davies2018", "sanafe"),
        braille,
        (1, 50, 2),
        256,
        (0.02, 0.05, 0.1),
        {"us per step": (6.64, 6.64)},
        "53 cores: 50 for the recurrent layer (not known to us); 32 steps are estimated",
        timing="cycle",
    ),
}
