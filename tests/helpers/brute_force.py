"""Events of the estimator a second time: plain Python, one spike, one synapse at a time.

Written from the docstring of `backends/energy/events.py`; the spikes are the reference's.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from snncompile.ir.mapping import Site
from snncompile.reference.simulate import check_spikes, run_batches

HOST = Site(-1, 0, 0)


def events(program, x):
    """Return {(core, population): [events of each network step]} and the messages of each step.

    The host is core -1. A message is (source core, target core, {(kind, population): synapses}),
    in the order in which neurons are worked through.
    """
    network, mapping = program.network, program.mapping
    (found,) = run_batches(network, check_spikes(network, x))
    spike_trains = {name: train[0].numpy() for name, train in found.items()}
    steps = len(x[0]) + max(p.phase for p in network.populations)
    found = defaultdict(lambda: [Counter() for _ in range(steps)])
    messages = [[] for _ in range(steps)]
    hit = [set() for _ in range(steps)]
    where = {p.name: mapping.cores_of(p).tolist() for p in network.populations}
    columns = program.chip.mesh.tile_columns.whole
    sites = {site.core: site for site in mapping.sites} | {-1: HOST}
    for name, own, i in spikes_of(network, spike_trains):
        now = network.phase(name) + own
        home = -1 if name == "input" else where[name][i]
        sender = found[home, name][now]
        if name != "input":
            sender["spike"] += 1
            sender["host_output"] += name == network.output
        for target, synapses in sorted(destinations(network, where, name, i).items()):
            messages[now].append((home, target, (name, i), Counter((k, p) for k, p, _ in synapses)))
            travel(sites[home], sites[target], columns, sender)
            sender["message_out" if home >= 0 else "host_input"] += 1
            for kind, population, _ in synapses:
                found[target, population][now][f"synaptic_op_{kind}"] += 1
            first = min((list(where).index(p), p) for _, p, _ in synapses)[1]
            found[target, first][now]["message_in"] += 1
        for p in network.out_of(name):
            due = now + p.delay
            if due < network.phase(p.target) + len(x[0]):
                hit[due] |= {(p.target, t) for t in reached(p, i)}
    neurons(program, x, spike_trains, hit, where, found)
    return found, messages


def spikes_of(network, spike_trains):
    """Yield (sender, own step, neuron) of each spike, by sender and neuron within a step."""
    for name in ("input", *(p.name for p in network.populations)):
        if name == "input" or network.population(name).neuron.spikes:
            for own, i in np.argwhere(spike_trains[name]).tolist():
                yield name, own, i


def reached(p, i: int) -> list[int]:
    wiring = p.synapses.wiring
    return np.flatnonzero(wiring.matrix(np.ones(wiring.weight_shape)).toarray()[:, i]).tolist()


def destinations(network, where, name: str, i: int):
    """Return {core: [(kind of wiring, population, neuron)]} that a neuron has synapses on."""
    found = defaultdict(list)
    for p in network.out_of(name):
        kind = p.synapses.wiring.plain.kind
        kind = kind if kind in ("dense", "convolution") else "sparse"
        for t in reached(p, i):
            found[where[p.target][t]].append((kind, p.target, t))
    return found


def travel(a: Site, b: Site, columns: int, sender) -> None:
    across = abs(a.chip - b.chip)
    east_west = abs(a.chip * columns + a.tile_x - b.chip * columns - b.tile_x) - across
    sender["hop_east_west"] += east_west
    sender["hop_north_south"] += abs(a.tile_y - b.tile_y)
    sender["chip_crossing"] += across
    if a.core >= 0:
        sender["message_within_tile"] += (a.chip, a.tile_x, a.tile_y) == (
            b.chip,
            b.tile_x,
            b.tile_y,
        )


def neurons(program, x, spike_trains, hit, where, found) -> None:
    """Count the neurons of every core in every step."""
    network, length = program.network, len(x[0])
    for p in network.populations:
        each = program.chip.neurons[p.neuron.kind].whole
        for now, reached_now in enumerate(hit):
            for i, core in enumerate(where[p.name]):
                events = found[core, p.name][now]
                active = (p.name, i) in reached_now
                events["neuron_mapped"] += each
                events["neuron_active" if active else "neuron_inactive"] += each
                own = now - p.phase
                fires = 0 <= own < length and p.neuron.spikes and spike_trains[p.name][own][i] != 0
                bias = np.broadcast_to(getattr(p.neuron, "bias_mantissa", 0), p.size)[i] != 0
                biased = 0 <= own < length and bias
                events["written"] += each * bool(active or fires or biased)
                if p.name == network.output and not p.neuron.spikes:
                    events["host_output"] += 1
