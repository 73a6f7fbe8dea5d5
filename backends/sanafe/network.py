"""A Program as a SANA-FE network: groups of neurons, edges, mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.energy.counts import Machine, make_sanafe_machine
from snncompile.backends.energy.routes import kind_of
from snncompile.backends.sanafe import neurons
from snncompile.backends.sanafe.architecture import SYNAPSE
from snncompile.backends.sanafe.neurons import Attributes
from snncompile.errors import UnsupportedError
from snncompile.ir.plastic import refuse_rules
from snncompile.program import Program


@dataclass(frozen=True, eq=False)
class Group:
    """Neurons of one population, or of the input."""

    name: str
    size: int
    phase: int
    attributes: Attributes
    bias: NDArray[np.float64] | None
    """From the phase on, per neuron; None for the input and for a replayed population."""
    core: NDArray[np.int64]
    """SANA-FE's number of the core of each neuron."""
    replayed: str | None
    """Reason why SANA-FE cannot compute the population; None if it can."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Synapses of one projection."""

    source: str
    target: str
    synapse: str
    """Hardware unit."""
    pre: NDArray[Any]
    post: NDArray[Any]
    weight: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SanafeNetwork:
    """Input of SANA-FE; the input's group comes first."""

    machine: Machine
    groups: tuple[Group, ...]
    edges: tuple[Edges, ...]
    unit: NDArray[np.int64]
    """Input unit of each input neuron on its core."""


def translate(program: Program, *, replay: bool = False) -> SanafeNetwork:
    """Return a Program as a SANA-FE network.

    Args:
        program: on one chip.
        replay: replay every population, also those SANA-FE can compute.

    Raises:
        UnsupportedError: the Program takes several chips, learns, or has a delay of more than one
            step.
        FitError: there are too few cores for the input.
    """
    network = program.network
    refuse_rules(network, "SANA-FE")
    machine = make_sanafe_machine(program)
    for q in network.projections:
        if q.delay != 1:
            raise UnsupportedError(
                f"projection {q.source} -> {q.target}: has a delay of {q.delay} steps, SANA-FE's"
                " updates come one step after the spike; only a delay of 1 can be exported"
            )
    number = _number_cores(machine)
    core_of = {name: number[machine.layout.core_of[machine.layout.find_neurons(name)]]
               for name in machine.layout.names}  # fmt: skip
    inputs = network.input.name
    groups = [Group(inputs, network.input.size, 0, {}, None, core_of[inputs], None)]
    why = {
        p.name: "asked for" if replay else neurons.explain_replay(network, p)
        for p in network.populations
    }
    for p in network.populations:
        replayed = why[p.name]
        attributes = neurons.REPLAY if replayed else neurons.make_attributes(p)
        bias = None if replayed else neurons.make_bias(p)
        groups.append(Group(p.name, p.size, p.phase, attributes, bias, core_of[p.name], replayed))
    edges = []
    for projection in network.projections:
        unit = SYNAPSE[kind_of(projection.synapses.wiring)]
        synapses = neurons.list_synapses(projection, bool(why[projection.target]))
        edges.append(Edges(projection.source, projection.target, unit, *synapses))
    return SanafeNetwork(machine, tuple(groups), tuple(edges), _number_inputs(core_of[inputs]))


def _number_cores(machine: Machine) -> NDArray[np.int64]:
    """Return SANA-FE's number of each of our cores: tiles column by column, cores in our order."""
    mesh = machine.program.chip.mesh
    rows, per_tile = mesh.tile_rows.whole or 1, mesh.cores_per_tile.whole or 1
    held: dict[int, int] = {}
    numbers = []
    for site in machine.layout.sites:
        tile = site.tile_x * rows + site.tile_y
        numbers.append(tile * per_tile + held.get(tile, 0))
        held[tile] = held.get(tile, 0) + 1
    return np.array(numbers)


def _number_inputs(core: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the input neurons of each core from 0."""
    unit = np.zeros_like(core)
    for number in np.unique(core):
        here = core == number
        unit[here] = np.arange(here.sum())
    return unit
