"""Count what happens on each core in each time step of the network.

Meaning of the events, for one core and one time step:

    synaptic_op          synapses read: arriving spikes x neurons of the slice (dense synapses are
                         stored and read whole, zero weights too)
    neuron_active        compartments of neurons that at least one spike reaches in this step
    neuron_inactive      the other compartments in use; their state decays
    neuron_mapped        all compartments in use
    neuron_updated       as neuron_active
    spike                neurons that fire
    message_out          messages sent: spikes x destination cores
    message_within_tile  those of them to a core of the same tile
    message_in           messages that arrive, from cores and from the host
    hop_east_west        links between columns that the sent messages cross
    hop_north_south      links between rows
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Site, Slice
from snncompile.passes.usage import compartments_per_neuron
from snncompile.program import Program

Count = NDArray[np.int64]
"""Number of events, shape (samples, network steps)."""


@dataclass(frozen=True, eq=False)
class CoreCounts:
    """Events of one slice on its core."""

    slice: Slice
    events: dict[str, Count]
    routes: dict[tuple[int, int], Count]
    """Messages by (columns, rows) to cross."""


def count(program: Program, trains: dict[str, Tensor]) -> Iterator[CoreCounts]:
    """Yield the events of each slice for one batch of samples.

    Args:
        program: gives the mapping, phases and delays.
        trains: output of the input and every population, shape (samples, steps, size), in own
            steps. Network steps run from the input's first to the last population's last.
    """
    sent = {name: _per_slice(program, name, train) for name, train in trains.items()}
    for s in program.mapping.slices:
        yield _core(program, s, sent)


def network_steps(program: Program, steps: int) -> int:
    """Return the time steps from the first input to the last output of one sample."""
    return steps + max(p.phase for p in program.network.populations)


Sent = dict[str, list[tuple[Slice | None, Count]]]
"""Spikes of each slice of a population, (samples, own steps); the input is one slice, None."""


def _per_slice(program: Program, name: str, train: Tensor) -> list[tuple[Slice | None, Count]]:
    if name == program.network.input.name:
        return [(None, train.sum(dim=2).numpy().astype(np.int64))]
    if not program.network.population(name).neuron.spikes:
        return []
    return [
        (s, train[:, :, s.start : s.stop].sum(dim=2).numpy().astype(np.int64))
        for s in program.mapping.of(name)
    ]


def _core(program: Program, s: Slice, sent: Sent) -> CoreCounts:
    network, steps = program.network, next(iter(sent.values()))[0][1].shape[1]
    total = network_steps(program, steps)
    phase = network.phase(s.population)
    arriving = sum((_arriving(program, p, sent) for p in network.into(s.population)), start=0)
    messages_in = _placed(arriving, phase, total, sent)
    compartments = s.size * compartments_per_neuron(program.chip, network.population(s.population))
    active = (messages_in > 0) * compartments
    spikes = next((c for part, c in sent[s.population] if part == s), np.zeros((1, steps), int))
    fired = _placed(spikes, phase, total, sent)
    routes = _routes(program, s, fired)
    events = {
        "synaptic_op": messages_in * s.size,
        "neuron_active": active,
        "neuron_inactive": compartments - active,
        "neuron_mapped": np.full_like(active, compartments),
        "neuron_updated": active,
        "spike": fired,
        "message_out": sum(routes.values(), start=np.zeros_like(fired)),
        "message_within_tile": routes.get((0, 0), np.zeros_like(fired)),
        "message_in": messages_in,
        "hop_east_west": sum((x * n for (x, _), n in routes.items()), start=np.zeros_like(fired)),
        "hop_north_south": sum((y * n for (_, y), n in routes.items()), start=np.zeros_like(fired)),
    }
    return CoreCounts(s, events, routes)


def _arriving(program: Program, p: Projection, sent: Sent) -> Any:
    """Return the spikes that reach the target in each of its own steps."""
    delay = program.network.own_delay(p)
    spikes: Count = np.sum([part for _, part in sent[p.source]], axis=0)
    late = np.zeros_like(spikes)
    late[:, delay:] = spikes[:, : max(0, spikes.shape[1] - delay)]
    return late


def _placed(own: Any, phase: int, total: int, sent: Sent) -> Count:
    """Return counts of own steps as counts of network steps."""
    samples, steps = next(iter(sent.values()))[0][1].shape
    placed = np.zeros((samples, total), np.int64)
    placed[:, phase : phase + steps] = own
    return placed


def _routes(program: Program, s: Slice, fired: Count) -> dict[tuple[int, int], Count]:
    """Return the messages of a slice by the distance they travel; one per destination core."""
    sites = {site.core: site for site in program.mapping.sites}
    targets = {p.target for p in program.network.out_of(s.population)}
    routes: dict[tuple[int, int], Count] = {}
    for other in program.mapping.slices:
        if other.population in targets:
            distance = _distance(sites[s.core], sites[other.core])
            routes[distance] = routes.get(distance, np.zeros_like(fired)) + fired
    return routes


def _distance(a: Site, b: Site) -> tuple[int, int]:
    return abs(a.tile_x - b.tile_x), abs(a.tile_y - b.tile_y)
