"""Neurons that send currents share the integers of their target: so a maximum is exact.

A rectifier between currents a and b and their target (`frontends/pool_currents.py`) gets the kernel
that the target gets, rounded once: the same float weights times the same scale, to the nearest. The
rectifier adds up whole numbers in the unit of the finest weights of its target, and the weight of
its message there is the power of two that this unit is worth.

    source ─ weights 2 m, exponent e ──> target              (weights of 8 bits are even)
    source ─ weights 2 m, exponent -1 ─> rectifier ─ weight 2, exponent e ─> target
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import FitError, QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.neurons.graded import Graded, IntegerGraded
from snncompile.passes.quantize.choice import Choice
from snncompile.passes.quantize.errors import (
    Integers,
    measure_output_error,
    replay_integers,
    report_errors,
)
from snncompile.passes.quantize.messages import find_message_unit
from snncompile.passes.quantize.rounding import round_weights
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.synapses import bound_sums
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.weight_formats import weight_step


def list_senders(network: Network, target: str) -> tuple[str, ...]:
    """Return the populations whose currents reach a target, in the order of the network.

    Directly or over others that send currents; none of a target that sends currents itself.
    """
    if _sends_currents(network, target):
        return ()
    senders: set[str] = set()
    waiting = [target]
    while waiting:
        sources = {p.source for p in network.into(waiting.pop())}
        new = {s for s in sources if _sends_currents(network, s)} - senders
        senders |= new
        waiting += new
    return tuple(p.name for p in network.populations if p.name in senders)


def leave_out_senders(network: Network, target: str) -> Network:
    """Return the network without the projections that bring currents of senders to a target."""
    kept = tuple(
        p
        for p in network.projections
        if p.target != target or not _sends_currents(network, p.source)
    )
    return replace(network, projections=kept)


def keep_bits_of_sums(chip: Chip, bits: int) -> Chip:
    """Return the chip with exponents that lose no bit of a sum of weights of so many bits."""
    formats = chip.formats
    lowest = max(formats.weight_exponent_lowest, 1 - weight_step(bits).bit_length())
    return chip.model_copy(
        update={"formats": formats.model_copy(update={"weight_exponent_lowest": lowest})}
    )


def follow(
    network: Network,
    target: Population,
    senders: tuple[str, ...],
    chosen: Choice,
    spike_trains: SpikeTrains | None,
) -> dict[str, Choice]:
    """Return the choices of a target and of its senders, by name.

    Args:
        network: the float network.
        target: a population that gets currents.
        senders: see `list_senders`.
        chosen: the target without its senders.
        spike_trains: outputs of the float network on the calibration data.

    Raises:
        FitError: a message needs more than 24 bits.
        QuantizeError: the senders cannot share the scale of the target.
    """
    return _Followers(network, target, senders, chosen).choose(spike_trains)


class _Followers:
    """The senders of one target, whose integers are known."""

    def __init__(
        self, network: Network, target: Population, senders: tuple[str, ...], chosen: Choice
    ) -> None:
        self.network, self.target, self.chosen = network, target, chosen
        self.senders = senders
        self.direct = tuple(
            p for p in network.into(target.name) if not _sends_currents(network, p.source)
        )
        self.unit = min(_find_finest(p.synapses) for p in chosen.projections)  # type: ignore[arg-type]
        scale = np.broadcast_to(np.asarray(chosen.scale, np.float64), (target.size,))
        neuron = target.neuron
        assert isinstance(neuron, FloatNeuron)
        self.scales = {target.name: scale / 2.0 ** (self.unit + neuron.input_shift)}
        """Integer per float current, one per neuron."""

    def choose(self, spike_trains: SpikeTrains | None) -> dict[str, Choice]:
        """Return the choices of target and senders."""
        for name in reversed(self.senders):
            self.scales[name] = self._find_scale(name)
        largest = self._bound_difference()
        populations = {
            n: self._make_sender(self.network.population(n), largest) for n in self.senders
        }
        populations[self.target.name] = self.chosen.population
        integers = {
            n: (p, tuple(self._round(q) for q in self.network.into(n)))
            for n, p in populations.items()
        }
        outputs = dict(spike_trains) if spike_trains else None
        if outputs is not None:
            for name in self.senders:
                population = self.network.population(name)
                outputs[name] = replay_integers(self.network, population, integers[name], outputs)
        return {
            name: Choice(*both, self._report(name, both, outputs), self.scales[name])
            for name, both in integers.items()
        }

    def _find_scale(self, name: str) -> Floats:
        """Return the scale of each neuron of a sender: that of the neurons that it feeds."""
        scale = np.zeros(self.network.population(name).size)
        for p in self.network.out_of(name):
            assert isinstance(p.synapses, Synapses)
            if p.target not in self.scales or not np.isin(p.synapses.weight, (-1, 0, 1)).all():
                raise QuantizeError(
                    f"population {name}: it sends currents, which one target takes as they are;"
                    " give every layer that reads them its own"
                )
            matrix = p.synapses.wiring.matrix(p.synapses.weight).tocoo()
            read = matrix.data != 0
            wanted = self.scales[p.target][matrix.row[read]]
            known = scale[matrix.col[read]]
            if ((known > 0) & (known != wanted)).any():
                raise QuantizeError(
                    f"population {name}: it feeds neurons of several scales; use scales=population"
                )
            scale[matrix.col[read]] = wanted
        unread = scale.reshape(self.network.population(name).shape[0], -1)
        of_channel = np.broadcast_to(unread.max(axis=1, keepdims=True), unread.shape).ravel()
        scale = np.where(scale > 0, scale, of_channel)
        return np.where(scale > 0, scale, self.scales[self.target.name][0])

    def _round(self, projection: Projection) -> Projection:
        """Return a projection with integers: those of the target's own one, or a power of two."""
        network, at_target = self.network, projection.target == self.target.name
        if _sends_currents(network, projection.source):
            return replace(projection, synapses=self._pass_on(projection, at_target))
        if at_target:
            return replace(projection, synapses=self._find_own(projection))
        own = self._find_own(projection)
        weight = self.scales[projection.target] * 2.0**self.unit
        weight = weight / find_message_unit(network, projection.source)
        rounded = round_weights(projection, weight, own.exponent, own.bits)
        return replace(projection, synapses=replace(rounded, exponent=own.exponent - self.unit))

    def _pass_on(self, projection: Projection, at_target: bool) -> IntegerSynapses:
        """Return the synapses of a sender: their weights are worth the unit at the target, or 1."""
        synapses, bits = projection.synapses, self._bits
        assert isinstance(synapses, Synapses)
        step = weight_step(bits)
        exponent = (self.unit if at_target else 0) - (step.bit_length() - 1)
        weight = (synapses.weight * step).astype(np.int16)
        return IntegerSynapses(synapses.wiring, weight, exponent, bits)

    @property
    def _bits(self) -> int:
        return max(p.synapses.bits for p in self.chosen.projections)  # type: ignore[union-attr]

    def _find_own(self, projection: Projection) -> IntegerSynapses:
        """Return the integers of the target's projection with the same source and weights."""
        pairs = list(zip(self.direct, self.chosen.projections, strict=True))
        same = [new.synapses for old, new in pairs if old is projection] or [
            new.synapses
            for old, new in pairs
            if old.source == projection.source
            and self.network.own_delay(old) == self.network.own_delay(projection)
            and np.array_equal(_list_sizes(old), _list_sizes(projection))
        ]
        formats = {(s.exponent, s.bits) for s in same if isinstance(s, IntegerSynapses)}
        if len(formats) != 1:
            raise QuantizeError(
                f"population {projection.target}: its weights from {projection.source} are not"
                f" those of {self.target.name}, whose scale it shares"
            )
        assert isinstance(same[0], IntegerSynapses)
        return same[0]

    def _bound_difference(self) -> int:
        """Return the largest difference of two currents, in the unit of the senders.

        All currents of a target have its kernels, so their bounds hold at every place.
        """
        sources = {p.source for n in self.senders for p in self.network.into(n)}
        low, high = 0, 0
        for p in self.chosen.projections:
            if p.source not in sources:
                continue
            assert isinstance(p.synapses, IntegerSynapses)
            sums = bound_sums(p.synapses, self.network.payload(p.source))
            shift = p.synapses.exponent - self.unit
            low += _shift(int(sums.low.min(initial=0)), shift)
            high += _shift(int(sums.high.max(initial=0)), shift)
        if high - low >= STATE_LIMIT:
            raise FitError(
                where=f"population {self.senders[0]}",
                resource="as the largest difference of two currents",
                need=high - low,
                limit=STATE_LIMIT - 1,
                hint="use fewer bits of a weight, or smaller kernels before the maximum",
            )
        return high - low

    def _make_sender(self, population: Population, largest: int) -> Population:
        """Return a sender with integers, limited to what can arrive."""
        neuron = population.neuron
        assert isinstance(neuron, Graded)
        lowest = np.where(neuron.lowest < 0, -largest, 0)
        highest = np.where(neuron.highest > 0, largest, 0)
        integer = IntegerGraded(lowest=lowest, highest=highest)
        return replace(population, neuron=integer)

    def _report(self, name: str, integers: Integers, outputs: SpikeTrains | None) -> QuantizedLayer:
        """Return the errors of a population: of its own weights, and of the target's outputs."""
        if name == self.target.name:
            error = measure_output_error(
                self.network, self.target, integers, self.chosen.scale, outputs
            )
            return self.chosen.report.model_copy(update={"output_error": error})
        own = tuple(p for p in integers[1] if not _sends_currents(self.network, p.source))
        plain = leave_out_senders(self.network, name)
        population = self.network.population(name)
        return report_errors(plain, population, (integers[0], own), self.scales[name], None)


def _sends_currents(network: Network, name: str) -> bool:
    if name == network.input.name:
        return False
    neuron = network.population(name).neuron
    return isinstance(neuron, FloatNeuron) and neuron.sends_currents


def _find_finest(synapses: IntegerSynapses) -> int:
    """Return the exponent of what all products of a weight and a whole number are multiples of."""
    return synapses.exponent + weight_step(synapses.bits).bit_length() - 1


def _list_sizes(projection: Projection) -> Floats:
    """Return the magnitudes of all weights that are not 0, sorted."""
    weight = np.abs(np.asarray(projection.synapses.weight, np.float64))
    return np.sort(weight[weight > 0])


def _shift(total: int, exponent: int) -> int:
    """Return a total of whole weights in a unit of which they are multiples."""
    return total << exponent if exponent >= 0 else total >> -exponent
