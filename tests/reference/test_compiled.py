"""The compiled ways give what `step` and `bind` give, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import RESETS, changed, integer_chain, random_integer_network, spikes

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.reference import compiled, simulate
from snncompile.reference.compiled import KERNELS, Arriving, bind_events, bind_neuron
from snncompile.reference.simulate import batches, replay
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

BINARY = Interval(0, 1)
SEEDS = st.integers(0, 10**9)


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setattr(simulate, "COMPILE_FROM", 0)


def outputs(network, x, watch=None):
    parts = list(batches(network, x, watch=watch))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def check_agreement(network, x) -> None:
    """A watched network takes the slow way."""
    fast, slow = outputs(network, x), outputs(network, x, watch=lambda *_: None)
    for name, train in slow.items():
        assert fast[name].dtype == train.dtype, name
        assert torch.equal(fast[name], train), name


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, steps=st.integers(1, 8), wild=st.booleans(), rate=st.sampled_from([0.1, 0.7, 1]))
def test_a_network_gives_the_same_both_ways(seed, steps, wild, rate):
    network = random_integer_network(seed, wild=wild)
    check_agreement(network, spikes(network, 3, steps, seed, rate))


def neurons(p, size):
    """One of each neuron that has a kernel, and of each reset."""
    bias = p["bias_mantissa"], p["bias_exponent"]
    decays = p["current_decay"], p["potential_decay"]
    yield IntegerReadout(*decays, *bias)
    for reset in ("hard", "soft"):
        yield IntegerIntegrateFire(p["threshold"], *bias, reset)
    for reset in RESETS:
        yield IntegerCubaLif(*decays, p["threshold"], *bias, reset)


LIMIT = 2**18
EDGES = [0, 1, -1, LIMIT, -LIMIT, LIMIT - 1, 2**17, -(2**17), 2**17 + 1, 63, 64, 65]
DECAY = st.integers(-1, 4095) | st.sampled_from([-1, 0, 1, 2048, 4094, 4095])
THRESHOLD = st.integers(0, 131071) | st.sampled_from([-1, 0, 1, 131071, 2**22, -(2**22)])


def test_every_neuron_with_a_kernel_is_tested():
    p = dict.fromkeys(("current_decay", "potential_decay", "threshold"), 1)
    made = {type(n) for n in neurons(p | {"bias_mantissa": 0, "bias_exponent": 0}, 1)}
    assert made == set(KERNELS)


@settings(max_examples=60, deadline=None)
@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": DECAY,
            "potential_decay": st.integers(0, 4096) | st.sampled_from([0, 1, 4095, 4096]),
            "threshold": THRESHOLD,
            "bias_mantissa": st.integers(-4095, 4095) | st.just(0),
            "bias_exponent": st.integers(0, 16),
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
        p = p | shuffled
    for neuron in neurons(p, size):
        run = bind_neuron(neuron, size)
        assert run
        out = np.zeros(drive.shape, np.uint8 if neuron.spikes else np.int64)
        assert run(drive, out), str(neuron)
        state = tuple(np.zeros((2, size), np.int64) for _ in neuron.states)
        for step in range(steps):
            state, wanted = neuron.step(state, drive[:, step].astype(np.int64))
            assert (out[:, step] == wanted).all(), (str(neuron), step)


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, 2**31 - 1, -(2**31)])
def test_a_kernel_says_when_the_input_is_too_large(value):
    p = {"current_decay": 1, "potential_decay": 1, "threshold": 1}
    for neuron in neurons(p | {"bias_mantissa": 0, "bias_exponent": 0}, 5):
        drive = np.zeros((1, 3, 5), np.int32)
        drive[0, 2, 4] = value
        run = bind_neuron(neuron, 5)
        assert not run(drive, np.zeros(drive.shape, np.uint8 if neuron.spikes else np.int64))


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
    """Weights of 2^7 * 254 * 30 leave 2^18; only the samples where they do run by the step."""
    network = integer_chain(30, 4, neuron=IntegerCubaLif(100, 200, 3), weight=254, exponent=7)
    x = np.zeros((5, 6, 30), np.uint8)
    x[2:4] = 1
    monkeypatch.setattr(compiled, "SLICE_BYTES", 1)
    seen = []
    monkeypatch.setattr(simulate, "replay", lambda *a: seen.append(a[2]) or replay(*a))
    check_agreement(network, x)
    assert seen == [(1, 6, 4)] * 2


WIRINGS = {
    "3x3": Convolution((3, 6, 7), 5, (3, 3), (1, 1), (0, 0), (1, 1)),
    "padded": Convolution((2, 5, 5), 16, (3, 3), (1, 1), (1, 1), (1, 1)),
    "wide padding": Convolution((1, 2, 2), 3, (2, 3), (1, 1), (3, 4), (1, 1)),
    "strided": Convolution((4, 9, 8), 6, (3, 2), (2, 3), (1, 0), (1, 1)),
    "dilated": Convolution((2, 9, 8), 3, (3, 2), (1, 1), (1, 2), (2, 3)),
    "strided and dilated": Convolution((2, 9, 8), 3, (3, 2), (2, 2), (1, 2), (2, 3)),
    "1-D": Convolution((2, 11), 5, (4,), (1,), (2,), (1,)),
    "1-D strided": Convolution((2, 11), 5, (4,), (3,), (2,), (1,)),
    "kernel as large as the image": Convolution((2, 4, 3), 2, (4, 3), (1, 1), (0, 0), (1, 1)),
    "one pixel": Convolution((1, 1, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1)),
    "many pixels": Convolution((1, 9, 9), 3, (2, 2), (1, 1), (0, 0), (1, 1)),
}


@pytest.mark.parametrize("exponent", [-2, 0, 3])
@pytest.mark.parametrize("largest", [255, 32767])
@pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)
def test_convolution_spike_by_spike(wiring, largest, exponent):
    """Weights of 255 add up within 16 bits, weights of 32767 do not."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-largest - 1, largest + 1, wiring.weight_shape)
    check_events(IntegerSynapses(wiring, weight, exponent, 9))


