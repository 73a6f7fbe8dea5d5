"""Retime: phases against brute force, spikes unchanged, loops and long delays refused."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import (
    TOY,
    chain,
    changed,
    design,
    formatted,
    joined,
    random_integer_network,
    random_network,
    spikes,
)

from snncompile.errors import UnsupportedError
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import run_batches

SEEDS = st.integers(0, 10**9)


# Projections (source, target, own delay); phases, delays on the chip, the line in the log.
RETIMED = {
    "chain": (
        joined(("input", "a", 0), ("a", "b", 0)),
        {"a": 1, "b": 2},
        [1, 1],
        "retime: b starts in step 2 of 2",
    ),
    "skip": (
        joined(("input", "a", 0), ("a", "b", 0), ("input", "b", 0)),
        {"a": 1, "b": 2},
        [1, 1, 2],
        "retime: b starts in step 2 of 2, longest delay 2",
    ),
    "delays of one are there already": (
        joined(("input", "a", 1), ("a", "b", 1)),
        {"a": 0, "b": 0},
        [1, 1],
        "retime: b starts in step 0 of 0",
    ),
    "an own delay is kept": (
        joined(("input", "a", 3), ("a", "b", 0), ("input", "b", 2)),
        {"a": 0, "b": 1},
        [3, 1, 3],
        "retime: b starts in step 1 of 1, longest delay 3",
    ),
    "two delays from one source": (
        joined(("input", "a", 2), ("input", "a", 0), ("a", "b", 0)),
        {"a": 1, "b": 2},
        [3, 1, 1],
        "retime: b starts in step 2 of 2, longest delay 3",
    ),
    "a loop with a delay of its length": (
        joined(("input", "a", 0), ("a", "b", 0), ("b", "a", 2)),
        {"a": 1, "b": 2},
        [1, 1, 1],
        "retime: b starts in step 2 of 2",
    ),
    "a loop to itself": (
        joined(("input", "a", 0), ("a", "a", 1), ("a", "b", 0)),
        {"a": 1, "b": 2},
        [1, 1, 1],
        "retime: b starts in step 2 of 2",
    ),
    "a loop that starts late": (
        joined(("a", "b", 1), ("b", "a", 1), ("input", "b", 0)),
        {"a": 1, "b": 1},
        [1, 1, 1],
        "retime: b starts in step 1 of 1",
    ),
    "a population that nothing feeds starts late": (
        joined(("input", "a", 0), ("a", "b", 0), ("c", "b", 0), names="abc"),
        {"a": 1, "b": 2, "c": 1},
        [1, 1, 1],
        "retime: b starts in step 2 of 2",
    ),
    "as late as its earliest target allows": (
        joined(("input", "a", 0), ("a", "b", 0), ("c", "b", 0), ("c", "a", 0), names="abc"),
        {"a": 1, "b": 2, "c": 0},
        [1, 1, 2, 1],
        "retime: b starts in step 2 of 2, longest delay 2",
    ),
    "nothing fed, nothing sent": (
        joined(("input", "a", 0), output="a"),
        {"a": 1, "b": 0},
        [1],
        "retime: a starts in step 1 of 1",
    ),
    "no projections at all": (
        joined(output="a", names="a"),
        {"a": 0},
        [],
        "retime: a starts in step 0 of 0",
    ),
}


@pytest.mark.parametrize("case", RETIMED)
def test_by_hand(case):
    network, phases, delays, log = RETIMED[case]
    found = Retime()(design(network))
    assert {p.name: p.phase for p in found.network.populations} == phases
    assert [p.delay for p in found.network.projections] == delays
    assert found.log == (log,)


def test_text(golden):
    """b waits for a and c for b; a delay is its own and the steps between the starts of both."""
    early = (("input", "a", 0), ("input", "b", 0), ("a", "b", 0))
    late = (("a", "c", 2), ("b", "c", 0), ("c", "b", 3))
    network = joined(*early, *late, output="c", names="abc")
    golden(str(Retime()(design(network)).network))


@settings(max_examples=60)
@given(seed=SEEDS)
def test_phases_are_the_smallest_there_are(seed):
    """Of all phases that leave every delay at 1 or more; the largest for what nothing feeds."""
    network = random_network(seed)
    names = [p.name for p in network.populations]
    assume(len(names) <= 4)
    projections = [(p.source, p.target, network.own_delay(p)) for p in network.projections]

    def possible(at):
        return all(at[t] - at[s] + delay >= 1 for s, t, delay in projections)

    every = [
        at
        for phases in product(range(len(names) + 1), repeat=len(names))
        if possible(at := dict(zip(names, phases, strict=True)) | {"input": 0})
    ]
    found = {p.name: p.phase for p in Retime()(design(network)).network.populations}
    for name in names:
        if network.into(name) or not network.out_of(name):
            assert found[name] == min(at[name] for at in every)
        else:
            assert not possible(found | {"input": 0, name: found[name] + 1})
    assert possible(found | {"input": 0})


@given(seed=SEEDS)
def test_delays_are_at_least_one_and_own_delays_unchanged(seed):
    network = random_network(seed)
    found = Retime()(design(network)).network
    assert all(p.delay >= 1 for p in found.projections)
    for old, new in zip(network.projections, found.projections, strict=True):
        assert (old.source, old.target) == (new.source, new.target)
        assert found.own_delay(new) == network.own_delay(old)
        assert new.synapses is old.synapses
    assert [(p.name, p.shape, p.neuron) for p in found.populations] == [
        (p.name, p.shape, p.neuron) for p in network.populations
    ]
    assert (found.output, found.title, found.input) == (
        network.output,
        network.title,
        network.input,
    )


@given(seed=SEEDS)
def test_some_delay_of_every_population_is_one(seed):
    """Else it could start earlier (fed) or later (not fed, but sending)."""
    network = Retime()(design(random_network(seed))).network
    for population in network.populations:
        into, out = network.into(population.name), network.out_of(population.name)
        if into and population.phase > 0:
            assert min(p.delay for p in into) == 1
        if out and not into:
            assert min(p.delay for p in out) == 1


@settings(max_examples=50)
@given(seed=SEEDS, steps=st.integers(1, 7))
def test_every_spike_is_the_same_before_and_after(seed, steps):
    """Exactly, in every population: only the start moves."""
    network = random_network(seed)
    x = spikes(network, 3, steps, seed).astype(float)
    before, after = (
        next(iter(run_batches(made, x))) for made in (network, Retime()(design(network)).network)
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@given(seed=SEEDS)
def test_twice_is_once(seed):
    once = Retime()(design(random_network(seed)))
    twice = Retime()(once)
    assert str(twice.network) == str(once.network)
    assert twice.log == once.log * 2


def test_an_integer_network_is_retimed_too():
    network = random_integer_network(3)
    shifted = dataclasses.replace(
        network,
        populations=tuple(dataclasses.replace(p, phase=p.phase + 5) for p in network.populations),
        projections=tuple(
            dataclasses.replace(p, delay=p.delay + 5) if p.source == "input" else p
            for p in network.projections
        ),
    )
    fed = all(network.into(p.name) for p in network.populations)
    assert fed
    assert str(Retime()(design(shifted)).network) == str(network)
    x = spikes(network, 2, 6)
    assert np.array_equal(shifted.run(x).spikes, network.run(x).spikes)


# Projections of a loop that the chip cannot keep, whole message.
TOO_SHORT = [
    (
        [("input", "a", 0), ("a", "b", 0), ("b", "a", 1)],
        "loop a -> b -> a has a delay of 1 over 2 projections; every projection of the chip takes"
        " one step: give the loop a delay of 2 or more",
    ),
    (
        [("a", "b", 2), ("b", "a", 1), ("b", "a", 0), ("a", "b", 1)],
        "loop a -> b -> a has a delay of 1 over 2 projections; every projection of the chip takes"
        " one step: give the loop a delay of 2 or more",
    ),
    (
        [("a", "b", 0), ("b", "c", 1), ("c", "a", 1)],
        "loop a -> b -> c -> a has a delay of 2 over 3 projections; every projection of the chip"
        " takes one step: give the loop a delay of 3 or more",
    ),
]


@pytest.mark.parametrize("projections, message", TOO_SHORT)
def test_a_loop_that_is_too_short(projections, message):
    with pytest.raises(UnsupportedError) as error:
        Retime()(design(joined(*projections, names="abc")))
    loop, rest = str(error.value).split(" has a delay")
    wanted, same = message.split(" has a delay")
    assert rest == same
    names = loop.removeprefix("loop ").split(" -> ")
    assert names[0] == names[-1]  # where a loop begins does not matter
    assert rotated(names) == rotated(wanted.removeprefix("loop ").split(" -> "))


def rotated(names: list[str]) -> list[str]:
    inner = names[:-1]
    first = inner.index(min(inner))
    return inner[first:] + inner[:first]


def test_a_delay_the_chip_does_not_have():
    """62 steps on top of the one that every synapse takes; see `test_delay_relays.py`."""
    fits = joined(("input", "a", 63), ("a", "b", 0))
    assert Retime()(design(fits)).network.projections[0].delay == 63
    far = joined(("input", "a", 64), ("a", "b", 0))
    assert [p.name for p in Retime()(design(far)).network.populations] == ["input_relay", "a", "b"]


def test_a_chip_without_a_known_limit_takes_any_delay():
    far = joined(("input", "a", 1000), ("a", "b", 0))
    assert Retime()(design(far, formatted(TOY, delay=None))).network.projections[0].delay == 1000


def test_a_chip_without_extra_delay_relays_a_skip():
    skip = RETIMED["skip"][0]
    found = Retime()(design(skip, formatted(TOY, delay=0))).network
    assert [p.name for p in found.populations] == ["input_relay", "a", "b"]
    assert {p.delay for p in found.projections} == {1}


def test_phases_given_before_count_as_part_of_the_delay():
    network = changed(chain(1, 1, 1, delay=4), "b", phase=3)  # own delay of a -> b: 1
    network = changed(network, "a", phase=4)
    found = Retime()(design(network)).network
    assert [network.own_delay(p) for p in network.projections] == [0, 5]
    assert [p.phase for p in found.populations] == [1, 0]
    assert [p.delay for p in found.projections] == [1, 4]
