"""Count what happens on each core in each time step of the network.

Meaning of the events, for one core and one time step:

    synaptic_op          synapses read: the synapses that arriving spikes have to neurons of the
                         slice (those of weight zero are stored and read, too)
    neuron_active        compartments of neurons that at least one synapse reaches in this step
    neuron_inactive      the other compartments in use; their state decays
    neuron_mapped        all compartments in use
    neuron_updated       as neuron_active
    spike                neurons that fire, whatever the spike carries
    message_out          messages sent: one per spike and core on which its neuron has synapses
    message_within_tile  those of them to a core of the same tile
    message_in           messages that arrive, from cores and from the host; where a neuron has
                         several projections to a core, one message, with the shortest delay
    hop_east_west        links between columns that the sent messages cross
    hop_north_south      links between rows
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.ir.mapping import Site, Slice
from snncompile.neurons.base import Interval
from snncompile.passes.usage import compartments_per_neuron, reach
from snncompile.program import Program
from snncompile.reference.synapses import bind
from snncompile.synapses.base import Synapses

Bools = NDArray[np.bool_]
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
    network = program.network
    spikes = {name: (train != 0).numpy() for name, train in trains.items()}
    spikes |= {
        p.name: np.zeros_like(spikes[p.name]) for p in network.populations if not p.neuron.spikes
    }
    arrivals = {p.name: _arrivals(program, p.name, spikes) for p in network.populations}
    reached = {p.name: _reached(program, p.name) for p in network.populations}
    for s in program.mapping.slices:
        routes = _routes(program, s, spikes[s.population], reached[s.population])
        yield _core(program, s, spikes[s.population], arrivals[s.population][s], routes)


def network_steps(program: Program, steps: int) -> int:
    """Return the time steps from the first input to the last output of one sample."""
    return steps + max(p.phase for p in program.network.populations)


@dataclass(frozen=True, eq=False)
class _Arrivals:
    """What reaches one slice in its own steps, each (samples, steps)."""

    synapses: Count
    messages: Count
    neurons: Count
    """Neurons that at least one synapse reaches."""


def _arrivals(program: Program, name: str, spikes: dict[str, Bools]) -> dict[Slice, _Arrivals]:
    """Return what reaches each slice of a population."""
    network, slices = program.network, program.mapping.of(name)
    shape = (*spikes[network.input.name].shape[:2], len(slices))
    synapses, messages = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    touched = np.zeros((*shape[:2], network.population(name).size), np.bool_)
    heard: dict[str, Any] = {}
    for p in sorted(network.into(name), key=network.own_delay):
        late = _late(spikes[p.source], network.own_delay(p))
        wiring = p.synapses.wiring
        fan_out = np.stack([wiring.fan_out(s.neurons()) for s in slices], axis=1)
        synapses += _sums(late, fan_out)
        messages += _sums(late, (fan_out > 0) & ~heard.get(p.source, np.False_))
        heard[p.source] = (fan_out > 0) | heard.get(p.source, np.False_)
        ones = bind(Synapses(wiring, np.ones(wiring.weight_shape)), Interval(0, 1))
        touched |= ones(torch.from_numpy(late)).numpy() > 0
    return {
        s: _Arrivals(synapses[..., i], messages[..., i], touched[..., s.neurons()].sum(axis=2))
        for i, s in enumerate(slices)
    }


def _late(spikes: Bools, delay: int) -> Bools:
    """Return the spikes so many steps later; what comes after the sample is lost."""
    late = np.zeros_like(spikes)
    late[:, delay:] = spikes[:, : max(0, spikes.shape[1] - delay)]
    return late


def _sums(spikes: Bools, per_source: NDArray[Any]) -> Count:
    """Return sums over the sources that spike: (.., source) x (source, n) -> (.., n)."""
    found: Count = np.rint(spikes.astype(np.float64) @ per_source.astype(np.float64))
    return found.astype(np.int64)


Routes = dict[tuple[int, int], Count]


def _core(
    program: Program, s: Slice, spikes: Bools, arrivals: _Arrivals, sent: Routes
) -> CoreCounts:
    network, (samples, steps) = program.network, spikes.shape[:2]
    phase, total = network.phase(s.population), network_steps(program, steps)

    def placed(own: Count) -> Count:
        """Return counts of own steps as counts of network steps."""
        counts = np.zeros((samples, total), np.int64)
        counts[:, phase : phase + steps] = own
        return counts

    each = compartments_per_neuron(program.chip, network.population(s.population))
    active = placed(arrivals.neurons) * each
    fired = placed(spikes[..., s.neurons()].sum(axis=2))
    routes = {route: placed(messages) for route, messages in sent.items()}
    none = np.zeros_like(fired)
    events = {
        "synaptic_op": placed(arrivals.synapses),
        "neuron_active": active,
        "neuron_inactive": s.size * each - active,
        "neuron_mapped": np.full_like(active, s.size * each),
        "neuron_updated": active,
        "spike": fired,
        "message_out": sum(routes.values(), start=none),
        "message_within_tile": routes.get((0, 0), none),
        "message_in": placed(arrivals.messages),
        "hop_east_west": sum((x * n for (x, _), n in routes.items()), start=none),
        "hop_north_south": sum((y * n for (_, y), n in routes.items()), start=none),
    }
    return CoreCounts(s, events, routes)


def _reached(program: Program, name: str) -> dict[int, Bools]:
    """Return which neurons of a population have a synapse to each core of its targets."""
    found: dict[int, Bools] = {}
    for target in dict.fromkeys(p.target for p in program.network.out_of(name)):
        for s in program.mapping.of(target):
            found[s.core] = found.get(s.core, False) | reach(program.network, name, s)
    return found


def _routes(program: Program, s: Slice, spikes: Bools, reached: dict[int, Bools]) -> Routes:
    """Return the messages of a slice in its own steps, by the distance they travel."""
    sites = {site.core: site for site in program.mapping.sites}
    axons: dict[tuple[int, int], Any] = {}
    for core, sources in reached.items():
        distance = _distance(sites[s.core], sites[core])
        axons[distance] = axons.get(distance, 0) + s.cut(sources).astype(np.int64)
    own = spikes[..., s.neurons()]
    return {distance: _sums(own, each[:, None])[..., 0] for distance, each in axons.items()}


def _distance(a: Site, b: Site) -> tuple[int, int]:
    return abs(a.tile_x - b.tile_x), abs(a.tile_y - b.tile_y)
