"""Energy and latency in closed form: by hand on toy, and what is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, apart, changed, integer_chain, spikes
from priced import priced

from snncompile.errors import InputError
from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Mapping, Site
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.reference import simulate
from snncompile.synapses.dense import integer_dense

NANO = 1e-9
PICO = 1e-12

# Input of 2, then a (2 neurons, core 0), b (3, core 1), both on tile 0,0; c (1, core 2) on 1,0.
# Every neuron fires as soon as one spike reaches it. Phases 1, 2, 3.
LAYERS = integer_chain(2, 2, 3, 1, neuron=IntegerCubaLif(4095, 0, 1))
X = np.array([[[1, 0], [0, 0], [1, 1]]])
# Events per layer: 3 input spikes, a fires 2 x 2, b 3 x 2, c 1 x 2; 6 network steps.
NEURONS = ("neuron_active", "neuron_inactive")
TRAVEL = ("message_within_tile", "hop_east_west", "hop_north_south")
COUNTS = {
    "input": {"host_input": 3},
    "a": {"synaptic_op": 3 * 2} | dict(zip((*NEURONS, *TRAVEL), (4, 8, 4, 0, 0), strict=True)),
    "b": {"synaptic_op": 4 * 3} | dict(zip((*NEURONS, *TRAVEL), (6, 12, 0, 6, 0), strict=True)),
    "c": {"synaptic_op": 6, "host_output": 2}
    | dict(zip((*NEURONS, *TRAVEL), (2, 4, 0, 0, 0), strict=True)),
    "chip": {"barrier sync": 6},
}
PRICES = {
    "synaptic_op": 10,
    "neuron_active": 40,
    "neuron_inactive": 20,
    "message_within_tile": 1,
    "hop_east_west": 2,
    "hop_north_south": 3,
    "host_input": 5,
    "host_output": 7,
    "barrier sync": 30,
}
# Nanoseconds of each network step: busiest half of a core or link, then barrier of 2 tiles.
STEPS = [
    9 + 200,  # b: 3 inactive neurons, 3 ns each; a reads 2 synapses
    12 + 200,  # a: 2 active neurons, 2 messages; b: 6 synapses
    15 + 200,  # b: 3 active neurons; the link takes 3 messages, 4 ns each
    12 + 200,  # a as above; c is active and read by the host, 7 ns
    15 + 200,
    9 + 200,  # b; c 7 ns
]
DYNAMIC = 15 + 384 + 612 + 220 + 14 + 180


@pytest.fixture(scope="module")
def layers():
    return apart(LAYERS, chip=TOY)


def test_by_hand(layers):
    found = layers.estimate(X)
    rows = {(r.layer, r.event): (r.count, r.price_j) for r in found.rows}
    wanted = {
        (layer, event): (number_, pytest.approx(PRICES[event] * PICO))
        for layer, events in COUNTS.items()
        for event, number_ in events.items()
    }
    latency = sum(STEPS) * NANO
    assert rows == wanted | {("chip", "static power"): (pytest.approx(latency), 0.001)}
    assert found.latency_s == pytest.approx(latency)
    assert found.dynamic_j == pytest.approx(DYNAMIC * PICO)
    assert found.static_j == pytest.approx(latency * 0.001)
    assert (found.samples, found.steps, found.timing) == (1, 6, "fast")
    assert (found.chip, found.costs, found.title) == ("toy", "toy", "Round prices")
    assert found.missing == ()
    assert (found.label, found.latency_label) == ("energy", "latency")
    assert all(r.source == "made up: made up for tests and explanations" for r in found.rows)


def test_derived_figures(layers):
    found = layers.estimate(X)
    assert found.throughput == pytest.approx(1 / found.latency_s)
    assert found.energy_delay_js == pytest.approx(found.energy_j * found.latency_s)
    assert found.synaptic_ops == 24
    assert found.synaptic_op_j == pytest.approx(found.energy_j / 24)
    # Busier half of a, b, c in each step, over three cores and the whole time.
    busy = (6 + 12 + 8 + 12 + 6 + 6) + (9 + 12 + 15 + 12 + 15 + 9) + (3 + 3 + 6 + 7 + 6 + 7)
    assert found.utilisation == pytest.approx(busy / 3 / sum(STEPS))
    assert found.bounds == {"barrier sync": 1.0}
    assert found.range.energy_j == pytest.approx((found.energy_j, found.energy_j))


def test_rows_add_up(layers):
    found = layers.estimate(X)
    assert all(r.energy_j == r.count * r.price_j for r in found.rows)
    assert found.energy_j == pytest.approx(sum(r.energy_j for r in found.rows), rel=1e-12)
    assert found.energy_j == found.dynamic_j + found.static_j
    assert len({(r.layer, r.event) for r in found.rows}) == len(found.rows)


def test_silence_costs_time_and_inactive_neurons(layers):
    found = layers.estimate(np.zeros_like(X))
    assert found.latency_s == pytest.approx(6 * 209 * NANO)
    assert {r.event for r in found.rows if r.count} == {
        "neuron_inactive",
        "barrier sync",
        "static power",
    }
    assert found.dynamic_j == pytest.approx((6 * 6 * 20 + 6 * 30) * PICO)
    assert found.synaptic_op_j is None


# Changes of toy's costs; nanoseconds of the steps by hand.
LATENCIES = {
    "the floor holds": ({"step_floor_ns": 214}, [214, 214, 215, 214, 215, 214]),
    "the floor is far below": ({"step_floor_ns": 1}, STEPS),
    "no floor is known": ({"step_floor_ns": None}, STEPS),
    "a barrier for three tiles": ({"barrier": [(1, 100), (3, 300)]}, [s + 100 for s in STEPS]),
    "the barrier table begins beyond": ({"barrier": [(4, 400)]}, [s + 200 for s in STEPS]),
    "slow links": ({"hop_east_west": (2, 50)}, [209, 212, 350, 212, 350, 209]),
    "a link the other way": ({"hop_north_south": (3, 500)}, STEPS),
    "slow synapses": ({"synaptic_op": (10, 100)}, [400, 800, 600, 800, 500, 209]),
    "messages leave the core one by one": (
        {"message_out": (0, 10)},
        [209, 232, 245, 232, 245, 209],
    ),
    "messages come one by one": ({"message_in": (0, 10)}, [214, 232, 236, 232, 236, 209]),
    "a slow host": ({"host_input": (5, 100)}, [300, 212, 400, 212, 215, 209]),
    "slow reading": ({"host_output": (7, 100)}, [209, 212, 215, 305, 215, 305]),
}


@pytest.mark.parametrize("case", LATENCIES)
def test_latency_by_hand(case):
    changes, steps = LATENCIES[case]
    found = apart(LAYERS, chip=priced(**changes)).estimate(X)
    assert found.by_step.seconds[0] == pytest.approx(np.array(steps) * NANO)


# Changes of toy's costs; what bounds the six steps.
BOUNDS = {
    "slow links": (
        {"hop_east_west": (2, 500)},
        ["barrier sync", "barrier sync", "link 0,0 east", "barrier sync", "link 0,0 east"],
    ),
    "slow synapses": (
        {"synaptic_op": (10, 150)},
        [f"core {c} receiving" for c in (0, 1, 0, 1, 2)],
    ),
    "slow neurons": (
        {"neuron_active": (40, 300)},
        ["barrier sync", "core 0 sending", "core 1 sending", "core 0 sending", "core 1 sending"],
    ),
    "a slow host": ({"host_input": (5, 300)}, ["the host sending"]),
    "the floor": ({"step_floor_ns": 1000}, ["shortest time step"] * 6),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_what_bounds_a_step(case):
    changes, names = BOUNDS[case]
    by = apart(LAYERS, chip=priced(**changes)).estimate(X).by_step
    assert [by.bound_names[i] for i in by.bound[0]][: len(names)] == names


def test_one_tile_has_the_short_barrier():
    found = apart(integer_chain(1, 1), chip=TOY).estimate([[[1]]])
    # 2 network steps: 3 ns inactive, then 5 and 2 ns; both below the floor
    assert found.latency_s == pytest.approx(2 * 120 * NANO)
    free = priced(step_floor_ns=0)
    found = apart(integer_chain(1, 1), chip=free).estimate([[[1]]])
    assert found.latency_s == pytest.approx((103 + 107) * NANO)


def test_routes_across_rows_and_columns(layers):
    """b on tile 1,2: a's 4 messages from 0,0 and its own 6 to c on 0,1 take other numbers of links.

    Of a 1 east and 2 south each, of b 1 west and 1 north.
    """
    sites = (Site(0, 0, 0), Site(1, 1, 2), Site(2, 0, 1))
    rows = TOY.mesh.tile_rows.model_copy(update={"value": 3.0})
    tall = TOY.model_copy(update={"mesh": TOY.mesh.model_copy(update={"tile_rows": rows})})
    moved = dataclasses.replace(layers, chip=tall, mapping=Mapping(layers.mapping.slices, sites))
    found = {(r.layer, r.event): r.count for r in moved.estimate(X).rows}
    assert (found["a", "hop_east_west"], found["a", "hop_north_south"]) == (4, 8)
    assert (found["b", "hop_east_west"], found["b", "hop_north_south"]) == (6, 6)
    assert found["a", "message_within_tile"] == found["b", "message_within_tile"] == 0


def test_two_chips(layers):
    """c on a second chip, a column further: its messages cross a border and a link."""
    sites = (Site(0, 0, 0), Site(1, 0, 0), Site(2, 1, 0, chip=1))
    moved = dataclasses.replace(layers, mapping=Mapping(layers.mapping.slices, sites))
    found = moved.estimate(X)
    rows = {(r.layer, r.event): r.count for r in found.rows}
    # Columns 0 and 3 of four: three borders, one of them between the chips.
    assert rows["b", "chip_crossing"] == 6
    assert rows["b", "hop_east_west"] == 12
    assert rows["chip", "barrier sync"] == 12
    assert found.static_j == pytest.approx(2 * 0.001 * found.latency_s)
    steps = [509, 512, 500 + 3 * 50, 512, 500 + 3 * 50, 509]
    assert found.by_step.seconds[0] == pytest.approx(np.array(steps) * NANO)


def test_the_mean_over_samples(layers):
    x = spikes(LAYERS, 5, 4, seed=3)
    alone = [layers.estimate(sample[None]) for sample in x]
    whole = layers.estimate(x)
    assert whole.samples == 5
    assert whole.latency_s == pytest.approx(np.mean([e.latency_s for e in alone]))
    assert whole.energy_j == pytest.approx(np.mean([e.energy_j for e in alone]))
    counts = {(r.layer, r.event): r.count for r in whole.rows}
    for key, count in counts.items():
        each = [r.count for e in alone for r in e.rows if (r.layer, r.event) == key]
        assert count == pytest.approx(sum(each) / 5)
    twice = layers.estimate(np.concatenate([x, x]))
    assert twice.energy_j == pytest.approx(whole.energy_j)
    assert twice.latency_s == pytest.approx(whole.latency_s)


@pytest.mark.parametrize("model", ["fast", "cycle"])
def test_batches_do_not_change_the_estimate(layers, model, monkeypatch):
    x = spikes(LAYERS, 5, 4, seed=3)
    whole = layers.estimate(x, timing=model)
    monkeypatch.setattr(simulate, "MEMORY_BYTES", 1)
    seen = []
    parts = layers.estimate(x, timing=model, progress=lambda *done: seen.append(done))
    assert seen == [(i, 5) for i in range(1, 6)]
    assert [(r.layer, r.event) for r in parts.rows] == [(r.layer, r.event) for r in whole.rows]
    assert [r.count for r in parts.rows[:-1]] == [r.count for r in whole.rows[:-1]]
    assert parts.latency_s == pytest.approx(whole.latency_s)
    assert parts.bounds == pytest.approx(whole.bounds)


# Changes of toy's costs; what the result lists as missing, dynamic energy in pJ, latency in ns.
UNKNOWN = {
    "an energy": (
        {"synaptic_op": (None, 2)},
        ("energy of synaptic_op",),
        (DYNAMIC - 240, sum(STEPS)),
    ),
    "a time": (
        {"neuron_active": (40, None)},
        ("energy of static power in missing times", "time of neuron_active"),
        (DYNAMIC, 209 + 4 * 212 + 209),
    ),
    "both": (
        {"hop_east_west": (None, None)},
        (
            "energy of hop_east_west",
            "energy of static power in missing times",
            "time of hop_east_west",
        ),
        (DYNAMIC - 12, sum(STEPS)),
    ),
    "what did not happen is not missing": (
        {"hop_north_south": (None, None)},
        (),
        (DYNAMIC, sum(STEPS)),
    ),
    "the barrier": (
        {"barrier": [(1, 100), (2, None)]},
        ("energy of static power in missing times", "time of barrier sync"),
        (DYNAMIC, 120 * 6),
    ),
    "the barrier's energy": (
        {"barrier_energy_pj": None},
        ("energy of barrier sync",),
        (DYNAMIC - 180, sum(STEPS)),
    ),
    "a hop without a price at all": (
        {"hop_east_west": None},
        (
            "energy of hop_east_west",
            "energy of static power in missing times",
            "time of hop_east_west",
        ),
        (DYNAMIC - 12, sum(STEPS)),
    ),
    "a hop that nobody takes without a price at all": (
        {"hop_north_south": None},
        (),
        (DYNAMIC, sum(STEPS)),
    ),
    "the host": (
        {"host_input": None, "host_output": (7, None)},
        (
            "energy of host_input",
            "energy of static power in missing times",
            "time of host_input",
            "time of host_output",
        ),
        (DYNAMIC - 15, sum(STEPS)),
    ),
    "static power": ({"static_w": None}, ("energy of static power",), (DYNAMIC, sum(STEPS))),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_prices_are_listed_and_never_zero(case):
    changes, missing, (energy, latency) = UNKNOWN[case]
    found = apart(LAYERS, chip=priced(**changes)).estimate(X)
    assert found.missing == missing
    assert found.dynamic_j == pytest.approx(energy * PICO)
    assert found.latency_s == pytest.approx(latency * NANO)
    for row in found.rows:
        unknown = f"energy of {row.event}" in missing
        assert (row.price_j is None) == (row.energy_j is None)
        assert not unknown or row.energy_j is None
    for part, label in (("energy", found.label), ("time", found.latency_label)):
        lacks = [m.removeprefix(f"{part} of ") for m in missing if m.startswith(part)]
        what = "energy" if part == "energy" else "latency"
        assert label == (f"{what} without {', '.join(lacks)}" if lacks else what)


def test_a_static_power_of_zero_is_known():
    found = apart(LAYERS, chip=priced(static_w=0)).estimate(X)
    assert found.missing == ()
    assert found.static_j == 0


def test_an_unknown_cost_set(layers):
    with pytest.raises(InputError) as error:
        layers.estimate(X, "cheap")
    assert str(error.value) == "toy has no cost set 'cheap'; it has toy"
    with pytest.raises(InputError) as error:
        apart(LAYERS, chip=LOIHI1).estimate(X, "toy")
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
    found = apart(LAYERS, chip=LOIHI1).estimate(X, costs)
    assert found.costs == costs
    assert found.dynamic_j == pytest.approx(LOIHI1_ENERGY[costs] * PICO)
    assert found.static_j == pytest.approx(0.104 * found.latency_s)
    overheads = ("barrier sync", "host_input", "host_output", "static power in missing times")
    assert [m for m in found.missing if m.startswith("energy")] == [
        f"energy of {event}" for event in overheads
    ]


def test_the_range_spans_the_sets_and_the_published_error():
    program = apart(LAYERS, chip=LOIHI1)
    both = {name: program.estimate(X, name) for name in LOIHI1_ENERGY}
    energies = [found.energy_j for found in both.values()]
    assert both["davies2018"].range.energy_j == pytest.approx((min(energies), max(energies)))
    assert both["davies2018"].range.because == ("the cost sets davies2018, sanafe",)
    followed = program.estimate(X, "davies2018", timing="cycle")
    assert followed.range.because == (
        "the cost sets davies2018, sanafe (latencies of the others: scaled as the closed form"
        " says)",
    )
    times = [both[name].latency_s for name in ("davies2018", "sanafe")]
    assert followed.range.latency_s[1] == pytest.approx(followed.latency_s * times[1] / times[0])
    found = both["sanafe"]
    high, low = found.energy_j * 1.12, min(found.energy_j * 0.88, *energies)
    assert found.range.energy_j == pytest.approx((low, max(high, *energies)))
    assert found.range.latency_s[1] == pytest.approx(found.latency_s * 1.25)
    assert found.range.because[1:] == (
        "12% error of energy published for sanafe",
        "25% error of latency published for sanafe",
    )


def test_steps_of_loihi1_in_sanafes_prices():
    found = apart(LAYERS, chip=LOIHI1).estimate(X, "sanafe")
    fired = 6 + 3.7 + 30
    a = 2 * (fired + 5.1)
    b = 3 * (fired + 5.1)
    steps = [max(3 * 6.0, 16 + 2 * 3.8), a, b, a, b, 39.7]
    assert found.by_step.seconds[0] == pytest.approx(np.array([s + 600 for s in steps]) * NANO)


def test_loihi2_says_where_its_prices_come_from(golden):
    found = apart(LAYERS, chip=LOIHI2).estimate(X)
    sources = {f"{r.event}: {r.source}" for r in found.rows}
    golden("\n".join([found.title, found.note, *sorted(sources), *found.left_out]) + "\n")
    assert found.latency_s == pytest.approx(6 * 200 * NANO)  # the floor


def test_a_loop_sends_messages_to_its_own_core():
    network = changed(
        integer_chain(1, 2),
        projections=(
            Projection("input", "a", integer_dense([[4], [0]], 0, 8), 1),
            Projection("a", "a", integer_dense([[0, 4], [4, 0]], 0, 8), 1),
        ),
    )
    program = apart(network, chip=TOY, sparse="off")
    found = {r.event: r.count for r in program.estimate([[[1], [0], [0]]]).rows}
    assert found["message_within_tile"] == 3  # one neuron fires in each step, in turns
    assert found["synaptic_op"] == 2 * (1 + 3)  # the last one's are sent, too
