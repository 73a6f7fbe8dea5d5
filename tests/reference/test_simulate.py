"""The simulator against plain Python in the network's own time, and against Lava's recordings."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import plain
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    chain,
    changed,
    design,
    integer_chain,
    random_integer_network,
    random_network,
    spikes,
)

from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.passes.timing.retime import Retime
from snncompile.reference import simulate
from snncompile.reference.backend import spike_trains
from snncompile.reference.runner import Runner
from snncompile.reference.simulate import check_spikes, replay, run_batches
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

BINARY = Interval(0, 1)
RECORDED = Path(__file__).parents[1] / "recorded"
SEEDS = st.integers(0, 10**9)


def outputs(network, x):
    """Return {population: (samples, steps, size)} of the simulator."""
    parts = list(run_batches(network, x))
    return {
        p.name: torch.cat([part[p.name] for part in parts]).numpy() for p in network.populations
    }


def check_agreement(network, x) -> None:
    found = outputs(network, x)
    for sample, wanted in enumerate(plain.simulate(network, x)):
        for name, train in wanted.items():
            assert (found[name][sample] == train).all(), (sample, name)
    result = network.run(x).spikes
    last = np.stack([wanted[network.output] for wanted in plain.simulate(network, x)])
    assert (result.reshape(last.shape) == last).all()
    assert result.shape == (*x.shape[:2], *network.output_shape)


@settings(max_examples=80)
@given(seed=SEEDS, steps=st.integers(1, 8))
def test_a_float_network_means_what_it_says(seed, steps):
    network = random_network(seed, long_loops=False)
    check_agreement(network, spikes(network, 2, steps, seed))


@settings(max_examples=80)
@given(seed=SEEDS, steps=st.integers(1, 8))
def test_a_retimed_network_means_what_it_says(seed, steps):
    network = Retime()(design(random_network(seed))).network
    check_agreement(network, spikes(network, 2, steps, seed))


@settings(max_examples=80)
@given(seed=SEEDS, steps=st.integers(1, 8), wild=st.booleans())
def test_an_integer_network_means_what_it_says(seed, steps, wild):
    network = random_integer_network(seed, wild=wild)
    check_agreement(network, spikes(network, 2, steps, seed))


@given(seed=SEEDS)
def test_input_of_any_size_is_summed(seed):
    """A float network takes any numbers, not spikes only; multiples of 1/8 add up exactly."""
    network = random_network(seed)
    x = np.random.default_rng(seed).integers(-16, 17, (1, 4, *network.input.shape)) / 8
    check_agreement(network, x)


@pytest.mark.parametrize("make", [random_network, random_integer_network])
def test_batches_do_not_change_results(make, monkeypatch):
    network = make(5)
    x = spikes(network, 7, 6)
    whole = outputs(network, x)
    runner = Runner(network)
    monkeypatch.setattr(simulate, "MEMORY_BYTES", 3 * (6 * runner.bytes + runner.state_bytes))
    seen = []
    parts = list(run_batches(network, x, progress=lambda *done: seen.append(done)))
    assert [len(part["input"]) for part in parts] == [3, 3, 1]
    assert seen == [(3, 7), (6, 7), (7, 7)]
    for name, train in outputs(network, x).items():
        assert (train == whole[name]).all()
    monkeypatch.setattr(simulate, "MEMORY_BYTES", 1)
    assert [len(part["input"]) for part in run_batches(network, x)] == [1] * 7
    one_by_one = np.concatenate([network.run(sample[None]).spikes for sample in x])
    assert (one_by_one == network.run(x).spikes).all()


def test_samples_start_at_zero_each():
    network = chain(1, 1, neuron=IntegrateFire(1.0))
    x = np.ones((3, 3, 1))
    assert network.run(x).spikes[:, :, 0].tolist() == [[0, 1, 1]] * 3


def test_one_step_and_one_neuron():
    assert chain(1, 1, weight=2.0).run([[[1]]]).spikes.tolist() == [[[1]]]
    assert integer_chain(1, 1).run([[[1]]]).spikes.tolist() == [[[1]]]
    assert integer_chain(1, 1).run([[[0]]]).spikes.tolist() == [[[0]]]


def test_the_shape_of_the_output_is_the_populations():
    network = chain(3, 6)
    shaped = changed(network, "a", shape=(3, 1, 2))
    x = spikes(network, 2, 4, rate=0.9)
    assert shaped.run(x).spikes.shape == (2, 4, 3, 1, 2)
    assert (shaped.run(x).spikes.reshape(2, 4, 6) == network.run(x).spikes).all()


def test_a_readout_gives_its_potential():
    network = chain(2, 1, neuron=Readout(1.0, 0.5, 0.25))
    found = network.run([[[1, 1], [0, 1], [0, 0]]]).spikes
    assert found.dtype == np.float64
    assert found[0, :, 0].tolist() == [2.25, 2.375, 1.4375]
    assert integer_chain(1, 1, neuron=IntegerCubaLif(4095, 0, 1)).run([[[1]]]).spikes.dtype == (
        np.uint8
    )


def test_delays_from_several_paths_add():
    """Two projections from one source: once at once, once three steps later."""
    network = Network(
        Input("input", (1,)),
        (Population("a", (1,), Readout(1.0, 1.0)),),
        (
            Projection("input", "a", dense([[1.0]]), 0),
            Projection("input", "a", dense([[10.0]]), 3),
            Projection("input", "a", dense([[100.0]]), 9),  # later than the sample is long
        ),
        "a",
    )
    x = np.array([1, 1, 0, 0, 0]).reshape(1, 5, 1)
    assert network.run(x).spikes.ravel().tolist() == [1, 1, 0, 10, 10]


def test_a_loop_step_by_step():
    """a excites b at once, b silences a one step later: they take turns."""
    network = Network(
        Input("input", (1,)),
        (
            Population("a", (1,), IntegrateFire(0.5, reset="hard")),
            Population("b", (1,), IntegrateFire(0.5, reset="hard")),
        ),
        (
            Projection("b", "a", dense([[-1.0]]), 1),
            Projection("a", "b", dense([[1.0]]), 0),
            Projection("input", "a", dense([[1.0]]), 0),
        ),
        "b",
    )
    assert network.run(np.ones((1, 6, 1))).spikes.ravel().tolist() == [1, 0, 1, 0, 1, 0]


@settings(max_examples=30)
@given(seed=SEEDS)
def test_replay_is_the_population_within_the_network(seed):
    network = random_network(seed)
    whole = next(iter(run_batches(network, spikes(network, 3, 6, seed).astype(float))))
    for population in network.populations:
        arriving = [
            (0, bind(p.synapses, BINARY), network.own_delay(p), whole[p.source])
            for p in network.into(population.name)
        ]
        found = replay(population, arriving, whole[population.name].shape)
        assert (found == whole[population.name]).all()


@settings(max_examples=30)
@given(seed=SEEDS)
def test_watch_sees_every_population_in_every_step(seed):
    """In loops, too; the states are those after the step: a readout's v is its output."""
    network, seen = random_network(seed), {}
    x = spikes(network, 2, 4, seed).astype(float)

    def watch(population: str, step: int, states: tuple[torch.Tensor, ...]) -> None:
        seen[population, step] = [s.clone() for s in states]

    (found,) = run_batches(network, x, watch=watch)
    assert seen.keys() == {(p.name, t) for p in network.populations for t in range(4)}
    for p in network.populations:
        for t in range(4):
            states = seen[p.name, t]
            assert [s.shape for s in states] == [(2, p.size)] * len(p.neuron.states)
            if not p.neuron.spikes:
                assert torch.equal(states[1], found[p.name][:, t])
            elif p.neuron.kind.endswith(("hard", "none")) and "delayed" not in p.neuron.kind:
                threshold = torch.tensor(p.neuron.threshold)
                assert not (p.neuron.reset == "hard" and (states[-1] > threshold).any())


