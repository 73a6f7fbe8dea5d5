"""Time steps by following every message: timing `cycle` and SANA-FE's account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.backends.energy import cycle_kernels, sanafe_kernels
from snncompile.backends.energy.activity import Activity
from snncompile.backends.energy.costs import Costs
from snncompile.backends.energy.counts import Machine
from snncompile.backends.energy.events import COLUMN, SYNAPTIC
from snncompile.backends.energy.timing import Account, find_link_times

UNLIMITED = 2**30
"""Buffer of a station where the cost set names none."""


@dataclass(frozen=True, eq=False)
class Message:
    """One spike on its way to one core, in nanoseconds from the beginning of its step."""

    neuron: int
    """Number of the neuron, see `Layout`."""
    source: int
    """Core that sends."""
    target: int
    """Core that receives."""
    sent: float
    """It enters the mesh."""
    begun: float
    """The receiving core begins with it."""
    done: float
    """The receiving core is done with it."""


Watch = Callable[[int, list[Message]], None]
"""Called with each step and its messages."""


def follow(
    machine: Machine,
    costs: Costs,
    activity: Activity,
    account: Account = "chip",
    watch: Watch | None = None,
    times: Times | None = None,
) -> Floats:
    """Return the time of each step without barrier sync, in nanoseconds.

    Args:
        machine: the program.
        costs: gives the times.
        activity: of the neurons.
        account: `chip`: queues on every link, finite buffers, back-pressure; `sanafe`: SANA-FE's
            detailed account.
        watch: called after each step, under account `chip`.
        times: `Times.of` the machine and the costs, where they are there already.
    """
    times = times or Times.of(machine, costs)
    start, neurons = activity.step_start, _make_neurons(machine, times)
    sent = np.append(0, np.cumsum(times.axons[activity.neuron]))
    messages = np.diff(sent[start])
    make, kernels = (
        (_make_flight, sanafe_kernels) if account == "sanafe" else (_make_state, cycle_kernels)
    )
    state = _add_room(make(machine, costs, times), int(messages.max(initial=0)))
    run: Any = kernels.run_steps
    longest = np.zeros(len(messages))
    if watch is None:
        run(state, neurons, start, activity.neuron, activity.status, longest)
        return longest
    for step, count in enumerate(messages):
        now = slice(step, step + 1)
        span = start[step : step + 2]
        run(state, neurons, span, activity.neuron, activity.status[now], longest[now])
        watch(step, _list_messages(machine, state, int(count)))
    return longest


@dataclass(frozen=True, eq=False)
class Times:
    """Times of neurons and axons."""

    neuron_ns: Floats
    """By part, status (see `Activity`) and whether it spikes: (parts, 4, 2)."""
    send_ns: Floats
    """Per axon."""
    receive_ns: Floats
    """Per axon."""
    axons: NDArray[np.int64]
    """Number of axons of each neuron."""

    @classmethod
    def of(cls, machine: Machine, costs: Costs) -> Times:
        """Return the times that a cost set gives to a machine's neurons and axons."""
        routes, layout, mesh = machine.routes, machine.layout, machine.mesh
        t = {event: costs.time_ns[column] for event, column in COLUMN.items()}
        axons = np.diff(routes.axon_start)
        source = np.repeat(layout.core_of, axons)
        local = (mesh.x[source] == mesh.x[routes.axon_core]) & (
            mesh.y[source] == mesh.y[routes.axon_core]
        )
        own = t["message_out"] + local * t["message_within_tile"]
        kinds = np.array([t[event] for event in SYNAPTIC])
        reading = routes.entries[:, 3] * kinds[routes.entries[:, 2]]
        return cls(
            neuron_ns=_make_neuron_times(machine, t),
            send_ns=np.where(source == layout.host, t["host_input"], own),
            receive_ns=t["message_in"]
            + (np.add.reduceat(reading, routes.entry_start[:-1]) if len(reading) else reading),
            axons=axons,
        )


def _make_neuron_times(machine: Machine, t: dict[str, float]) -> Floats:
    each = machine.each[:, None, None]
    reached = np.array([0, 1, 0, 1])[None, :, None]
    written = np.array([0, 1, 1, 1])[None, :, None]
    spikes = np.array([0, 1])[None, None, :]
    update = np.where(reached, t["neuron_active"], t["neuron_inactive"])
    network = machine.program.network
    output = np.array([source.layer == network.output for source in machine.layout.parts])
    read = output[:, None, None] * t["host_output"] * (machine.layout.host is not None)
    when = spikes if network.population(network.output).neuron.spikes else 1
    still = each * (t["neuron_mapped"] + update + written * t["neuron_updated"])
    times: Floats = still + (each > 0) * (spikes * t["spike"] + when * read)
    return times


