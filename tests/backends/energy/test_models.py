"""Counts and times against plain Python, one spike at a time; laws of the two models."""

from __future__ import annotations

import dataclasses

import brute_force
import differential
import numpy as np
import pytest
import queues
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import (
    TOY,
    apart,
    changed,
    formatted,
    integer_chain,
    limited,
    random_integer_network,
    ranged_network,
    spikes,
)
from priced import priced, wide_chip

from snncompile.backends.energy.activity import count_network_steps, record
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.counts import count_events, make_chip_machine
from snncompile.backends.energy.cycle import follow
from snncompile.backends.energy.events import COLUMN, EVENTS
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Site
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.reference.simulate import check_spikes
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

NANO = 1e-9
PICO = 1e-12


def counted(program, activity):
    """Return {(core, population): {event: count of each network step}}; the host is core -1."""
    machine = make_chip_machine(program)
    events = count_events(machine, activity).events
    host = machine.layout.host
    return {
        (-1 if part.core == host else part.core, part.layer): {
            event: events[:, i, COLUMN[event]].tolist() for event in EVENTS
        }
        for i, part in enumerate(machine.layout.parts)
    }


def recorded(program, x):
    (activity,) = record(program.network, check_spikes(program.network, x), updates=True)
    return activity


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**9), steps=st.integers(1, 7), compartments=st.integers(2, 5))
def test_every_count_of_every_core_and_step(seed, steps, compartments):
    network = random_integer_network(seed, wild=False)
    assume(sum(p.size for p in network.populations) <= 20)
    program = apart(network, chip=wide_chip(compartments), prune=False)
    agrees_with_brute_force(program, spikes(program.network, 1, steps, seed))


@settings(max_examples=12, deadline=None)
@given(number=st.integers(0, 10**9), steps=st.integers(1, 4), compartments=st.integers(8, 30))
def test_every_count_with_every_wiring(number, steps, compartments):
    network = differential.network(5, number, differential.Frame((2, 4, 6), steps))
    assume(sum(p.size for p in network.populations) <= 100)
    exponents = {"weight_exponent_lowest": -99, "weight_exponent_highest": 99}
    chip = wide_chip(compartments, link_buffer=2)
    chip = formatted(chip, weight_bits=range(1, 9), delay=63, **exponents)
    try:
        program = apart(network, chip=chip, prune=False)
    except QuantizeError:  # other numbers that no chip has
        assume(False)
    agrees_with_brute_force(program, spikes(program.network, 1, steps, number, rate=0.2))


def test_every_count_of_projections_from_some_of_the_sources():
    program = apart(ranged_network(), chip=wide_chip(3), prune=False)
    agrees_with_brute_force(program, spikes(program.network, 1, 5, 1))


def agrees_with_brute_force(program, x) -> None:
    wanted, messages = brute_force.events(program, x)
    activity = recorded(program, x)
    found = counted(program, activity)
    for part, events in found.items():
        for event in EVENTS:
            expected = [now[event] for now in wanted[part]]
            if event == "neuron_updated":
                written = [now["written"] for now in wanted[part]]
                assert all(a >= b for a, b in zip(events[event], written, strict=True)), part
                expected = events[event]
            assert events[event] == expected, (part, event)
    times = [longest(program, activity, sent, now) for now, sent in enumerate(messages)]
    result = program.estimate(x, timing="cycle")
    assert result.by_step.seconds[0] == pytest.approx(np.maximum(np.array(times) + 100, 120) * NANO)
    prices = program.chip.costs["toy"].prices
    energy = sum(
        sum(counts) * (prices[e] if e in prices else prices["synaptic_op"]).energy_pj.value
        for events in found.values()
        for e, counts in events.items()
    )
    assert result.dynamic_j == pytest.approx((energy + 30 * len(times)) * PICO)
    assert result.missing == ()


def time(program, event: str) -> float:
    prices = program.chip.costs["toy"].prices
    return (prices[event] if event in prices else prices["synaptic_op"]).time_ns.value


