"""One scale for a whole population: where its values are compared or sent, or where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, inf, log2
from typing import Any, Literal

import numpy as np

from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.reports import Bound
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.fixed import STATE_LIMIT, STATE_SHIFT, shift_bias
from snncompile.passes.analysis import number_ranges
from snncompile.passes.analysis.bounds import (
    collect_arriving,
    collect_sums,
    prove_population_bounds,
)
from snncompile.passes.quantize.choice import Choice
from snncompile.passes.quantize.errors import Integers, report_errors
from snncompile.passes.quantize.learning import RuleError, find_largest_weight, make_integer
from snncompile.passes.quantize.library_processes import (
    ADDING_UP,
    LARGEST_POTENTIAL,
    LARGEST_STATE_EXPONENT,
    SENDS_CHANGES,
    fit_delta,
    fit_library,
    hears_convolution,
    wrap_like_conv,
)
from snncompile.passes.quantize.messages import find_unit
from snncompile.passes.quantize.readout_bias import correct_readout_bias
from snncompile.passes.quantize.rounding import FEW_BITS
from snncompile.passes.quantize.scale_limits import find_largest_potential
from snncompile.passes.split_fan_in.rounded_sums import find_largest_rounded_sum
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.weight_formats import weight_step

CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the largest weight that clipping keeps; tried for few bits on calibration data."""
CLEARLY = 0.1
"""Share by which the error of values has to shrink for weights to be cut."""
HALVINGS = 7
"""Smaller scales that are tried where sums of a Conv could wrap, or parts of a sum do not fit."""
SAFETY = 0.999
"""Share of a width that the next scale may use: weights are rounded."""
FINE_THRESHOLD = 64
"""A threshold mantissa this large rounds by less than 1 %."""