def test_spike_trains_are_plain_arrays():
    network = integer_chain(2, 3, 1)
    found = spike_trains(network, spikes(network, 2, 4))
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {
        "a": (np.uint8, (2, 4, 3)),
        "b": (np.uint8, (2, 4, 1)),
    }


# Weights, exponent, what all sources together bring.
SUMS = [
    ([1, 2, -8], 0, -5),
    ([1, 2, -8], 3, -40),
    ([1, 2, -8], -1, -3),  # -2.5 rounds down
    ([1, 2, -8], -7, -1),
    ([1, 2, 0], -1, 1),
    ([1, 2, 0], -7, 0),
]


@pytest.mark.parametrize("weight, exponent, total", SUMS)
def test_the_exponent_shifts_the_sum_not_the_weights(weight, exponent, total):
    apply = bind(integer_dense([weight], exponent, 9), BINARY)
    assert apply(torch.ones(1, 3, dtype=torch.uint8)).tolist() == [[total]]


def test_sums_are_exact_where_float32_is_not():
    """32768 sources of 511 add up to an odd number above 2^24; float32 would lose its last bit."""
    weight = np.full((1, 2**16 + 1), -255)
    apply = bind(integer_dense(weight, 0, 9), BINARY)
    ones = torch.ones(1, 2**16 + 1, dtype=torch.bool)
    for sources in (2**16, 2**16 + 1):
        some = ones.clone()
        some[:, sources:] = False
        assert apply(some).item() == -255 * sources


