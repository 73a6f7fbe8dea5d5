"""Bistable neurons (BSNN, Li et al. 2021): a layer sends only after it received everything.

A neuron is in one of two states, receiving or emitting. So it sends no spike if its sum
is negative, and every sum is exact but for rounding. Branches of a residual block arrive together:
the shorter one waits in the delay of its synapses, or in synchronous neurons (`relays`) that
receive and emit like all others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import INPUT, Ann, Layer, Maximum
from snncompile.conversion.max_trees import expand_maxima
from snncompile.conversion.method import Method, Plan, keep_rectifiers
from snncompile.conversion.phase_maxima import build_stages, find_digit_maxima, rectify_first
from snncompile.conversion.scales import LEAST, Scales
from snncompile.conversion.split_pools import split_pools
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Population, Projection
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.bistable_fire import BistableFire
from snncompile.neurons.phase_fire import LONGEST, PhaseFire
from snncompile.neurons.window_readout import WindowReadout
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale


class Bistable(Method):
    """Layer after layer; subclasses define how a layer sends."""

    relays: bool = False
    doubling: ClassVar[float] = 0.0

    @abstractmethod
    def make_neuron(self, steps: int, start: int, bias: Any) -> FloatNeuron:
        """Return neurons that receive in the own steps start .. start + steps - 1."""

    def find_bias(self, layer: Layer, steps: int) -> Any:
        """Return the bias added in each step of receiving."""
        return layer.bias

    def plan(self, ann: Ann, steps: int) -> Plan:
        """Return one window per layer, one after the other."""
        return Plan(steps, steps * max(ann.find_depths().values()))

    def build_populations(self, ann: Ann, steps: int) -> tuple[Population, ...]:
        """Return a population per layer and its relays."""
        levels = ann.find_depths()
        populations: list[Population] = []
        waits = self._count_relays(ann)
        for layer in ann.layers:
            start = (levels[layer.name] - 1) * steps
            if isinstance(layer.operation, Maximum):
                populations += build_stages(layer, steps, start + steps)[0]
                continue
            bias = self.find_bias(layer, steps)
            if layer is ann.layers[-1]:
                neuron: FloatNeuron = WindowReadout(steps, start, self.doubling, bias)  # type: ignore[arg-type]
            else:
                neuron = self.make_neuron(steps, start, bias)
            populations.append(Population(layer.name, layer.shape, neuron))
            for wait in range(1, waits.get(layer.name, 0) + 1):
                relay = self.make_neuron(steps, start + wait * steps, 0.0)
                populations.append(Population(_name_relay(layer.name, wait), layer.shape, relay))
        return tuple(populations)

    def build_projections(self, ann: Ann, steps: int) -> tuple[Projection, ...]:
        """Return the projections; each waits the windows that its source is early."""
        return (*self._connect_layers(ann, steps), *self._connect_relays(ann))

    def _connect_layers(self, ann: Ann, steps: int) -> Iterator[Projection]:
        levels = ann.find_depths()
        for layer in ann.layers:
            if isinstance(layer.operation, Maximum):
                yield from build_stages(layer, steps, levels[layer.name] * steps)[1]
                continue
            for term in layer.terms:
                wait = levels[layer.name] - 1 - levels[term.source]
                relayed = self.relays and term.source != INPUT
                source = _name_relay(term.source, wait) if relayed and wait else term.source
                delay = 0 if relayed else wait * steps
                yield Projection(source, layer.name, term.synapses, delay)

    def _connect_relays(self, ann: Ann) -> Iterator[Projection]:
        for name, waits in self._count_relays(ann).items():
            for wait in range(1, waits + 1):
                source = _name_relay(name, wait - 1) if wait > 1 else name
                identity = Synapses(Scale(ann.find_layer(name).size), np.asarray(1.0))
                yield Projection(source, _name_relay(name, wait), identity)

    def _count_relays(self, ann: Ann) -> dict[str, int]:
        """Return the number of relays in a row that each layer needs."""
        levels: dict[str, int] = ann.find_depths()
        waits: dict[str, int] = {}
        for layer in ann.layers if self.relays else ():
            for term in () if isinstance(layer.operation, Maximum) else layer.terms:
                wait = levels[layer.name] - 1 - levels[term.source]
                if wait and term.source != INPUT:
                    waits[term.source] = max(wait, waits.get(term.source, 0))
        return waits


def _name_relay(name: str, number: int) -> str:
    return f"{name}_relay{number}" if number > 1 else f"{name}_relay"


@dataclass(frozen=True)
class BistableRate(Bistable):
    """A layer sends as many spikes as its sum holds thresholds, at most one per step."""

    scales: Scales = LEAST
    """Activation of a spike in every step."""
    relays: bool = False
    """Whether shortcuts wait in synchronous neurons rather than in synaptic delays."""

    name: ClassVar[str] = "bistable_rate"

    def make_neuron(self, steps: int, start: int, bias: Any) -> BistableFire:
        """Return neurons that round the number of spikes to the nearest."""
        return BistableFire(1.0, steps, start, bias, 1.0, initial=0.5)  # type: ignore[arg-type]


@dataclass(frozen=True)
class BistablePhase(Bistable):
    """A layer sends the binary digits of its sum, the largest first: steps are digits."""

    scales: Scales = LEAST
    """Activation of all digits together."""
    relays: bool = False
    """Whether shortcuts wait in synchronous neurons rather than in synaptic delays."""

    name: ClassVar[str] = "bistable_phase"
    default_steps: ClassVar[int] = 8
    """Digits, as many as weights and input have bits."""
    longest_window: ClassVar[int | None] = LONGEST
    codings: ClassVar[tuple[Kind, ...]] = ("constant", "phase")
    doubling: ClassVar[float] = 1.0

    def prepare(self, ann: Ann, x: NDArray[np.float64]) -> Ann:
        """Return the network in rectifiers, and pools that compare digits; see `Method.prepare`."""
        ann = rectify_first(split_pools(keep_rectifiers(ann, self.name)))
        return expand_maxima(ann, x, find_digit_maxima(ann))

    def make_neuron(self, steps: int, start: int, bias: Any) -> PhaseFire:
        """Return neurons that round the number to the nearest."""
        return PhaseFire(1.0, steps, start, bias, 1.0, initial=0.5**steps)  # type: ignore[arg-type]

    def count_levels(self, steps: int) -> int:
        """Return the largest number of `steps` digits."""
        return int(2**steps - 1)

    def find_bias(self, layer: Layer, steps: int) -> Any:
        """Return the share that the doublings turn into 2^steps biases."""
        return layer.bias * _scale_bias(steps)

    def find_input_factor(self, coding: Kind, steps: int) -> float:
        """Return the same share for an input that is shown in every step."""
        return _scale_bias(steps) if coding == "constant" else 1.0


def _scale_bias(steps: int) -> float:
    return 2.0**steps / (2.0**steps - 1)