@dataclass(frozen=True)
class PopulationScale:
    """Chooses one scale for all neurons of a population."""

    network: Network
    population: Population
    chip: Chip
    bits: int
    steps: int | None
    formats: Literal["chip", "netx"]
    spike_trains: SpikeTrains | None
    library: bool = False
    """Whether only what processes of Lava's library hold will do; see `library_processes.py`."""

    def choose(self) -> Choice:
        """Return the population with the best scale; of few bits also with cut weights."""
        cuts = self.spike_trains and self._into and self.bits <= FEW_BITS
        clips = CLIPS if cuts else CLIPS[:1]
        best, *others = [self._choose_for_clip(clip) for clip in clips]
        outputs = self.spike_trains[self.population.name].numel() if self.spike_trains else 0
        for other in others:
            if _is_clearly_better(other, best, outputs):
                best = other
        return best

    @property
    def _into(self) -> tuple[Projection, ...]:
        return self.network.into(self.population.name)

    def _choose_for_clip(self, clip: float) -> Choice:
        """Return the population with the best scale for this clip."""
        last, fallback = QuantizeError(), None
        for scale, exponent in self._list_scales(clip):
            try:
                integers = self._make_integers(scale, exponent)
            except QuantizeError as error:
                last = error
                continue
            fine = _find_threshold(integers[0]) >= FINE_THRESHOLD
            if fine and self._is_proved(integers):
                return self._report(*self._make_parts_fit(integers, scale), clip)
            if fallback is None or fine:  # a proof is not worth a coarse threshold
                fallback = (integers, scale)
            if exponent <= 0 and self._suffices(integers, scale):
                break
        if fallback is None and isinstance(last, RuleError):
            raise QuantizeError(f"population {self.population.name}: {last}")
        if fallback is None:
            raise QuantizeError(
                f"population {self.population.name}: no scale puts both weights and threshold into"
                f" the ranges of {self.chip.name}: {last}; scale its weights and threshold alike"
            )
        return self._report(*self._make_parts_fit(*fallback), clip)

    def _make_parts_fit(self, integers: Integers, scale: float) -> tuple[Integers, float]:
        """Return the integers at a scale at which relays can add up parts of their sums.

        A smaller scale costs bits of the weights. Where none will do they stay as they are.
        """
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        if neuron.fixed_scale is not None:
            return integers, scale
        smaller = integers, scale
        for _ in range(HALVINGS):
            largest = find_largest_rounded_sum(self.network, *smaller[0], self.chip)
            excess = largest / (STATE_LIMIT - 1)
            if excess <= 1:
                return smaller
            exponent = max((p.synapses.exponent for p in smaller[0][1]), default=0)  # type: ignore[union-attr]
            reduced = neuron.nearest_scale(smaller[1] / excess * SAFETY)
            try:
                smaller = self._make_integers(reduced, exponent), reduced
            except QuantizeError:
                break
        return integers, scale

    def _report(self, integers: Integers, scale: float, clip: float) -> Choice:
        corrected = self.population
        if self.formats == "chip":
            corrected, integers = correct_readout_bias(
                self.network, self.population, integers, scale, self.chip, self.spike_trains
            )
        report = report_errors(
            self.network, corrected, integers, scale, self.spike_trains, clip=clip
        )
        return Choice(*integers, report, scale)

    def _list_scales(self, clip: float) -> Iterator[tuple[float, int]]:
        """Yield scales with the exponent of the largest weights, from large to small."""
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        weights = (find_largest_weight(p) / find_unit(self.network, p) for p in self._into)
        largest = clip * max(weights, default=0.0)
        cap = self._find_largest_scale()
        highest = self.chip.formats.weight_exponent_highest
        lowest = self.chip.formats.weight_exponent_lowest
        if self.formats == "netx" or (
            self.library and hears_convolution(self.network, self.population)
        ):
            highest = lowest = 0
        if neuron.fixed_scale is not None:  # the finest weights that hold the largest one
            needed = largest * neuron.fixed_scale / number_ranges.find_top(self.bits)
            finest = ceil(log2(needed) - 1e-9) if needed else lowest
            yield neuron.fixed_scale, min(max(finest, lowest), highest)
            return
        for exponent in range(highest, lowest - 1, -1):
            full = number_ranges.find_top(self.bits) * 2**exponent / largest if largest else inf
            if lowest < exponent and full >= 2 * cap and self._reads_numbers():
                continue  # a smaller exponent has finer weights at the same scale
            if full <= cap or exponent <= 0:  # a scale in between would leave weight bits unused
                scale = min(full, cap)  # infinite where there is no number at all
                scale = neuron.nearest_scale(scale if scale < inf else 1.0)
                yield scale, exponent
                if self._sends_changes_of_a_kernel():
                    yield from ((scale / 2**i, exponent) for i in range(1, HALVINGS + 1))

    def _sends_changes_of_a_kernel(self) -> bool:
        """Whether a Conv of Lava's library, which wraps, brings sums of changes to the population.

        It has no exponent, so only a smaller scale makes its sums smaller.
        """
        name = self.population.neuron.name
        kernel = hears_convolution(self.network, self.population)
        return self.library and kernel and name in ADDING_UP

    def _reads_numbers(self) -> bool:
        """Whether it is a readout that gets numbers instead of spikes.

        An exponent below 0 cuts off less than one unit of each sum in a time step. The rounding of
        a weight counts as often as the number says, up to 255 times.
        """
        payloads = (np.abs(self.network.payload(p.source)).max() for p in self._into)
        return not self.population.neuron.spikes and max(payloads, default=0) > 1

    def _find_largest_scale(self) -> float:
        """Return the largest scale whose parameters and potential are in the chip's ranges."""
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        caps = [float(np.min(neuron.largest_scale(self.chip.formats)))]
        if self.library and neuron.name in SENDS_CHANGES:
            caps.append(float(neuron.message_unit << LARGEST_STATE_EXPONENT))
        initial = np.abs(neuron.initial).max()
        if initial:
            caps.append((STATE_LIMIT - 1) / initial)
        potential = find_largest_potential(self.network, self.population)
        if potential is not None:
            limit = STATE_LIMIT - 1
            if self.library and not neuron.spikes:
                limit = LARGEST_POTENTIAL
            caps.append(limit / potential.max())
        return float(min(caps))

    def _make_integers(self, scale: float, exponent: int) -> Integers:
        """Return the population and its projections as integers."""
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        new = replace(self.population, neuron=neuron.quantize(scale, self.chip.formats))
        if self.formats == "netx":
            new = _give_netx_bias(new)
        if self.library:
            new = fit_library(new)
        into = tuple(
            make_integer(
                p,
                _round_synapses(p, scale / find_unit(self.network, p), exponent, self.bits),
                scale / find_unit(self.network, p),
            )
            for p in self._into
        )
        if self._sends_changes_of_a_kernel():
            into = tuple(map(wrap_like_conv, into))
        return fit_delta(new, into) if self.library else (new, into)

    def _is_proved(self, integers: Integers) -> bool:
        proved = self._prove(integers)
        return all(b.holds for b in proved) and self._fits_library(proved)

    def _fits_library(self, proved: tuple[Bound, ...]) -> bool:
        """Whether a LIF of Lava's library can be the readout, where it has to."""
        if not self.library or self.population.neuron.spikes:
            return True
        reached = (b.high for b in proved if b.quantity == "v")
        return all(high is not None and high <= LARGEST_POTENTIAL for high in reached)

    def _suffices(self, integers: Integers, scale: float) -> bool:
        """Whether no smaller scale is needed: sums cannot wrap, and a sum of values has room."""
        proved = self._prove(integers)
        fits = all(b.holds for b in proved if b.quantity == "accumulator" or b.effect == "wraps")
        return fits and self._fits_library(proved) and self._has_room(scale)

    def _prove(self, integers: Integers) -> tuple[Bound, ...]:
        population, projections = integers
        arriving = collect_arriving(self.network, population.name, projections)
        sums = collect_sums(self.network, population.name, projections)
        return prove_population_bounds(population, arriving, self.chip, self.steps, sums=sums)

    def _has_room(self, scale: float) -> bool:
        """Whether values stay within half of their width on the calibration data.

        Of a readout its potential, of a sender of changes the sum of these.
        """
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        if self.spike_trains is None or (neuron.spikes and neuron.message_unit == 1):
            return True
        if self._sends_changes_of_a_kernel() and self._measure_sums() * scale >= STATE_LIMIT / 2:
            return False
        values = self.spike_trains[self.population.name]
        values = values.cumsum(dim=1) if neuron.spikes else values
        return float(values.abs().max()) * scale < STATE_LIMIT / 2

    def _measure_sums(self) -> float:
        """Return the largest magnitude that a projection brings in a step of the calibration."""
        assert self.spike_trains is not None
        sums = (
            bind(p.synapses, self.network.payload(p.source))(self.spike_trains[p.source])
            for p in self._into
        )
        return max((float(s.abs().max()) for s in sums), default=0.0)