def longest(program, activity, sent, now: int) -> float:
    """Return the time of a step's last event, from its messages in working order."""
    layout = make_chip_machine(program).layout
    sites = {s.core: (s.tile_x, s.tile_y) for s in program.mapping.sites} | {-1: (0, 0)}
    number = {core: core if core >= 0 else layout.host for core in sites}
    cores = {}
    for core in sites:
        mine = [m for m in sent if m[0] == core]
        if core < 0:
            gaps = [time(program, "host_input")] * len(mine)
            rest = 0.0
        else:
            gaps, rest = gaps_of(program, activity, now, core, mine, sites)
        work = [
            (number[target], 13 + sum(n * time(program, f"synaptic_op_{kind}")
                                      for (kind, _), n in synapses.items()))
            for _, target, _, synapses in mine
        ]  # fmt: skip
        cores[number[core]] = (list(zip(gaps, work, strict=True)), rest)
    where = {number[core]: site for core, site in sites.items()}
    buffer = program.chip.costs["toy"].link_buffer.whole
    mesh = queues.Mesh(cores, where, lambda x, y, way: 4 if way < 2 else 6, 5, 4, buffer)
    return mesh.run()


def gaps_of(program, activity, now: int, core: int, mine, sites):
    """Return the time before each message of a core, and what is left after the last."""
    layout = make_chip_machine(program).layout
    waited, gaps, queue = 0.0, [], list(mine)
    for n in np.flatnonzero(layout.core_of == core):
        part = layout.parts[layout.part_of[n]]
        each = program.chip.neurons[program.network.population(part.layer).neuron.kind].whole
        reached, written = activity.status[now, n] & 1, activity.status[now, n] > 0
        spiked = n in activity.neuron[activity.step_start[now] : activity.step_start[now + 1]]
        waited += each * (0.5 + (5 if reached else 3) + 0.25 * written)
        population = program.network.population(part.layer)
        if part.layer == program.network.output and (spiked or not population.neuron.spikes):
            waited += 2
        waited += 7 * bool(spiked)
        name = (part.layer, int(n) - layout.first[part.layer])
        while queue and queue[0][2] == name:
            local = sites[queue[0][1]] == sites[core]
            gaps.append(waited + 11 + local)
            waited = 0.0
            queue.pop(0)
    return gaps, waited


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**9), buffer=st.sampled_from([1, 2, 16, None]))
def test_the_closed_form_is_a_lower_bound(seed, buffer):
    network = random_integer_network(seed, wild=False)
    chip = wide_chip(4, link_buffer=buffer) if buffer else wide_chip(4)
    program = apart(network, chip=chip)
    x = spikes(program.network, 2, 5, seed)
    for account in ("chip", "sanafe"):
        fast, cycle = (program.estimate(x, timing=t, account=account) for t in ("fast", "cycle"))
        assert (cycle.by_step.seconds >= fast.by_step.seconds * (1 - 1e-12)).all()
        assert [(r.layer, r.event, r.count) for r in cycle.rows[:-1]] == [
            (r.layer, r.event, r.count) for r in fast.rows[:-1]
        ]
    again = program.estimate(x, timing="cycle")
    first = program.estimate(x, timing="cycle")
    assert (again.by_step.seconds == first.by_step.seconds).all()


def crowd(buffer: int):
    """Return two neurons on one core that send to one core, two tiles to the east.

    A link takes 4 ns, the receiving core 30 ns per message, sending takes no time.
    """
    free = ("synaptic_op", "neuron_active", "neuron_inactive", "host_input", "host_output")
    prices = dict.fromkeys(free, (0, 0)) | {"message_in": (0, 30), "hop_east_west": (0, 4)}
    barrier = [(3, 0)]
    chip = priced(barrier=barrier, step_floor_ns=0, link_buffer=buffer, **prices)
    data = limited(chip, axons_in=99, axons_out=99, synapse_words=999).model_dump(mode="json")
    data["mesh"]["tile_columns"]["value"] = 3
    data["mesh"]["cores_per_tile"]["value"] = 1
    data["mesh"]["cores"]["value"] = 3
    chip = Chip.model_validate(data)
    network = integer_chain(1, 4, 1, neuron=IntegerCubaLif(4095, 0, 1))
    program = apart(network, chip=chip)
    sites = (Site(0, 0, 0), Site(1, 2, 0))
    return dataclasses.replace(program, mapping=Mapping(program.mapping.slices, sites))


