"""Small networks for real Lava runs, and spikes for them."""

import numpy as np

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.dense import integer_dense

LINES = 12
"""Lines of the input."""
LIF = IntegerCubaLif(2000, 200, 250)
SOFT = IntegerIntegrateFire(200, reset="soft")
BIASED = IntegerCubaLif(1500, 100, 90, 40, 6)
"""Fires again and again without input: shows what leaks from one sample to the next."""
NONE = IntegerReadout(4095, 4095)
"""Shows the input of each time step: v is u is the sum of this step, shifted by 6."""


class Builder:
    """Collects populations and projections; weights are drawn from `random`."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.groups: dict[str, list[str]] = {}

    def population(self, group: str, neuron: IntegerNeuron, size: int, phase: int = 1) -> str:
        members = self.groups.setdefault(group, [])
        name = f"{group}_{len(members)}"
        self.populations.append(Population(name, (size,), neuron, phase))
        members.append(name)
        return name

    def wire(self, target: str, wiring: Wiring, exponent: int = 0, source: str = "input") -> None:
        """Join two populations by any wiring, with weights of 8 bits at both ends and between."""
        weight = self.random.integers(-128, 128, wiring.weight_shape) * 2
        weight.flat[:2] = [-256, 254][: weight.size]
        synapses = IntegerSynapses(wiring, weight, exponent, 8)
        self.projections.append(Projection(source, target, synapses, 1))

    def project(self, source: str, target: str, delay: int = 1, weight=None, **format: int) -> None:
        sizes = {p.name: p.size for p in self.populations} | {"input": LINES}
        bits, exponent = format.get("bits", 8), format.get("exponent", 0)
        if weight is None:
            step = 2 ** (9 - bits)
            low, high = -(96 // step), 160 // step + 1
            weight = self.random.integers(low, high, (sizes[target], sizes[source])) * step
        synapses = integer_dense(weight, exponent, bits)
        self.projections.append(Projection(source, target, synapses, delay))

    def network(self) -> IntegerNetwork:
        return IntegerNetwork(
            Input("input", (3, 4)),
            tuple(self.populations),
            tuple(self.projections),
            self.populations[-1].name,
        )


def spikes(seed: int, samples: int, steps: int) -> np.ndarray:
    """Return random input; in the first sample every line spikes always, in the second never."""
    x = np.random.default_rng(seed).random((samples, steps, 3, 4)) < 0.3
    x[:1] = 1
    x[1:2] = 0
    return x.astype(np.uint8)


def small(neuron: IntegerNeuron = LIF, phase: int = 1) -> IntegerNetwork:
    builder = Builder(seed=3)
    builder.project("input", builder.population("hidden", BIASED, 5, phase))
    builder.project("hidden_0", builder.population("out", neuron, 4, phase + 1))
    builder.project("hidden_0", "hidden_0")
    return builder.network()