@pytest.mark.parametrize("exponent", [-2, 0, 3])
@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (40, 5)])
@pytest.mark.parametrize("largest", [255, 8191])
def test_dense_spike_by_spike(shape, largest, exponent):
    """8191 is the largest weight four of which 16 bits hold."""
    rng = np.random.default_rng(1)
    weight = rng.choice([-largest, largest, 0, 1, -7], shape)
    check_events(integer_dense(weight, exponent, 9))


def check_events(synapses) -> None:
    rng = np.random.default_rng(2)
    events = bind_events(synapses, BINARY)
    assert events
    for rate, delay in ((0.0, 0), (0.3, 0), (0.3, 2), (1.0, 3), (1.0, 4), (1.0, 9)):
        train = (rng.random((2, 4, synapses.wiring.sources)) < rate).astype(np.uint8)
        total = np.full((2, 4, synapses.wiring.targets), 5, np.int32)
        events.add(train, total, delay)
        wanted = np.full(total.shape, 5)
        if delay < 4:
            wanted[:, delay:] += bind(synapses, BINARY)(torch.tensor(train[:, : 4 - delay])).numpy()
        assert (total == wanted).all()


# What has no way spike by spike: payloads, sums beyond 32 bits, groups, weights beyond 13 bits.
NONE = {
    "payload": (integer_dense([[1]], 0, 8), Interval(0, 2)),
    "negative payload": (integer_dense([[1]], 0, 8), Interval(-1, 1)),
    "wide sums": (integer_dense([[2**14]], 17, 8), BINARY),
    "wide weights": (integer_dense([[2**13]], 0, 8), BINARY),
    "exponent": (integer_dense([[1]], -40, 8), BINARY),
    "groups": (
        IntegerSynapses(
            Convolution((2, 2, 2), 2, (1, 1), (1, 1), (0, 0), (1, 1), groups=2),
            np.ones((2, 1, 1, 1)),
            0,
            8,
        ),
        BINARY,
    ),
}


@pytest.mark.parametrize("case", NONE)
def test_no_events(case):
    assert bind_events(*NONE[case]) is None


@pytest.mark.parametrize("train", [torch.tensor([[[-1], [2]]]), torch.ones(1, 2, 1).long()])
def test_a_train_that_is_no_plain_spikes_is_multiplied(train):
    synapses = integer_dense([[3]], 0, 8)
    arriving = Arriving(bind(synapses, BINARY), bind_events(synapses, BINARY), 0, train)
    assert arriving.by_events() is None


def two_ways() -> IntegerNetwork:
    """Two projections into one population: a convolution, and a dense one that comes later."""
    wiring = Convolution((2, 6, 6), 4, (3, 3), (1, 1), (0, 0), (1, 1))
    rng = np.random.default_rng(3)
    weight = rng.integers(-60, 61, wiring.weight_shape)
    return IntegerNetwork(
        Input("input", (2, 6, 6)),
        (
            Population("a", (4, 4, 4), IntegerCubaLif(2000, 300, 30, reset="soft"), phase=1),
            Population("b", (9,), IntegerReadout(4095, 100), phase=4),
        ),
        (
            Projection("input", "a", IntegerSynapses(wiring, weight, 0, 9), 1),
            Projection("input", "a", integer_dense(rng.integers(-60, 61, (64, 72)), -1, 9), 3),
            Projection("a", "b", integer_dense(rng.integers(-60, 61, (9, 64)), 2, 9), 3),
        ),
        "b",
    )


@pytest.mark.parametrize("convolution", [0.0, 1.1])
@pytest.mark.parametrize("cost", [0, 10**9])
@pytest.mark.parametrize("size", [1, 2**12, 2**24])
def test_slices_and_the_choice_do_not_change_results(monkeypatch, convolution, cost, size):
    """Events or products, alone or mixed, in slices of any size: always the same."""
    monkeypatch.setattr(compiled, "CONVOLUTION_ACTIVITY", convolution)
    monkeypatch.setattr(compiled, "SPIKE_COST", cost)
    monkeypatch.setattr(compiled, "SLICE_BYTES", size)
    network = two_ways()
    for steps in (1, 2, 7):
        check_agreement(network, spikes(network, 11, steps, rate=0.2))


def test_threads_do_not_change_results():
    network = two_ways()
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

    helpers = Path(__file__).parent.parent / "helpers"
    code = f"import sys; sys.path.append({str(helpers)!r})\n{code}"
    subprocess.run([sys.executable, "-c", code], check=True)
