"""Choose integer formats and make the integer network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network, Population, Projection
from snncompile.ir.loss import EXACT
from snncompile.ir.plastic import freeze_learning
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.product import Product
from snncompile.passes.analysis import number_ranges
from snncompile.passes.base import Pass
from snncompile.passes.contracts import require_no_slices
from snncompile.passes.quantize import currents
from snncompile.passes.quantize.bias_correction import correct_bias, find_inputs
from snncompile.passes.quantize.choice import Choice
from snncompile.passes.quantize.describe import describe_errors, describe_resets
from snncompile.passes.quantize.errors import Integers, report_errors
from snncompile.passes.quantize.graded import has_free_scale, quantize_graded
from snncompile.passes.quantize.group_scales import choose_scales
from snncompile.passes.quantize.grouped_input import choose_bits
from snncompile.passes.quantize.host_biases import measure_biases, quantize_fed
from snncompile.passes.quantize.library_processes import (
    hears_convolution,
    use_hard_resets,
    use_one_threshold,
    without_exponents,
)
from snncompile.passes.quantize.messages import (
    find_unit,
    state_in_messages,
    state_in_natural_values,
)
from snncompile.passes.quantize.population_scale import PopulationScale
from snncompile.passes.quantize.products import quantize_product
from snncompile.passes.quantize.rounding import measure_shift, round_weights
from snncompile.passes.quantize.scale_limits import raise_thresholds
from snncompile.passes.quantize.weight_rows import group_neurons
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.simulate import run_batches
from snncompile.synapses.source_range import SourceRange

CALIBRATION_SAMPLES = 256
"""More calibration samples than these do not change a choice among six clips."""
CALIBRATION_OUTPUTS = 2**26
"""Largest number of outputs kept: neurons times time steps times samples, at most 8 bytes each."""
Granularity = Literal["neuron", "channel", "population"]


@dataclass(frozen=True)
class Quantize(Pass):
    """Give each neuron a scale, under which its weights and its threshold become integers.

        weight 0.31, threshold 1.0     ->      weight 254 (8 bits), threshold 819 * 2^6
                                               scale 52,439: integer v per float v

    Dynamics do not change under a common scale; only rounding differs, and no unit is preferred.
    Neurons that share a kernel share a scale, and all of a population whose values are compared or
    sent. A scale puts the largest weight near the end of its range and the threshold on a whole
    mantissa, so that both round best. The exponent of the weights suits the majority: the smallest
    with which thresholds are fine, smaller where currents could wrap. A chip with few threshold
    profiles has groups of neurons with one mantissa, at the least loss. With calibration data,
    biases make up for the mean error of the sums; few bits are rounded by what arrives, and the
    largest weights are cut where that is better.

    Requires: a network that is not cut yet.
    Ensures: an IntegerNetwork whose every number is in the chip's ranges; names, phases and delays
    are kept. A network that came as integers is only checked.
    """

    bits: int | None = None
    """Bits of a weight including the sign; shortcuts of one synapse per neuron keep all bits. None:
    8, or the most below 8 that the chip has."""
    steps: int | None = None
    """Time steps of one sample, for the bounds; None for any number."""
    formats: Literal["chip", "netx"] = "chip"
    """netx: only what a lava-dl `.net` file can hold, weights without exponent, biases times 64."""
    scales: Granularity = "neuron"
    """Neurons that share a scale: as few as possible, at least a channel, or the population."""
    processes: Literal["any", "library"] = "any"
    """library: only what processes of Lava's library hold; see `library_processes.py`."""

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
            message = "already integers; all numbers are in the chip's ranges"
            return self.done(design, message, loss=EXACT)
        assert isinstance(design.network, Network)
        asked, changed = design.network, list[str]()
        if self.processes == "library":
            asked, changed = use_hard_resets(design.network)
            asked = use_one_threshold(asked)
        source, values = state_in_natural_values(state_in_messages(asked))
        spike_trains = _run_calibration(source, design.calibration)
        network, reports = self._make_integers(source, design.chip, spike_trains, values)
        one_scale, assumption = None, ""
        if _rests_on_assumption(reports, design.chip):
            assumption = (
                f"; scales per neuron assume enough threshold profiles, a number not published for"
                f" {design.chip.name}: scales=population needs one per population"
            )
            other = replace(self, scales="population")
            one_scale = partial(other._make_integers, source, design.chip, spike_trains, values)
        bits = self._choose_bits(design.chip)
        wider = any(p.synapses.bits > bits for p in network.projections)  # type: ignore[union-attr]
        return self.done(
            design,
            f"{bits}-bit weights{' (more in one-to-one shortcuts)' if wider else ''}"
            f"{describe_errors(reports)}{assumption}"
            f"{describe_resets(changed)}",
            network=network,
            floats=design.network,
            quantized=reports,
            one_scale=one_scale,
        )

    def _make_integers(
        self,
        source: Network,
        chip: Chip,
        spike_trains: SpikeTrains | None,
        values: dict[str, float],
    ) -> tuple[IntegerNetwork, tuple[QuantizedLayer, ...]]:
        """Return the integer network, and the errors of its populations."""
        choices = self._choose_all(source, chip, spike_trains)
        network = IntegerNetwork(
            measure_biases(source.input, [choice.report for choice in choices], source, chip),
            tuple(choice.population for choice in choices),
            _sort_projections(source, [p for c in choices for p in c.projections]),
            source.output,
            title=source.title,
            answer=source.answer,
        )
        number_ranges.check_ranges(network, chip)
        return network, tuple(_restate_scale(choice.report, values) for choice in choices)

    def _choose_all(
        self, source: Network, chip: Chip, spike_trains: SpikeTrains | None
    ) -> list[Choice]:
        """Return the choice of each population, in their order.

        Populations that send currents have the scale of their target, and follow it.
        """
        choices: dict[str, Choice] = {}
        for population in source.populations:
            senders = currents.list_senders(source, population.name)
            if not senders:
                continue
            for sender in senders:
                count_compartments_per_neuron(chip, source.population(sender))
            direct = currents.leave_out_senders(source, population.name)
            bits = choose_bits(direct, population, chip, self._choose_bits(chip))
            limited = currents.keep_bits_of_sums(chip, max(bits))
            chosen = self._quantize_layer(direct, population, limited, None)
            choices |= currents.follow(source, population, senders, chosen, spike_trains)
        fed = {layer.target for layer in source.input.host}
        return [
            choices.get(p.name)
            or (
                quantize_fed(source, p, partial(self._quantize_layer, chip=chip))
                if p.name in fed
                else self._quantize_layer(source, p, chip, spike_trains)
            )
            for p in source.populations
        ]

    def _choose_bits(self, chip: Chip) -> int:
        """Return the bits of a weight; refuse a number that the chip lacks."""
        if self.bits is None:
            return number_ranges.choose_default_bits(chip)
        number_ranges.check_bits(self.bits, chip)
        return self.bits

    def _quantize_layer(
        self,
        network: Network,
        population: Population,
        chip: Chip,
        spike_trains: SpikeTrains | None,
    ) -> Choice:
        groups, bits = self._choose_groups(network, population, chip), self._choose_bits(chip)
        try:
            if isinstance(population.neuron, Product):
                return quantize_product(network, population, chip, bits, spike_trains)
            if has_free_scale(network, population):
                kernel = self.processes == "library" and hears_convolution(network, population)
                formats = without_exponents(chip) if kernel else chip
                return quantize_graded(network, population, formats, bits, spike_trains)
            if groups is not None:
                return self._quantize_groups(network, population, chip, groups, bits, spike_trains)
            return PopulationScale(
                network,
                population,
                chip,
                bits,
                self.steps,
                self.formats,
                spike_trains,
                self.processes == "library",
            ).choose()
        except QuantizeError as error:
            count_compartments_per_neuron(chip, population)  # a chip without it: the better reason
            where = f"population {population.name}: "
            text = str(error)
            raise QuantizeError(
                text if text.startswith(where) else f"{where}{text} of {chip.name}"
            ) from None

    def _choose_groups(self, network: Network, population: Population, chip: Chip) -> Ints | None:
        """Return the group of each neuron, whose weights share a scale; None: one scale for all.

        All where values leave the population and meet or are compared, and where the neurons of
        one channel have more thresholds than the chip has profiles.
        """
        if network.input.find_host(population.name):
            return None
        learns = any(p.rule is not None for p in network.into(population.name))
        shared = self.scales == "population" or self.processes == "library"
        if learns or shared or self.formats == "netx":
            return None
        if not _sends_spikes(population):
            return None
        if _are_relays(network, population):  # a row each of the same weight: one choice for all
            return np.zeros(population.size, np.int64)
        groups = group_neurons(network, population)
        size, profiles = population.size, chip.core.threshold_profiles.whole
        alone = groups.max(initial=-1) == size - 1
        if alone and self.scales == "channel":
            return None
        few = profiles is not None and profiles < size
        return None if few and not alone and _differ_in_group(population, groups) else groups

    def _quantize_groups(
        self,
        network: Network,
        population: Population,
        chip: Chip,
        groups: Ints,
        bits: int,
        spike_trains: SpikeTrains | None,
    ) -> Choice:
        """Return the population with a scale for each group of neurons."""
        each = choose_bits(network, population, chip, bits)
        chosen = choose_scales(network, population, chip, groups, each, self.steps, spike_trains)
        scale = _simplify(chosen.scale)
        neuron = raise_thresholds(population.neuron, scale)
        _refuse_coarse(population, neuron, chip)
        inputs = find_inputs(network, population, spike_trains, bits)
        new = replace(population, neuron=neuron.quantize(scale, chip.formats))
        projections = tuple(
            replace(
                p,
                synapses=round_weights(
                    p, chosen.scale / find_unit(network, p), exponent, b, inputs
                ),
            )
            for p, exponent, b in zip(
                network.into(population.name), chosen.exponents, each, strict=True
            )
        )
        integers: Integers = (new, projections)
        bias: dict[str, Floats] = {}
        if inputs is not None:
            shift = measure_shift(network, population, projections, chosen.scale, groups, inputs)
            integers, bias = correct_bias(neuron, integers, shift, chosen.scale, chip)
        corrected = replace(population, neuron=replace(population.neuron, **bias))
        report = report_errors(network, corrected, integers, chosen.scale, spike_trains)
        return Choice(*integers, report, chosen.scale)


