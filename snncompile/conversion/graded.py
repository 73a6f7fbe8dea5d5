"""Graded messages: every neuron sends its activation as one number of a few bits, in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.conversion.ann import Ann, Layer
from snncompile.conversion.method import Method, Plan
from snncompile.conversion.scales import LEAST, Scales
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Population
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.graded import Graded
from snncompile.neurons.window_readout import WindowReadout


@dataclass(frozen=True)
class GradedMessages(Method):
    """A network of k-bit activations: one time step and at most one message per neuron.

    After SDANN (arXiv 2505.12221). A layer sends whole numbers from 0 to 2^bits - 1; they are its
    activations in units of its scale / (2^bits - 1), rounded to the nearest.
    """

    bits: int = 8
    """Bits of a message, 1 to 8."""
    scales: Scales = LEAST
    """Activation of the largest message."""

    name: ClassVar[str] = "graded"
    codings: ClassVar[tuple[Kind, ...]] = ("constant",)
    default_steps: ClassVar[int] = 1
    longest_window: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        if not 1 <= self.bits <= MOST_BITS:
            raise ValueError(f"bits must be between 1 and {MOST_BITS}, got {self.bits}")

    @property
    def top(self) -> int:  # type: ignore[override]
        """Largest message."""
        return (1 << self.bits) - 1

    def plan(self, ann: Ann, steps: int) -> Plan:
        """Return one step: no layer keeps anything."""
        return Plan(steps, steps)

    def count_levels(self, steps: int) -> int:
        """Return the largest message."""
        return self.top

    def build_populations(self, ann: Ann, steps: int) -> tuple[Population, ...]:
        """Return a population per layer."""
        *inner, last = ann.layers
        populations = [
            Population(layer.name, layer.shape, self.make_neuron(layer)) for layer in inner
        ]
        readout = WindowReadout(np.asarray(1.0), bias=last.bias)
        return (*populations, Population(last.name, last.shape, readout))

    def make_neuron(self, layer: Layer) -> FloatNeuron:
        """Return neurons that send their activation in units of the layer's smallest message."""
        return Graded(lowest=np.asarray(0.0), highest=np.asarray(float(self.top)), bias=layer.bias)


MOST_BITS = 8
"""More bits are not needed: 8 agree with the model as often as its weights of 8 bits allow."""
