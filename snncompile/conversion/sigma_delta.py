"""Changes of graded messages, for streams: what stays the same from frame to frame costs nothing.

The layers of `graded`, each with a memory of what has arrived and of what it has sent. With `least`
1 every layer has, frame for frame, the activation that it has with `graded`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import INPUT, Ann, Layer, Product
from snncompile.conversion.graded import GradedMessages
from snncompile.errors import UnsupportedError
from snncompile.ir.answer import Answer
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.graded import Graded
from snncompile.neurons.graded_delta import GradedDelta
from snncompile.neurons.sigma import Sigma
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

CHANGES = "changes"
"""Name of the population that holds the last frame."""


@dataclass(frozen=True)
class SigmaDeltaMessages(GradedMessages):
    """A network of k-bit activations that sends changes; a time step is a frame.

    The first population, `changes`, holds the last frame; the input sends whole frames to it. A
    smaller `least` follows the model more closely, a larger one sends fewer messages; the rest of a
    change is kept, so an activation is off by less than `least` after any number of frames.
    """

    least: int = 1
    """Smallest change that is sent, in units of the smallest message; 1: every change."""
    least_input: int = 1
    """The same for the input."""

    name: ClassVar[str] = "sigma_delta"
    suits_library: ClassVar[bool] = True
    codings: ClassVar[tuple[Kind, ...]] = ("analog", "constant")

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        super().__post_init__()
        for name, least in (("least", self.least), ("least_input", self.least_input)):
            if least < 1:
                raise ValueError(f"{name} must be 1 or more, got {least}")

    def prepare(self, ann: Ann, x: NDArray[np.float64]) -> Ann:
        """Return the network in rectifiers, tables and maxima; refuse products.

        Raises:
            UnsupportedError: a layer is none of these; the message names it.
        """
        for layer in ann.layers:
            if isinstance(layer.operation, Product):
                raise UnsupportedError(
                    f"{layer.path}: a product of two activations is no sum of changes; take"
                    " method='graded', leave out the gate, or train with one that is added"
                )
        return super().prepare(ann, x)

    def find_input_weight(self, coding: Kind, unit: float, steps: int) -> float:
        """Return the value of a message of 1: `changes` sends whole numbers."""
        return unit

    def finish_network(self, network: Network) -> Network:
        """Return the network with `changes`, which holds the last frame, behind its input."""
        names = {p.name for p in network.populations}
        name = CHANGES
        while name in names:
            name += "_"
        low, high = (np.asarray(float(end)) for end in network.input.payload)
        least = np.asarray(float(self.least_input))
        neuron = GradedDelta(lowest=low, highest=high, least=least, memory=np.asarray(0.0))
        changes = Population(name, network.input.shape, neuron)
        weight = np.asarray(1 / network.input.unit)
        frames = Projection(INPUT, name, Synapses(Scale(changes.size), weight))
        rest = (replace(p, source=name) if p.source == INPUT else p for p in network.projections)
        return replace(
            network,
            populations=(changes, *network.populations),
            projections=(frames, *rest),
            answer=Answer("last"),
        )

    def finish(self, population: Population, *, exact: bool = False) -> Population:
        """Return a population that sends its changes; an exact one all of them."""
        neuron = population.neuron
        assert isinstance(neuron, Graded)
        same = {f.name: getattr(neuron, f.name) for f in fields(neuron)}
        least = np.asarray(1.0 if exact else float(self.least))
        return replace(population, neuron=GradedDelta(**same, least=least))

    def make_answer(self, layer: Layer) -> Population:
        """Return the population of the last layer: the sum of all changes is its answer."""
        return Population(layer.name, layer.shape, Sigma(initial=layer.bias))