def _is_clearly_better(new: Choice, old: Choice, outputs: int) -> bool:
    """Whether fewer outputs are wrong than chance explains: two standard deviations of a count.

    Of values, which have a size instead of a count, whether they are nearer by a tenth.
    """
    wrong, before = (c.report.output_error or 0.0 for c in (new, old))
    neuron = old.population.neuron
    if not neuron.spikes:
        return wrong < before * (1 - CLEARLY)
    return bool(wrong * outputs + 2 * (before * outputs) ** 0.5 < before * outputs)


def _give_netx_bias(population: Population) -> Population:
    """Return the population with the bias that netx gives its neurons: a mantissa times 2^6."""
    neuron = population.neuron
    mantissa = getattr(neuron, "bias_mantissa", None)
    if mantissa is None or not mantissa.any():
        return population
    bias = shift_bias(mantissa, getattr(neuron, "bias_exponent"))  # noqa: B009  (not all have it)
    new: dict[str, Any] = {
        "bias_mantissa": np.rint(bias / 2**STATE_SHIFT).astype(np.int64),
        "bias_exponent": np.asarray(STATE_SHIFT),
    }
    return replace(population, neuron=replace(neuron, **new))


def _round_synapses(
    projection: Projection, scale: float, exponent: int, bits: int
) -> IntegerSynapses:
    """Return the weights times `scale` as integers with the smallest exponent that holds them."""
    assert isinstance(projection.synapses, Synapses)
    weight, top, step = projection.synapses.weight, number_ranges.find_top(bits), weight_step(bits)
    largest = find_largest_weight(projection) * scale
    if largest:
        spare = floor(log2(top) + exponent - log2(largest) + 1e-9)
        exponent = max(min(0, exponent), min(exponent, exponent - spare))
    units = weight * (scale / 2**exponent / step)
    rounded = np.clip(np.rint(units), -top // step, top // step) * step
    integers = rounded.astype(np.int16)
    return IntegerSynapses(projection.synapses.wiring, integers, exponent, bits)


def _find_threshold(population: Population) -> int:
    threshold = getattr(population.neuron, "threshold", None)
    return FINE_THRESHOLD if threshold is None else int(threshold.min())
