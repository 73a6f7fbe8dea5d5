"""Choose integer formats and make the integer network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor, inf, log2
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Projection
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.fixed import STATE_LIMIT, STATE_SHIFT, shift_bias
from snncompile.passes.analysis import number_ranges
from snncompile.passes.analysis.bounds import collect_arriving, prove_population_bounds
from snncompile.passes.base import Pass
from snncompile.passes.contracts import require_no_slices
from snncompile.passes.quantize.channel_scales import (
    FINE_THRESHOLD,
    choose_bits,
    find_largest_potential,
    has_channel_scales,
    list_scales,
    measure_shift,
    round_weights,
)
from snncompile.passes.quantize.errors import Integers, find_unit, report_errors
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.weight_formats import weight_step

CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the largest weight that clipping keeps; tried where there is calibration data."""
CALIBRATION_SAMPLES = 256
"""More calibration samples than these do not change a choice among six clips."""
CALIBRATION_OUTPUTS = 2**26
"""Largest number of outputs kept: neurons times time steps times samples, at most 8 bytes each."""


@dataclass(frozen=True)
class Quantize(Pass):
    """Give each population one scale, under which its weights and its threshold become integers.

        weight 0.31, threshold 1.0     ->      weight 254 (8 bits), threshold 819 * 2^6
                                               scale 52,439: integer v per float v

    Dynamics do not change under a common scale; only rounding differs. The scale puts the largest
    weight at the end of its range. The exponent of the weights is the largest with which every
    bound is proved, as a large scale makes decays and thresholds fine; where none is proved, the
    smallest that still rounds the threshold by less than 1 %. With calibration data, cutting the
    largest weights is tried as well, and done where clearly fewer spikes differ.

    Requires: a network that is not cut yet.
    Ensures: an IntegerNetwork whose every number is in the chip's ranges; names, phases and delays
    are kept. A network that came as integers is only checked.
    """

    bits: int = 8
    """Bits of a weight including the sign; shortcuts of one synapse per neuron keep all bits."""
    steps: int | None = None
    """Time steps of one sample, for the bounds; None for any number."""
    formats: Literal["chip", "netx"] = "chip"
    """netx: only what a lava-dl `.net` file can hold, weights without exponent, biases times 64."""

    name: ClassVar[str] = "quantize"

    def requires(self, design: Design) -> str:
        """Ask for a network that is not cut yet."""
        return require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise integers, and unchanged names, phases and delays."""
        if not isinstance(after.network, IntegerNetwork):
            return "an integer network"
        same = _list_names(before.network) == _list_names(after.network)
        return "" if same else "that names, phases and delays stay as they were"

    def __call__(self, design: Design) -> Design:
        """Make the network integer."""
        if isinstance(design.network, IntegerNetwork):
            number_ranges.check_ranges(design.network, design.chip)
            return self.done(design, "already integers; all numbers are in the chip's ranges")
        number_ranges.check_bits(self.bits, design.chip)
        spike_trains = _run_calibration(design.network, design.calibration)
        choices = [
            self._quantize_layer(design, p, spike_trains) for p in design.network.populations
        ]
        network = IntegerNetwork(
            design.network.input,
            tuple(choice.population for choice in choices),
            _sort_projections(design.network, [p for c in choices for p in c.projections]),
            design.network.output,
            title=design.network.title,
        )
        number_ranges.check_ranges(network, design.chip)
        worst = max((c.report.weight_error for c in choices), default=0.0)
        wider = any(p.synapses.bits > self.bits for c in choices for p in c.projections)  # type: ignore[union-attr]
        shortcuts = " (more in one-to-one shortcuts)" if wider else ""
        return self.done(
            design,
            f"{self.bits}-bit weights{shortcuts}, largest weight error of a layer {worst:.2%}",
            network=network,
            quantized=tuple(choice.report for choice in choices),
        )

    def _quantize_layer(
        self, design: Design, population: Population, spike_trains: SpikeTrains | None
    ) -> _Choice:
        network, chip = design.network, design.chip
        assert isinstance(network, Network)
        if self.formats == "chip" and has_channel_scales(network, population, chip):
            return self._quantize_channels(network, population, chip, spike_trains)
        clips = CLIPS if spike_trains and network.into(population.name) else CLIPS[:1]
        best, *others = [
            self._quantize_clip(network, population, chip, c, spike_trains) for c in clips
        ]
        outputs = spike_trains[population.name].numel() if spike_trains else 0
        for other in others:
            if _is_clearly_better(other, best, outputs):
                best = other
        return best

    def _quantize_channels(
        self, network: Network, population: Population, chip: Chip, spike_trains: SpikeTrains | None
    ) -> _Choice:
        """Return the population with the largest scales per channel whose current cannot wrap."""
        count_compartments_per_neuron(chip, population)  # refuses a neuron that the chip lacks
        integers: Integers | None = None
        scale: Floats = np.ones(population.size)
        bits = choose_bits(network, population, chip, self.bits)
        inputs = spike_trains if _bias_adds_up(population) else None
        for tried in list_scales(network, population, chip, bits, spike_trains):
            scale = np.repeat(tried.scale, population.size // population.shape[0])
            formats_of = tuple(zip(tried.exponents, bits, strict=True))
            integers = _make_channel_integers(network, population, chip, scale, formats_of, inputs)
            if _current_fits(network, integers, chip, self.steps):
                break
        assert integers is not None
        integers = _correct_bias(network, population, integers, scale, chip, spike_trains)
        return _Choice(
            *integers, report_errors(network, population, integers, scale, 1.0, spike_trains)
        )

    def _quantize_clip(
        self,
        network: Network,
        population: Population,
        chip: Chip,
        clip: float,
        spike_trains: SpikeTrains | None,
    ) -> _Choice:
        """Return the population with the best scale for this clip."""
        reasons, fallback = "", None
        for scale, exponent in self._list_scales(network, population, chip, clip):
            try:
                integers = _make_integers(network, population, chip, scale, exponent, self.bits)
                if self.formats == "netx":
                    integers = (_give_netx_bias(integers[0]), integers[1])
            except QuantizeError as error:
                reasons = str(error)
                continue
            if _is_proved(network, integers, chip, self.steps):
                return _Choice(
                    *integers,
                    report_errors(network, population, integers, scale, clip, spike_trains),
                )
            if fallback is None or exponent < 0 or _find_threshold(integers[0]) >= FINE_THRESHOLD:
                fallback = (integers, scale)
            if exponent <= 0 and self._suffices(network, integers, chip, scale, spike_trains):
                break
        if fallback is None:
            raise QuantizeError(
                f"population {population.name}: no scale puts both weights and threshold into"
                f" the ranges of {chip.name}: {reasons}; scale its weights and threshold alike"
            )
        integers, scale = fallback
        return _Choice(
            *integers, report_errors(network, population, integers, scale, clip, spike_trains)
        )

    def _suffices(
        self,
        network: Network,
        integers: Integers,
        chip: Chip,
        scale: float,
        spike_trains: SpikeTrains | None,
    ) -> bool:
        """Whether no smaller scale is needed: sums cannot wrap, and a readout has room."""
        room = _has_room(integers[0], scale, spike_trains)
        return room and _current_fits(network, integers, chip, self.steps)

    def _list_scales(
        self, network: Network, population: Population, chip: Chip, clip: float
    ) -> Iterator[tuple[float, int]]:
        """Yield scales with the exponent of the largest weights, from large to small."""
        neuron = population.neuron
        assert isinstance(neuron, FloatNeuron)
        into = network.into(population.name)
        largest = clip * max((_find_largest(p) / find_unit(network, p) for p in into), default=0.0)
        cap = _find_largest_scale(network, population, chip)
        highest = chip.formats.weight_exponent_highest
        lowest = chip.formats.weight_exponent_lowest
        if self.formats == "netx":
            highest = lowest = 0
        for exponent in range(highest, lowest - 1, -1):
            full = number_ranges.find_top(self.bits) * 2**exponent / largest if largest else inf
            if full <= cap or exponent <= 0:  # a scale in between would leave weight bits unused
                yield neuron.nearest_scale(min(full, cap)), exponent


def _list_names(network: Graph) -> tuple[list[tuple[str, int]], list[tuple[str, str, int]]]:
    """Return the names and phases of populations, and the ends and delays of projections."""
    populations = [(p.name, p.phase) for p in network.populations]
    return populations, [(p.source, p.target, p.delay) for p in network.projections]


@dataclass(frozen=True, eq=False)
class _Choice:
    population: Population
    projections: tuple[Projection, ...]
    report: QuantizedLayer


def _is_clearly_better(new: _Choice, old: _Choice, outputs: int) -> bool:
    """Whether fewer outputs are wrong than chance explains: two standard deviations of a count."""
    wrong, before = ((c.report.output_error or 0.0) * outputs for c in (new, old))
    return bool(wrong + 2 * before**0.5 < before)


def _run_calibration(network: Network, calibration: NDArray[Any] | None) -> SpikeTrains | None:
    if calibration is None:
        return None
    neurons = network.input.size + sum(p.size for p in network.populations)
    count = max(2, CALIBRATION_OUTPUTS // (neurons * calibration.shape[1]))
    x = calibration[: min(count, CALIBRATION_SAMPLES)].astype(np.float64)
    runs = list(run_batches(network, x))
    return {name: torch.cat([batch[name] for batch in runs]) for name in runs[0]}


def _sort_projections(network: Network, unsorted: list[Projection]) -> tuple[Projection, ...]:
    """Return the projections in the order of the source network."""
    rest = list(unsorted)
    ordered = []
    for old in network.projections:
        new = next(p for p in rest if (p.source, p.target) == (old.source, old.target))
        rest.remove(new)
        ordered.append(new)
    return tuple(ordered)


def _find_largest(projection: Projection) -> float:
    return float(np.abs(projection.synapses.weight).max(initial=0.0))


def _find_largest_scale(network: Network, population: Population, chip: Chip) -> float:
    """Return the largest scale whose parameters and potential are in the chip's ranges."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    caps = [2.0**23, neuron.largest_scale(chip.formats).min()]
    initial = np.abs(neuron.initial).max()
    if initial:
        caps.append((STATE_LIMIT - 1) / initial)
    potential = find_largest_potential(network, population)
    if potential is not None:
        caps.append((STATE_LIMIT - 1) / potential.max())
    return float(min(caps))


