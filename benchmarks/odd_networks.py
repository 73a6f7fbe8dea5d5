"""Networks of odd shapes, which a compiler has to place or to refuse, soon and without a crash.

Each is drawn for a chip: with the widest weights up to 8 bits that the chip has, and with a reset
that it has, so that it comes as far as the passes that cut and place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from snncompile.hwmodels.schema import Chip
from snncompile.ir.delays import split_by_delay
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

Neuron = IntegerIntegrateFire | IntegerCubaLif


class Draft:
    """Layers one behind the other, with random weights."""

    def __init__(self, chip: Chip, *shape: int) -> None:
        self.random = np.random.default_rng(0)
        self.bits = max(b for b in chip.formats.weight_bits.values if b <= 8)
        self.least = min(chip.formats.weight_bits.values)
        self.reset = "hard" if "integrate_fire/hard" in chip.neurons else "soft"
        self.input = Input("input", shape)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.last, self.phase = "input", 0

    @property
    def shape(self) -> Shape:
        """Shape of the last layer, or of the input where the next layer is beside it."""
        shapes = {p.name: p.shape for p in self.populations}
        return shapes.get(self.last, self.input.shape)

    def weigh(self, wiring: Wiring) -> IntegerSynapses:
        """Return random weights over the whole range of the chip's bits."""
        step, top = 2 ** (9 - self.bits), 2 ** (self.bits - 1) - 1
        steps = self.random.integers(-top, top + 1, wiring.weight_shape)
        return IntegerSynapses(wiring, np.asarray(steps * step, np.int16), 0, self.bits)

    def add(
        self, synapses: IntegerSynapses, shape: Shape = (), neuron: Neuron | None = None
    ) -> str:
        """Add a layer behind the last one."""
        self.phase += 1
        name, wiring = f"p{len(self.populations)}", synapses.wiring
        shape = shape or getattr(wiring, "target_shape", (wiring.targets,))
        neuron = neuron or IntegerIntegrateFire(300, 0, 0, self.reset)
        self.populations.append(Population(name, shape, neuron, self.phase))
        self.projections.append(Projection(self.last, name, synapses, 1))
        self.last = name
        return name

    def dense(self, targets: int, neuron: Neuron | None = None) -> str:
        """Add a dense layer."""
        return self.add(self.weigh(Dense(targets, prod(self.shape))), neuron=neuron)

    def conv(
        self,
        channels: int,
        kernel: int | Shape = 3,
        stride: int = 1,
        padding: int = 1,
        groups: int = 1,
        dilation: int = 1,
    ) -> str:
        """Add a convolution."""
        axes = len(self.shape) - 1
        kernel = (kernel,) * axes if isinstance(kernel, int) else kernel
        settings = ((number,) * axes for number in (stride, padding, dilation))
        return self.add(self.weigh(Convolution(self.shape, channels, kernel, *settings, groups)))

    def join(self, source: str, target: str, wiring: Wiring, delay: int = 1) -> None:
        """Add a projection between populations that are there."""
        self.projections.append(Projection(source, target, self.weigh(wiring), delay))

    def build(self, output: str = "") -> IntegerNetwork:
        """Return the network."""
        ends = tuple(self.populations), tuple(self.projections)
        return IntegerNetwork(self.input, *ends, output or self.last)


