"""How far the integers of a population are from the floats they were made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.passes.quantize.channel_scales import real_weight
from snncompile.reference.runner import SpikeTrains
from snncompile.reference.simulate import replay
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses, Wiring
from snncompile.synapses.sparse import Sparse, unroll_synapses

Made = tuple[Population, tuple[Projection, ...]]
"""A population and the projections that end at it, as integers."""


def report(
    network: Network,
    population: Population,
    made: Made,
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
        clip: largest weight kept, as a share of the largest there is.
        spike_trains: outputs of the float network on the calibration data.
    """
    new, projections = made
    return QuantizedLayer(
        population=population.name,
        scale=float(np.median(scale)),
        scales=len(np.unique(scale)),
        clip=clip,
        weight_error=_weight_error(network, network.into(population.name), projections, scale),
        parameter_error=_parameter_error(population, new, scale),
        output_error=_output_error(network, population, made, scale, spike_trains),
    )


def _weight_error(
    network: Network, floats: tuple[Projection, ...], integers: tuple[Projection, ...], scale: Any
) -> float:
    wrong = whole = 0.0
    for old, new in zip(floats, integers, strict=True):
        assert isinstance(new.synapses, IntegerSynapses)
        assert isinstance(old.synapses, Synapses)
        real = real_weight(new.synapses, scale / unit(network, old))
        wanted: Floats = np.broadcast_to(_in_form(old.synapses, new.synapses.wiring), real.shape)
        wrong += float(((real - wanted) ** 2).sum())
        whole += float((wanted**2).sum())
    return (wrong / whole) ** 0.5 if whole else 0.0


def _in_form(old: Synapses, wiring: Wiring) -> Floats:
    """Return float weights in the form of the integers, which may have been unrolled."""
    if isinstance(wiring, Sparse) and not isinstance(old.wiring, Sparse):
        return unroll_synapses(old).weight
    return old.weight


def _parameter_error(old: Population, new: Population, scale: Any) -> dict[str, float]:
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


def _output_error(
    network: Network,
    population: Population,
    made: Made,
    scale: Any,
    spike_trains: SpikeTrains | None,
) -> float | None:
    """Return how far the outputs differ if every source fires as in the float network."""
    if spike_trains is None:
        return None
    new, projections = made
    brought = [
        (
            network.port(p),
            bind(p.synapses, network.payload(p.source)),
            network.own_delay(p),
            _messages(network, p.source, spike_trains),
        )
        for p in projections
    ]
    wanted = _messages(network, population.name, spike_trains)
    got = replay(new, brought, wanted.shape)
    if message_unit(network, population.name) > 1:
        return _relative(got.double(), wanted)
    if population.neuron.spikes:
        return float((got != wanted).double().mean())
    return _relative(got.double() / scale, wanted)


def _messages(network: Network, name: str, spike_trains: SpikeTrains) -> Tensor:
    """Return what the float network sends as the integer one would send it."""
    unit = message_unit(network, name)
    return spike_trains[name] if unit == 1 else torch.round(spike_trains[name] * unit)


def _relative(got: Tensor, wanted: Tensor) -> float:
    whole = float((wanted**2).mean())
    return float(((got - wanted) ** 2).mean() / whole) ** 0.5 if whole else 0.0


def unit(network: Network, projection: Projection) -> float:
    """Return what a weight of 1 is worth at scale 1: the target shifts it, the source sends it."""
    target = network.population(projection.target).neuron
    assert isinstance(target, FloatNeuron)
    return float(message_unit(network, projection.source) << target.input_shift)


def message_unit(network: Network, name: str) -> int:
    """Return what a spike of 1.0 of a population or the input is in integers."""
    end = network.end(name)
    neuron = end.neuron if isinstance(end, Population) else None
    return neuron.message_unit if isinstance(neuron, FloatNeuron) else 1