def _make_integers(
    network: Network, population: Population, chip: Chip, scale: float, exponent: int, bits: int
) -> Integers:
    """Return the population and its projections as integers."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    new = replace(population, neuron=neuron.quantize(scale, chip.formats))
    into = network.into(population.name)
    return new, tuple(
        replace(p, synapses=_round_synapses(p, scale / find_unit(network, p), exponent, bits))
        for p in into
    )


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
    largest = _find_largest(projection) * scale
    if largest:
        spare = floor(log2(top) + exponent - log2(largest) + 1e-9)
        exponent = max(min(0, exponent), min(exponent, exponent - spare))
    units = weight * (scale / 2**exponent / step)
    rounded = np.clip(np.rint(units), -top // step, top // step) * step
    integers = rounded.astype(np.int16)
    return IntegerSynapses(projection.synapses.wiring, integers, exponent, bits)


def _is_proved(network: Network, integers: Integers, chip: Chip, steps: int | None) -> bool:
    population, projections = integers
    brought = collect_arriving(network, population.name, projections)
    return all(b.holds for b in prove_population_bounds(population, brought, chip, steps))


def _current_fits(network: Network, integers: Integers, chip: Chip, steps: int | None) -> bool:
    """Whether the accumulator and all states that wrap provably stay within their widths."""
    population, projections = integers
    brought = collect_arriving(network, population.name, projections)
    proved = prove_population_bounds(population, brought, chip, steps)
    return all(b.holds for b in proved if b.quantity == "accumulator" or b.effect == "wraps")


def _has_room(population: Population, scale: float, spike_trains: SpikeTrains | None) -> bool:
    """Whether a readout's potential stays within half its width on the calibration data."""
    if spike_trains is None or population.neuron.spikes:
        return True
    return float(spike_trains[population.name].abs().max()) * scale < STATE_LIMIT / 2


