"""Relays: the same spikes where the chip cannot delay as long, on Lava too; what they take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design, formatted, joined, random_network, spikes

import snncompile
from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif, TernaryLif
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import dense, integer_dense

SEEDS = st.integers(0, 10**9)


def without(chip: Chip, *kinds: str) -> Chip:
    """Return the chip with an extra delay of 1 and without some neurons."""
    data = formatted(chip, delay=1).model_dump(mode="json")
    for kind in kinds:
        del data["neurons"][kind]
    return Chip.model_validate(data)


def test_by_hand():
    """At most 3 steps a hop: c waits 7 steps; d and e, 4 and 5 steps, share its first relay."""
    ends = [("a", "b", 3), ("a", "c", 8), ("a", "d", 5), ("a", "e", 6)]
    network = joined(("input", "a", 0), *ends, names="abcde")
    found = Retime()(design(network, formatted(TOY, delay=2)))
    assert [(p.name, p.phase) for p in found.network.populations] == [
        ("a", 1),
        ("a_relay", 4),
        ("a_relay_2", 7),
        ("b", 0),
        ("c", 0),
        ("d", 0),
        ("e", 0),
    ]
    assert [(p.source, p.target, p.delay) for p in found.network.projections] == [
        ("input", "a", 1),
        ("a", "b", 2),
        ("a_relay_2", "c", 1),
        ("a_relay", "d", 1),
        ("a_relay", "e", 2),
        ("a", "a_relay", 3),
        ("a_relay", "a_relay_2", 3),
    ]
    assert found.log == (
        "retime: b starts in step 0 of 1, longest delay 7, 2 relay neurons in 2 populations",
    )


@settings(max_examples=60)
@given(seed=SEEDS, extra=st.integers(0, 3), steps=st.integers(1, 9))
def test_every_spike_is_the_same_and_no_delay_too_long(seed, extra, steps):
    network = random_network(seed)
    x = spikes(network, 3, steps, seed).astype(float)
    found = Retime()(design(network, formatted(LOIHI2, delay=extra))).network
    assert all(1 <= p.delay <= extra + 1 for p in found.projections)
    before, after = (next(iter(run_batches(made, x))) for made in (network, found))
    for name, train in before.items():
        assert (after[name] == train).all()
    assert len({p.name for p in found.populations}) == len(found.populations)


@settings(max_examples=30)
@given(seed=SEEDS, extra=st.integers(0, 2))
def test_integers_keep_their_spikes_too(seed, extra):
    network = snncompile.compile(random_network(seed), chip=LOIHI2).network
    x = spikes(network, 3, 7, seed)
    found = Retime()(design(network, formatted(LOIHI2, delay=extra))).network
    assert all(1 <= p.delay <= extra + 1 for p in found.projections)
    before, after = (next(iter(run_batches(made, x))) for made in (network, found))
    for name, train in before.items():
        assert (after[name] == train).all()
    snncompile.compile(found, chip=formatted(LOIHI2, delay=extra))  # every number is in range


def skip(neuron, *, weight: float = 1.0) -> Network:
    """Return input -> a, a -> b and a far projection a -> b."""
    return Network(
        Input("input", (3,)),
        (Population("a", (3,), neuron), Population("b", (2,), CubaLif(1.0, 0.5, 0.4))),
        (
            Projection("input", "a", dense(np.eye(3) * weight)),
            Projection("a", "b", dense([[0.5, -0.25, 0.25], [0.3, 0.3, -0.6]])),
            Projection("a", "b", dense([[0.2, 0.4, 0.1], [-0.3, 0.5, 0.6]]), 6),
        ),
        "b",
    )


NEURONS = {
    "plain": (CubaLif(1.0, 0.0, 0.9), LOIHI2, "integrate_fire/hard"),
    "no integrate-and-fire": (
        CubaLif(1.0, 0.0, 0.9),
        without(LOIHI2, "integrate_fire/hard"),
        "cuba_lif/hard",
    ),
    "signed": (TernaryLif(1.0, 0.0, 0.9, -0.9), LOIHI2, "ternary_lif"),
    "signed, with memory": (SignedIntegrateFire(0.9), LOIHI2, "ternary_lif"),
}


@pytest.mark.parametrize("case", NEURONS)
def test_the_relay_is_a_neuron_of_the_chip(case):
    neuron, chip, kind = NEURONS[case]
    network, chip = skip(neuron), formatted(chip, delay=1)
    program = snncompile.compile(network, chip=chip)
    relays = [p for p in program.network.populations if "relay" in p.name]
    assert [p.neuron.kind for p in relays] == [kind] * 3
    x = np.random.default_rng(1).choice([0, 1], (4, 12, 3))
    (before,) = run_batches(snncompile.compile(network, chip=LOIHI2).network, x.astype(np.uint8))
    (after,) = run_batches(program.network, x.astype(np.uint8))
    assert (before["b"] == after["b"]).all()
    assert before["a"].any()
    assert [s.size for p in relays for s in program.mapping.of(p.name)] == [3] * 3


def test_what_no_neuron_of_the_chip_passes_on():
    with pytest.raises(FitError) as error:
        Retime()(design(skip(TernaryLif(1.0, 0.0, 0.9, -0.9)), formatted(LOIHI1, delay=2)))
    assert str(error.value) == (
        "projection a -> b: needs 6 steps of extra delay, the chip allows 2; loihi1 has no neuron"
        " that passes on values from -1 to 1; shorten the path it skips"
    )
    assert (error.value.need, error.value.limit) == (6, 2)


def integers(neuron) -> IntegerNetwork:
    return IntegerNetwork(
        Input("input", (4,)),
        (Population("a", (4,), neuron), Population("b", (3,), IntegerCubaLif(4095, 100, 40))),
        (
            Projection("input", "a", integer_dense(np.eye(4) * 60, 0, 8)),
            Projection("a", "b", integer_dense(np.full((3, 4), 30), 0, 8), 1),
            Projection("a", "b", integer_dense(np.arange(12).reshape(3, 4) * 10 - 60, 0, 8), 7),
            Projection("input", "b", integer_dense(np.full((3, 4), -8), 0, 8), 5),
        ),
        "b",
    )


@pytest.mark.lava
@pytest.mark.parametrize(
    "neuron", [IntegerCubaLif(4095, 0, 30), IntegerTernaryLif(4095, 900, 70, -20)]
)
def test_on_lava(neuron, lava):
    program = snncompile.compile(integers(neuron), chip=formatted(LOIHI2, delay=2))
    assert sum("relay" in p.name for p in program.network.populations) == 3
    x = spikes(program.network, 4, 14, 5)
    found = program.verify(x)
    assert found.equal
    assert found.comparison("integer", "lava").equal
    assert program.run(x).spikes.any()
