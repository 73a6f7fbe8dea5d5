"""Neurons that pass on what one synapse brings: where the chip delays no longer, and on grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population
from snncompile.neurons.accumulate import Accumulate, IntegerAccumulate
from snncompile.neurons.base import FloatNeuron, Interval, Neuron
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import Graded, IntegerGraded
from snncompile.neurons.graded_delta import GradedDelta, IntegerGradedDelta
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif, TernaryLif
from snncompile.passes.analysis import number_ranges
from snncompile.passes.quantize.messages import find_message_limits
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.scale import Scale
from snncompile.synapses.weight_formats import weight_step

FIRING: tuple[Neuron, ...] = (
    IntegrateFire(np.asarray(0.5), reset="hard"),
    CubaLif(np.asarray(1.0), np.asarray(1.0), np.asarray(0.5), reset="hard"),
    TernaryLif(np.asarray(1.0), np.asarray(1.0), np.asarray(0.5), np.asarray(-0.5)),
)
"""Neurons that pass on the spike of one synapse of weight 1 and keep nothing. The last passes
negative spikes on as well."""


@dataclass(frozen=True, eq=False)
class Relay:
    """A neuron that passes on what a source sends, and the synapses that feed it."""

    neuron: Neuron
    synapses: Synapses | IntegerSynapses
    unit: float = 1.0
    """Value of the source for which it sends a 1: that of an analog input, which it gets as its
    messages."""


def find_relay(network: Network | IntegerNetwork, source: str, chip: Chip) -> Relay | None:
    """Return a relay of neurons that the chip has; None if none passes on all that a source sends.

    Spikes are fired anew. Numbers go through neurons that send what arrives, whose limits are the
    smallest and the largest number that the source can send, so none is ever cut. Behind changes
    of a value is a neuron that adds them up and sends its own: the same, within the same bounds.
    """
    size = network.end(source).size
    for neuron in list_relay_neurons(network, source):
        if neuron.kind not in chip.neurons:
            continue
        if isinstance(network, IntegerNetwork):
            return Relay(*_convert_to_integers(neuron, size, chip))
        unit = find_unit(network, source)
        return Relay(neuron, Synapses(Scale(size), np.asarray(1 / unit)), unit)
    return None


def list_relay_neurons(network: Graph, source: str) -> Iterator[Neuron]:
    """Yield float neurons that pass on what a source sends, those that need least of a chip first.

    They get it through a weight of 1, from an analog input through 1 / `find_unit`.
    """
    payload, end = network.payload(source), network.end(source)
    neuron = end.neuron if isinstance(end, Population) else None
    sums = None if neuron is None else neuron.message_sum
    if sums is not None:
        low, high = _convert_ends(sums)
        yield GradedDelta(lowest=low, highest=high)
        return
    if isinstance(neuron, FloatNeuron) and neuron.sends_currents:
        yield Graded(lowest=neuron.lowest.min(), highest=neuron.highest.max(), whole=np.asarray(0))  # type: ignore[attr-defined]
        return
    if find_unit(network, source) == 1:
        for firing in FIRING:
            if firing.payload.low <= payload.low and payload.high <= firing.payload.high:
                yield firing
    if max(-payload.low, payload.high) >= STATE_LIMIT:
        return
    if isinstance(neuron, FloatNeuron) and neuron.message_unit > 1:
        yield Accumulate(*find_message_limits(payload), values=np.asarray(1.0))
        return
    low, high = _convert_ends(payload)
    yield Accumulate(low, np.maximum(high, 1.0))
    yield Graded(lowest=low, highest=high)


def find_unit(network: Graph, source: str) -> float:
    """Return the value of a source for which it sends a 1: that of an analog input, or 1."""
    analog = isinstance(network, Network) and source == network.input.name
    return network.input.unit if analog else 1.0


def _convert_ends(interval: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends as parameters, 0 among them."""
    low, high = float(interval.low), float(interval.high)
    return np.asarray(min(low, 0.0)), np.asarray(max(high, 0.0))


def _convert_to_integers(neuron: Neuron, size: int, chip: Chip) -> tuple[Neuron, IntegerSynapses]:
    """Return the relay in integers: the fewest weight bits; spikes fire above half a weight."""
    bits = min(b for b in chip.formats.weight_bits.values if 2 <= b <= number_ranges.WIDEST)
    if isinstance(neuron, Accumulate | Graded):
        return _pass_numbers_on(neuron, size, bits)
    weight = number_ranges.find_top(bits)
    half, whole = np.asarray(weight // 2), np.asarray(4095)
    integer: dict[type, Any] = {
        IntegrateFire: lambda: IntegerIntegrateFire(half, reset="hard"),
        CubaLif: lambda: IntegerCubaLif(whole, whole, half, reset="hard"),
        TernaryLif: lambda: IntegerTernaryLif(whole, whole, half, -half),
    }
    return integer[type(neuron)](), IntegerSynapses(Scale(size), np.asarray(weight), 0, bits)


def _pass_numbers_on(
    neuron: Accumulate | Graded, size: int, bits: int
) -> tuple[Neuron, IntegerSynapses]:
    """Return the relay of numbers: its weight, the smallest, and the exponent make 1."""
    step = weight_step(bits)
    synapses = IntegerSynapses(Scale(size), np.asarray(step), 1 - step.bit_length(), bits)
    low = neuron.lowest.astype(np.int64)
    if isinstance(neuron, Accumulate):
        return IntegerAccumulate(low, neuron.most.astype(np.int64)), synapses
    kind = IntegerGradedDelta if isinstance(neuron, GradedDelta) else IntegerGraded
    return kind(lowest=low, highest=neuron.highest.astype(np.int64)), synapses