def test_sums_of_extreme_weights():
    """-2^15 has no positive counterpart in 16 bits."""
    weight = np.array([[-(2**15)] * 600 + [1]])
    apply = bind(integer_dense(weight, 0, 9), BINARY)
    assert apply(torch.ones(1, 601)).item() == -600 * 2**15 + 1


def test_a_layer_that_lava_recorded():
    """Spikes and currents of a CUBA layer, recorded by tests/recorded/record.py: no mismatch."""
    with h5py.File(RECORDED / "dense.net") as file:
        weight = file["layer/0/weight"][:]
    with np.load(RECORDED / "dense.npz") as data:
        recorded = {key: data[key] for key in ("x", "out_0", "u_0")}
    assert np.count_nonzero(recorded["out_0"]) == 445
    # A decay in a file is one more than Lava's du, which the neuron has.
    _check_recorded(weight, (1023, 415, 6), recorded["x"], recorded["out_0"], recorded["u_0"])


def test_a_layer_that_lava_dl_recorded(shared):
    """The same of a longer one by lava-dl's authors (netx/test_blocks.py, test_dense)."""
    recorded = np.load(shared / "netx" / "dense.npz")
    assert recorded["out"].sum() == 1826
    x, out, current = (recorded[key].T for key in ("in", "out", "current"))
    _check_recorded(recorded["weight"], (4095, 415, 6), x, out, 64 * current)


def _check_recorded(weight, neuron, x, out, current) -> None:
    """Compare with a recording, (steps, n), which a synapse delays: it is one step after ours."""
    targets, sources = weight.shape
    network = IntegerNetwork(
        Input("input", (sources,)),
        (Population("a", (targets,), IntegerCubaLif(*neuron), phase=1),),
        (Projection("input", "a", integer_dense(weight.astype(np.int64), 0, 8), 1),),
        "a",
    )
    found = np.zeros(current.shape)

    def watch(population: str, step: int, states: tuple[torch.Tensor, ...]) -> None:
        found[step] = states[0][0]

    (sent,) = run_batches(network, check_spikes(network, x[None]), watch=watch)
    spikes = sent["a"][0].numpy()
    np.testing.assert_array_equal(spikes[:-1], out[1:])
    np.testing.assert_array_equal(found[:-1], current[1:])
    np.testing.assert_array_equal(spikes, network.run(x[None]).spikes[0])


WIRINGS = {
    "conv2d": Convolution((4, 7, 6), 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2),
    "depthwise": Convolution((3, 5, 5), 3, (2, 2), (2, 2), (0, 0), (1, 1), groups=3),
    "conv1d": Convolution((2, 9), 5, (4,), (3,), (2,), (1,)),
    "one pixel": Convolution((1, 1, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1)),
    "dense": Dense(5, 7),
    "sparse": Sparse([0, 2, 2, 1], [3, 0, 3, 1], 3, 4),
    "no synapse": Sparse([], [], 3, 4),
    "identity": Scale(6),
    "scale": Scale(6, per_neuron=True),
    "some sources": SourceRange(Dense(5, 7), 2, 10),
    "some channels": SourceRange(Convolution((2, 5, 5), 3, (2, 2), (2, 2), (0, 0), (1, 1)), 25, 90),
    "some sparse sources": SourceRange(Sparse([0, 2, 2, 1], [3, 0, 3, 1], 3, 4), 1, 5),
}


@pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)
def test_every_wiring_computes_its_matrix(wiring):
    """The unrolled matrix is what partition and Lava see; the simulator never unrolls."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-128, 128, wiring.weight_shape) * 2
    x = rng.integers(-3, 4, (2, 5, wiring.sources))
    wanted = x @ wiring.matrix(weight).toarray().T
    assert wiring.matrix(weight).shape == (wiring.targets, wiring.sources)
    floats = bind(Synapses(wiring, weight), BINARY)(torch.tensor(x))
    integers = bind(IntegerSynapses(wiring, weight, 0, 8), Interval(-3, 3))(torch.tensor(x))
    assert floats.tolist() == wanted.tolist()
    assert integers.tolist() == wanted.tolist()


@pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)
def test_fan_out_counts_the_synapses_of_each_source(wiring):
    ones = wiring.matrix(np.ones(wiring.weight_shape)).toarray()
    assert wiring.fan_out(np.arange(wiring.targets)).tolist() == ones.sum(axis=0).tolist()
    assert wiring.fan_out(np.arange(1, wiring.targets)).tolist() == ones[1:].sum(axis=0).tolist()
