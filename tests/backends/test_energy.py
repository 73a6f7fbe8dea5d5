"""Energy and latency: by hand on toy, by brute force on random networks, and what is missing."""

from __future__ import annotations

import dataclasses
from collections import Counter

import differential
import numpy as np
import plain
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import (
    LOIHI1,
    LOIHI2,
    TOY,
    changed,
    formatted,
    integer_chain,
    limited,
    random_integer_network,
    spikes,
)

import snncompile
from snncompile.backends.energy.counts import count, network_steps
from snncompile.errors import InputError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Site
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.reference import simulate
from snncompile.reference.simulate import batches, check_spikes
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

NANO = 1e-9
PICO = 1e-12


def priced(chip: Chip = TOY, **changes) -> Chip:
    """Return the chip with other costs: event=(energy, time), barrier=[(tiles, time)], ..."""
    data = chip.model_dump(mode="json")
    costs = data["costs"][chip.default_costs]
    for name, value in changes.items():
        if name == "barrier":
            costs["barrier"] = [{"tiles": t, "time_ns": number(v, "ns")} for t, v in value]
        elif name in ("step_floor_ns", "static_w"):
            costs[name] = number(value, "ns" if name == "step_floor_ns" else "W")
        elif value is None:
            del costs["prices"][name]
        else:
            costs["prices"][name] = {
                "energy_pj": number(value[0], "pJ"),
                "time_ns": number(value[1], "ns"),
            }
    return Chip.model_validate(data)


def number(value, unit: str):
    evidence = "unknown" if value is None else "made up"
    return {"value": value, "unit": unit, "evidence": evidence, "source": "made_up"}


# Input of 2, then a (2 neurons, core 0), b (3, core 1), both on tile 0,0; c (1, core 2) on 1,0.
# Every neuron fires as soon as one spike reaches it. Phases 1, 2, 3.
LAYERS = integer_chain(2, 2, 3, 1, neuron=IntegerCubaLif(4095, 0, 1))
X = np.array([[[1, 0], [0, 0], [1, 1]]])
# Events per layer: 3 input spikes, a fires 2 x 2, b 3 x 2, c 1 x 2; 6 network steps.
COUNTS = {
    "a": {
        "synaptic_op": 3 * 2,
        "neuron_active": 2 * 2,
        "neuron_inactive": 4 * 2,
        "message_within_tile": 4,
        "hop_east_west": 0,
        "hop_north_south": 0,
    },
    "b": {
        "synaptic_op": 4 * 3,
        "neuron_active": 2 * 3,
        "neuron_inactive": 4 * 3,
        "message_within_tile": 0,
        "hop_east_west": 6,
        "hop_north_south": 0,
    },
    "c": {
        "synaptic_op": 6 * 1,
        "neuron_active": 2 * 1,
        "neuron_inactive": 4 * 1,
        "message_within_tile": 0,
        "hop_east_west": 0,
        "hop_north_south": 0,
    },
}
PRICES = {
    "synaptic_op": 10,
    "neuron_active": 40,
    "neuron_inactive": 20,
    "message_within_tile": 1,
    "hop_east_west": 2,
    "hop_north_south": 3,
}
# Nanoseconds of each network step: busiest core + longest route + barrier of 2 tiles.
STEPS = [
    9 + 0 + 200,  # b: 3 inactive neurons, 3 ns each
    (4 + 10 + 2) + 0 + 200,  # a: 2 synapses, 2 active neurons, 2 messages
    (12 + 15) + 4 + 200,  # b: 6 synapses, 3 active neurons; its messages cross one link
    (8 + 10 + 2) + 0 + 200,  # a: 4 synapses; c has 3 synapses and 1 neuron, 11 ns
    (12 + 15) + 4 + 200,
    (6 + 5) + 0 + 200,  # c
]


@pytest.fixture(scope="module")
def layers():
    return snncompile.compile(LAYERS, chip=TOY)