def _list_names(network: Graph) -> tuple[list[tuple[str, int]], list[tuple[str, str, int]]]:
    """Return the names and phases of populations, and the ends and delays of projections."""
    populations = [(p.name, p.phase) for p in network.populations]
    return populations, [(p.source, p.target, p.delay) for p in network.projections]


def _restate_scale(report: QuantizedLayer, values: dict[str, float]) -> QuantizedLayer:
    """Return the report with the scale in the network's own unit, not that of natural values."""
    value = values.get(report.population)
    if value is None:
        return report
    message = (1 << SPIKE_EXPONENT) / value
    return report.model_copy(update={"scale": report.scale / value, "message": message})


def _rests_on_assumption(reports: tuple[QuantizedLayer, ...], chip: Chip) -> bool:
    """Whether there are several scales, and nobody knows how many threshold profiles there are."""
    profiles = chip.core.threshold_profiles
    unknown = profiles.whole is None and profiles.evidence == "unknown"
    return unknown and any(r.scales > 1 for r in reports)


def _simplify(scale: Floats) -> Floats:
    """Return one number where all scales are equal: parameters that are one number stay one."""
    return np.asarray(scale[0]) if (scale == scale[:1]).all() else scale


def _sends_spikes(population: Population) -> bool:
    """Whether neurons fire above a threshold and send no number in the unit of their weights."""
    neuron = population.neuron
    assert isinstance(neuron, FloatNeuron)
    spiking = neuron.spikes and neuron.message_unit == 1 and neuron.input_shift > 0
    return spiking and hasattr(neuron, "threshold")


