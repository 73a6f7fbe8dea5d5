"""Signed integrate-and-fire: the neuron itself, and spikes of -1 through the whole compiler."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, chain, design, integer_chain, spikes

from snncompile.backends.energy.activity import from_spike_trains
from snncompile.backends.energy.counts import count_events, make_chip_machine
from snncompile.backends.energy.events import COLUMN
from snncompile.compiler import compile
from snncompile.errors import QuantizeError, UnsupportedError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.signed_integrate_fire import IntegerSignedIntegrateFire, SignedIntegrateFire
from snncompile.passes.analysis.bounds import bound_accumulator
from snncompile.passes.quantize.quantize import Quantize
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import dense, integer_dense

# Neuron, accumulated weights per time step, (v, sent, output) after each.
BY_HAND = {
    "takes back what it sent, and no more": (
        IntegerSignedIntegrateFire(2),
        [3, -3, -3, 0],
        [(64, 1, 1), (0, 0, -1), (-192, 0, 0), (-192, 0, 0)],
    ),
    "at the thresholds nothing happens": (
        IntegerSignedIntegrateFire(2, -1),
        [2, 1, -2, -1, 4],
        [(128, 0, 0), (64, 1, 1), (-64, 1, 0), (0, 0, -1), (128, 1, 1)],
    ),
    "silent below zero before the first spike": (
        IntegerSignedIntegrateFire(2),
        [-9, 9],
        [(-576, 0, 0), (0, 0, 0)],
    ),
    "the bias alone": (
        IntegerSignedIntegrateFire(1, 0, 5, 4),
        [0, -2, -2],
        [(16, 1, 1), (32, 0, -1), (-16, 0, 0)],
    ),
    "the input wraps, v saturates": (
        IntegerSignedIntegrateFire(131071),
        [2**17, 2**17 + 1, -(2**16)],
        # 2^23 - 1 - 131071 * 64 = 63; 63 + 64 - 2^23 + 131071 * 64 = 63; 63 - 2^22
        [(63, 1, 1), (63, 0, -1), (63 - 2**22, 0, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = SignedIntegrateFire(1.0, -0.5, 0.25)
    assert laws.run(neuron, [1.0, -1.0, -0.5, -5.0]) == [
        (0.25, 1, 1),
        (-0.5, 1, 0),
        (0.25, 0, -1),
        (-4.5, 0, 0),
    ]


def plain_step(p, state, x):
    v, sent = state
    raw_v = v + plain.wrapped(64 * x) + p["bias_mantissa"] * 2 ** p["bias_exponent"]
    v, spike = plain.saturated(raw_v), 0
    if v > 64 * p["threshold"]:
        spike = 1
    elif v < 64 * p["negative_threshold"] and sent > 0:
        spike = -1
    after = (v - 64 * p["threshold"] * spike, sent + spike)
    return after, spike, {"u": 64 * x, "v": raw_v, "sent": after[1]}


def plain_float_step(p, state, x):
    v, sent = state
    v, spike = v + x + p["bias"], 0
    if v > p["threshold"]:
        spike = 1
    elif v < p["negative_threshold"] and sent > 0:
        spike = -1
    return (v - p["threshold"] * spike, sent + spike), spike, {}


PARAMETERS = {
    "threshold": laws.THRESHOLD,
    "negative_threshold": laws.THRESHOLD.map(lambda n: -n) | st.just(0),
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, st.integers(0, 3)),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerSignedIntegrateFire(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "threshold": st.floats(0.01, 4),
            "negative_threshold": st.floats(-4, 0),
            "bias": laws.FINITE,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(SignedIntegrateFire(**p), plain_float_step, p, (0.0, 0.0), drive)


@given(drive=st.lists(st.integers(0, 9), min_size=1, max_size=20), threshold=st.integers(1, 5))
def test_without_negative_input_it_is_an_integrate_fire(drive, threshold):
    wanted = laws.run(IntegerIntegrateFire(threshold), drive)
    found = laws.run(IntegerSignedIntegrateFire(threshold), drive)
    assert [(v, spike) for v, _, spike in found] == wanted


@settings(max_examples=200)
@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.SMALL_BIAS)
    | st.fixed_dictionaries(
        {
            "threshold": st.integers(0, 5000),
            "negative_threshold": st.integers(-5000, 0),
            **laws.SMALL_BIAS,
        }
    ),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, low, high, steps, known, noise):
    neuron = IntegerSignedIntegrateFire(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    negative=st.integers(-20, 0).map(lambda n: n / 4),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=12),
)
def test_integers_are_the_floats_times_the_scale(threshold, negative, bias, drive):
    exact = SignedIntegrateFire(threshold, negative, bias)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive, unscaled=("sent",))


REFUSED = [
    (lambda: SignedIntegrateFire(0), "threshold must be positive, got 0"),
    (lambda: SignedIntegrateFire(1, [0, 0.5]), "negative_threshold must not be positive, got 0.5"),
    (
        lambda: IntegerSignedIntegrateFire(1, 2),
        "negative_threshold must not be positive, got 2",
    ),
    (
        lambda: IntegerSignedIntegrateFire(1, 0, 0, -1),
        "bias_exponent must be between 0 and 31, got -1",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = SignedIntegrateFire([1.0, 2.0], [0.0, -1.5], 20.0).quantize(320.0, TOY.formats)
    assert {name: getattr(neuron, name).tolist() for name in neuron.parameters()} == {
        "threshold": [5, 10],
        "negative_threshold": [0, -8],  # -7.5 to the even one
        "bias_mantissa": 3200,
        "bias_exponent": 1,
    }
    assert neuron.real()["negative_threshold"].tolist() == [0, -512]
    assert len(np.unique(neuron.profile()["threshold"])) == 2
    with pytest.raises(QuantizeError) as error:
        SignedIntegrateFire(1.0, [0, -100.0]).quantize(100000.0, TOY.formats)
    assert str(error.value) == "negative_threshold mantissa -156250 is outside -131071..0"


def loop(make, neuron, synapses, phase: int):
    """Return input -> a -> b with b -> a: both send and receive negative spikes."""
    populations = [Population(n, (3,), neuron, phase=i * phase) for i, n in enumerate("ab", 1)]
    projections = [("input", "a", 1), ("a", "b", 1), ("b", "a", 3)]
    return make(
        Input("input", (3,)),
        tuple(populations),
        tuple(Projection(s, t, synapses[i], delay) for i, (s, t, delay) in enumerate(projections)),
        "b",
    )


def test_negative_spikes_in_a_loop_are_those_of_plain_python():
    rng = np.random.default_rng(5)
    weights = [rng.integers(-60, 100, (3, 3)) * 2 for _ in range(3)]
    network = loop(
        IntegerNetwork,
        IntegerSignedIntegrateFire(60, [0, -20, 0], 3),
        [integer_dense(w, 0, 8) for w in weights],
        1,
    )
    x = spikes(network, 4, 30)
    sent = {"a": np.zeros((4, 31, 3), int), "b": np.zeros((4, 31, 3), int)}
    for sample in range(4):
        state = {n: [(0, 0)] * 3 for n in "ab"}
        for t in range(30):
            for n in "ab":
                if n == "a":
                    drive = weights[0] @ x[sample, t].astype(int)
                    # A spike of b's step t arrives in a's own step t + 4: 3 on the way, 1 of phase.
                    drive = drive + (weights[2] @ sent["b"][sample, t - 4] if t >= 4 else 0)
                else:
                    drive = weights[1] @ sent["a"][sample, t]
                for i in range(3):
                    p = {
                        "threshold": 60,
                        "negative_threshold": [0, -20, 0][i],
                        "bias_mantissa": 3,
                        "bias_exponent": 0,
                    }
                    state[n][i], spike, _ = plain_step(p, state[n][i], int(drive[i]))
                    sent[n][sample, t, i] = spike
    (found,) = run_batches(network, x)
    for n in "ab":
        assert found[n].dtype == torch.int64
        assert (found[n].numpy() == sent[n][:, :30]).all()
    assert set(np.unique(sent["b"])) == {-1, 0, 1}
    result = network.run(x)
    assert result.spikes.dtype == np.int64
    assert result.spikes.min() == -1


def test_float_networks_carry_them_too():
    forward, back = dense(np.eye(3)), dense(np.eye(3) * -2)
    network = loop(Network, SignedIntegrateFire(0.5, 0.0, 0.03), [forward, forward, back], 0)
    result = network.run(spikes(network, 4, 30))
    assert set(np.unique(result.spikes)) == {-1, 0, 1}


@given(seed=st.integers(0, 10**6))
def test_the_accumulator_reaches_its_bound_with_either_sign(seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (3, 4)) * 2
    x = bound_accumulator(3, [(integer_dense(weight, 0, 8), Interval(-1, 1))])
    assert x.high.tolist() == np.abs(weight).sum(axis=1).tolist()
    assert x.low.tolist() == (-np.abs(weight).sum(axis=1)).tolist()


def test_quantized_networks_send_alike():
    rng = np.random.default_rng(1)
    network = Network(
        Input("input", (8,)),
        (
            Population("a", (6,), SignedIntegrateFire(1.0, -0.2)),
            Population("b", (4,), SignedIntegrateFire([0.8, 1.0, 1.1, 1.2])),
        ),
        (
            Projection("input", "a", dense(rng.normal(0.1, 0.6, (6, 8)))),
            Projection("a", "b", dense(rng.normal(0, 0.6, (4, 6)))),
        ),
        "b",
    )
    x = spikes(network, 20, 40)
    made = Quantize(steps=40)(design(network, TOY, calibration=x)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.min() == -1
    # Nothing leaks: what rounding moves stays, and moves a spike by a step now and then.
    assert (wanted != found).mean() < 0.05
    assert np.abs(wanted.sum(axis=1) - found.sum(axis=1)).max() <= 1


def test_compiles_where_spikes_have_payloads_only():
    network = chain(6, 5, 4, neuron=SignedIntegrateFire(1.0), weight=-0.4)
    program = compile(network, chip=LOIHI2)
    assert program.network.population("b").neuron.kind == "signed_integrate_fire"
    with pytest.raises(UnsupportedError, match="loihi1 has no neuron signed_integrate_fire"):
        compile(network, chip="loihi1")


def test_estimates_count_a_negative_spike_as_a_spike():
    network = integer_chain(3, 2, 1, neuron=IntegerSignedIntegrateFire(1))
    program = compile(network, chip="toy")
    spike_trains = {
        "input": torch.ones((1, 4, 3), dtype=torch.uint8),
        "a": torch.tensor([[[1, 1], [-1, 1], [-1, -1], [0, 0]]]),
        "b": torch.tensor([[[1], [-1], [0], [-1]]]),
    }
    machine = make_chip_machine(program)
    events = count_events(machine, from_spike_trains(program.network, spike_trains)).events[
        ..., COLUMN["spike"]
    ]
    fired = dict(zip(machine.layout.parts, events.sum(axis=0), strict=True))
    assert {part.layer: n for part, n in fired.items()} == {"a": 6, "b": 3, "input": 0}