def test_by_hand(layers):
    found = layers.estimate(X)
    rows = {(r.layer, r.event): (r.count, r.price_j) for r in found.rows}
    wanted = {
        (layer, event): (number_, PRICES[event] * PICO)
        for layer, events in COUNTS.items()
        for event, number_ in events.items()
    }
    latency = sum(STEPS) * NANO
    assert rows == wanted | {("chip", "static power"): (pytest.approx(latency), 0.001)}
    assert found.latency_s == pytest.approx(latency)
    assert found.dynamic_j == pytest.approx((384 + 612 + 220) * PICO)
    assert found.static_j == pytest.approx(latency * 0.001)
    assert (found.samples, found.steps) == (1, 6)
    assert (found.chip, found.costs, found.title) == ("toy", "toy", "Round prices")
    assert found.missing == ()
    assert all(r.source == "made up: made up for tests and explanations" for r in found.rows)


def test_rows_add_up(layers):
    found = layers.estimate(X)
    assert all(r.energy_j == r.count * r.price_j for r in found.rows)
    assert found.energy_j == pytest.approx(sum(r.energy_j for r in found.rows), rel=1e-12)
    assert found.energy_j == found.dynamic_j + found.static_j
    assert len({(r.layer, r.event) for r in found.rows}) == len(found.rows)


def test_silence_costs_time_and_inactive_neurons(layers):
    found = layers.estimate(np.zeros_like(X))
    assert found.latency_s == pytest.approx(6 * 209 * NANO)
    assert {r.event for r in found.rows if r.count} == {"neuron_inactive", "static power"}
    assert found.dynamic_j == pytest.approx(6 * 6 * 20 * PICO)


# Changes of toy's costs; nanoseconds of the steps by hand.
LATENCIES = {
    "the floor holds": ({"step_floor_ns": 220}, [220, 220, 231, 220, 231, 220]),
    "the floor is far below": ({"step_floor_ns": 1}, STEPS),
    "no floor is known": ({"step_floor_ns": None}, STEPS),
    "a barrier for three tiles": (
        {"barrier": [(1, 100), (3, 300)]},
        [s + 100 for s in STEPS],
    ),
    "the barrier table begins beyond": ({"barrier": [(4, 400)]}, [s + 200 for s in STEPS]),
    "slow links": ({"hop_east_west": (2, 50)}, [209, 216, 27 + 250, 220, 27 + 250, 211]),
    "a link the other way": ({"hop_north_south": (3, 500)}, STEPS),
    "slow synapses": (
        {"synaptic_op": (10, 100)},
        [209, 2 * 100 + 212, 6 * 100 + 219, 4 * 100 + 212, 6 * 100 + 219, 505],
    ),
    "messages leave the core one by one": (
        {"message_out": (0, 10)},
        [209, 16 + 20 + 200, 27 + 30 + 204, 20 + 20 + 200, 261, 211],
    ),
    "messages come one by one": (
        {"message_in": (0, 10)},
        [209, 16 + 10 + 200, 27 + 20 + 204, 11 + 30 + 200, 251, 11 + 30 + 200],
    ),
}


@pytest.mark.parametrize("case", LATENCIES)
def test_latency_by_hand(case):
    changes, steps = LATENCIES[case]
    found = snncompile.compile(LAYERS, chip=priced(**changes)).estimate(X)
    assert found.latency_s == pytest.approx(sum(steps) * NANO)


def test_one_tile_has_the_short_barrier():
    found = snncompile.compile(integer_chain(1, 1), chip=TOY).estimate([[[1]]])
    # 2 network steps: 3 ns inactive, then 2 + 5 ns; both below the floor
    assert found.latency_s == pytest.approx(2 * 120 * NANO)
    free = priced(step_floor_ns=0)
    found = snncompile.compile(integer_chain(1, 1), chip=free).estimate([[[1]]])
    assert found.latency_s == pytest.approx((103 + 107) * NANO)