def _make_common(machine: Machine, times: Times) -> dict[str, Any]:
    cores = machine.layout.cores
    return {
        "axon_pair": machine.routes.axon_pair,
        "receive_ns": times.receive_ns,
        "first": np.zeros(cores + 1, np.int64),
        "tail": np.zeros(cores),
        "gap": np.zeros(0),
        "axon_of": np.zeros(0, np.int64),
        "position": np.zeros(cores, np.int64),
    }


def _make_state(machine: Machine, costs: Costs, times: Times) -> cycle_kernels.State:
    ways, cores = machine.ways, machine.layout.cores
    stations = len(ways.links) + cores
    buffer = costs.set.link_buffer
    none = np.zeros(0, np.int64)
    return cycle_kernels.State(
        **_make_common(machine, times),
        way_start=ways.start + np.arange(len(ways.start)),
        way=np.insert(ways.way, ways.start[1:], len(ways.links) + machine.routes.pair_core),
        link_ns=find_link_times(machine, costs),
        buffer=(buffer.whole if buffer else None) or UNLIMITED,
        held=np.zeros(stations, np.int64),
        queue=np.full((stations, 5), cycle_kernels.NONE, np.int64),
        following=none,
        holder=none,
        stage=none,
        times=np.zeros(stations + cores),
        keys=np.zeros(stations + cores, np.int64),
        size=np.zeros(2, np.int64),
        sent=np.zeros(0),
        begun=np.zeros(0),
        done=np.zeros(0),
        last=np.zeros(1),
    )


def _make_flight(machine: Machine, costs: Costs, times: Times) -> sanafe_kernels.Flight:
    routes, layout = machine.routes, machine.layout
    columns, rows, _ = machine.mesh.count_crossings(*machine.pairs)
    t = [costs.time_ns[COLUMN[event]] for event in ("hop_east_west", "hop_north_south")]
    way_start, way = _make_ways(machine)
    buffer = costs.set.link_buffer
    return sanafe_kernels.Flight(
        **_make_common(machine, times),
        hop_ns=(columns * t[0] + rows * t[1])[routes.axon_pair],
        hops=(columns + rows)[routes.axon_pair],
        axon_core=routes.axon_core,
        way_start=way_start,
        way=way,
        buffer=float((buffer.whole if buffer else None) or UNLIMITED),
        density=np.zeros(way.max(initial=0) + 1),
        received=np.zeros(0),
        following=np.zeros(0, np.int64),
        queue=np.zeros((layout.cores, 2), np.int64),
        finished=np.zeros(layout.cores),
        times=np.zeros(layout.cores),
        keys=np.zeros(layout.cores, np.int64),
    )


def _make_ways(machine: Machine) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the links of each pair's way: into the router, then one per hop.

    On a tile after the first, a message counts on the link by which it left the tile before, kept
    under the number of the tile it is on.
    """
    mesh, ways = machine.mesh, machine.ways
    link = ways.links[ways.way]
    onwards = np.array([1, -1, mesh.width, -mesh.width])
    entered = link + 4 * onwards[link % 4]
    source = mesh.links + machine.pairs[0]
    return (
        ways.start + np.arange(len(ways.start)),
        np.insert(entered, ways.start[:-1], source),
    )


PER_MESSAGE = (
    *("gap", "axon_of", "following", "holder", "stage", "sent", "begun", "done", "received"),
)
"""Fields of both states that hold one number per message."""


def _add_room(state: Any, messages: int) -> Any:
    """Return the state with room for `messages` messages."""
    room = {
        name: np.zeros(messages, getattr(state, name).dtype)
        for name in PER_MESSAGE
        if name in state._fields
    }
    return state._replace(**room)


def _make_neurons(machine: Machine, times: Times) -> cycle_kernels.Neurons:
    layout = machine.layout
    return cycle_kernels.Neurons(
        order=layout.order,
        core_start=layout.core_start,
        part_of=layout.part_of,
        neuron_ns=times.neuron_ns,
        axon_start=machine.routes.axon_start,
        send_ns=times.send_ns,
        fired=np.zeros(layout.size, np.uint8),
    )


def _list_messages(machine: Machine, state: cycle_kernels.State, messages: int) -> list[Message]:
    axon = state.axon_of[:messages]
    neuron = np.searchsorted(machine.routes.axon_start, axon, side="right") - 1
    source = machine.layout.core_of[neuron]
    target = machine.routes.axon_core[axon]
    columns = (neuron, source, target, state.sent, state.begun, state.done)
    rows = zip(*(column[:messages].tolist() for column in columns), strict=True)
    return [Message(*row) for row in rows]