def _make_channel_integers(
    network: Network,
    population: Population,
    chip: Chip,
    scale: Floats,
    formats_of: tuple[tuple[int, int], ...],
    spike_trains: SpikeTrains | None,
) -> Integers:
    """Return the population and its projections as integers, with a scale per neuron.

    Args:
        network: the float network.
        population: one of its populations.
        chip: gives the ranges of the integers.
        scale: one per neuron.
        formats_of: exponent and bits of each projection.
        spike_trains: outputs of the float network, if few bits are to be rounded by them.
    """
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    new = replace(population, neuron=neuron.quantize(scale, chip.formats))
    into = zip(network.into(population.name), formats_of, strict=True)
    return new, tuple(
        replace(p, synapses=round_weights(p, scale, *chosen, population.size, spike_trains))
        for p, chosen in into
    )


def _bias_adds_up(population: Population) -> bool:
    return isinstance(population.neuron, FloatNeuron) and population.neuron.bias_adds_up


def _correct_bias(
    network: Network,
    population: Population,
    integers: Integers,
    scale: Floats,
    chip: Chip,
    spike_trains: SpikeTrains | None,
) -> Integers:
    """Return the population with a bias that makes up for the mean input that rounding adds."""
    if spike_trains is None or not _bias_adds_up(population):
        return integers
    total = measure_shift(network, population, integers[1], scale, spike_trains)
    neuron = replace(population.neuron, bias=population.neuron.bias - total)  # type: ignore[call-arg, attr-defined]
    assert isinstance(neuron, FloatNeuron)
    try:
        integer = neuron.quantize(scale, chip.formats)
    except QuantizeError:  # the bias has no room for it
        return integers
    return replace(integers[0], neuron=integer), integers[1]


def _find_threshold(population: Population) -> int:
    threshold = getattr(population.neuron, "threshold", None)
    return FINE_THRESHOLD if threshold is None else int(threshold.min())