def test_routes_across_rows_and_columns(layers):
    """b on tile 1,1: its messages to c on 0,0 cross one link each way; a's to b do, too."""
    sites = (Site(0, 0, 0), Site(1, 1, 1), Site(2, 0, 0))
    moved = dataclasses.replace(layers, mapping=Mapping(layers.mapping.slices, sites))
    found = {(r.layer, r.event): r.count for r in moved.estimate(X).rows}
    assert found["a", "hop_east_west"] == found["a", "hop_north_south"] == 4
    assert found["b", "hop_east_west"] == found["b", "hop_north_south"] == 6
    assert found["a", "message_within_tile"] == 0
    steps = [209, 4 + 10 + 10 + 200, 27 + 10 + 200, 8 + 10 + 10 + 200, 27 + 10 + 200, 211]
    assert moved.estimate(X).latency_s == pytest.approx(sum(steps) * NANO)


def test_the_mean_over_samples(layers):
    x = spikes(LAYERS, 5, 4, seed=3)
    alone = [layers.estimate(sample[None]) for sample in x]
    whole = layers.estimate(x)
    assert whole.samples == 5
    assert whole.latency_s == pytest.approx(np.mean([e.latency_s for e in alone]))
    assert whole.energy_j == pytest.approx(np.mean([e.energy_j for e in alone]))
    for i, row in enumerate(whole.rows):
        assert row.count == pytest.approx(np.mean([e.rows[i].count for e in alone]))
    twice = layers.estimate(np.concatenate([x, x]))
    assert twice.energy_j == pytest.approx(whole.energy_j)
    assert twice.latency_s == pytest.approx(whole.latency_s)


def test_batches_do_not_change_the_estimate(layers, monkeypatch):
    x = spikes(LAYERS, 5, 4, seed=3)
    whole = layers.estimate(x)
    monkeypatch.setattr(simulate, "MEMORY_BYTES", 1)
    seen = []
    parts = layers.estimate(x, progress=lambda *done: seen.append(done))
    assert seen == [(i, 5) for i in range(1, 6)]
    assert [(r.layer, r.event) for r in parts.rows] == [(r.layer, r.event) for r in whole.rows]
    assert [r.count for r in parts.rows[:-1]] == [r.count for r in whole.rows[:-1]]
    assert parts.latency_s == pytest.approx(whole.latency_s)


