"""Interface of conversion methods, and their common base: neurons in place of rectifiers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann, Curve, Layer, Product
from snncompile.conversion.fold_sums import fold_sums
from snncompile.conversion.graded_layers import is_sum, split_slopes
from snncompile.conversion.max_trees import expand_maxima
from snncompile.conversion.scales import LEAST, Scales
from snncompile.conversion.split_pools import split_pools
from snncompile.errors import UnsupportedError
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import FloatNeuron, Interval
from snncompile.neurons.window_readout import WindowReadout


@dataclass(frozen=True)
class Plan:
    """Duration of a sample."""

    shown: int
    """Time steps in which the input is shown, and in which the readout counts."""
    steps: int
    """Time steps of a sample in all, in a population's own time."""


class Method(ABC):
    """A neuron in place of a rectifier, and when layers receive and send.

    Its networks are normalized: an activation of `top` is the largest that a neuron can send.
    """

    name: ClassVar[str]
    """Row of the method in the registry."""
    codings: ClassVar[tuple[Kind, ...]] = ("constant", "rate", "poisson")
    """Input codings that it can read; the first is the default."""
    default_steps: ClassVar[int] = 32
    """Time steps of a layer's window where none are given."""
    longest_window: ClassVar[int | None] = None
    """Most time steps of a layer's window; None: no limit."""
    scales: Scales = LEAST
    """Default scales of the method."""
    suits_library: ClassVar[bool] = False
    """Whether anything of its networks can be processes of Lava's own library."""
    top: int = 1
    """Output of a neuron for an activation of the layer's scale."""

    @property
    def label(self) -> str:
        """Name with the options that tell it from others of its kind."""
        return self.name

    def prepare(self, ann: Ann, x: NDArray[np.float64]) -> Ann:
        """Return the network in the layers that the method has neurons for: rectifiers.

        Args:
            ann: as captured.
            x: calibration samples.

        Raises:
            UnsupportedError: an activation is no rectifier, or a pool is not known.
        """
        return expand_maxima(split_pools(keep_rectifiers(ann, self.name)), x)

    @abstractmethod
    def plan(self, ann: Ann, steps: int) -> Plan:
        """Return the duration of a sample if every layer has a window of `steps`."""

    @abstractmethod
    def build_populations(self, ann: Ann, steps: int) -> tuple[Population, ...]:
        """Return a population per layer, the last one a readout, and relays where needed.

        Args:
            ann: normalized.
            steps: of a layer's window.
        """

    def build_projections(self, ann: Ann, steps: int) -> tuple[Projection, ...]:
        """Return the projections; by default every spike counts in the same own step."""
        return tuple(
            Projection(term.source, layer.name, term.synapses)
            for layer in ann.layers
            for term in layer.terms
        )

    def count_levels(self, steps: int) -> int:
        """Return the number of values above 0 that a neuron can send in a window of `steps`."""
        return steps

    def find_top(self, layer: Layer) -> int:
        """Return the output of a neuron of a layer for an activation of the layer's scale."""
        return self.top

    def choose_messages(
        self, ann: Ann, activations: dict[str, Tensor], unit: float, payload: Interval
    ) -> Ann:
        """Return the network with the range of each layer's messages, where they differ.

        Args:
            ann: as prepared.
            activations: of the calibration samples.
            unit: input of a payload of 1.
            payload: range of the input's payload.
        """
        return ann

    def choose_scales(
        self, ann: Ann, activations: dict[str, Tensor], levels: int
    ) -> dict[str, Floats]:
        """Return the activation of all spikes of a neuron together, per layer; see `Scales`."""
        return self.scales.choose_all(ann, activations, levels)

    def find_input_weight(self, coding: Kind, unit: float, steps: int) -> float:
        """Return the value that a message of 1 stands for at the layers that read the input.

        Args:
            coding: of the input; analog ones are values already.
            unit: value of a message of 1.
            steps: in which it is shown.
        """
        return 1.0 if coding == "analog" else unit * self.find_input_factor(coding, steps)

    def finish_network(self, network: Network) -> Network:
        """Return the network as it is shown its input: as it is."""
        return network

    def find_input_factor(self, coding: Kind, steps: int) -> float:
        """Return the factor of the input's weights."""
        return 1.0


def keep_rectifiers(ann: Ann, method: str) -> Ann:
    """Return a network of rectifiers and maxima, for a method whose messages are rates.

    Sums between linear layers are multiplied out, or two rectifiers, z = relu(z) - relu(-z).

    Raises:
        UnsupportedError: names the layers.
    """
    ann = split_slopes(fold_sums(ann), is_sum)
    for layer in ann.rectified:
        if isinstance(layer.operation, Curve | Product):
            raise UnsupportedError(
                f"{layer.path}: {layer.kind} is no rectifier, and {method} sends rates of"
                " rectifiers; take method='graded', or train with ReLU"
            )
    return ann


class Direct(Method):
    """Every layer integrates and fires in the same own steps: one window for all.

    Subclasses define the neuron; the readout may ignore the first steps, in which the rates of deep
    layers have not settled.
    """

    readout_delay: int = 0
    calibrate_bias: bool = False

    @property
    def label(self) -> str:
        """Name, and whether biases are calibrated."""
        return f"{self.name} calibrated" if self.calibrate_bias else self.name

    @abstractmethod
    def make_neuron(self, layer: Layer) -> FloatNeuron:
        """Return the neuron of a rectified layer; one unit of potential is one spike."""

    def plan(self, ann: Ann, steps: int) -> Plan:
        """Return a window of `steps` for all."""
        return Plan(steps, steps)

    def build_populations(self, ann: Ann, steps: int) -> tuple[Population, ...]:
        """Return a population per layer."""
        if not 0 <= self.readout_delay < steps:
            raise ValueError(f"readout_delay {self.readout_delay} must be below {steps} steps")
        *rectified, last = ann.layers
        rectified_populations = [
            Population(layer.name, layer.shape, self.make_neuron(layer)) for layer in rectified
        ]
        window, start = steps - self.readout_delay, self.readout_delay
        readout = WindowReadout(window, start, 0.0, last.bias)  # type: ignore[arg-type]
        return (*rectified_populations, Population(last.name, last.shape, readout))