def _are_relays(network: Network, population: Population) -> bool:
    """Return whether the neurons are those of a grid of relays, which are all alike."""
    neuron, into = population.neuron, network.into(population.name)
    alike = all(np.ndim(getattr(neuron, name)) == 0 for name in neuron.parameters())
    return alike and all(
        isinstance(p.synapses.wiring, SourceRange) and bool((p.synapses.weight == 1).all())
        for p in into
    )


def _differ_in_group(population: Population, groups: Ints) -> bool:
    """Whether neurons of one group have different thresholds."""
    threshold = np.broadcast_to(population.neuron.threshold, (population.size,))  # type: ignore[attr-defined]
    first = np.zeros(int(groups.max()) + 1)
    first[groups] = threshold
    return bool((first[groups] != threshold).any())


def _refuse_coarse(population: Population, raised: FloatNeuron, chip: Chip) -> None:
    """Refuse thresholds that are below the chip's smallest in most of the neurons."""
    old, new = population.neuron.threshold, raised.threshold  # type: ignore[attr-defined]
    if np.mean(np.broadcast_to(new > 2 * old, (population.size,))) > 0.5:
        raise QuantizeError(
            f"population {population.name}: most thresholds are less than half of the smallest one"
            f" of {chip.name} beside weights of this size; raise the thresholds, or make the"
            " largest weights smaller"
        )


def _run_calibration(network: Network, calibration: NDArray[Any] | None) -> SpikeTrains | None:
    if calibration is None:
        return None
    neurons = network.input.size + sum(p.size for p in network.populations)
    count = max(2, CALIBRATION_OUTPUTS // (neurons * calibration.shape[1]))
    x = calibration[: min(count, CALIBRATION_SAMPLES)]
    x = x if network.input.host else network.input.send(x)  # the host takes images as they are
    runs = list(run_batches(freeze_learning(network), x.astype(np.float64)))
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
