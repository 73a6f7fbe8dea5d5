"""Measure how far the integers of a population are from its floats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.passes.analysis.number_ranges import find_end
from snncompile.passes.quantize.grouped_input import SMALLEST
from snncompile.passes.quantize.learning import scale_rule
from snncompile.passes.quantize.messages import find_message_unit, find_unit
from snncompile.passes.quantize.rounding import convert_to_real
from snncompile.passes.quantize.weight_rows import list_rows
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.simulate import replay
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses, Wiring
from snncompile.synapses.sparse import Sparse, unroll_synapses

Integers = tuple[Population, tuple[Projection, ...]]
"""A population and the projections that end at it, as integers."""


def report_errors(
    network: Network,
    population: Population,
    integers: Integers,
    scale: Any,
    spike_trains: SpikeTrains | None,
    *,
    clip: float = 1.0,
) -> QuantizedLayer:
    """Return the report of one population.

    Args:
        network: the float network.
        population: one of its populations.
        integers: the same as integers.
        scale: integer potential per float potential, one or one per neuron.
        spike_trains: outputs of the float network on the calibration data.
        clip: largest weight kept, as a share of the largest weight.
    """
    errors, sizes = _measure_weight_errors(network, population, integers[1], scale)
    with np.errstate(invalid="ignore"):
        of_neurons = np.sqrt(errors / sizes)  # not a number without weights
    known = np.nan_to_num(of_neurons)
    alone, largest = _measure_alone(network, population, integers[1])
    total = float(sizes.sum())
    return QuantizedLayer(
        population=population.name,
        scale=float(np.median(scale)),
        scales=len(np.unique(scale)),
        clip=clip,
        weight_error=(float(errors.sum()) / total) ** 0.5 if total else 0.0,
        median_error=float(np.median(known[sizes > 0])) if total else 0.0,
        worst_error=float(known.max(initial=0.0)),
        worst_neuron=int(known.argmax()),
        alone_error=float(np.median(np.sqrt(alone[sizes > 0] / sizes[sizes > 0])))
        if total
        else 0.0,
        largest_neuron=largest,
        parameter_error=_measure_parameter_errors(population, integers[0], scale),
        output_error=measure_output_error(network, population, integers, scale, spike_trains),
        rule_error=_measure_rule_error(network, population, integers[1], scale),
    )


def _measure_rule_error(
    network: Network, population: Population, integers: tuple[Projection, ...], scale: Any
) -> float | None:
    """Return the largest error of the rules by which synapses of a population learn."""
    errors = [
        scale_rule(old, float(scale) / find_unit(network, old) / 2.0**new.synapses.exponent).error
        for old, new in zip(network.into(population.name), integers, strict=True)
        if old.rule is not None and isinstance(new.synapses, IntegerSynapses)
    ]
    return max(errors, default=None)


def _measure_weight_errors(
    network: Network, population: Population, integers: tuple[Projection, ...], scale: Any
) -> tuple[Floats, Floats]:
    """Return the squared errors of each neuron's weights and the squares of these, shape (n,).

    Neurons of a channel share weights, and count them once together.
    """
    errors, sizes = np.zeros(population.size), np.zeros(population.size)
    for old, new in zip(network.into(population.name), integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        assert isinstance(old.synapses, Synapses)
        real = convert_to_real(new.synapses, scale / find_unit(network, old))
        wanted = np.broadcast_to(_match_form(old.synapses, new.synapses.wiring), real.shape)
        wiring = new.synapses.wiring
        for sums, weight in ((errors, real - wanted), (sizes, wanted)):
            rows = list_rows(replace(old, synapses=Synapses(wiring, weight)))
            sums[rows.neuron] += rows.sum(rows.values**2)
    return errors, sizes


def _measure_alone(
    network: Network, population: Population, integers: tuple[Projection, ...]
) -> tuple[Floats, int]:
    """Return the squared errors if each neuron's largest weight were the largest integer, (n,).

    And the neuron with the largest weight.
    """
    errors, peaks = np.zeros(population.size), np.zeros(population.size)
    for old, new in zip(network.into(population.name), integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        rows = list_rows(old)
        of_rows = rows.find_peaks() * (rows.find_peaks() > SMALLEST)
        unit = rows.repeat(find_end(new.synapses.bits) / np.where(of_rows > 0, of_rows, np.inf))
        own = np.where(unit > 0, np.rint(rows.values * unit) / np.where(unit > 0, unit, 1), 0)
        errors[rows.neuron] += rows.sum((own - rows.values) ** 2)
        np.maximum.at(peaks, rows.neuron, of_rows)
    return errors, int(peaks.argmax())


def _match_form(old: Synapses, wiring: Wiring) -> Floats:
    """Return float weights in the form of the integers, which may have been unrolled."""
    if isinstance(wiring, Sparse) and not isinstance(old.wiring, Sparse):
        return unroll_synapses(old).weight
    return old.weight


def _measure_parameter_errors(old: Population, new: Population, scale: Any) -> dict[str, float]:
    """Return the largest error of each parameter; see `QuantizedLayer.parameter_error`."""
    assert isinstance(old.neuron, FloatNeuron)
    assert isinstance(new.neuron, IntegerNeuron)
    errors = {}
    threshold = np.abs(np.asarray(getattr(old.neuron, "threshold", 0.0)))
    for name, value in new.neuron.real().items():
        wanted = getattr(old.neuron, name)
        if old.neuron.is_share(name):
            errors[name] = float(np.abs(value - wanted).max())
            continue
        size = threshold if threshold.all() else np.abs(wanted).max()
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(value / scale - wanted) / size
        errors[name] = float(np.nan_to_num(off).max())
    return errors


def measure_output_error(
    network: Network,
    population: Population,
    integers: Integers,
    scale: Any,
    spike_trains: SpikeTrains | None,
) -> float | None:
    """Return the error of the outputs if every source fires as in the float network."""
    if spike_trains is None:
        return None
    wanted = _convert_messages(network, population.name, spike_trains)
    measured = replay_integers(network, population, integers, spike_trains)
    if find_message_unit(network, population.name) > 1:
        return _compare(measured.double(), wanted)
    if population.neuron.spikes:
        return float((measured != wanted).double().mean())
    return _compare(measured.double() / scale, wanted)


def replay_integers(
    network: Network, population: Population, integers: Integers, spike_trains: SpikeTrains
) -> Tensor:
    """Return the integer outputs of a population whose sources fire as in the float network.

    Returns:
        Shape (samples, steps, n).
    """
    new, projections = integers
    arriving = [
        (
            network.port(p),
            bind(p.synapses, network.payload(p.source)),
            network.own_delay(p),
            _convert_messages(network, p.source, spike_trains),
        )
        for p in projections
    ]
    return replay(new, arriving, spike_trains[population.name].shape)


def _convert_messages(network: Network, name: str, spike_trains: SpikeTrains) -> Tensor:
    """Return the messages of the float network in the integers of the integer network."""
    unit = find_message_unit(network, name)
    return spike_trains[name] if unit == 1 else torch.round(spike_trains[name] * unit)


def _compare(measured: Tensor, wanted: Tensor) -> float:
    power = float((wanted**2).mean())
    return float(((measured - wanted) ** 2).mean() / power) ** 0.5 if power else 0.0