@pytest.mark.parametrize(
    "buffer, sent", [(16, [0, 0, 0, 0]), (2, [0, 0, 4, 8]), (1, [0, 4, 8, 38])]
)
def test_back_pressure_by_hand(buffer, sent):
    """Four messages at once over two links to one core that takes 30 ns for each.

    The core is done after 8 + 4 x 30 ns in any case; with small buffers the sender has to wait: a
    buffer of one holds the message in service only.
    """
    program = crowd(buffer)
    seen = {}
    longest = follow(
        make_chip_machine(program),
        find_costs(program.chip, None),
        recorded(program, np.array([[[1], [0]]])),
        watch=lambda step, messages: seen.update({step: messages}),
    )
    assert longest.tolist() == [30, 8 + 4 * 30, 0, 0]
    assert [m.sent for m in seen[1]] == sent
    assert [m.begun for m in seen[1]] == [8, 38, 68, 98]
    assert [m.done for m in seen[1]] == [38, 68, 98, 128]


def test_a_spike_that_arrives_after_the_sample_is_over_is_sent_and_reaches_nobody():
    """An own delay longer than the sample, by one step and by many."""
    for delay in (3, 4, 5, 6, 9):
        network = changed(integer_chain(1, 1), projection=0, delay=delay + 1)
        program = apart(network, chip=TOY, prune=False)
        counts = {r.event: r.count for r in program.estimate(np.ones((1, 3, 1))).rows}
        assert (counts["synaptic_op"], counts["neuron_active"]) == (3, 0)


def test_network_steps():
    assert count_network_steps(integer_chain(2, 2, 3, 1), 3) == 6


def test_sparse_synapses_by_hand():
    """Input 0 reaches neurons 0 and 1, input 1 neuron 3, input 2 nothing; cores of 2 neurons."""
    wiring = Sparse(np.array([0, 1, 3]), np.array([0, 0, 1]), 4, 3)
    diagonal = IntegerSynapses(Scale(4), np.array(2), 0, 8)
    fire = IntegerCubaLif(4095, 0, 1)
    network = IntegerNetwork(
        Input("input", (3,)),
        (Population("a", (4,), fire, 1), Population("b", (4,), fire, 2)),
        (
            Projection("input", "a", IntegerSynapses(wiring, [2, 0, 2], 0, 8), 1),
            Projection("a", "b", diagonal, 1),
        ),
        "b",
    )
    program = apart(network, chip=limited(TOY, compartments=2), prune=False)
    found = counted(program, recorded(program, np.ones((1, 1, 3), np.uint8)))
    first, second, third, fourth = (found[core, "aabb"[core]] for core in range(4))
    assert (first["synaptic_op_sparse"], second["synaptic_op_sparse"]) == ([2, 0, 0], [1, 0, 0])
    assert (first["message_in"], second["message_in"]) == ([1, 0, 0], [1, 0, 0])
    # Neuron 1 is reached by a weight of zero and does not fire.
    assert (first["neuron_active"], second["neuron_active"]) == ([0, 2, 0], [0, 1, 0])
    assert (first["message_out"], second["message_out"]) == ([0, 1, 0], [0, 1, 0])
    for core in (third, fourth):
        assert core["message_in"] == core["synaptic_op_sparse"] == [0, 1, 0]
        assert core["neuron_active"] == [0, 0, 1]
    assert found[-1, "input"]["host_input"] == [2, 0, 0]


def test_two_projections_from_one_source_are_one_message():
    """Its synapses are read when it comes; they reach the neuron when they are due."""
    network = changed(
        integer_chain(1, 1),
        projections=tuple(
            Projection("input", "a", integer_dense([[2]], 0, 8), delay) for delay in (3, 1)
        ),
    )
    program = apart(network, chip=TOY)
    found = counted(program, recorded(program, np.array([[[1], [0], [0], [0]]])))[0, "a"]
    assert found["message_in"] == [1, 0, 0, 0, 0]
    assert found["synaptic_op_dense"] == [2, 0, 0, 0, 0]
    assert found["neuron_active"] == [0, 1, 0, 1, 0]