def draw_sparse(draft: Draft, targets: int, sources: int, synapses: int) -> IntegerSynapses:
    """Return synapses between random pairs."""
    pairs = draft.random.choice(targets * sources, synapses, replace=False)
    return draft.weigh(Sparse(pairs // sources, pairs % sources, targets, sources))


def make_layers(*layers: tuple[str, tuple[object, ...]]) -> Callable[[Draft], IntegerNetwork]:
    """Return a function that adds layers: (method of `Draft`, its arguments)."""

    def make(draft: Draft) -> IntegerNetwork:
        for method, arguments in layers:
            getattr(draft, method)(*arguments)
        return draft.build()

    return make


def make_fan(draft: Draft) -> IntegerNetwork:
    """Return 499 layers beside each other that feed one."""
    for number in range(499):
        draft.phase, draft.last = 0, "input"
        draft.add(draft.weigh(Dense(2, 4)))
        assert draft.last == f"p{number}"
    draft.last = "p0"
    target = draft.dense(3)
    for number in range(1, 499):
        draft.join(f"p{number}", target, Dense(3, 2))
    return draft.build()


def make_one_bit(draft: Draft) -> IntegerNetwork:
    """Return a layer whose weights have one bit, or the fewest that the chip has."""
    draft.bits, wiring = draft.least, Dense(400, 300)
    weight = draft.random.choice([-(2 ** (9 - draft.bits)), 0], wiring.weight_shape)
    draft.add(IntegerSynapses(wiring, np.asarray(weight, np.int16), 0, draft.bits))
    return draft.build()


def make_zeros(draft: Draft) -> IntegerNetwork:
    """Return a layer whose weights are all zero, before another one."""
    wiring = Dense(10, 10)
    draft.add(IntegerSynapses(wiring, np.zeros(wiring.weight_shape, np.int16), 0, draft.bits))
    draft.dense(5)
    return draft.build()


def make_without_synapses(draft: Draft) -> IntegerNetwork:
    """Return a layer without a synapse, before another one."""
    none = np.zeros(0, np.int64)
    draft.add(draft.weigh(Sparse(none, none, 10, 10)))
    draft.dense(5)
    return draft.build()


def make_recurrent(draft: Draft) -> IntegerNetwork:
    """Return a layer that feeds itself."""
    name = draft.dense(600)
    draft.join(name, name, Dense(600, 600))
    draft.dense(10)
    return draft.build()


def make_delays(draft: Draft) -> IntegerNetwork:
    """Return a layer that feeds itself with a delay per synapse."""
    name = draft.dense(300)
    loop = Projection(name, name, draft.weigh(Dense(300, 300)), 1)
    draft.projections += split_by_delay(loop, draft.random.integers(0, 20, (300, 300)))
    draft.dense(10)
    return draft.build()


def make_long_delay(draft: Draft) -> IntegerNetwork:
    """Return a loop of 500 steps."""
    name = draft.dense(30)
    draft.join(name, name, Dense(30, 30), 500)
    draft.dense(5)
    return draft.build()


def make_many_projections(draft: Draft) -> IntegerNetwork:
    """Return a layer that one source feeds with 21 delays."""
    name = draft.dense(128)
    for delay in range(2, 22):
        draft.join("input", name, Dense(128, 64), delay)
    draft.dense(10)
    return draft.build()


def make_sparse(draft: Draft) -> IntegerNetwork:
    """Return two layers of random pairs."""
    draft.add(draw_sparse(draft, 3000, 2000, 60000))
    draft.add(draw_sparse(draft, 500, 3000, 30000))
    return draft.build()


def make_one_to_one(draft: Draft) -> IntegerNetwork:
    """Return 5,000 neurons with one source each, before two that hear them all."""
    draft.add(draft.weigh(Scale(5000)))
    draft.dense(2)
    return draft.build()


def make_shortcut(draft: Draft) -> IntegerNetwork:
    """Return a convolution with a one-to-one projection beside it."""
    first, second = draft.conv(16), draft.conv(16)
    draft.join(first, second, Scale(4096))
    draft.dense(10)
    return draft.build()


def make_dead_branch(draft: Draft) -> IntegerNetwork:
    """Return a layer that reaches no output."""
    first = draft.dense(3)
    draft.phase, draft.last = 0, "input"
    draft.dense(100)
    return draft.build(first)


def make_thresholds(draft: Draft) -> IntegerNetwork:
    """Return a layer with a threshold per neuron."""
    thresholds = draft.random.integers(100, 5000, 900)
    draft.dense(900, IntegerIntegrateFire(thresholds, 0, 0, draft.reset))
    draft.dense(10)
    return draft.build()


def make_decays(draft: Draft) -> IntegerNetwork:
    """Return a layer with decays, threshold and bias per neuron."""
    decays = (draft.random.integers(0, 4096, 900) for _ in range(2))
    threshold, bias = draft.random.integers(100, 5000, 900), draft.random.integers(-10, 10, 900)
    draft.dense(900, IntegerCubaLif(*decays, threshold, bias, 0, reset=draft.reset))
    draft.dense(10)
    return draft.build()


def make_preact_resnet18(draft: Draft) -> IntegerNetwork:
    """Return the convolutions of a PreAct-ResNet-18 (He et al., 2016), without its shortcuts."""
    draft.conv(64)
    for channels in (64, 128, 256, 512):
        draft.conv(channels, 3, 1 if channels == 64 else 2)
        for _ in range(3):
            draft.conv(channels)
    draft.dense(10)
    return draft.build()


def make_vgg(draft: Draft) -> IntegerNetwork:
    """Return the convolutions of a VGG-11, pooled by strides, and a dense layer."""
    for channels, stride in ((64, 1), (128, 2), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2)):
        draft.conv(channels, 3, stride)
    draft.dense(10)
    return draft.build()


# Shape of the input, layers.
ODD: dict[str, tuple[Shape, Callable[[Draft], IntegerNetwork]]] = {
    "one neuron": ((1,), make_layers(("dense", (1,)))),
    "20,000 sources": ((20000,), make_layers(("dense", (1,)))),
    "100,000 inputs": ((100_000,), make_layers(("dense", (10,)))),
    "100,000 neurons": ((10,), make_layers(("dense", (100_000,)))),
    "200 layers": ((8,), make_layers(*[("dense", (8,))] * 200)),
    "500 layers of one neuron": ((1,), make_layers(*[("dense", (1,))] * 500)),
    "499 layers into one": ((4,), make_fan),
    "weights of one bit": ((300,), make_one_bit),
    "all weights zero": ((10,), make_zeros),
    "no synapse": ((10,), make_without_synapses),
    "convolutions in groups": (
        (64, 16, 16),
        make_layers(("conv", (64, 3, 1, 1, 8)), ("conv", (128, 3, 1, 1, 64)), ("dense", (10,))),
    ),
    "4096 channels into 64": ((4096, 1, 1), make_layers(("conv", (64, 1, 1, 0)), ("dense", (10,)))),
    "16 channels into 4096": ((16, 1, 1), make_layers(("conv", (4096, 1, 1, 0)), ("dense", (10,)))),
    "dilation": (
        (4, 33, 33),
        make_layers(("conv", (8, 3, 1, 4, 1, 4)), ("conv", (8, (1, 7), 1, 3)), ("dense", (3,))),
    ),
    "kernel 64 x 64": ((1, 64, 64), make_layers(("conv", (8, 64, 1, 0)))),
    "kernel 31 x 31": ((2, 32, 32), make_layers(("conv", (4, 31, 1, 15)), ("dense", (10,)))),
    "one axis of space": ((3, 1000), make_layers(("conv", (16, 9, 1, 4)), ("dense", (4,)))),
    "recurrent": ((50,), make_recurrent),
    "a delay per synapse": ((50,), make_delays),
    "a delay of 500": ((20,), make_long_delay),
    "21 projections": ((64,), make_many_projections),
    "random pairs": ((2000,), make_sparse),
    "one to one": ((5000,), make_one_to_one),
    "512 channels": ((512, 7, 7), make_layers(("conv", (512,)), ("conv", (512,)))),
    "4096 x 4096": ((4096,), make_layers(("dense", (4096,)), ("dense", (1000,)))),
    "shortcut": ((16, 16, 16), make_shortcut),
    "prime sizes": (
        (7, 13, 17),
        make_layers(("conv", (11, 3, 2, 0)), ("conv", (13, 2)), ("dense", (17,))),
    ),
    "stride beyond the kernel": ((2, 40, 40), make_layers(("conv", (8, 2, 5, 0)), ("dense", (4,)))),
    "dead branch": ((4,), make_dead_branch),
    "60 convolutions": ((8, 8, 8), make_layers(*[("conv", (8,))] * 60)),
    "depthwise": (
        (200, 28, 28),
        make_layers(("conv", (200, 3, 1, 1, 200)), ("conv", (50, 1, 1, 0))),
    ),
    "a threshold per neuron": ((32,), make_thresholds),
    "decays per neuron": ((32,), make_decays),
    "2000 neurons, soft reset": (
        (784,),
        make_layers(("dense", (2000, IntegerIntegrateFire(300, 0, 0, "soft"))), ("dense", (10,))),
    ),
    "PreAct-ResNet-18": ((3, 32, 32), make_preact_resnet18),
    "VGG-11, 64 x 64": ((3, 64, 64), make_vgg),
}


def make_network(name: str, chip: Chip) -> IntegerNetwork:
    """Return one of `ODD` for a chip."""
    shape, make = ODD[name]
    return replace(make(Draft(chip, *shape)), title=name)