# Changes of toy's costs; what the result lists as missing, dynamic energy in pJ, latency in ns.
UNKNOWN = {
    "an energy": (
        {"synaptic_op": (None, 2)},
        ("energy of synaptic_op",),
        (1216 - 240, sum(STEPS)),
    ),
    "a time": (
        {"neuron_active": (40, None)},
        ("time of neuron_active",),
        (1216, 209 + 209 + 216 + 210 + 216 + 209),
    ),
    "both": (
        {"hop_east_west": (None, None)},
        ("energy of hop_east_west", "time of hop_east_west"),
        (1216 - 12, sum(STEPS) - 8),
    ),
    "what did not happen is not missing": (
        {"hop_north_south": (None, None)},
        (),
        (1216, sum(STEPS)),
    ),
    "the barrier": (
        {"barrier": [(1, 100), (2, None)]},
        ("time of barrier sync",),
        (1216, 120 * 6),
    ),
    "a hop without a price at all": (
        {"hop_east_west": None},
        ("time of hop_east_west",),
        (1216 - 12, sum(STEPS) - 8),
    ),
    "a hop that nobody takes without a price at all": (
        {"hop_north_south": None},
        (),
        (1216, sum(STEPS)),
    ),
    "static power": ({"static_w": None}, ("energy of static power",), (1216, sum(STEPS))),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_prices_are_listed_and_never_zero(case):
    changes, missing, (energy, latency) = UNKNOWN[case]
    found = snncompile.compile(LAYERS, chip=priced(**changes)).estimate(X)
    assert found.missing == missing
    assert found.dynamic_j == pytest.approx(energy * PICO)
    assert found.latency_s == pytest.approx(latency * NANO)
    for row in found.rows:
        unknown = f"energy of {row.event}" in missing
        assert (row.price_j is None) == (row.energy_j is None)
        assert not unknown or row.energy_j is None


def test_a_static_power_of_zero_is_known():
    found = snncompile.compile(LAYERS, chip=priced(static_w=0)).estimate(X)
    assert found.missing == ()
    assert found.static_j == 0


def test_an_unknown_cost_set(layers):
    with pytest.raises(InputError) as error:
        layers.estimate(X, "cheap")
    assert str(error.value) == "toy has no cost set 'cheap'; it has toy"
    with pytest.raises(InputError) as error:
        snncompile.compile(LAYERS, chip=LOIHI1).estimate(X, "toy")
    assert str(error.value) == "loihi1 has no cost set 'toy'; it has davies2018, sanafe"


def test_the_input_is_checked(layers):
    with pytest.raises(InputError) as error:
        layers.estimate(X + 1)
    assert str(error.value).startswith("input holds values from 1 to 2, expected spikes: 0 or 1;")


# LAYERS on loihi1: one tile; each core's events as above, 6 steps, 36 neurons mapped.
LOIHI1_ENERGY = {
    "davies2018": 24 * 23.6 + 12 * 81 + 24 * 52 + (4 + 6) * 1.7,
    "sanafe": 24 * 35.5 + 36 * 51.2 + 12 * 21.6 + 12 * 69.3 + 10 * 111,
}


@pytest.mark.parametrize("costs", LOIHI1_ENERGY)
def test_both_cost_sets_of_loihi1(costs):
    found = snncompile.compile(LAYERS, chip=LOIHI1).estimate(X, costs)
    assert found.costs == costs
    assert found.dynamic_j == pytest.approx(LOIHI1_ENERGY[costs] * PICO)
    assert found.static_j == pytest.approx(0.104 * found.latency_s)
    assert found.missing == ()


def test_steps_of_loihi1_in_sanafes_prices():
    found = snncompile.compile(LAYERS, chip=LOIHI1).estimate(X, "sanafe")
    fired = 3.7 + 30  # on top of 6.0, for each neuron that fires
    a = [16 * n + 3.8 * 2 * n + 2 * (6 + fired) + 2 * 5.1 for n in (1, 2)]
    b = 16 * 2 + 3.8 * 6 + 3 * (6 + fired) + 3 * 5.1
    c = 16 * 3 + 3.8 * 3 + (6 + fired)
    steps = [3 * 6.0, a[0], b, max(a[1], c), b, c]
    assert found.latency_s == pytest.approx(sum(s + 600 for s in steps) * NANO)


def test_loihi2_says_where_its_prices_come_from(golden):
    found = snncompile.compile(LAYERS, chip=LOIHI2).estimate(X)
    sources = {f"{r.event}: {r.source}" for r in found.rows}
    golden("\n".join([found.title, found.note, *sorted(sources), *found.left_out]) + "\n")
    assert found.latency_s == pytest.approx(6 * 200 * NANO)  # the floor


def test_a_spike_that_arrives_after_the_sample_is_over_brings_nothing():
    """An own delay longer than the sample, by one step and by many."""
    for delay in (3, 4, 5, 6, 9):
        network = changed(integer_chain(1, 1), projection=0, delay=delay + 1)
        program = snncompile.compile(network, chip=TOY)
        counts = {r.event: r.count for r in program.estimate(np.ones((1, 3, 1))).rows}
        assert (counts["synaptic_op"], counts["neuron_inactive"]) == (0, 3)


def test_network_steps(layers):
    assert network_steps(layers, 3) == 6


def wide_chip(compartments: int) -> Chip:
    """Return toy with many small cores on 5 x 4 tiles, and every event priced."""
    chip = limited(
        TOY,
        compartments=compartments,
        synapse_words=10**6,
        axons_in=10**6,
        axons_out=10**6,
        compartment_profiles=99,
        threshold_profiles=99,
    )
    data = chip.model_dump(mode="json")
    mesh = data["mesh"]
    mesh["tile_columns"]["value"], mesh["tile_rows"]["value"] = 5, 4
    mesh["cores"]["value"] = 40
    data["costs"]["toy"]["barrier"] = [{"tiles": 20, "time_ns": number(100, "ns")}]
    chip = Chip.model_validate(data)
    return priced(
        chip,
        neuron_mapped=(1, 0.5),
        neuron_updated=(1, 0.25),
        spike=(1, 7),
        message_out=(1, 11),
        message_in=(1, 13),
    )


def brute_force(program, x):
    """Return {core: [events of each network step]} and [messages by route], spike by spike."""
    network, mapping = program.network, program.mapping
    trains = plain.simulate(network, x)[0] | {"input": x[0].reshape(len(x[0]), -1)}
    steps = len(x[0]) + max(p.phase for p in network.populations)
    found = {s.core: [Counter() for _ in range(steps)] for s in mapping.slices}
    routes = [Counter() for _ in range(steps)]
    hit = {s.core: [set() for _ in range(steps)] for s in mapping.slices}
    for name, own, i in spikes_of(network, trains):
        now = network.phase(name) + own
        if name != "input":
            (home,) = (s for s in mapping.of(name) if i in s.neurons())
            found[home.core][now]["spike"] += 1
        for s in mapping.slices:
            arriving = arrivals(network, name, i, s)
            if arriving and name != "input":
                send(program, home, s, found[home.core][now], routes[now])
            end = network.phase(s.population) + len(x[0])
            due = sorted((now + delay, neuron) for delay, neuron in arriving if now + delay < end)
            receive(due, found[s.core], hit[s.core])
    for s in mapping.slices:
        each = TOY.neurons[network.population(s.population).neuron.kind].whole
        for events, neurons in zip(found[s.core], hit[s.core], strict=True):
            updates(events, s.size * each, len(neurons) * each)
    return found, routes


def receive(due, events, hit) -> None:
    """Count what one spike does to a slice: one message, and each synapse when it is due."""
    for step, _ in due[:1]:
        events[step]["message_in"] += 1
    for step, neuron in due:
        events[step]["synaptic_op"] += 1
        hit[step].add(neuron)


def updates(events, compartments: int, active: int) -> None:
    events["neuron_mapped"] = compartments
    events["neuron_active"] = events["neuron_updated"] = active
    events["neuron_inactive"] = compartments - active


def spikes_of(network, trains):
    """Yield (sender, own step, neuron) of each spike."""
    for name, train in trains.items():
        if name == "input" or network.population(name).neuron.spikes:
            for own, i in np.argwhere(train).tolist():
                yield name, own, i


def arrivals(network, name: str, i: int, s):
    """Return (delay, neuron) of each synapse that a neuron has to a slice."""
    found = []
    for p in network.projections:
        if (p.source, p.target) == (name, s.population):
            wiring = p.synapses.wiring
            reached = wiring.matrix(np.ones(wiring.weight_shape)).toarray()[s.neurons(), i]
            found += [(p.delay, int(t)) for t in np.flatnonzero(reached)]
    return found


def send(program, home, s, events, route) -> None:
    """Count a message from one slice to another."""
    site = {site.core: site for site in program.mapping.sites}
    a, b = site[home.core], site[s.core]
    columns, rows = abs(a.tile_x - b.tile_x), abs(a.tile_y - b.tile_y)
    events["message_out"] += 1
    events["message_within_tile"] += columns == rows == 0
    events["hop_east_west"] += columns
    events["hop_north_south"] += rows
    route[columns, rows] += 1


@settings(max_examples=40)
@given(seed=st.integers(0, 10**9), steps=st.integers(1, 7), compartments=st.integers(2, 5))
def test_every_count_of_every_core_and_step(seed, steps, compartments):
    network = random_integer_network(seed, wild=False)
    assume(sum(p.size for p in network.populations) <= 20)
    program = snncompile.compile(network, chip=wide_chip(compartments))
    agrees_with_brute_force(program, spikes(network, 1, steps, seed))


@settings(max_examples=25)
@given(number=st.integers(0, 10**9), steps=st.integers(1, 4), compartments=st.integers(8, 30))
def test_every_count_with_every_wiring(number, steps, compartments):
    network = differential.network(5, number, (2, 4, 6), steps)
    assume(sum(p.size for p in network.populations) <= 100)
    chip = formatted(wide_chip(compartments), weight_bits=range(1, 9), delay=63)
    program = snncompile.compile(network, chip=chip)
    agrees_with_brute_force(program, spikes(network, 1, steps, number, rate=0.2))


def agrees_with_brute_force(program, x) -> None:
    found, routes = brute_force(program, x)
    (trains,) = batches(program.network, check_spikes(program.network, x))
    cores = list(count(program, trains))
    assert [c.slice for c in cores] == list(program.mapping.slices)
    for core in cores:
        for event, counts in core.events.items():
            wanted = [events[event] for events in found[core.slice.core]]
            assert counts.tolist() == [wanted], (core.slice, event)
    prices = program.chip.costs["toy"].prices
    steps_ns = []
    for now, route in enumerate(routes):
        busy = max(
            sum(events[now][e] * p.time_ns.value for e, p in prices.items() if "hop" not in e)
            for events in found.values()
        )
        longest = max((4 * columns + 6 * rows for columns, rows in route), default=0)
        steps_ns.append(max(busy + longest + 100, 120))
    result = program.estimate(x)
    assert result.latency_s == pytest.approx(sum(steps_ns) * NANO)
    energy = sum(
        events[e] * p.energy_pj.value
        for core_events in found.values()
        for events in core_events
        for e, p in prices.items()
    )
    assert result.dynamic_j == pytest.approx(energy * PICO)
    assert result.missing == ()


def test_a_loop_sends_messages_to_its_own_core():
    network = changed(
        integer_chain(1, 2),
        projections=(
            Projection("input", "a", integer_dense([[4], [0]], 0, 8), 1),
            Projection("a", "a", integer_dense([[0, 4], [4, 0]], 0, 8), 1),
        ),
    )
    program = snncompile.compile(network, chip=TOY)
    found = {r.event: r.count for r in program.estimate([[[1], [0], [0]]]).rows}
    assert found["message_within_tile"] == 3  # one neuron fires in each step, in turns
    assert found["synaptic_op"] == 2 * (1 + 2)


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
    program = snncompile.compile(network, chip=limited(TOY, compartments=2), prune=False)
    assert [u.used["axons_out"] for u in program.usage()] == [2, 2, 0, 0]
    assert [u.used["axons_in"] for u in program.usage()] == [1, 1, 2, 2]
    (trains,) = batches(program.network, np.ones((1, 1, 3), np.uint8))
    assert trains["a"].tolist() == [[[1, 0, 0, 1]]]  # neuron 1 is reached by a weight of zero
    first, second, third, fourth = (
        {event: counts[0].tolist() for event, counts in core.events.items()}
        for core in count(program, trains)
    )
    assert (first["synaptic_op"], second["synaptic_op"]) == ([0, 2, 0], [0, 1, 0])
    assert (first["message_in"], second["message_in"]) == ([0, 1, 0], [0, 1, 0])
    assert (first["neuron_active"], second["neuron_active"]) == ([0, 2, 0], [0, 1, 0])
    assert (first["message_out"], second["message_out"]) == ([0, 1, 0], [0, 1, 0])
    for core in (third, fourth):
        assert core["message_in"] == core["synaptic_op"] == core["neuron_active"] == [0, 0, 1]


def test_two_projections_from_one_source_are_one_message():
    """It comes with the shorter delay; the synapses of the other are read when they are due."""
    network = changed(
        integer_chain(1, 1),
        projections=tuple(
            Projection("input", "a", integer_dense([[2]], 0, 8), delay) for delay in (3, 1)
        ),
    )
    program = snncompile.compile(network, chip=TOY)
    (trains,) = batches(program.network, np.array([[[1], [0], [0], [0]]], np.uint8))
    (core,) = count(program, trains)
    assert core.events["message_in"].tolist() == [[0, 1, 0, 0, 0]]
    assert core.events["synaptic_op"].tolist() == [[0, 1, 0, 1, 0]]
