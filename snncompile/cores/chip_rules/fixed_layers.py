"""Chips that hold one network of input lines, hidden and output neurons (Xylo).

Input lines reach hidden neurons; hidden neurons reach each other and the output neurons, both
through full matrices of weights. The number of hidden neurons that one of them reaches is limited.

Source: Rockpool (github.com/synsense/rockpool), devices/xylo/syns61201/xylo_samna.py.
"""

from __future__ import annotations

import numpy as np

from snncompile.cores.chip_rules.base import Fitted, FittedCore, cut_whole, get_synapses, require
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork

REACHED = "hidden neurons that one reaches"


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return the network on the chip: its output population, and all others as hidden neurons.

    Raises:
        UnsupportedError: the chip lacks a neuron or a projection.
        FitError: too many input lines, neurons or targets.
    """
    limits = chip.layers
    assert limits is not None
    for population in network.populations:
        count_compartments_per_neuron(chip, population)
    _check_projections(network)
    hidden = sum(p.size for p in network.populations if p.name != network.output)
    outputs = network.population(network.output).size
    used = {
        "input lines": network.input.size,
        "hidden neurons": hidden,
        "output neurons": outputs,
    }
    available = {
        "input lines": limits.inputs.whole,
        "hidden neurons": limits.hidden.whole,
        "output neurons": limits.outputs.whole,
        REACHED: limits.fan_out.whole,
    }
    hints = {
        "input lines": "use fewer input channels",
        "hidden neurons": "use smaller hidden layers",
        "output neurons": "use fewer classes",
        REACHED: "use smaller layers or sparse weights between them",
    }
    for resource in available:
        if resource == REACHED:  # last: it unrolls the layers, which are small by then
            used[resource] = _count_fan_out(network)
        where = f"network {network.title}"
        require(where, resource, used[resource], available[resource], hints[resource])
    slices = tuple(cut_whole(p, 0) for p in network.populations)
    standard = {"compartments": hidden + outputs, "axons_in": network.input.size}
    return Fitted((FittedCore(slices, used, available, standard, 0),), {}, {})


def _check_projections(network: IntegerNetwork) -> None:
    """Refuse projections that have no place on the chip."""
    for p in network.projections:
        where = f"projection {p.source} -> {p.target}"
        if p.source == network.output:
            raise UnsupportedError(f"{where}: output neurons of the chip reach nothing")
        if p.source == network.input.name and p.target == network.output:
            raise UnsupportedError(f"{where}: input lines reach hidden neurons only")


def _count_fan_out(network: IntegerNetwork) -> int:
    """Return the largest number of hidden neurons that a hidden neuron reaches by a weight."""
    fan_out = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    for p in network.projections:
        if p.source in fan_out and p.target != network.output:
            synapses = get_synapses(p)
            matrix = synapses.wiring.matrix(synapses.weight).tocoo()
            sources = matrix.coords[1][matrix.data != 0]
            fan_out[p.source] += np.bincount(sources, minlength=len(fan_out[p.source]))
    return max((int(count.max(initial=0)) for count in fan_out.values()), default=0)
