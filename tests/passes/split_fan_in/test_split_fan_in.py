"""Neurons that hear more than a core holds: the same numbers by way of partial sums."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    PACKED,
    design,
    formatted,
    integer_chain,
    limited,
    random_integer_network,
    same_spikes,
    spikes,
)
from stored_synapses import list_stored_synapses

import snncompile
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input
from snncompile.neurons.base import Interval
from snncompile.passes.split_fan_in.split_fan_in import Accumulate
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.sparse import Sparse

SEEDS = st.integers(0, 10**9)


def small(axons: int | None = None, words: int | None = None) -> Chip:
    """Return a Loihi 2 whose cores hear little."""
    given = {"axons_in": axons, "synapse_words": words}
    return limited(PACKED, cores=5000, **{k: v for k, v in given.items() if v})


def layer(weight, exponent: int, *, bits: int = 8):
    """Return input -> a with these weights."""
    network = integer_chain(np.shape(weight)[1], np.shape(weight)[0])
    synapses = integer_dense(weight, exponent, bits)
    (projection,) = network.projections
    return dataclasses.replace(
        network, projections=(dataclasses.replace(projection, synapses=synapses),)
    )


def wired(wiring, weight, exponent: int, bits: int = 8):
    """Return input -> a over this wiring."""
    network = integer_chain(wiring.sources, wiring.targets)
    (projection,) = network.projections
    synapses = IntegerSynapses(wiring, weight, exponent, bits)
    return dataclasses.replace(
        network, projections=(dataclasses.replace(projection, synapses=synapses),)
    )


def text(network) -> list[str]:
    """Return populations and projections, without neurons and weights."""
    sizes = [f"{p.name} {p.size} at {p.phase}" for p in network.populations]
    wirings = [f"{p.source} -> {p.target} {p.synapses.wiring}" for p in network.projections]
    return [*sizes, *wirings]


def test_by_hand():
    """Five sources, two axons a core: two sums, of which the second hears three: two again."""
    network = layer([[2, 4, 6, 8, -10], [-2, -2, -2, -2, -2]], 3)
    found = Accumulate()(design(network, small(axons=2)))
    assert text(found.network) == [
        "a_sum 2 at 1",
        "a_sum_2_sum 2 at 1",
        "a_sum_2_sum_2 2 at 1",
        "a_sum_2 2 at 2",
        "a 2 at 3",
        "input -> a_sum dense 2x2 from 0:2 of 5",
        "a_sum -> a scale 2x2",
        "input -> a_sum_2_sum dense 2x1 from 2:3 of 5",
        "a_sum_2_sum -> a_sum_2 scale 2x2",
        "input -> a_sum_2_sum_2 dense 2x2 from 3:5 of 5",
        "a_sum_2_sum_2 -> a_sum_2 scale 2x2",
        "a_sum_2 -> a scale 2x2",
    ]
    parts = [p.synapses for p in found.network.projections]
    assert [part.weight.tolist() for part in parts] == [
        [[2, 4], [-2, -2]],
        2,
        [[6], [-2]],
        2,
        [[8, -10], [-2, -2]],
        2,
        2,
    ]
    assert [part.exponent for part in parts] == [-1, 3, -1, -1, -1, -1, 3]
    assert found.network.populations[0].neuron.payload == Interval(-2, 3)
    assert found.network.populations[3].neuron.payload == Interval(-5, 7)
    assert found.log[-1] == "accumulate: 8 relay neurons in 4 populations"


@pytest.mark.parametrize("exponent, relays", [(-1, 2), (-2, 3)])
def test_what_rounds_is_added_up_first(exponent, relays):
    """Weights are even, so that 2^-1 rounds nothing; two sums, and one of these."""
    network = layer([[2, 4, 6, 8, -10]], exponent)
    found = Accumulate()(design(network, small(axons=3))).network
    assert sum(p.neuron.name == "accumulate" for p in found.populations) == relays
    x = np.random.default_rng(0).integers(0, 2, (8, 9, 5))
    same_spikes(network, found, x)


def test_sparse_by_hand():
    """As above, synapse by synapse: three parts; three sums are too many again: two parts."""
    wiring = Sparse(np.repeat([0, 1], 5), np.tile(np.arange(5), 2), 2, 5)
    network = wired(wiring, [2, 4, 6, 8, -10, -2, -2, -2, -2, -2], -3)
    found = Accumulate()(design(network, small(axons=2)))
    assert text(found.network) == [
        "a_sum 6 at 1",
        "a_sum_2 4 at 2",
        "a 2 at 3",
        "input -> a_sum sparse 6x5",
        "a_sum -> a_sum_2 sparse 4x6",
        "a_sum_2 -> a sparse 2x4",
    ]
    first, second, third = (p.synapses for p in found.network.projections)
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


CONVOLUTION = Convolution((5, 4, 4), 3, (2, 2), (1, 1), (0, 0), (1, 1))


def test_a_convolution_stays_one():
    """20 sources a neuron, 9 axons a core: parts of 1, 2 and 2 channels."""
    weight = np.arange(-30, 30).reshape(CONVOLUTION.weight_shape) * 2
    found = Accumulate()(design(wired(CONVOLUTION, weight, 0), small(axons=9)))
    assert text(found.network) == [
        "a_sum 27 at 1",
        "a_sum_2 27 at 1",
        "a_sum_3 27 at 1",
        "a 27 at 2",
        "input -> a_sum convolution 1x4x4 -> 3x3x3 kernel=2x2 from 0:16 of 80",
        "a_sum -> a scale 27x27",
        "input -> a_sum_2 convolution 2x4x4 -> 3x3x3 kernel=2x2 from 16:48 of 80",
        "a_sum_2 -> a scale 27x27",
        "input -> a_sum_3 convolution 2x4x4 -> 3x3x3 kernel=2x2 from 48:80 of 80",
        "a_sum_3 -> a scale 27x27",
    ]
    assert (found.network.projections[2].synapses.weight == weight[:, 1:3]).all()
    assert [p.shape for p in found.network.populations[:3]] == [(3, 3, 3)] * 3


def test_kernels_of_one_channel_become_synapses():
    """Of 4 axons, kernels of 3 x 3 take 9; groups are no range of channels."""
    deep = Convolution((2, 4, 4), 2, (3, 3), (1, 1), (0, 0), (1, 1))
    grouped = Convolution((8, 2, 2), 2, (1, 1), (1, 1), (0, 0), (1, 1), 2)
    for wiring in (deep, grouped):
        weight = np.full(wiring.weight_shape, 2)
        network = wired(wiring, weight, 0)
        found = Accumulate()(design(network, small(axons=3))).network
        assert any(isinstance(p.synapses.wiring, Sparse) for p in found.projections)
        same_spikes(network, found, spikes(network, 3, 5))


def test_nothing_to_do():
    network = layer([[2, 4, 6, 8]], 0)  # a full core
    found = Accumulate()(design(network, small(axons=4)))
    assert found.network is network
    assert found.log == ("accumulate: no relays added",)


KINDS = {
    "dense": lambda rng, sources: Dense(3, sources),
    "sparse": lambda rng, sources: Sparse(
        *rng.permutation(np.argwhere(rng.random((3, sources)) < 0.7)).T, 3, sources
    ),
    "convolution": lambda rng, sources: Convolution(
        (sources, 3, 2), 2, (2, 2), (2, 1), tuple(rng.integers(0, 2, 2).tolist()), (1, 1)
    ),
    "groups": lambda rng, sources: Convolution(
        (2 * sources, 3), 2, (2,), (1,), (1,), (1,), groups=2
    ),
}


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    sources=st.integers(3, 40),
    exponent=st.sampled_from([-7, -3, -1, 0, 2, 7]),
    bits=st.integers(2, 8),
    limits=st.sampled_from([{"axons": 2}, {"axons": 5}, {"words": 4}, {"axons": 9, "words": 7}]),
    kind=st.sampled_from(list(KINDS)),
)
def test_the_same_spikes_on_cores_that_hear_little(seed, sources, exponent, bits, limits, kind):
    """Graded input, rounding exponents, wraps, missing synapses; the mapping is checked too."""
    rng = np.random.default_rng(seed)
    step = 2 ** (9 - bits)
    wiring = KINDS[kind](rng, sources if kind in ("dense", "sparse") else sources % 7 + 1)
    weight = rng.integers(-256 // step, 255 // step + 1, wiring.weight_shape) * step
    network = wired(wiring, weight, exponent, bits)
    network = dataclasses.replace(
        network, input=Input("input", network.input.shape, Interval(-3, 9))
    )
    program = snncompile.compile(network, chip=small(**limits), prune=False, placement="linear")
    x = rng.integers(-3, 10, (4, 6, wiring.sources))
    same_spikes(network, program.network, x)
    for core in measure_usage(program.network, program.chip, program.mapping):
        assert core.used["axons_in"] <= limits.get("axons", 10**9)
        assert core.used["synapse_words"] <= limits.get("words", 10**9)
    stored = list_stored_synapses(program.network, program.mapping)
    for i, p in enumerate(program.network.projections):
        wanted = p.synapses.wiring.matrix(p.synapses.weight.astype(int)).tocoo()
        each = zip(wanted.col, wanted.row, wanted.data, strict=True)
        assert sorted(stored.get(i, [])) == sorted((*synapse, p.delay) for synapse in each)


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
    assert [p.name for p in found.populations] == ["a_sum", "a_sum_2", "a"]
    same_spikes(network, found, spikes(network, 3, 9))


def test_what_cannot_be_summed():
    """One of nine sources alone brings more than 24 bits."""
    network = layer([[254] * 9], 0)
    wide = dataclasses.replace(network, input=Input("input", (9,), Interval(0, 2**17)))
    with pytest.raises(FitError) as error:
        Accumulate()(design(wide, small(axons=5)))
    assert str(error.value) == (
        "projection input -> a: needs 16,646,144 as the largest partial sum, the chip allows"
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
    assert {"a_sum", "a_sum_sum", "b_sum", "b_sum_sum_3"} < set(names)
    assert "sparse" not in str(program.network)
    found = program.verify(spikes(network, 3, 12, 2))
    assert found.comparison("integer", "lava").equal
    assert found.equal
    rates = {a.population: a.rate for a in found.activity}
    assert 0.1 < rates["b"] < 0.9
