"""Count the events of each core in each time step; `events` defines each event."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.backends.energy import kernels
from snncompile.backends.energy.activity import Activity
from snncompile.backends.energy.events import COLUMN, EVENTS
from snncompile.backends.energy.layout import Layout, make_host_layout, make_mapped_layout
from snncompile.backends.energy.mesh import Mesh, Ways
from snncompile.backends.energy.routes import Routes, find_routes
from snncompile.errors import UnsupportedError
from snncompile.program import Program


@dataclass(frozen=True, eq=False)
class Machine:
    """A program in the estimator's form; made once, used for all its activity."""

    program: Program
    layout: Layout
    routes: Routes
    mesh: Mesh
    each: NDArray[np.int32]
    """Neuron events per neuron of each part: its compartments, or 1 by SANA-FE's account."""

    @cached_property
    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Cores that the pairs of `Routes` join."""
        return self.layout.part_core[self.routes.pair_part], self.routes.pair_core

    @cached_property
    def ways(self) -> Ways:
        """The links that each pair of `Routes` takes."""
        return Ways.of(self.mesh, *self.pairs)

    @property
    def tiles(self) -> int:
        """Number of tiles in use, those of a mapped input included."""
        sites = [s for s in self.layout.sites if s.core != self.layout.host]
        return len({(s.chip, s.tile_x, s.tile_y) for s in sites})


def make_chip_machine(program: Program) -> Machine:
    """Return the machine of a program whose input comes from the host."""
    layout = make_host_layout(program)
    skip_zeros = program.chip.zero_weights == "skipped"
    return _make_machine(program, layout, layout.each, skip_zeros)


def make_sanafe_machine(program: Program) -> Machine:
    """Return the machine under SANA-FE's rules: the input on cores, one compartment per neuron.

    Raises:
        UnsupportedError: the program takes several chips.
        FitError: there are too few cores for the input.
    """
    if program.mapping.chips > 1:
        raise UnsupportedError(
            f"network {program.network.title}: SANA-FE has one chip, the program takes"
            f" {program.mapping.chips}"
        )
    layout = make_mapped_layout(program, program.chip.core.compartments.whole or 1024)
    return _make_machine(program, layout, np.minimum(layout.each, 1))


def _make_machine(
    program: Program, layout: Layout, each: NDArray[np.int32], skip_zeros: bool = False
) -> Machine:
    axons = find_routes(program.network, layout, skip_zeros)
    return Machine(program, layout, axons, Mesh.of(program.chip, layout), each)


@dataclass(frozen=True, eq=False)
class Counts:
    """Events of one batch of samples."""

    events: Ints
    """Shape (samples * steps, parts, events)."""
    sent: Ints
    """Messages between each pair of `Routes`: (samples * steps, pairs)."""


def count_events(machine: Machine, activity: Activity) -> Counts:
    """Return the events of an activity."""
    layout, axons = machine.layout, machine.routes
    steps, parts = len(activity.step_start) - 1, len(layout.parts)
    events: Ints = np.zeros((steps, parts, len(EVENTS)), np.int64)
    sent: Ints = np.zeros((steps, len(axons.pair_part)), np.int64)
    kernels.count_messages(
        activity.step_start,
        activity.neuron,
        axons.neuron_entry,
        axons.entries,
        layout.part_of,
        events,
        sent,
        COLUMN["message_in"],
        COLUMN["spike"],
    )
    _add_neurons(machine, activity, events)
    _add_messages(machine, sent, events)
    return Counts(events, sent)


def _add_neurons(machine: Machine, activity: Activity, events: Ints) -> None:
    layout, each = machine.layout, machine.each
    mapped = layout.part_size * each
    reached, updated = _count_marked(layout, activity.status, events.shape[1])
    active = reached * each
    events[..., COLUMN["neuron_mapped"]] = mapped
    events[..., COLUMN["neuron_active"]] = active
    events[..., COLUMN["neuron_inactive"]] = mapped - active
    if activity.updates:
        events[..., COLUMN["neuron_updated"]] = updated * each
    inputs = [i for i, source in enumerate(layout.parts) if source.layer == layout.names[0]]
    events[:, inputs, COLUMN["spike"]] = 0  # the input has no neurons
    output = machine.program.network.population(machine.program.network.output)
    for i, source in enumerate(layout.parts):
        if source.layer == output.name and layout.host is not None:
            read = events[:, i, COLUMN["spike"]] if output.neuron.spikes else layout.part_size[i]
            events[:, i, COLUMN["host_output"]] = read


def _count_marked(layout: Layout, status: NDArray[np.uint8], parts: int) -> tuple[Ints, Ints]:
    """Return the numbers of reached and of updated neurons per step and part."""
    reached, updated = np.zeros((2, len(status), parts), np.int64)
    kernels.count_marked(status, *layout.runs, reached, updated)
    return reached, updated


def _add_messages(machine: Machine, sent: Ints, events: Ints) -> None:
    """Add the events of messages at their source and on their way."""
    columns, rows, across = machine.mesh.count_crossings(*machine.pairs)
    from_host = machine.pairs[0] == machine.layout.host
    weight = {
        "message_out": ~from_host,
        "message_within_tile": (columns + rows + across == 0) & ~from_host,
        "hop_east_west": columns,
        "hop_north_south": rows,
        "chip_crossing": across,
        "host_input": from_host,
    }
    parts, first = np.unique(machine.routes.pair_part, return_index=True)
    for event, each in weight.items():
        if each.any():
            by_part = np.add.reduceat(sent * each.astype(np.int64), first, axis=1)
            events[:, parts, COLUMN[event]] = by_part
