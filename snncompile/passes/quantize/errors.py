"""Measure how far the integers of a population are from its floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.passes.quantize.channel_scales import convert_to_real
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
    clip: float,
    spike_trains: SpikeTrains | None,
) -> QuantizedLayer:
    """Return the report of one population.

    Args:
        network: the float network.
        population: one of its populations.
        made: the same as integers.
        scale: integer potential per float potential, one or one per neuron.
        clip: largest weight kept, as a share of the largest weight.
        spike_trains: outputs of the float network on the calibration data.
    """
    new, projections = integers
    return QuantizedLayer(
        population=population.name,
        scale=float(np.median(scale)),
        scales=len(np.unique(scale)),
        clip=clip,
        weight_error=_measure_weight_error(
            network, network.into(population.name), projections, scale
        ),
        parameter_error=_measure_parameter_errors(population, new, scale),
        output_error=_measure_output_error(network, population, integers, scale, spike_trains),
    )


def _measure_weight_error(
    network: Network, floats: tuple[Projection, ...], integers: tuple[Projection, ...], scale: Any
) -> float:
    error = total = 0.0
    for old, new in zip(floats, integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        assert isinstance(old.synapses, Synapses)
        real = convert_to_real(new.synapses, scale / find_unit(network, old))
        wanted: Floats = np.broadcast_to(_match_form(old.synapses, new.synapses.wiring), real.shape)
        error += float(((real - wanted) ** 2).sum())
        total += float((wanted**2).sum())
    return (error / total) ** 0.5 if total else 0.0


def _match_form(old: Synapses, wiring: Wiring) -> Floats:
    """Return float weights in the form of the integers, which may have been unrolled."""
    if isinstance(wiring, Sparse) and not isinstance(old.wiring, Sparse):
        return unroll_synapses(old).weight
    return old.weight


def _measure_parameter_errors(old: Population, new: Population, scale: Any) -> dict[str, float]:
    assert isinstance(old.neuron, FloatNeuron)
    assert isinstance(new.neuron, IntegerNeuron)
    errors = {}
    for name, value in new.neuron.real().items():
        wanted = getattr(old.neuron, name)
        if old.neuron.is_share(name):
            errors[name] = float(np.abs(value - wanted).max())
        else:
            size = np.abs(wanted).max()
            errors[name] = float(np.abs(value / scale - wanted).max() / size) if size else 0.0
    return errors


def _measure_output_error(
    network: Network,
    population: Population,
    integers: Integers,
    scale: Any,
    spike_trains: SpikeTrains | None,
) -> float | None:
    """Return the error of the outputs if every source fires as in the float network."""
    if spike_trains is None:
        return None
    new, projections = integers
    brought = [
        (
            network.port(p),
            bind(p.synapses, network.payload(p.source)),
            network.own_delay(p),
            _convert_messages(network, p.source, spike_trains),
        )
        for p in projections
    ]
    wanted = _convert_messages(network, population.name, spike_trains)
    measured = replay(new, brought, wanted.shape)
    if find_message_unit(network, population.name) > 1:
        return _compare(measured.double(), wanted)
    if population.neuron.spikes:
        return float((measured != wanted).double().mean())
    return _compare(measured.double() / scale, wanted)


def _convert_messages(network: Network, name: str, spike_trains: SpikeTrains) -> Tensor:
    """Return the messages of the float network in the integers of the integer network."""
    unit = find_message_unit(network, name)
    return spike_trains[name] if unit == 1 else torch.round(spike_trains[name] * unit)


def _compare(measured: Tensor, wanted: Tensor) -> float:
    power = float((wanted**2).mean())
    return float(((measured - wanted) ** 2).mean() / power) ** 0.5 if power else 0.0


def find_unit(network: Network, projection: Projection) -> float:
    """Return the value of a weight of 1 at scale 1: target's input shift times source's message."""
    target = network.population(projection.target).neuron
    assert isinstance(target, FloatNeuron)
    return float(find_message_unit(network, projection.source) << target.input_shift)


def find_message_unit(network: Network, name: str) -> int:
    """Return the integer that stands for a spike of 1.0 of a population or the input."""
    end = network.end(name)
    neuron = end.neuron if isinstance(end, Population) else None
    return neuron.message_unit if isinstance(neuron, FloatNeuron) else 1
