"""Neurons that hear more than a core holds: the same numbers by way of partial sums."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    LOIHI2,
    design,
    formatted,
    integer_chain,
    limited,
    random_integer_network,
    spikes,
)

import snncompile
from snncompile.errors import FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input
from snncompile.neurons.base import Interval
from snncompile.passes.accumulate import Accumulate
from snncompile.passes.usage import usage
from snncompile.reference.simulate import batches, check_spikes
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.sparse import Sparse

SEEDS = st.integers(0, 10**9)


def small(axons: int | None = None, words: int | None = None) -> Chip:
    """Return a Loihi 2 whose cores hear little."""
    given = {"axons_in": axons, "synapse_words": words}
    return limited(LOIHI2, cores=5000, **{k: v for k, v in given.items() if v})


def same_spikes(network, other, x) -> None:
    """Compare every population that there was before, in its own steps."""
    x = check_spikes(network, x)
    before, after = (next(iter(batches(made, x))) for made in (network, other))
    for name, train in before.items():
        assert (after[name] == train).all(), name


def layer(weight, exponent: int, *, bits: int = 8):
    """Return input -> a with these weights."""
    network = integer_chain(np.shape(weight)[1], np.shape(weight)[0])
    synapses = integer_dense(weight, exponent, bits)
    (projection,) = network.projections
    return dataclasses.replace(
        network, projections=(dataclasses.replace(projection, synapses=synapses),)
    )


def test_by_hand():
    """Five sources, two axons a core: three parts; three sums are too many again: two parts."""
    network = layer([[2, 4, 6, 8, -10], [-2, -2, -2, -2, -2]], -3)
    found = Accumulate()(design(network, small(axons=2)))
    first, second, third = (p.synapses for p in found.network.projections)
    assert [(p.name, p.size, p.phase) for p in found.network.populations] == [
        ("a_sum", 6, 1),
        ("a_sum_2", 4, 2),
        ("a", 2, 3),
    ]
    assert first.wiring.matrix(first.weight).toarray().tolist() == [
        [2, 4, 0, 0, 0],
        [-2, -2, 0, 0, 0],
        [0, 0, 6, 8, 0],
        [0, 0, -2, -2, 0],
        [0, 0, 0, 0, -10],
        [0, 0, 0, 0, -2],
    ]
    assert second.wiring.pattern.toarray().tolist() == [
        [1, 0, 1, 0, 0, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert third.wiring.pattern.toarray().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]
    assert (set(second.weight), set(third.weight)) == ({2}, {2})
    assert (first.exponent, second.exponent, third.exponent) == (-1, -1, -3)
    assert found.network.populations[0].neuron.payload == Interval(-5, 7)
    assert found.log[-1] == "accumulate: 10 relay neurons in 2 populations"


def test_nothing_to_do():
    network = layer([[2, 4, 6, 8]], 0)  # a full core
    found = Accumulate()(design(network, small(axons=4)))
    assert found.network is network
    assert found.log == ("accumulate: no relays added",)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    sources=st.integers(3, 40),
    exponent=st.sampled_from([-7, -3, -1, 0, 2, 7]),
    bits=st.integers(2, 8),
    limits=st.sampled_from([{"axons": 2}, {"axons": 5}, {"words": 4}, {"axons": 9, "words": 7}]),
    dense=st.booleans(),
)
def test_the_same_spikes_on_cores_that_hear_little(seed, sources, exponent, bits, limits, dense):
    """Graded input, rounding exponents, wraps, missing synapses; the mapping is checked too."""
    rng = np.random.default_rng(seed)
    step = 2 ** (9 - bits)
    weight = rng.integers(-256 // step, 255 // step + 1, (3, sources)) * step
    network = layer(weight, exponent, bits=bits)
    if not dense:
        (projection,) = network.projections
        target, source = np.nonzero(rng.random(weight.shape) < 0.7)
        order = rng.permutation(len(target))
        wiring = Sparse(target[order], source[order], *weight.shape)
        synapses = dataclasses.replace(
            projection.synapses, wiring=wiring, weight=weight[target, source][order]
        )
        network = dataclasses.replace(
            network, projections=(dataclasses.replace(projection, synapses=synapses),)
        )
    network = dataclasses.replace(network, input=Input("input", (sources,), Interval(-3, 9)))
    program = snncompile.compile(network, chip=small(**limits), prune=False, placement="linear")
    x = rng.integers(-3, 10, (4, 6, sources))
    same_spikes(network, program.network, x)
    for core in usage(program.network, program.chip, program.mapping):
        assert core.used["axons_in"] <= limits.get("axons", 10**9)
        assert core.used["synapse_words"] <= limits.get("words", 10**9)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, axons=st.integers(2, 5), steps=st.integers(1, 8))
def test_whole_networks_keep_their_spikes(seed, axons, steps):
    """Delays, several projections, skips, neurons of all kinds; relays in front of many."""
    network = random_integer_network(seed, loops=False)
    found = Accumulate()(design(network, small(axons=axons))).network
    same_spikes(network, found, spikes(network, 3, steps, seed))
    assert all(p.delay >= 1 for p in found.projections)


def test_a_loop_has_to_wait_for_the_sum():
    network = integer_chain(2, 6)
    (into,) = network.projections
    loop = dataclasses.replace(into, source="a", synapses=integer_dense(np.full((6, 6), 2), 0, 8))
    network = dataclasses.replace(network, projections=(into, loop))
    with pytest.raises(UnsupportedError, match=r"loop .* give the loop a delay of 2 or more"):
        Accumulate()(design(network, small(axons=4)))
    later = dataclasses.replace(loop, delay=2)
    network = dataclasses.replace(network, projections=(into, later))
    found = Accumulate()(design(network, small(axons=4))).network
    assert [p.name for p in found.populations] == ["a_sum", "a"]
    same_spikes(network, found, spikes(network, 3, 9))


def test_what_cannot_be_summed():
    network = layer([[254] * 9], 0)
    wide = dataclasses.replace(network, input=Input("input", (9,), Interval(0, 2**17)))
    with pytest.raises(FitError) as error:
        Accumulate()(design(wide, small(axons=5)))
    assert str(error.value) == (
        "projection input -> a: needs 83,230,720 as the largest partial sum, the chip allows"
        " 8,388,607; its sources have to be split over cores; send smaller numbers"
    )
    chip = formatted(small(axons=5), weight_exponent_lowest=0)
    with pytest.raises(QuantizeError, match=r"weight exponent -1 is outside 0\.\.7"):
        Accumulate()(design(network, chip))


@pytest.mark.lava
def test_on_lava(lava):
    rng = np.random.default_rng(1)
    network = integer_chain(40, 12, 6)
    projections = tuple(
        dataclasses.replace(
            p,
            synapses=integer_dense(
                rng.integers(-100, 100, p.synapses.weight.shape) * 2, exponent, 8
            ),
        )
        for p, exponent in zip(network.projections, (-3, -5), strict=True)
    )
    network = dataclasses.replace(network, projections=projections)
    program = snncompile.compile(network, chip=small(axons=5), prune=False)
    names = [p.name for p in program.network.populations]
    assert names == ["a_sum", "a_sum_2", "a", "b_sum", "b"]
    found = program.verify(spikes(network, 3, 12, 2))
    assert found.comparison("integer", "lava").equal
    assert found.equal
    rates = {a.population: a.rate for a in found.activity}
    assert 0.1 < rates["b"] < 0.9
