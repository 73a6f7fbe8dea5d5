"""The compiled way gives what `step` and `bind` give, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from differential import FRAMES
from differential import network as drawn
from differential import spikes as drawn_spikes
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import RESETS, changed, integer_chain, random_integer_network, spikes

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.adaptive_lif import IntegerAdaptiveLif
from snncompile.neurons.bistable_fire import IntegerBistableFire
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.phase_fire import IntegerPhaseFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.refractory_lif import IntegerRefractoryLif
from snncompile.neurons.signed_integrate_fire import IntegerSignedIntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.reference import runner, simulate
from snncompile.reference.fast import convolution, matrix, populations
from snncompile.reference.fast.populations import KERNELS, bind_neuron, choose_type
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

SEEDS = st.integers(0, 10**9)


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setattr(simulate, "COMPILE_FROM", 0)


def outputs(network, x, fast: bool | None = None, watch=None):
    parts = list(run_batches(network, x, watch=watch, fast=fast))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def watched(network, x, fast: bool):
    """Return the states of every population after every step, and the outputs."""
    states: dict[tuple[str, int], list] = {}

    def watch(name, step, state) -> None:
        states.setdefault((name, step), []).append(torch.stack(state).clone())

    return states, outputs(network, x, fast, watch)


def check_agreement(network, x) -> None:
    """The compiled way gives the outputs of the plain one, and its states step by step."""
    fast, slow = outputs(network, x, fast=True), outputs(network, x, fast=False)
    for name, train in slow.items():
        assert fast[name].dtype == train.dtype, name
        assert torch.equal(fast[name], train), name


def check_states(network, x) -> None:
    (states, fast), (wanted, slow) = (watched(network, x, way) for way in (True, False))
    assert states.keys() == wanted.keys()
    for key, parts in wanted.items():
        assert torch.equal(torch.cat(states[key], 1), torch.cat(parts, 1)), key
    assert all(torch.equal(fast[name], train) for name, train in slow.items())


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, steps=st.integers(1, 8), wild=st.booleans(), rate=st.sampled_from([0.1, 0.7, 1]))
def test_a_network_gives_the_same_both_ways(seed, steps, wild, rate):
    network = random_integer_network(seed, wild=wild)
    check_agreement(network, spikes(network, 3, steps, seed, rate))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, frame=st.sampled_from(FRAMES))
def test_states_can_be_watched_both_ways(seed, frame):
    check_states(drawn(seed, 0, frame), drawn_spikes(seed, frame))


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, frame=st.sampled_from(FRAMES))
def test_a_network_of_all_wirings_gives_the_same_both_ways(seed, frame):
    check_agreement(drawn(seed, 0, frame), drawn_spikes(seed, frame))


def neurons(p):
    """One of each neuron that has a kernel, and of each reset."""
    bias = p["bias_mantissa"], p["bias_exponent"]
    decays = p["current_decay"], p["potential_decay"]
    limit, start = p["threshold"], {"initial": p["initial"]}
    negative = -np.abs(np.asarray(limit) // 2)
    yield IntegerReadout(*decays, *bias, **start)
    for reset in ("hard", "soft"):
        yield IntegerIntegrateFire(limit, *bias, reset, **start)
        rise = np.asarray(limit) % 5000 * 0 + p["wait"] * 37
        yield IntegerAdaptiveLif(*decays, limit, decays[1] % 4096, rise, *bias, reset, **start)
    for reset in RESETS:
        yield IntegerCubaLif(*decays, limit, *bias, reset, **start)
    yield IntegerTernaryLif(*decays, limit, negative, *bias, **start)
    yield IntegerSignedIntegrateFire(limit, negative, *bias, **start)
    yield IntegerRefractoryLif(*decays, limit, p["wait"], *bias, **start)
    ends = negative, np.abs(np.asarray(limit)) // 3
    yield IntegerGraded(np.asarray(p["wait"]) + 1, p["wait"], *ends, **start)
    yield IntegerGraded(3, 1, **start)
    yield IntegerGraded(1, 0, 0, 1, **start)
    yield IntegerGraded(5, 9, -3, 4, np.arange(8) * 7 % 11 - 5, **start)
    for once in (0, 1):
        cycle = p["wait"] + 1, p["wait"] // 2, *bias, once
        yield IntegerBistableFire(limit, *cycle, **start)
        yield IntegerPhaseFire(limit, *cycle, **start)


LIMIT = 2**18
EDGES = [0, 1, -1, LIMIT, -LIMIT, LIMIT - 1, 2**17, -(2**17), 2**17 + 1, 63, 64, 65]
DECAY = st.integers(-1, 4095) | st.sampled_from([-1, 0, 1, 2048, 4094, 4095])
THRESHOLD = st.integers(0, 131071) | st.sampled_from([-1, 0, 1, 131071, 2**22, -(2**22)])
PLAIN = {
    "current_decay": 1,
    "potential_decay": 1,
    "threshold": 1,
    "bias_mantissa": 0,
    "bias_exponent": 0,
    "wait": 2,
    "initial": 0,
}


def test_every_neuron_with_a_kernel_is_tested():
    assert {type(n) for n in neurons(PLAIN)} == set(KERNELS)


def run_kernel(neuron, drive, before=0, length=None):
    """Return (whether all inputs were small, output, where potentials are not zero).

    With the kernel, in parts of `length` steps, or in two if it can.
    """
    samples, steps, size = drive.shape
    kernel = bind_neuron(neuron, size)
    assert kernel
    out = np.zeros((samples, before + steps, size), choose_type(neuron, neuron.payload))
    one = np.stack(neuron.begin(np.zeros(size, np.int64))).astype(np.int32)
    state = np.repeat(one[None], samples, axis=0)
    charged = np.full(drive.shape, 9, np.uint8)
    small = True
    length = length or max(1, steps // 2)
    for first in range(0, steps, length):
        part = np.ascontiguousarray(drive[:, first : first + length])
        noted = charged[:, first : first + length]
        small &= kernel(part, out, (0, before + first, 0, 0), state, noted)
    return small, out[:, before:], charged


@settings(max_examples=60, deadline=None)
@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": DECAY,
            "potential_decay": st.integers(0, 4096) | st.sampled_from([0, 1, 4095, 4096]),
            "threshold": THRESHOLD,
            "bias_mantissa": st.integers(-4095, 4095) | st.just(0),
            "bias_exponent": st.integers(0, 16),
            "wait": st.integers(0, 7),
            "initial": st.integers(-(2**23) + 1, 2**23 - 1) | st.just(0),
        }
    ),
    seed=SEEDS,
    largest=st.sampled_from([3, 300, 2**17, LIMIT]),
    size=st.sampled_from([1, 2, 33, 600]),
    steps=st.sampled_from([1, 2, 9]),
    per_neuron=st.booleans(),
)
def test_every_kernel_is_its_step(p, seed, largest, size, steps, per_neuron):
    """Random and extreme inputs: u wraps, v saturates; parameters for all or per neuron."""
    rng = np.random.default_rng(seed)
    drive = rng.integers(-largest, largest + 1, (2, steps, size), np.int32)
    extreme = rng.choice(EDGES, drive.shape).astype(np.int32)
    drive = np.where(rng.random(drive.shape) < 0.2, extreme, drive)
    if per_neuron:
        shuffled = {"current_decay": rng.integers(-1, 4096, size)}
        shuffled["threshold"] = rng.integers(0, 131072, size)
        shuffled["bias_mantissa"] = rng.integers(-4095, 4096, size)
        shuffled["wait"] = rng.integers(0, 8, size)
        shuffled["initial"] = rng.integers(-(2**23) + 1, 2**23, size)
        p = p | shuffled
    for neuron in neurons(p):
        small, out, charged = run_kernel(neuron, drive, before=steps % 2)
        potential = neuron.states.index(neuron.potential)
        assert small, str(neuron)
        state = tuple(np.repeat(s[None], 2, 0) for s in neuron.begin(np.zeros(size, np.int64)))
        for step in range(steps):
            state, wanted = neuron.step(state, drive[:, step].astype(np.int64))
            assert (out[:, step] == wanted).all(), (str(neuron), step)
            assert (charged[:, step] == (state[potential] != 0)).all(), (str(neuron), step)


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("make", [IntegerBistableFire, IntegerPhaseFire])
def test_a_cycle_goes_on_where_it_was_cut(make, start):
    """Asleep before and after it, in parts of every length."""
    neuron = make(60, 2, start, once=1, initial=200)
    drive = np.full((1, 9, 3), 50, np.int32)
    state, wanted = neuron.begin(np.zeros((1, 3), np.int64)), []
    for step in range(9):
        state, output = neuron.step(state, drive[:, step].astype(np.int64))
        wanted.append(output)
    assert np.sum(wanted) == 3
    for length in range(1, 10):
        small, out, _ = run_kernel(neuron, drive, length=length)
        assert small
        assert (out == np.stack(wanted, axis=1)).all(), length


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, 2**31 - 1, -(2**31)])
def test_a_kernel_says_when_the_input_is_too_large(value):
    for neuron in neurons(PLAIN):
        if isinstance(neuron, IntegerGraded):  # computes in 64 bits
            continue
        drive = np.zeros((1, 3, 5), np.int32)
        drive[0, 2, 4] = value
        assert not run_kernel(neuron, drive)[0]


# Parameters that 32 bits do not hold, or that no chip has: such a population runs by its step.
WIDE = [
    IntegerCubaLif(4095, 0, 2**23),
    IntegerCubaLif(4095, 0, 1, 2**29),
    IntegerCubaLif(4095, 0, 1, 1, 29),
    IntegerCubaLif(4096, 0, 1),
    IntegerCubaLif(4095, -1, 1),
    IntegerReadout(4095, 4097),
]


@pytest.mark.parametrize("neuron", WIDE, ids=str)
def test_parameters_too_wide_for_a_kernel(neuron):
    assert bind_neuron(neuron, 3) is None
    network = integer_chain(4, 3, neuron=neuron)
    check_agreement(network, spikes(network, 2, 5))


def test_an_input_too_large_for_the_kernel_runs_by_step(monkeypatch):
    """Weights of 2^7 * 254 * 30 leave 2^18; only the steps where they do run by the step."""
    network = integer_chain(30, 4, neuron=IntegerCubaLif(100, 200, 3), weight=254, exponent=7)
    x = np.zeros((5, 6, 30), np.uint8)
    x[2:4, 1:] = 1
    monkeypatch.setattr(populations, "SLICE_BYTES", 1)
    seen = []
    plain = runner._build_step_runner

    def by_step(*a):
        run = plain(*a)
        return lambda *arrays: seen.append(arrays[2]) or run(*arrays)

    monkeypatch.setattr(runner, "_build_step_runner", by_step)
    check_agreement(network, x)
    assert sorted(at[:2] for at in seen) == [(i, step) for i in (2, 3) for step in range(1, 6)]


def everything() -> IntegerNetwork:
    """Convolutions channels last, dense and sparse ones between layouts, skips that come later."""
    rng = np.random.default_rng(3)
    first = Convolution((2, 6, 6), 4, (3, 3), (1, 1), (0, 0), (1, 1))
    second = Convolution((4, 4, 4), 4, (3, 3), (1, 1), (1, 1), (1, 1))
    other = Convolution((8, 2, 4), 16, (1, 1), (1, 1), (0, 0), (1, 1))  # another view of the 64
    grouped = Convolution((4, 4, 4), 4, (2, 2), (2, 2), (0, 0), (1, 1), 4)

    def ints(wiring, exponent=0, low=-60):
        weight = rng.integers(low, 61, wiring.weight_shape)
        return IntegerSynapses(wiring, weight, exponent, 9)

    sparse = Sparse(rng.integers(0, 64, 40), np.arange(40), 64, 64)
    lif = IntegerCubaLif(2000, 300, np.arange(64) + 20, reset="soft")
    return IntegerNetwork(
        Input("input", (2, 6, 6)),
        (
            Population("a", (4, 4, 4), lif, phase=1),
            Population("b", (4, 4, 4), IntegerSignedIntegrateFire(40), phase=2),
            Population("c", (128,), IntegerIntegrateFire(25), phase=3),
            Population("d", (4, 2, 2), IntegerRefractoryLif(4095, 20, 9, 1), phase=3),
            Population("e", (64,), IntegerTernaryLif(4095, 20, 39, -9), phase=3),
            Population("out", (9,), IntegerReadout(4095, 100), phase=4),
        ),
        (
            Projection("input", "a", ints(first), 1),
            Projection("input", "a", integer_dense(rng.integers(-6, 7, (64, 72)) * 16, -3, 9), 3),
            Projection("a", "b", ints(second), 1),
            Projection("a", "b", ints(Scale(64, True)), 4),
            Projection("a", "b", ints(Scale(64)), 2),
            Projection("a", "b", ints(sparse), 1),
            Projection("b", "c", ints(other), 1),
            Projection("b", "d", ints(grouped), 1),
            Projection("b", "e", ints(Scale(64), low=40), 1),
            Projection("c", "out", integer_dense(rng.integers(-60, 61, (9, 128)), 2, 9), 1),
            Projection("d", "out", integer_dense(rng.integers(-60, 61, (9, 16)), 0, 9), 3),
            Projection("e", "out", integer_dense(rng.integers(-128, 128, (9, 64)), 1, 9), 1),
        ),
        "out",
    )


def test_everything_is_compiled_and_spikes():
    network = everything()
    found = runner.Runner(network, fast=True)
    assert set(found.fast) == {p.name for p in network.populations}
    assert found.layouts == {"input": 2, "a": 4, "b": 4, "c": 16, "d": 4, "e": 1, "out": 1}
    spike_trains = outputs(network, spikes(network, 5, 9))
    assert all(train.any() for train in spike_trains.values())
    assert spike_trains["b"].min() == spike_trains["e"].min() == -1


@pytest.mark.parametrize("below", [0.0, 1.1])
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("size", [1, 2**12, 2**24])
def test_slices_and_ways_do_not_change_results(monkeypatch, below, integers, size):
    """Events or products of integers or floats, in slices of any size: always the same."""
    monkeypatch.setattr(matrix, "estimate_dense_crossover", lambda _: below)
    monkeypatch.setattr(convolution, "estimate_convolution_crossover", lambda _: below)
    monkeypatch.setattr(matrix, "has_integer_product", lambda: integers)
    monkeypatch.setattr(populations, "SLICE_BYTES", size)
    network = everything()
    for steps in (1, 2, 7):
        check_agreement(network, spikes(network, 11, steps, rate=0.2))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, frame=st.sampled_from(FRAMES), memory=st.integers(1, 30000))
def test_time_steps_may_come_in_parts(seed, frame, memory):
    """States and delayed spikes are carried on, in loops and on the slow way too."""
    network, x = drawn(seed, 0, frame), drawn_spikes(seed, frame)
    before = simulate.MEMORY_BYTES
    for fast in (0, 2**60):
        whole = outputs(network, x)
        try:
            simulate.MEMORY_BYTES, simulate.COMPILE_FROM = memory, fast
            parts = outputs(network, x)
            alone = network.run(x).spikes
        finally:
            simulate.MEMORY_BYTES, simulate.COMPILE_FROM = before, 0
        assert all(torch.equal(train, whole[name]) for name, train in parts.items())
        assert (alone.reshape(whole[network.output].shape) == whole[network.output].numpy()).all()


def test_threads_do_not_change_results():
    network = everything()
    x = spikes(network, 40, 5)
    found = outputs(network, x)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for name, train in outputs(network, x).items():
                assert torch.equal(train, found[name])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_population_without_a_kernel_between_compiled_ones():
    network = everything()
    wide = IntegerCubaLif(2000, 300, 2**23, reset="soft", bias_mantissa=2**29)
    populations = tuple(
        replace(p, neuron=wide) if p.name == "a" else p for p in network.populations
    )
    network = replace(network, populations=populations)
    assert "a" not in runner.Runner(network, fast=True).fast
    check_agreement(network, spikes(network, 4, 7))


def test_the_shortest_and_the_smallest():
    assert integer_chain(1, 1).run([[[1]]]).spikes.tolist() == [[[1]]]
    assert integer_chain(1, 1).run([[[0]]]).spikes.tolist() == [[[0]]]
    network = changed(integer_chain(1, 1), projection=0, delay=1)
    assert network.run(np.ones((2, 3, 1))).spikes.ravel().tolist() == [1] * 6


def test_a_small_run_does_not_load_numba():
    code = """if True:
        import sys, numpy, snncompile, snncompile.cli, snncompile.reference.backend
        from networks import integer_chain
        network = integer_chain(2, 2)
        str(network)
        assert "numba" not in sys.modules
        network.run(numpy.ones((1, 2, 2)))
        assert "numba" not in sys.modules, "small run"
    """
    from pathlib import Path

    helpers = Path(__file__).parents[2] / "helpers"
    code = f"import sys; sys.path.append({str(helpers)!r})\n{code}"
    subprocess.run([sys.executable, "-c", code], check=True)
